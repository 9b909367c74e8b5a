"""Small pictures that torchvision reads, such as CIFAR-10: found on disk or fetched, and verified by digest."""

import gzip
import http.client
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import check_integrity
from torchvision.transforms.v2.functional import rgb_to_grayscale

from gan_cli.datasets import idx
from gan_cli.datasets.base import PART, Images
from gan_cli.datasets.idx import MIRROR_SECONDS, SplitName
from gan_cli.datasets.images import DIGITS, Split, allocate, squares
from gan_cli.datasets.part import Part
from gan_cli.errors import ConfigError, did_you_mean
from gan_cli.ranges import Count, Seed

Digests = Mapping[str, str]
"""The MD5 of files by their paths below the root."""

Read = Callable[[Path, SplitName, bool], tuple[Any, Any]]
"""The pixels and labels of a split under a root; whether torchvision may fetch what is missing."""

FAILURES = (OSError, EOFError, RuntimeError, tarfile.TarError, http.client.HTTPException)
"""What torchvision raises where it cannot fetch or unpack."""

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


class TorchvisionSet(Split, Images):
    """A data set of torchvision's by its name there. Raises `ConfigError` if its files are damaged or cannot be had."""

    def __init__(
        self,
        root: str,
        name: str,
        split: SplitName,
        resolution: Count | None = None,
        channels: int | None = None,
        mirror: bool = False,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        """`resolution` and `channels` are by default those of the data."""
        if channels not in (None, 1, 3):
            raise ValueError(f"channels={channels} must be 1 (grey), 3 (colour) or null, for those of the data")
        known = SETS[_listed(name)]
        folder = Path(root).expanduser()
        self._others = (root, name, resolution, channels, mirror, classes)
        self.root, self.split = root, split
        _have(known, _listed(name), folder)
        pixels, labels = known.read(folder, split, False)
        images = _with_channels(_channels_first(pixels), channels)
        images = images if resolution is None else squares(images, resolution)
        self.resolution = images.shape[-1]
        names, part = list(known.names(folder)), Part(classes, per_class, subset_seed)
        super().__init__(images, torch.as_tensor(labels).long(), mirror=mirror, classes=names, part=part)

    def _at(self, split: SplitName) -> Images:
        # All images of the same classes: what is held out does not become less with what trains.
        root, name, resolution, channels, mirror, classes = self._others
        return TorchvisionSet(root, name, split, resolution, channels, mirror, classes)


# The files


def _have(known: Known, name: str, root: Path) -> None:
    """See to it that all files of a data set are under the root, and are the published ones. Raises `ConfigError`."""
    if not _missing(known.files(), root, name):
        return
    if known.archive() and not _missing(known.archive(), root, name):
        _unpack(known, name, root)
    else:
        _fetch(known, name, root)
    if missing := _missing(known.files(), root, name):
        raise ConfigError(f"{root} still lacks {missing[0]} of {name}: put it there, or choose another dataset.root")


def _missing(digests: Digests, root: Path, name: str) -> list[str]:
    """The files that are not there. Raises `ConfigError` for one that is there and is another."""
    missing = []
    for file, md5 in digests.items():
        try:
            if not (root / file).exists():
                missing.append(file)
            elif not check_integrity(root / file, md5):
                raise ConfigError(
                    f"{root / file} is not the file of {name} (its MD5 is not {md5}): delete or replace it, or choose"
                    " another dataset.root"
                )
        except OSError as error:
            raise ConfigError(f"{root / file} cannot be read ({error.strerror}): mend that, or delete it") from error
    return missing


def _unpack(known: Known, name: str, root: Path) -> None:
    """Let torchvision unpack an archive that is there, for which it asks no network."""
    try:
        known.read(root, "train", True)
    except FAILURES as error:
        raise ConfigError(f"{root}: the archive of {name} cannot be unpacked ({_reason(error)}): mend that") from error


def _fetch(known: Known, name: str, root: Path) -> None:
    """Let torchvision fetch a data set, whose files appear under the root when all of them are whole."""
    is_new = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=root) as folder, _no_long_silence():
            for split in ("train", "test"):
                known.read(Path(folder), split, True)
            for file in known.files():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(folder, file), root / file)
    except FAILURES as error:
        if is_new:
            with suppress(OSError):
                root.rmdir()
        wanted = known.archive() or {file: known.files()[file] for file in _missing(known.files(), root, name)}
        files = " and ".join(f"{Path(file).name} (MD5 {md5})" for file, md5 in wanted.items())
        raise ConfigError(
            f"{name} is not on this machine and could not be fetched ({_reason(error)}): put {files} into"
            f" {(root / next(iter(wanted))).parent}, or choose data that need no network, such as dataset=mnist5k"
        ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__).splitlines()[-1]


@contextmanager
def _no_long_silence() -> Iterator[None]:
    """torchvision waits for a server without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(MIRROR_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# The pixels


def _channels_first(pixels: Any) -> Tensor:
    """The pixels as torchvision has them, grey or with the channels first or last, as `(n, channels, side, side)`."""
    images = torch.as_tensor(pixels)
    if images.dim() == 3:
        images = images[:, None]
    elif images.shape[1] != 3:
        images = images.movedim(3, 1)
    return images.contiguous()


def _with_channels(images: Tensor, channels: int | None) -> Tensor:
    if channels in (None, images.shape[1]):
        return images
    converted = torch.from_numpy(allocate(len(images), channels or 1, images.shape[-1]))
    for part, target in zip(images.split(PART), converted.split(PART), strict=True):
        target.copy_(rgb_to_grayscale(part) if channels == 1 else part.expand(-1, 3, -1, -1))
    return converted


# What torchvision has


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


def _kmnist() -> Known:
    kind = datasets.KMNIST

    def read(root: Path, split: SplitName, download: bool) -> tuple[Any, Any]:
        if download:
            kind(root, download=True)
        # torchvision keeps the archives, verified, beside files of which it knows no digest.
        part = "train" if split == "train" else "t10k"
        raw = [f"KMNIST/raw/{part}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
        pixels, labels = (idx.tensor(gzip.decompress((root / file).read_bytes())) for file in raw)
        return pixels, labels

    return Known(lambda: {f"KMNIST/raw/{file}": md5 for file, md5 in kind.resources}, read, lambda _: kind.classes)


SETS = {
    "CIFAR10": _cifar(datasets.CIFAR10),
    "CIFAR100": _cifar(datasets.CIFAR100),
    "KMNIST": _kmnist(),
    "STL10": _stl10(),
    "SVHN": _of_two_files(datasets.SVHN, lambda root, split, d: datasets.SVHN(root, split, download=d), "labels"),
    "USPS": _of_two_files(
        datasets.USPS, lambda root, split, d: datasets.USPS(root, split == "train", download=d), "targets"
    ),
}
"""By torchvision's names: those whose files have published digests, and whose pictures are of one size."""

ELSEWHERE = {"MNIST": "mnist", "FashionMNIST": "fashion_mnist"}


def _listed(name: str) -> str:
    """A name as it is listed, whatever its case. Raises `ValueError` for others."""
    listed = {known.casefold(): known for known in (*SETS, *ELSEWHERE, *datasets.__all__)}
    found = listed.get(name.casefold())
    if found in SETS:
        return str(found)
    if found in ELSEWHERE:
        raise ValueError(f"name={name} is a data set of its own: choose dataset={ELSEWHERE[found]}")
    if found is not None:
        raise ValueError(
            f"name={name} is not among those that can be read, {', '.join(SETS)}: save its pictures in a folder and"
            " choose dataset=folder, or in an array and choose dataset=array"
        )
    raise ValueError(f"name={name} is not a data set of torchvision: {did_you_mean(name.upper(), SETS)}")
