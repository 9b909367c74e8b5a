"""What turns images into the vectors and the class probabilities that metrics compare."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor

from gan_cli.datasets.base import Dataset


class Features(NamedTuple):
    """What an extractor says of `n` samples."""

    vectors: Tensor
    """Shape `(n, dimensions)`, float32."""

    log_probabilities: Tensor | None
    """Of the classes, shape `(n, classes)`; None from an extractor that does not classify."""


class Extractor(ABC):
    """A fixed function of single samples; the weights, where it has any, are pinned by a digest."""

    classifies: ClassVar[bool]
    """Whether it gives class probabilities."""

    @abstractmethod
    def digest(self) -> str | None:
        """The SHA-256 of the weights; None where there are none. Raises `ConfigError` where they cannot be had."""

    def check(self, dataset: Dataset) -> None:  # noqa: B027 - most take any
        """Raise `ValueError` for data that it was not made for."""

    @abstractmethod
    def __call__(self, samples: Tensor) -> Features:
        """Of images as uint8, shape `(n, channels, height, width)`, or of points, shape `(n, dimensions)`."""
