"""A number that is known up to an error."""

from dataclasses import dataclass

QUANTILE = 1.96
"""Standard errors on either side of a number, for 95 %."""


@dataclass(frozen=True)
class Estimated:
    """A value and its standard error: the interval is 1.96 of them on either side."""

    value: float
    error: float

    @classmethod
    def within(cls, value: float, half_width: float) -> "Estimated":
        """A value whose interval is known instead, such as one with a bound of its error."""
        return cls(value, half_width / QUANTILE)

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return QUANTILE * self.error
