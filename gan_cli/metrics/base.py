"""What every metric of samples is to the rest of the program."""

from abc import ABC, abstractmethod

from torch import Tensor

from gan_cli.datasets.base import Dataset


class Metric(ABC):
    """Named numbers about samples of the averaged generator."""

    samples: int
    """How many samples it wants."""

    def check(self, dataset: Dataset) -> None:  # noqa: B027 - most take any
        """Raise `ValueError` where the metric does not apply to this data."""

    @abstractmethod
    def __call__(self, fake: Tensor, dataset: Dataset) -> dict[str, float]:
        """The numbers for samples of shape `(samples, *sample_shape)`."""
