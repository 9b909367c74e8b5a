"""What a law of divergences is, and the list of all laws."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gan_cli.divergences.base import Divergence


@dataclass(frozen=True)
class Law:
    """A property of every divergence of a kind."""

    name: str
    statement: str
    tolerance: float
    kind: type
    measure: Callable[[Any], float | None]

    def error(self, divergence: Divergence) -> float | None:
        """The largest error, infinite if anything is not a number; None if the law does not apply."""
        error = self.measure(divergence) if isinstance(divergence, self.kind) else None
        return math.inf if error is not None and math.isnan(error) else error

    def holds(self, divergence: Divergence) -> bool:
        """Whether the divergence obeys it, if it applies."""
        error = self.error(divergence)
        return error is None or error <= self.tolerance


LAWS: list[Law] = []


def law(name: str, kind: type, tolerance: float) -> Callable[[Callable[[Any], float | None]], Law]:
    """Make a law of the function that measures its error; the docstring of the function states it."""

    def register(measure: Callable[[Any], float | None]) -> Law:
        statement = " ".join((measure.__doc__ or "").split()).removesuffix(".")
        LAWS.append(Law(name, statement, tolerance, kind, measure))
        return LAWS[-1]

    return register
