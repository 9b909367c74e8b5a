"""The two kinds of data: endless samples, known densities among them, and samples in memory, such as images."""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gan_cli.datasets.part import ALL, Part


@dataclass(frozen=True)
class Batch:
    """Real samples, shape `(batch, *sample_shape)`, and where the data have them their labels, shape `(batch,)`, int64.

    Several batches are one of these too, with a dimension more in front.
    """

    samples: Tensor
    labels: Tensor | None = None

    def unbind(self) -> "list[Batch]":
        """The batches along the first dimension."""
        if self.labels is None:
            return [Batch(samples) for samples in self.samples.unbind()]
        return [Batch(*both) for both in zip(self.samples.unbind(), self.labels.unbind(), strict=True)]

    def first(self, n: int) -> "Batch":
        """The first n samples, or all if there are fewer."""
        return Batch(self.samples[:n], None if self.labels is None else self.labels[:n])


class Dataset(ABC):
    """Real samples, each of shape `sample_shape`."""

    sample_shape: tuple[int, ...]

    classes: Sequence[str] = ()
    """The names of the classes, in the order of the labels; none if samples have no labels."""

    split: str | None = None
    """Which published part of the data these are; None if they have one part only."""

    shows: str | None = None
    """What images show, if all show one kind of thing; an extractor may be made for one kind."""

    is_stacked: bool = False
    """Whether the channels of an image are pictures of their own, which say nothing of one another."""

    origin: Mapping[str, Any] | None = None
    """The run that drew the samples, with its checkpoint and the seed, as run.json records it; None of real samples."""

    @property
    def description(self) -> str | None:
        """What was loaded, in words; None if the config says it all."""
        return None

    def made(self) -> "Dataset":
        """The samples as they are drawn from, endless or in memory: itself, unless it describes others."""
        return self

    def fingerprint(self) -> str | None:
        """A digest of the data; None if the config determines them."""
        return None

    def class_shares(self) -> Tensor:
        """The share of each class, shape `(classes,)`, float64: equal unless the data say otherwise."""
        return torch.full((len(self.classes),), 1 / max(1, len(self.classes)), dtype=torch.float64)

    def at_split(self, split: str) -> "Dataset":
        """Another published part of the same data. Raises `ValueError` if there is no such part."""
        raise ValueError(f"split={split} is not one of the data: {type(self).__name__} has one part only")

    def other_split(self) -> "Dataset | None":
        """The published part of the data that shares no sample with this one; None if there is none."""
        return None


class Endless(Dataset):
    """Samples that are drawn anew for every batch."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` samples of shape `(n, *sample_shape)` on the generator's device, images in [−1, 1]."""

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        """The same with labels, from data that have them."""
        return Batch(self.sample(n, generator))


class Density(Endless):
    """Points of a known distribution; their classes, if they have any, have known distributions as well."""

    support: Hashable = None
    """What carries the distribution; None for all of space. Distributions of different supports share no mass."""

    terms: int = 1
    """The number of kernels that the density sums, which is the cost of a node of a quadrature."""

    @abstractmethod
    def log_density(self, x: Tensor) -> Tensor:
        """The natural logarithm of the density at points of shape `(n, dimensions)`: shape `(n,)`, −inf outside.

        Raises `NotImplementedError` if the distribution has no density.
        """

    def cdf(self, x: Tensor) -> Tensor:
        """The share of the distribution at or below points on the line, shape `(n, 1)`: shape `(n,)`.

        Raises `NotImplementedError` if there is no closed form: W₁ is then estimated from samples.
        """
        raise NotImplementedError(f"{type(self).__name__} has no closed form of its CDF")

    def box(self) -> tuple[Tensor, Tensor]:
        """Two corners, of shape `(dimensions,)` each, of a box outside which the density is negligible.

        Raises `NotImplementedError` if there is none: exact divergences are then not computed.
        """
        raise NotImplementedError(f"{type(self).__name__} has no box")

    def of_class(self, label: int) -> "Density":
        """The distribution of the points of a class."""
        raise NotImplementedError(f"{type(self).__name__} has no classes")

    def resolution(self) -> float:
        """The length over which the density changes: the standard deviation of its finest Gaussian."""
        raise NotImplementedError(f"{type(self).__name__} has no resolution")


class InMemory(Dataset):
    """So many samples, and no others."""

    labels: Tensor | None = None
    """The class of each, shape `(n,)`, int64; None for data without labels."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of samples."""

    @abstractmethod
    def at(self, chosen: Tensor) -> Batch:
        """The samples of these indices, shape `(n,)`: images as uint8, points as they are."""

    def class_shares(self) -> Tensor:
        if self.labels is None:
            return super().class_shares()
        return torch.bincount(self.labels.cpu(), minlength=len(self.classes)).double() / len(self.labels)


PART = 1000
"""The number of images that are copied at a time."""


class Images(InMemory):
    """Images as one uint8 tensor of shape `(n, channels, height, width)`, with or without a class each."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        mirror: bool = False,
        classes: Sequence[str] = (),
        part: Part = ALL,
        digest: str | None = None,
    ) -> None:
        """`classes` are the names of the labels, `digest` is the SHA-256 of the pixels if that is known already.

        Raises `ValueError` where there is no such part.
        """
        assert images.dtype == torch.uint8
        assert images.dim() == 4
        if not part.is_all:
            taken, labels, classes = part.of(labels, classes)
            images, digest = self._rows(images, taken), None
        self._digest = digest
        self.classes = classes
        self.images = images
        self.labels = labels
        self.mirror = mirror
        """Whether each image is flipped left to right with probability ½ when it is drawn."""
        self.sample_shape = tuple(images.shape[1:])

    def __len__(self) -> int:
        return len(self.images)

    def at(self, chosen: Tensor) -> Batch:
        return Batch(self.images[chosen], None if self.labels is None else self.labels[chosen])

    def subset(self, chosen: Tensor) -> "Images":
        """The images of these indices, shape `(n,)`, as data of their own."""
        subset = copy.copy(self)
        subset.images, subset._digest = self._rows(self.images, chosen), None
        subset.labels = None if self.labels is None else self.labels[chosen]
        return subset

    def _rows(self, images: Tensor, chosen: Tensor) -> Tensor:
        """The images of these indices, in memory unless a data set has a better place for them."""
        return images[chosen]

    def fingerprint(self) -> str:
        if self._digest is not None:
            return self._digest
        digest = hashlib.sha256()
        # Part by part: a file that is mapped into memory may be larger than memory.
        for part in self.images.split(PART):
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()


def resized(images: Tensor, resolution: int) -> Tensor:
    """uint8 images of shape `(n, channels, height, width)` as squares of `resolution` pixels."""
    # Here, since torchvision, which brings Pillow along, is needed by few who import this.
    from torchvision.transforms.v2.functional import resize

    small: Tensor = resize(images, [resolution, resolution], antialias=True)
    return small


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 images as float32 in [−1, 1]."""
    return images.float().div_(127.5).sub_(1)


def as_uint8(images: Tensor) -> Tensor:
    """Images in [−1, 1] as uint8."""
    return images.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
