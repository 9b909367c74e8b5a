"""Small stand-ins for the data sets that torchvision reads, in the layouts that are published, with their digests."""

import bz2
import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray
from torchvision import datasets

COUNTS = {"train": 20, "test": 10}


def pixels(split: str, channels: int, side: int) -> NDArray[np.uint8]:
    """Shape `(n, channels, side, side)`: others in each split."""
    source = np.random.default_rng(len(split))
    return source.integers(0, 256, (COUNTS[split], channels, side, side), dtype=np.uint8)


def labels(split: str, classes: int = 10) -> NDArray[np.uint8]:
    return (np.arange(COUNTS[split]) * 3 % classes).astype(np.uint8)


def md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def _put(folder: Path, files: dict[str, bytes]) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return {name: md5(raw) for name, raw in files.items()}


def _archived(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, folder.name)
    return buffer.getvalue()


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Put CIFAR-10 under a root; returns the archive of it by the name that it is published under."""
    kind = datasets.CIFAR10
    files = {}
    for split, listed in (("train", kind.train_list), ("test", kind.test_list)):
        parts = zip(np.split(pixels(split, 3, 32), len(listed)), np.split(labels(split), len(listed)), strict=True)
        for (name, _), (data, given) in zip(listed, parts, strict=True):
            files[name] = pickle.dumps({"data": data.reshape(len(data), -1), "labels": given.tolist()})
    files["batches.meta"] = pickle.dumps({"label_names": [f"class {label}" for label in range(10)]})
    digests = _put(root / kind.base_folder, files)
    patch.setattr(kind, "train_list", [[name, digests[name]] for name, _ in kind.train_list])
    patch.setattr(kind, "test_list", [[name, digests[name]] for name, _ in kind.test_list])
    patch.setattr(kind, "meta", kind.meta | {"md5": digests["batches.meta"]})
    archive = _archived(root / kind.base_folder)
    patch.setattr(kind, "tgz_md5", md5(archive))
    return {kind.filename: archive}


def svhn(root: Path, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    listed = dict(datasets.SVHN.split_list)
    files = {}
    for split in COUNTS:
        buffer = io.BytesIO()
        # The digit 0 is published as 10.
        given = np.where(labels(split) == 0, 10, labels(split))[:, None]
        scipy.io.savemat(buffer, {"X": pixels(split, 3, 32).transpose(2, 3, 1, 0), "y": given})
        files[f"{split}_32x32.mat"] = buffer.getvalue()
    digests = _put(root, files)
    for split in COUNTS:
        url, name, _ = listed[split]
        listed[split] = [url, name, digests[name]]
    patch.setattr(datasets.SVHN, "split_list", listed)
    return files


def stl10(root: Path, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    kind = datasets.STL10
    # Columns of pixels, one after the other.
    files = {f"{split}_X.bin": pixels(split, 3, 96).transpose(0, 1, 3, 2).tobytes() for split in COUNTS}
    files |= {f"{split}_y.bin": (labels(split) + 1).tobytes() for split in COUNTS}
    files["unlabeled_X.bin"] = pixels("test", 3, 96).tobytes()
    digests = _put(root / kind.base_folder, files)
    patch.setattr(kind, "train_list", [[name, digests[name]] for name, _ in kind.train_list])
    patch.setattr(kind, "test_list", [[name, digests[name]] for name, _ in kind.test_list])
    archive = _archived(root / kind.base_folder)
    patch.setattr(kind, "tgz_md5", md5(archive))
    return {kind.filename: archive}


def _idx(array: NDArray[np.uint8] | NDArray[np.int32]) -> bytes:
    kind = {1: 0x08, 4: 0x0C}[array.itemsize]
    raw = bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(raw + array.astype(array.dtype.newbyteorder(">")).tobytes(), mtime=0)


def kmnist(root: Path, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        files[f"{prefix}-images-idx3-ubyte.gz"] = _idx(pixels(split, 1, 28)[:, 0])
        files[f"{prefix}-labels-idx1-ubyte.gz"] = _idx(labels(split))
    digests = _put(root / "KMNIST" / "raw", files)
    patch.setattr(datasets.KMNIST, "resources", list(digests.items()))
    return files


def qmnist(root: Path, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """QMNIST, whose labels are rows of eight numbers, the class first."""
    resources = dict(datasets.QMNIST.resources)
    files: dict[str, bytes] = {}
    for split in COUNTS:
        facts = np.arange(COUNTS[split] * 8, dtype=np.int32).reshape(-1, 8) + 1000
        facts[:, 0] = labels(split)
        contents = (_idx(pixels(split, 1, 28)[:, 0]), _idx(facts))
        urls = [url for url, _ in resources[split]]
        files |= {url.rpartition("/")[2]: raw for url, raw in zip(urls, contents, strict=True)}
        resources[split] = [(url, md5(raw)) for url, raw in zip(urls, contents, strict=True)]
    _put(root / "QMNIST" / "raw", files)
    patch.setattr(datasets.QMNIST, "resources", resources)
    return files


def emnist(root: Path, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Three variants of EMNIST, whose pictures are published with rows and columns exchanged, and letters from 1."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for variant, first in (("letters", 1), ("balanced", 0), ("digits", 0)):
            for split in COUNTS:
                start = f"gzip/emnist-{variant}-{split}"
                archive.writestr(f"{start}-images-idx3-ubyte.gz", _idx(pixels(split, 1, 28)[:, 0].transpose(0, 2, 1)))
                archive.writestr(f"{start}-labels-idx1-ubyte.gz", _idx(labels(split) + np.uint8(first)))
    files = {"gzip.zip": buffer.getvalue()}
    digests = _put(root / "EMNIST" / "raw", files)
    patch.setattr(datasets.EMNIST, "md5", digests["gzip.zip"])
    return files


def usps(root: Path, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    listed = dict(datasets.USPS.split_list)
    files = {}
    for split in COUNTS:
        # A little above the level, which torchvision rounds down to.
        levels = (pixels(split, 1, 16).reshape(COUNTS[split], -1) + 0.1) / 255 * 2 - 1
        rows = [
            " ".join([str(label + 1), *(f"{place + 1}:{value:.6f}" for place, value in enumerate(row))])
            for label, row in zip(labels(split).tolist(), levels.tolist(), strict=True)
        ]
        files[listed[split][1]] = bz2.compress("\n".join(rows).encode() + b"\n")
    digests = _put(root, files)
    for split in COUNTS:
        url, name, _ = listed[split]
        listed[split] = [url, name, digests[name]]
    patch.setattr(datasets.USPS, "split_list", listed)
    return files
