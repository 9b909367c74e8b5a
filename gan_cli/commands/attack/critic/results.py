"""What is known of one attack on the critic of a game."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gan_cli.commands.attack.results import Result
from gan_cli.divergences.penalties import Place, Promise
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.base import Measured
from gan_cli.metrics.moved import Side
from gan_cli.runs.receipts import Receipt


@dataclass(frozen=True)
class Unmoved:
    """What a critic says of the samples as they are."""

    receipt: Receipt
    added: str
    """What is not usual of the samples, which the names of its numbers end with."""
    promise: Promise | None
    """The slope that the penalty of its training promises."""

    def score(self, side: Side) -> Measured:
        """The mean score of a side."""
        return self._number(f"score/{side}")

    def gradient(self, place: Place) -> Measured:
        """The mean norm of the critic's gradient at the images of a side, or on the lines between both."""
        return self._number(f"gradient/{place}")

    @property
    def passed(self) -> Measured:
        """The share of generated samples that score above half of the real ones."""
        return self._number("passed/none")

    @property
    def gap(self) -> Measured:
        """The mean score of real samples less that of generated ones."""
        real, generated = self.score("real"), self.score("generated")
        return Measured(real.value - generated.value, math.hypot(real.error or 0.0, generated.error or 0.0))

    @property
    def n(self) -> int:
        """The number of samples of each side."""
        return int(self.receipt["samples"]["real"])

    def _number(self, name: str) -> Measured:
        number = self.receipt["numbers"][name + self.added]
        return Measured(number["value"], number["error"])


@dataclass(frozen=True)
class OfCritic(Result):
    """The numbers of one attack on one critic."""

    unmoved: Unmoved

    def moved(self, side: Side) -> Measured:
        """By how much the scores of a side are pushed: down for real samples, up for generated ones."""
        return self.known(f"moved/{side}")

    def in_gaps(self, side: Side) -> Measured | None:
        """The same in units of the gap between both sides; None unless real samples surely score higher."""
        gap, moved = self.unmoved.gap, self.moved(side)
        error = gap.error or 0.0
        if gap.value <= QUANTILE * error:
            return None
        ratio = moved.value / gap.value
        return Measured(ratio, math.hypot(moved.error or 0.0, ratio * error) / gap.value)

    def slope(self, side: Side) -> Measured | None:
        """The push per L2 length of the change; None where nothing changes."""
        return self.number(f"slope/{side}")

    @property
    def passed(self) -> Measured:
        """The share of generated samples that score above half of the real ones as they were."""
        return self.known("passed")

    @property
    def strengths(self) -> Sequence[Measured]:
        return self.moved("real"), self.moved("generated")
