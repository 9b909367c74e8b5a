"""The small pictures of one size that torchvision reads, such as CIFAR-10: their files, pixels, labels and names."""

import gzip
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import download_url

from gan_cli.datasets import idx
from gan_cli.datasets.idx import SplitName
from gan_cli.datasets.images import DIGITS
from gan_cli.datasets.published import Digests

Read = Callable[[Path, SplitName, bool], tuple[Any, Any]]
"""The pixels and labels of a split under a root; whether torchvision may fetch what is missing."""

STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


@dataclass(frozen=True)
class Known:
    """A data set that torchvision reads, all its pictures of one size."""

    files: Callable[[], Digests]
    """Every file that it reads, of both splits, as torchvision lays them out."""

    read: Read

    names: Callable[[Path], Sequence[str]]
    """Those of the classes, once the files are there."""

    archive: Callable[[], Digests] = dict
    """What torchvision unpacks the files from, if it is one archive."""


def _cifar(kind: Any) -> Known:
    def files() -> Digests:
        listed = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        return {f"{kind.base_folder}/{file}": md5 for file, md5 in listed}

    def read(root: Path, split: SplitName, download: bool) -> tuple[Any, Any]:
        # Its files are pickles, which it opens when their digests are right.
        data = kind(root, train=split == "train", download=download)
        return data.data, data.targets

    return Known(files, read, lambda root: kind(root, train=False).classes, lambda: {kind.filename: kind.tgz_md5})


def _stl10() -> Known:
    kind = datasets.STL10

    def read(root: Path, split: SplitName, download: bool) -> tuple[Any, Any]:
        data = kind(root, split=split, download=download)
        return np.ascontiguousarray(data.data), data.labels

    return Known(
        lambda: {f"{kind.base_folder}/{file}": md5 for file, md5 in [*kind.train_list, *kind.test_list]},
        read,
        lambda _: STL10_CLASSES,
        lambda: {kind.filename: kind.tgz_md5},
    )


def _of_two_files(kind: Any, open_split: Callable[[Path, SplitName, bool], Any], labels: str) -> Known:
    def read(root: Path, split: SplitName, download: bool) -> tuple[Any, Any]:
        data = open_split(root, split, download)
        return data.data, getattr(data, labels)

    return Known(
        lambda: {kind.split_list[split][1]: kind.split_list[split][2] for split in ("train", "test")},
        read,
        lambda _: DIGITS,
    )


# The relatives of MNIST: torchvision keeps their archives, verified, beside files of which it knows no digest.


def _gunzipped(path: Path) -> Tensor:
    return idx.tensor(gzip.decompress(path.read_bytes()))


def _kmnist() -> Known:
    kind = datasets.KMNIST

    def read(root: Path, split: SplitName, download: bool) -> tuple[Any, Any]:
        if download:
            kind(root, download=True)
        part = "train" if split == "train" else "t10k"
        raw = [f"KMNIST/raw/{part}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
        pixels, labels = (_gunzipped(root / file) for file in raw)
        return pixels, labels

    return Known(lambda: {f"KMNIST/raw/{file}": md5 for file, md5 in kind.resources}, read, lambda _: kind.classes)


def _qmnist() -> Known:
    kind = datasets.QMNIST

    def listed(split: SplitName) -> Digests:
        return {f"QMNIST/raw/{url.rpartition('/')[2]}": md5 for url, md5 in kind.resources[split]}

    def read(root: Path, split: SplitName, download: bool) -> tuple[Any, Any]:
        if download:
            kind(root, what=split, download=True)
        pixels, facts = (_gunzipped(root / file) for file in listed(split))
        return pixels, facts[:, 0]  # the others are the writer and the place in NIST's own files

    return Known(lambda: {**listed("train"), **listed("test")}, read, lambda _: kind.classes)


def _emnist(variant: str) -> Known:
    kind, archive = datasets.EMNIST, "EMNIST/raw/gzip.zip"
    names = [name for name in kind.classes_split_dict[variant] if name != "N/A"]
    first = len(kind.classes_split_dict[variant]) - len(names)

    def read(root: Path, split: SplitName, download: bool) -> tuple[Any, Any]:
        if download:
            # torchvision would unpack all variants, which are several times as large.
            download_url(kind.url, (root / archive).parent, md5=kind.md5)
        with zipfile.ZipFile(root / archive) as files:
            raw = [f"gzip/emnist-{variant}-{split}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
            pixels, labels = (idx.tensor(gzip.decompress(files.read(file))) for file in raw)
        # The published pictures lie on their sides in mirror writing, and letters are numbered from 1.
        return pixels.transpose(1, 2), labels - first

    return Known(lambda: {archive: kind.md5}, read, lambda _: names)


SETS = {
    "CIFAR10": _cifar(datasets.CIFAR10),
    "CIFAR100": _cifar(datasets.CIFAR100),
    **{f"EMNIST-{variant}": _emnist(variant) for variant in sorted(datasets.EMNIST.splits)},
    "KMNIST": _kmnist(),
    "QMNIST": _qmnist(),
    "STL10": _stl10(),
    "SVHN": _of_two_files(datasets.SVHN, lambda root, split, d: datasets.SVHN(root, split, download=d), "labels"),
    "USPS": _of_two_files(
        datasets.USPS, lambda root, split, d: datasets.USPS(root, split == "train", download=d), "targets"
    ),
}
"""By torchvision's names: those whose files have published digests, and whose pictures are of one size."""
