"""Decoded images kept for the next run: each set appears under its name only when it is whole."""

import errno
import hashlib
import io
import json
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from gan_cli.files import make_folder, sync_folder, write

logger = logging.getLogger(__name__)

CHUNK = 4096
"""Images that are moved at a time."""

LARGE = 256 * 2**20
"""Bytes from which on a copy of images is made in a file and not in memory."""


@dataclass(frozen=True)
class Filled:
    """What was written to a file of pixels."""

    image_shape: tuple[int, int, int]
    order: Sequence[int]
    """The images to keep, by their place in the file."""
    starts: Sequence[int]
    """Where, in that order, parts begin that are known by a digest of their own; the first begins at 0."""
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """Images, shape `(n, channels, height, width)`, and what is known about them."""

    images: NDArray[np.uint8]
    starts: Sequence[int]
    digests: Sequence[str]
    """The SHA-256 of each part."""
    facts: Mapping[str, Any]

    def digest(self, rows: slice) -> str | None:
        """The SHA-256 of some of the images, if they are a part."""
        ends = [*self.starts[1:], len(self.images)]
        known = zip(self.starts, ends, self.digests, strict=True)
        return next((digest for start, end, digest in known if (start, end) == (rows.start, rows.stop)), None)


Fill = Callable[[BinaryIO], Filled]
"""Writes the pixels of images, one after the other."""


def in_memory(fill: Fill) -> Kept:
    """The images without a file."""
    file = io.BytesIO()
    filled = fill(file)
    images = np.frombuffer(file.getbuffer(), np.uint8).reshape(-1, *filled.image_shape)
    if not _is_sorted(filled.order, len(images)):
        images = images[filled.order]
    return Kept(images, filled.starts, _digests(images, filled.starts), filled.facts)


def room(shape: tuple[int, ...], folder: Path | None = None) -> Tensor:
    """Room for uint8 images: for few in memory, for many in a file without a name, so that they take none."""
    if math.prod(shape) >= LARGE:
        with suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
            _allocate(file, math.prod(shape))
            return torch.from_numpy(np.memmap(file, np.uint8, "r+", shape=shape))
    return torch.empty(shape, dtype=torch.uint8)


def copied(images: Tensor, chosen: Tensor, folder: Path) -> Tensor:
    """The images of these indices, in their room."""
    copies = room((len(chosen), *images.shape[1:]), folder)
    for start in range(0, len(chosen), CHUNK):
        part = slice(start, start + CHUNK)
        copies[part] = images[chosen[part]]
    return copies


class ImageCache:
    """Decoded images as `<key>.npy` in `folder`, and what was found out about them as `<key>.json`.

    The facts, written last, vouch for the pixels: they hold their digests, and what the file system then told of their
    file. As long as it tells the same, the pixels are mapped and not read.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self._key = key
        self._pixels = folder / f"{key}.npy"
        self._facts = folder / f"{key}.json"

    def read(self, *, verify: bool = False) -> Kept | None:
        """The images, mapped into memory; None if they are missing or damaged. With `verify` they are read through."""
        if not os.access(self._facts, os.F_OK):  # which a folder that cannot be entered does not raise
            return None
        try:
            digest, content = self._facts.read_bytes().split(b"\n", 1)
            if json.loads(digest) != hashlib.sha256(content).hexdigest():
                raise ValueError("its facts are not those that were written")
            known = json.loads(content)
            # Copy on write, because torch takes no read-only array.
            kept = Kept(np.load(self._pixels, mmap_mode="c"), known["starts"], known["digests"], known["facts"])
            stamp = _stamp(self._pixels)
            if verify or known["stamp"] != stamp:
                if _digests(kept.images, kept.starts) != kept.digests:
                    raise ValueError("its SHA-256 is not the one that was recorded")
                if known["stamp"] != stamp:
                    with suppress(OSError):  # of a cache that others share
                        self._vouch(kept, stamp)
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            logger.warning("%s is damaged (%s), so the images are read again", self._pixels, error)
            with suppress(OSError):
                self._facts.unlink()  # they vouch for nothing any more
            return None
        return kept

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder and keep other processes from writing the same images. Raises `OSError`."""
        made = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        make_folder(self.folder)
        lock = FileLock(self._lock(self._key))
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                logger.info("another process decodes the same images: waiting for it")
                lock.acquire()
            try:
                yield
            finally:
                # Whoever waits for it finds the images, or fails as this process did.
                self._lock(self._key).unlink(missing_ok=True)
                lock.release()
        finally:
            for folder in made:  # what a failure leaves empty
                with suppress(OSError):
                    folder.rmdir()

    def write(self, fill: Fill, most: int | None) -> None:
        """Keep what `fill` writes, `most` bytes of pixels if that is known, within `claimed`.

        Raises `OSError`, also at once for a disk that has no room for so many, and what `fill` raises.
        """
        self._remove_leftovers()
        written, in_order = (self.folder / f".{self._key}.{name}.tmp" for name in ("written", "sorted"))
        try:
            with written.open("w+b") as file:
                start = len(_header((0, 0, 0, 0)))
                if most is not None:
                    _allocate(file, start + most)
                file.seek(start)
                filled = fill(file)
                rows = _mapped(file, filled.image_shape)
                if not _is_sorted(filled.order, len(rows)):
                    with in_order.open("wb") as other:
                        _copy(rows, filled.order, other)
                    in_order.replace(written)
                else:
                    file.seek(0)
                    file.write(_header(rows.shape))
            with written.open("rb+") as file:
                os.fsync(file.fileno())
            images = np.load(written, mmap_mode="r")
            kept = Kept(images, filled.starts, _digests(images, filled.starts), filled.facts)
            written.replace(self._pixels)
        finally:
            written.unlink(missing_ok=True)
            in_order.unlink(missing_ok=True)
        sync_folder(self.folder)
        self._vouch(kept, _stamp(self._pixels))

    def _vouch(self, kept: Kept, stamp: Sequence[int]) -> None:
        known = {"stamp": stamp, "starts": kept.starts, "digests": kept.digests, "facts": kept.facts}
        content = json.dumps(known).encode()
        digest = json.dumps(hashlib.sha256(content).hexdigest()).encode()
        write(self._facts, digest + b"\n" + content)

    def _lock(self, key: str) -> Path:
        return self.folder / f".{key}.lock"

    def _remove_leftovers(self) -> None:
        """Remove what a process that was killed left behind: nobody holds the lock of its key."""
        for path in self.folder.glob(".*.tmp"):
            key = path.name.split(".")[1]
            if key == self._key:
                path.unlink(missing_ok=True)
                continue
            with suppress(Timeout), FileLock(self._lock(key), timeout=0):
                path.unlink(missing_ok=True)
                self._lock(key).unlink(missing_ok=True)


def _header(shape: tuple[int, ...]) -> bytes:
    """The beginning of an .npy file, which is as long for any number of images."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _allocate(file: BinaryIO | IO[bytes], size: int) -> None:
    """Claim the room on the disk, so that a full one says so before any image is decoded and not hours later."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that cannot
            raise


def _mapped(file: BinaryIO, image_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The images written to a file, which ends behind them from now on."""
    end, start = file.tell(), len(_header((0, 0, 0, 0)))
    file.truncate(end)
    file.flush()
    count = (end - start) // math.prod(image_shape)
    return np.memmap(file, np.uint8, "r", start, (count, *image_shape))


def _copy(rows: NDArray[np.uint8], order: Sequence[int], file: BinaryIO) -> None:
    file.write(_header((len(order), *rows.shape[1:])))
    for start in range(0, len(order), CHUNK):
        file.write(rows[order[start : start + CHUNK]].data)


def _is_sorted(order: Sequence[int], count: int) -> bool:
    return len(order) == count and all(index == place for place, index in enumerate(order))


def _digests(images: NDArray[np.uint8], starts: Sequence[int]) -> list[str]:
    ends = [*starts[1:], len(images)]
    parts = (images[start:end] for start, end in zip(starts, ends, strict=True))
    return [hashlib.sha256(np.ascontiguousarray(part).data).hexdigest() for part in parts]


def _stamp(path: Path) -> list[int]:
    """What the file system tells of a file, which any write to it changes."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
