"""What is known of one attack on one run."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_cli.commands.attack.asked import Asked
from gan_cli.metrics.base import Measured
from gan_cli.runs.receipts import Receipt


@dataclass(frozen=True)
class Result(ABC):
    """The numbers of one attack on one run."""

    run: Path
    asked: Asked
    name: str
    """That of the attack, with what is not usual of its images."""
    receipt: Receipt

    @property
    @abstractmethod
    def strengths(self) -> Sequence[Measured]:
        """What a stronger attack has more of."""

    @property
    def left(self) -> float:
        """The share of images that the attack leaves right; 0 where nothing is right or wrong."""
        return 0.0

    def number(self, kind: str) -> Measured | None:
        """A number of the attack by its kind; None if it could not be had."""
        number = self.receipt["numbers"].get(f"{kind}/{self.name}")
        return None if number is None else Measured(number["value"], number["error"])

    def known(self, kind: str) -> Measured:
        """A number that every such attack has."""
        number = self.number(kind)
        assert number is not None
        return number
