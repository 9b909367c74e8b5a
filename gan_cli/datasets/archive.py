"""The files of an archive, read from it as it is: nothing is unpacked to a disk."""

import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from gan_cli.datasets.picture import NoPictureError
from gan_cli.datasets.source import Opener, in_order
from gan_cli.errors import ConfigError
from gan_cli.files import file_digest

LARGEST_FILE = 256 * 2**20
"""Bytes: no picture that fits into memory is larger."""

HARMLESS = 2**30
"""Bytes that any archive may unpack to."""

DENSEST = 200
"""How many times its own size a larger one may unpack to: pictures hardly shrink, and bombs do a thousandfold."""

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)


def archive(path: Path) -> "Zip | Tar | None":
    """The archive in a file, whatever its name; None if there is none. Raises `ConfigError`."""
    if zipfile.is_zipfile(path):
        return Zip(path)
    try:
        with tarfile.open(path, "r|*"):
            return Tar(path)
    except tarfile.ReadError:
        return None
    except DAMAGE as error:
        raise _damaged(path, error) from error


class _Archive:
    is_archive = True
    count: int | None = None

    def __init__(self, path: Path) -> None:
        self.path = path

    def identity(self, *, verify: bool) -> str:
        """A digest of the archive's bytes, or what the file system tells of them."""
        try:
            if verify:
                return file_digest(self.path)
            status = self.path.stat()
        except OSError as error:
            raise ConfigError(f"dataset.path={self.path} cannot be read: {error.strerror}") from error
        of_file = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino)
        return " ".join(map(str, of_file))

    def _check(self, name: str, kind: str | None) -> None:
        """Raise `ConfigError` for a member that unpacking would put elsewhere, or that is not a file of its own."""
        path = PurePosixPath(name)
        what = kind or ("leads out of the archive" if path.is_absolute() or ".." in path.parts else None)
        if what:
            raise ConfigError(f"dataset.path={self.path}: {name} {what}: pack the images alone, as files")

    def _check_size(self, size: int) -> None:
        if size > max(HARMLESS, DENSEST * self.path.stat().st_size):
            raise ConfigError(
                f"dataset.path={self.path} unpacks to more than {DENSEST} times its size: unpack it yourself, if you"
                " trust it, and name the folder"
            )


class Zip(_Archive):
    """A zip file: its directory says what it holds."""

    def files(self) -> Iterator[tuple[str, Opener]]:
        try:
            opened = zipfile.ZipFile(self.path)  # not closed here: who asks for the files opens them later
        except DAMAGE as error:
            raise _damaged(self.path, error) from error
        members = {info.filename.replace("\\", "/"): info for info in opened.infolist() if not info.is_dir()}
        for name, info in members.items():
            self._check(name, _kind_in_zip(info))
        self._check_size(sum(info.file_size for info in members.values()))
        for name in sorted(filter(_is_shown, members), key=in_order):
            yield str(PurePosixPath(name)), partial(_open_in_zip, opened, members[name])


def _kind_in_zip(info: zipfile.ZipInfo) -> str | None:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "is a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a device"
    return "is encrypted" if info.flag_bits & 1 else None


def _open_in_zip(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    if info.file_size > LARGEST_FILE:
        raise NoPictureError(f"above {LARGEST_FILE // 2**20} MB")
    try:
        return io.BytesIO(opened.read(info))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise OSError(0, str(error)) from error


class Tar(_Archive):
    """A tar file, compressed or not, which is read once from its start to its end."""

    def files(self) -> Iterator[tuple[str, Opener]]:
        size = 0
        try:
            with tarfile.open(self.path, "r|*") as opened:
                for member in opened:
                    opened.members = []  # type: ignore[attr-defined] # it would remember every one
                    if member.isdir():
                        continue
                    self._check(member.name, _kind_in_tar(member))
                    size += member.size
                    self._check_size(size)
                    if _is_shown(member.name):
                        yield str(PurePosixPath(member.name)), _in_memory(opened, member)
        except DAMAGE as error:
            raise _damaged(self.path, error) from error


def _kind_in_tar(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return "is a link"
    return None if member.isreg() else "is a device"


def _in_memory(opened: tarfile.TarFile, member: tarfile.TarInfo) -> Opener:
    if member.size > LARGEST_FILE:
        return _too_large
    content = opened.extractfile(member)
    assert content is not None
    return partial(io.BytesIO, content.read())


def _too_large() -> BinaryIO:
    raise NoPictureError(f"above {LARGEST_FILE // 2**20} MB")


def _is_shown(name: str) -> bool:
    return not any(part.startswith(".") for part in PurePosixPath(name).parts)


def _damaged(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"dataset.path={path} is a damaged archive ({' '.join(str(error).split())}): fetch it again")
