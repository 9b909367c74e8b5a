"""Files that are whole or not there at all, whatever stops the program or the machine, and their digests."""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
"""The names of files that are being written."""


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shortest(path: str) -> Path:
    """A path as short as it can be written in the current folder, as messages show it."""
    full = Path(path).expanduser()
    return full.relative_to(Path.cwd()) if full.is_relative_to(Path.cwd()) else full


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends; where it fails, `path` stays as it was.

    Once the block has ended the file outlives a power cut. No link is followed: one at `path` is replaced by the file,
    so a path that a user names is resolved by the caller, since the user may mean what the link leads to. Missing
    folders are made. Raises `OSError`.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with temporary.open("xb") as file:  # which fails where there is anything of this name, a link included
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise
    sync_folder(path.parent)


def write(path: Path, content: bytes | memoryview) -> None:
    """Replace `path` by a file with this content, as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


def write_named(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write to the place that a user named, with what a link leads to replaced in its stead.

    Parts are written as they come, and none is kept. A device or a pipe, which no file can replace, is written into.
    Raises `OSError`.
    """
    parts = [content] if isinstance(content, bytes) else content
    is_replaced = path.is_file() or not path.exists()
    with replacing(path.resolve()) if is_replaced else path.open("wb") as file:
        for part in parts:
            file.write(part)


def appending(path: Path) -> TextIO:
    """A text file to write at the end of, which may be new. Raises `OSError`, also where `path` is a link."""
    return open(path, "a", encoding="utf-8", opener=_no_link)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing, so that they outlive a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Have the names in a folder written to the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that sync no folders
            raise
    finally:
        os.close(descriptor)


def temporaries(folder: Path) -> list[Path]:
    """The files in a folder that are being written, or were when their writer was killed."""
    return [path for path in folder.iterdir() if TEMPORARY.fullmatch(path.name)] if folder.is_dir() else []
