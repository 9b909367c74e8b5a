"""A number that is known up to an error."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimated:
    """A value and its standard error, or a bound of its error."""

    value: float
    error: float
