"""How numbers, times and values of a config are written."""

import math
from datetime import datetime
from typing import Any

from gan_cli.show.intervals import PERCENT, Ends, cut


def measured(value: float, half_width: float | None, ends: Ends = (-math.inf, math.inf)) -> str:
    """A number and, if it is known, the half width of its interval, both to two digits of the latter.

    An interval that reaches beyond the `ends` of what the number can be is cut, and written as `within` does.
    """
    if half_width is None or not math.isfinite(value):
        return short(value)
    if value - half_width < ends[0] or value + half_width > ends[1]:
        return within(value, cut(value, half_width, ends))
    if not math.isfinite(half_width):
        return f"{short(value)} ± {short(half_width)}"
    if half_width == 0:
        return f"{short(value)} ± 0"
    decimals = 1 - math.floor(math.log10(half_width))
    if abs(value) >= 1e7 or half_width >= 1e6 or decimals > 8:
        return f"{value:.4g} ± {half_width:.2g}"
    digits = max(decimals, 0)
    return f"{round(value, decimals) + 0.0:.{digits}f} ± {round(half_width, decimals):.{digits}f}"


def within(value: float, interval: tuple[float, float] | None) -> str:
    """A number and, if it is known, its interval: half the width of it, or both ends if one of them is nearer."""
    if interval is None:
        return short(value)
    below, above = value - interval[0], interval[1] - value
    half = max(below, above)
    if math.isclose(below, above):
        return measured(value, half)
    number, low, high = (measured(part, half).partition(" ± ")[0] for part in (value, *interval))
    return f"{number} [{low}, {high}]"


def per_cent(share: float, half_width: float | None) -> str:
    """A share in per cent and, if it is known, the half width of its interval."""
    return measured(100 * share, None if half_width is None else 100 * half_width, PERCENT)


def short(value: float) -> str:
    """A number to four digits; a whole or large one to its last whole digit."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) < 1e7 and (abs(value) >= 1000 or value == round(value)):
        return f"{value:.0f}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """A time to a precision that fits it."""
    if not math.isfinite(seconds):
        return short(seconds)
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def moment(time: datetime) -> str:
    """A date and time, in UTC."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def setting(value: Any) -> str:
    """A value of a config as yaml has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{', '.join(map(setting, value))}]"
    return str(value)
