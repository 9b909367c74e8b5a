"""The files of a folder, and what stands for their bytes."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gan_cli.datasets.picture import NoPictureError
from gan_cli.datasets.source import Opener, in_order
from gan_cli.errors import ConfigError
from gan_cli.files import file_digest

SMALL = 2**18


class Listed(NamedTuple):
    """A file, or what stands in the place of one."""

    name: str
    stamp: str
    """What the file system tells of it: its size, its times and its number."""
    problem: str | None = None
    """Why it is not opened."""


class Files:
    """Files in a folder, in an order that is given."""

    is_archive = False

    def __init__(self, path: Path, files: Sequence[Listed]) -> None:
        self.path = path
        self._files = files
        self.count: int | None = len(files)

    def identity(self, *, verify: bool) -> str:
        """A digest of the names and of the bytes; unless they are to be verified, the stamps stand for the bytes.

        With a size and a time alone, two folders of bitmaps unpacked from archives could be one.
        """
        known = [file.stamp for file in self._files]
        if verify:
            with ThreadPoolExecutor() as pool:
                known = list(pool.map(self._digest, self._files))
        text = "\0".join(f"{file.name}\0{of}" for file, of in zip(self._files, known, strict=True))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def files(self) -> Iterator[tuple[str, Opener]]:
        for file in self._files:
            yield file.name, partial(self._open, file)

    def _digest(self, file: Listed) -> str:
        if file.problem is not None:
            return file.stamp
        try:
            return _sha256(self.path / file.name)
        except OSError as error:
            return str(error.strerror)

    def _open(self, file: Listed) -> BinaryIO:
        if file.problem is not None:
            raise NoPictureError(file.problem)
        return open(f"{self.path}/{file.name}", "rb")  # noqa: PTH123 - a Path takes as long as opening it


class Directory(Files):
    """All that is in a folder and below it, links followed, but for names with a leading dot.

    Those are the litter of file managers, such as macOS's "._photo.jpg".
    """

    def __init__(self, path: Path) -> None:
        """Raises `ConfigError`."""
        try:
            super().__init__(path, sorted(_below(str(path), "", ()), key=lambda file: in_order(file.name)))
        except OSError as error:
            raise ConfigError(f"dataset.path={path}: {error.filename} cannot be read: {error.strerror}") from error


def stamped(path: Path, names: Iterable[str]) -> list[Listed]:
    """The files of these names in a folder. Raises `OSError` for one that is missing."""
    return [Listed(name, _stamp((path / name).stat())) for name in names]


def _sha256(path: Path) -> str:
    """The digest of a file: a small one is read at once, as a buffer would take longer."""
    with path.open("rb") as content:
        start = content.read(SMALL)
    return file_digest(path) if len(start) == SMALL else hashlib.sha256(start).hexdigest()


def _below(top: str, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[Listed]:
    """The files below a folder, which is named relative to the top; `above` are those on the way to it."""
    path = f"{top}/{folder}"  # a Path for each would take as long as all the rest
    seen = Path(path).stat()
    above = (*above, (seen.st_dev, seen.st_ino))
    with os.scandir(path) as found:
        entries = [entry for entry in found if not entry.name.startswith(".")]
    for entry in entries:
        name = f"{folder}/{entry.name}" if folder else entry.name
        try:
            status = entry.stat()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP, errno.EACCES):
                raise
            yield Listed(name, str(error.strerror))  # opening it says so again
            continue
        if stat.S_ISREG(status.st_mode):
            yield Listed(name, _stamp(status))
        elif not stat.S_ISDIR(status.st_mode):
            yield Listed(name, "special", "no regular file")
        elif (status.st_dev, status.st_ino) in above:
            yield Listed(name, "loop", "a folder that holds itself")
        else:
            yield from _below(top, name, above)


def _stamp(status: os.stat_result) -> str:
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{status.st_size} {times} {status.st_dev} {status.st_ino}"
