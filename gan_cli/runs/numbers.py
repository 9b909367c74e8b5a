"""Numbers in JSON, which has none for infinity: they are written as text."""

import math
from collections.abc import Mapping
from typing import Any

NOT_FINITE = ("Infinity", "-Infinity", "NaN")


def in_json(value: Any) -> Any:
    """The same with text for every number that is not finite: a divergence may be infinite, and so may its estimate."""
    if isinstance(value, Mapping):
        return {name: in_json(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [in_json(child) for child in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def from_json(value: Any) -> Any:
    """The reverse of `in_json`."""
    if isinstance(value, dict):
        return {name: from_json(child) for name, child in value.items()}
    if isinstance(value, list):
        return [from_json(child) for child in value]
    return float(value) if value in NOT_FINITE else value


def number(value: Any) -> float | None:
    """A number as it stands in our files, as text or not; None for anything else."""
    if isinstance(value, str):
        return float(value) if value in NOT_FINITE else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
