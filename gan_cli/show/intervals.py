"""What numbers can be, and their intervals within it.

What lies beyond cannot be the number, so that an interval that is cut holds it as often as before (Mandelkern 2002,
Statistical Science 17:149–172).
"""

import math
import re
from collections.abc import Sequence

Ends = tuple[float, float]
"""The least and the greatest value."""

ANYTHING: Ends = (-math.inf, math.inf)

SHARE: Ends = (0.0, 1.0)

PERCENT: Ends = (0.0, 100.0)

RANGES: dict[str, Ends] = {
    r"(.*_)?share(_.*)?|precision|recall|coverage|closer_than_held_out": SHARE,
    r"((batch|class|guard)_)?(accuracy|agreement)(/.*)?|(error|confidence|passed)/.*": SHARE,
    r"frechet_distance|sliced_wasserstein|density|modes|mode_kl|class_kl|classes_seen": (0.0, math.inf),
    r"classifier_score": (1.0, math.inf),
}
"""What numbers can be, by patterns of their names; others can be anything."""


def range_of(name: str) -> Ends:
    """What the number of a name can be."""
    return next((ends for names, ends in RANGES.items() if re.fullmatch(names, name)), ANYTHING)


def cut(value: float, half_width: float, to: Ends) -> Ends:
    """The ends of the interval about a value, cut to what it can be."""
    return max(value - half_width, to[0]), min(value + half_width, to[1])


def whiskers(values: Sequence[float], half_widths: Sequence[float], to: Ends) -> tuple[list[float], list[float]]:
    """How far the intervals reach below and above values, cut to what these can be: as matplotlib draws them."""
    cuts = [cut(value, half_width, to) for value, half_width in zip(values, half_widths, strict=True)]
    below = [value - low for value, (low, _) in zip(values, cuts, strict=True)]
    above = [high - value for value, (_, high) in zip(values, cuts, strict=True)]
    return below, above
