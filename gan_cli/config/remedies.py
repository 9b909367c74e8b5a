"""Remedies that name options: looked up among those that there are, so that no message has to list them."""

from collections.abc import Callable
from pydoc import ErrorDuringImport, locate

from gan_cli.config import options


def choices(group: str, fits: Callable[[type], bool]) -> str:
    """The options of a group whose class fits, as one would choose them: `dataset=grid, mixture1d or ring`."""
    *others, last = fitting(group, fits) or ["…"]
    return f"{group}={', '.join(others)} or {last}" if others else f"{group}={last}"


def fitting(group: str, fits: Callable[[type], bool]) -> list[str]:
    """The names of the options of a group whose class fits."""
    return [name for name in options.names(group) if _fits(group, name, fits)]


def _fits(group: str, name: str, fits: Callable[[type], bool]) -> bool:
    try:
        found = locate(str(options.option(group, name).get("_target_")))
    except ErrorDuringImport:  # it needs a package that is not installed
        return False
    return isinstance(found, type) and fits(found)
