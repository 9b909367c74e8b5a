"""What turns images into the vectors and the class probabilities that metrics compare."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset


class Features(NamedTuple):
    """What an extractor says of `n` samples."""

    vectors: Tensor
    """Shape `(n, dimensions)`, float32."""

    log_probabilities: Tensor | None
    """Shape `(n, classes)`; None from an extractor that does not classify."""


class Extractor(ABC):
    """A fixed function of single samples; its weights, if it has any, are pinned by a digest."""

    classifies: ClassVar[bool]
    """Whether the extractor gives class probabilities."""

    made_for: str | None = None
    """The kind of thing that its images have to show, in the words of `Dataset.shows`; None: it takes any."""

    def class_names(self, sample_shape: tuple[int, ...]) -> Sequence[str]:
        """The names of the classes of such samples, in the order of the probabilities; none if they have no names."""
        return ()

    @abstractmethod
    def digest(self) -> str | None:
        """The SHA-256 of the weights; None if there are none. Raises `ConfigError` if they cannot be had."""

    def check(self, dataset: Dataset) -> None:  # noqa: B027 - most take any
        """Raise `ValueError` for data that the extractor cannot take."""

    def dimensions(self, sample_shape: tuple[int, ...]) -> int:
        """The number of features of such samples."""
        dtype = torch.uint8 if len(sample_shape) == 3 else torch.float32
        return self(torch.zeros(1, *sample_shape, dtype=dtype)).vectors.shape[1]

    @abstractmethod
    def __call__(self, samples: Tensor) -> Features:
        """Extract from images as uint8, shape `(n, channels, height, width)`, or points, shape `(n, dimensions)`."""
