"""How a command ended."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finished:
    """Its exit code, and what it said."""

    code: int
    out: str
    err: str


Command = Callable[..., Finished]
