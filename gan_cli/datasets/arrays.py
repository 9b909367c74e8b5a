"""Arrays in NumPy's files, `.npy` and `.npz`, and the labels of samples; nothing is ever unpickled."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from torch import Tensor

from gan_cli.errors import did_you_mean

Array = NDArray[Any]

T = TypeVar("T")

ARRAYS = (".npy", ".npz")

DAMAGE = (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for a file that it cannot read."""


def read(path: Path, array: str | None, labels: str | None) -> tuple[Array, Array | None]:
    """The samples and their labels, if these are asked for; a `.npy` file is mapped into memory, not read.

    `array` names the samples among several arrays of an `.npz` file. `labels` names another one of it; beside a `.npy`
    file it is a file in the same folder. Raises `ValueError`, which begins with the option that is at fault.
    """
    if _suffix(path, "path") == ".npz":
        return _members(path, array, labels)
    if array is not None:
        raise ValueError(f"array={array} is for .npz files, which hold several: leave it out")
    beside = None if labels is None else path.parent / labels
    if beside is not None and _suffix(beside, "labels") == ".npz":
        raise ValueError(f"labels={beside} holds several arrays: save the labels as a .npy file")
    return _mapped(path, "path"), None if beside is None else _mapped(beside, "labels")


def classes_of(labels: Array | None, n: int, option: str) -> tuple[Tensor | None, list[str]]:
    """The labels of `n` samples as int64 from 0 on, and the names of the classes, in order; none without labels.

    Whole numbers and text are names, each distinct one that of a class. Raises `ValueError` for anything else.
    """
    if labels is None:
        return None, []
    if labels.ndim != 1:
        shape = f"{option} has shape {labels.shape}"
        raise ValueError(f"{shape}: give each sample one label, shape (n,), for one-hot rows their argmax(1)")
    if len(labels) != n:
        raise ValueError(f"{option} has {len(labels)} labels for {n} samples: give each sample one")
    if labels.dtype.kind not in "iuUS":
        raise ValueError(f"{option} holds labels of type {labels.dtype}: save whole numbers or text")
    if labels.dtype.kind == "i" and labels.min(initial=0) < 0:
        raise ValueError(f"{option} holds {labels.min()}: leave samples without a class out")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "U" and not np.char.str_len(np.char.strip(labels)).all():
        raise ValueError(f"{option} holds an empty label: name the class, or leave samples without one out")
    names, indices = np.unique(labels, return_inverse=True)
    return torch.from_numpy(indices.astype(np.int64)), [str(name) for name in names]


def with_labels(digest: str, labels: Tensor | None, names: Sequence[str]) -> str:
    """The digest of samples, and of their classes if they have any."""
    if labels is None:
        return digest
    return hashlib.sha256(repr((digest, list(names), labels.tolist())).encode()).hexdigest()


def _suffix(path: Path, option: str) -> str:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ValueError(f"{option}={path} does not exist, or is a folder: name a .npy or .npz file")
    if suffix not in ARRAYS:
        raise ValueError(f"{option}={path} is no .npy or .npz file: save it as one with numpy.save")
    return suffix


def _mapped(path: Path, option: str) -> Array:
    try:
        # Copy on write, because torch takes no read-only array.
        mapped = np.load(path, mmap_mode="c", allow_pickle=False)
    except DAMAGE as error:
        raise _unreadable(f"{option}={path}", error) from error
    if isinstance(mapped, NpzFile):
        mapped.close()
        raise ValueError(f"{option}={path} holds an archive: name it .npz")
    array: Array = mapped
    return array


def _members(path: Path, array: str | None, labels: str | None) -> tuple[Array, Array | None]:
    name = _samples(_within(path, lambda archive: archive.files), path, array, labels)
    wanted = [name] if labels is None else [name, labels]
    values, *given = _within(path, lambda archive: [archive[each] for each in wanted])
    return values, given[0] if given else None


def _within(path: Path, look: Callable[[NpzFile], list[T]]) -> list[T]:
    """What an archive has to show. Raises `ValueError` if it is damaged."""
    try:
        # NumPy would leave a file open that is no archive.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, NpzFile):
                return look(archive)
    except DAMAGE as error:
        raise _unreadable(f"path={path}", error) from error
    raise ValueError(f"path={path} holds one array: name it .npy")


def _samples(names: list[str], path: Path, array: str | None, labels: str | None) -> str:
    """The name of the array of samples."""
    for option, name in (("array", array), ("labels", labels)):
        if name is not None and name not in names:
            raise ValueError(f"{option}={name} is not an array in {path}: {did_you_mean(name, names)}")
    if array is not None:
        return array
    others = [name for name in names if name != labels]
    if len(others) != 1:
        held = f"path={path} holds {', '.join(map(repr, names[:10])) or 'no array'}"
        raise ValueError(f"{held}: set dataset.array=… to the samples, and dataset.labels=… if one holds labels")
    return others[0]


def _unreadable(found: str, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if "allow_pickle" in reason or "Python objects" in reason:
        return ValueError(f"{found} holds Python objects, which are never unpickled: save one array of numbers")
    return ValueError(f"{found} cannot be read ({reason}): save it anew with numpy.save or numpy.savez")
