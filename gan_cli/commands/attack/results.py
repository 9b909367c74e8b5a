"""What is known of one attack on one run."""

from dataclasses import dataclass
from pathlib import Path

from gan_cli.commands.attack.asked import Asked
from gan_cli.metrics.base import Measured
from gan_cli.runs.receipts import Receipt


@dataclass(frozen=True)
class Result:
    """The numbers of one attack on one run."""

    run: Path
    asked: Asked
    name: str
    """That of the attack, with what is not usual of its images."""
    receipt: Receipt

    @property
    def error(self) -> Measured:
        """The share of images whose attack succeeds."""
        return self._number("error")

    @property
    def confidence(self) -> Measured | None:
        """The mean of the largest probability where the attack succeeds; None where it never does."""
        return self._number("confidence") if f"confidence/{self.name}" in self.receipt["numbers"] else None

    @property
    def n(self) -> int:
        """The number of images."""
        return int(self.receipt["samples"]["held_out"])

    def _number(self, kind: str) -> Measured:
        number = self.receipt["numbers"][f"{kind}/{self.name}"]
        return Measured(number["value"], number["error"])
