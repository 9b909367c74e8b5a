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

    def raised(self, power: float) -> "Estimated":
        """The same to a power; the error is that of the upper end."""
        if power == 1:
            return self
        value: float = self.value**power
        return Estimated(value, (self.value + self.error) ** power - value)

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return QUANTILE * self.error
