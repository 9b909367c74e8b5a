"""What metrics are to the rest of the program."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.subject import Subject

NAMED = 20
"""The most classes that have a number each."""


@dataclass(frozen=True)
class Measured:
    """A number, and how sure it is."""

    value: float
    """It may be `math.inf`."""

    error: float | None = None
    """One standard error; 0 if the number is exact, None if the error is not known."""

    real: float | None = None
    """The same number with real samples, fresh ones, in place of generated ones: for a distance, its floor."""

    @property
    def half_width(self) -> float | None:
        """Half of the width of the 95 % interval; None if no error is known."""
        return None if self.error is None else QUANTILE * self.error


@dataclass(frozen=True)
class Gallery:
    """Images in rows, to be drawn beside the numbers."""

    title: str
    rows: Mapping[str, Tensor]
    """Rows of uint8 images, shape `(columns, channels, height, width)`, by what stands before the row."""
    captions: Mapping[str, Sequence[str]]
    """What stands above the images of a row, if anything does."""


class Metric(ABC):
    """Named numbers about the players."""

    looks_at: ClassVar[Literal["samples", "features", "classes"]] = "samples"
    """What the metric reads of `Samples`; if that is `samples`, it does not depend on the extractor."""

    needs_labels: ClassVar[bool] = False
    """Whether the metric is about the classes that a conditional generator was asked for."""

    needs_players: ClassVar[bool] = False
    """Whether the metric is about the generator and the critic of a run, and not about samples alone."""

    most_dimensions: ClassVar[int | None] = None
    """The most dimensions that features may have, where the cost is cubic in them."""

    uses_split: ClassVar[bool] = True
    """Whether the metric compares with real samples of the split that is asked for."""

    def check(self, dataset: Dataset) -> None:  # noqa: B027 - most take any
        """Raise `ValueError` if the metric does not apply: what it needs, and what to choose instead."""

    @abstractmethod
    def __call__(self, subject: Subject) -> dict[str, Measured]:
        """The numbers by name."""

    def picture(self, subject: Subject) -> Gallery | None:
        """What there is to see of the numbers."""
        return None


def flat(measured: dict[str, Measured]) -> dict[str, float]:
    """The numbers in one mapping: `name` and, if they are known, `name_error` and `name_of_real`."""
    numbers: dict[str, float] = {}
    for name, number in measured.items():
        parts = {name: number.value, f"{name}_error": number.error, f"{name}_of_real": number.real}
        numbers |= {part: value for part, value in parts.items() if value is not None}
    return numbers
