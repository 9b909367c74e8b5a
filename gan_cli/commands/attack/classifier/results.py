"""What is known of one attack on one classifier."""

from collections.abc import Sequence
from dataclasses import dataclass

from gan_cli.commands.attack.results import Result
from gan_cli.metrics.base import Measured


@dataclass(frozen=True)
class OfClassifier(Result):
    """The numbers of one attack on one classifier."""

    @property
    def error(self) -> Measured:
        """The share of images whose attack succeeds."""
        return self.known("error")

    @property
    def confidence(self) -> Measured | None:
        """The mean of the largest probability where the attack succeeds; None where it never does."""
        return self.number("confidence")

    @property
    def strengths(self) -> Sequence[Measured]:
        return (self.error,)

    @property
    def left(self) -> float:
        return 1 - self.error.value

    @property
    def n(self) -> int:
        """The number of images."""
        return int(self.receipt["samples"]["held_out"])
