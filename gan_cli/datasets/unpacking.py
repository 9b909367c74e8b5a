"""Published archives of images: found under a root unpacked or not, or fetched, and indexed when all is there."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from torchvision.datasets.utils import extract_archive

from gan_cli.datasets.idx import SplitName
from gan_cli.datasets.published import FAILURES, missing, no_long_silence, reason, unavailable
from gan_cli.datasets.torchvision_files import File, Index, Published
from gan_cli.errors import ConfigError


def indexed(known: Published, name: str, root: Path, attribute: str | None) -> dict[SplitName, Index]:
    """The index of each split, with what is missing unpacked or fetched before. Raises `ConfigError`.

    What is unpacked already is taken as it is: there are digests of archives and of lists alone.
    """
    folder = root / known.folder
    needed = [*known.files, *(known.attributes if attribute is not None else ())]
    absent = [file for file in needed if not _is_there(file, folder, name)]
    if to_fetch := [file for file in absent if missing({file.name: file.md5}, folder, name)]:
        _fetch(to_fetch, name, root, folder)
    for file in absent:
        if file.holds is not None:
            _unpack(folder / file.name, folder, file.holds, name)
    try:
        indices = {split: known.index(root, split, attribute) for split in known.splits}
    except (*FAILURES, LookupError, ValueError) as error:
        archives = " and ".join(f"{folder / file.holds}" for file in needed if file.holds)
        raise ConfigError(f"{name} cannot be indexed ({reason(error)}): {_again(archives)}") from error
    for split, count in known.counts.items():
        if (found := len(indices[split].files)) != count:
            top = folder / indices[split].files[0].partition("/")[0]
            raise ConfigError(
                f"{top} holds {found:,} of the {count:,} images that {name} has to {split}: {_again(str(top))}"
            )
    return indices


def _again(path: str) -> str:
    return f"delete {path}, to be unpacked again"


def _is_there(file: File, folder: Path, name: str) -> bool:
    if file.holds is not None:
        return (folder / file.holds).exists()
    return not missing({file.name: file.md5}, folder, name)


def _fetch(files: Sequence[File], name: str, root: Path, folder: Path) -> None:
    """Fetch files, each of which appears in the folder when it is whole."""
    is_new = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=root) as temporary, no_long_silence():
            for file in files:
                file.fetch(Path(temporary))
                folder.mkdir(parents=True, exist_ok=True)
                Path(temporary, file.name).replace(folder / file.name)
    except FAILURES as error:
        if is_new:
            with suppress(OSError):
                root.rmdir()
        wanted = {file.name: file.md5 for file in files if not (folder / file.name).exists()}
        raise unavailable(name, wanted, folder, error) from error


def _unpack(archive: Path, folder: Path, holds: str, name: str) -> None:
    """Unpack an archive, whose content appears in the folder when it is whole."""
    try:
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as temporary:
            extract_archive(archive, temporary)
            (folder / holds).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / holds).exists():  # another process may have been faster
                Path(temporary, holds).replace(folder / holds)
    except FAILURES as error:
        raise ConfigError(f"{archive} of {name} cannot be unpacked ({reason(error)}): mend that") from error
