"""Arrays in NumPy's files, `.npy` and `.npz`, and the labels of samples; nothing is ever unpickled."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from torch import Tensor

from gan_cli.errors import did_you_mean

Array = NDArray[Any]

ARRAYS = (".npy", ".npz")

DAMAGE = (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for a file that it cannot read."""


def read(path: Path, array: str | None, labels: str | None) -> tuple[Array, Array | None]:
    """The samples and their labels, if these are asked for; a `.npy` file is mapped into memory, not read.

    `array` names the samples among several arrays of an `.npz` file. `labels` names another one of it; beside a `.npy`
    file it is a file in the same folder. Raises `ValueError`, which begins with the option that is at fault.
    """
    content = _opened(path, "path")
    if isinstance(content, NpzFile):
        with content:
            return _members(content, path, array, labels)
    if array is not None:
        raise ValueError(f"array={array} is for .npz files, which hold several: leave it out")
    if labels is None:
        return content, None
    beside = path.parent / labels
    given = _opened(beside, "labels")
    if isinstance(given, NpzFile):
        raise ValueError(f"labels={beside} holds several arrays: save the labels as a .npy file")
    return content, given


def classes_of(labels: Array, n: int, option: str) -> tuple[Tensor, list[str]]:
    """The labels of `n` samples as int64 from 0 on, and the names of the classes, in order.

    Whole numbers and text are names, each distinct one that of a class. Raises `ValueError` for anything else.
    """
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


def _opened(path: Path, option: str) -> Array | NpzFile:
    found = f"{option}={path}"
    if not path.exists():
        raise ValueError(f"{found} does not exist: name a file that does")
    if path.suffix.lower() not in ARRAYS:
        raise ValueError(f"{found} is no .npy or .npz file: save it as one with numpy.save")
    try:
        # Copy on write, because torch takes no read-only array.
        content: Array | NpzFile = np.load(path, mmap_mode="c", allow_pickle=False)
    except DAMAGE as error:
        raise _unreadable(found, error) from error
    return content


def _members(archive: NpzFile, path: Path, array: str | None, labels: str | None) -> tuple[Array, Array | None]:
    names = archive.files
    for option, name in (("array", array), ("labels", labels)):
        if name is not None and name not in names:
            raise ValueError(f"{option}={name} is not an array in {path}: {did_you_mean(name, names)}")
    if array is None:
        others = [name for name in names if name != labels]
        if len(others) != 1:
            held = f"path={path} holds {', '.join(map(repr, names[:10])) or 'no array'}"
            raise ValueError(f"{held}: set dataset.array=… to the samples, and dataset.labels=… if one holds labels")
        (array,) = others
    try:
        return archive[array], None if labels is None else archive[labels]
    except DAMAGE as error:
        raise _unreadable(f"path={path}", error) from error


def _unreadable(found: str, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if "allow_pickle" in reason:
        return ValueError(f"{found} holds Python objects, which are never unpickled: save one array of numbers")
    return ValueError(f"{found} cannot be read ({reason}): save it anew with numpy.save or numpy.savez")
