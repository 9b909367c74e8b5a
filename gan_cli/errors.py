"""The ways a command can end badly, each with its exit code."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches


class CommandError(Exception):
    """An error that is reported in one line, without a traceback."""

    exit_code = 1


class ConfigError(CommandError):
    """The user's input is wrong; the message names the config key or file, and the remedy."""

    exit_code = 2


class DivergedError(CommandError):
    """A loss or gradient is no longer finite, since `step` if that is known."""

    exit_code = 3

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


class OverfittedError(CommandError):
    """A classifier has suddenly lost what it had learned against attacks."""

    exit_code = 3


class InterruptedRunError(CommandError):
    """A signal stopped the run after it had saved a checkpoint."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class NeedsError(ValueError):
    """A part does not go with what is chosen in a group; the gate adds the options of it that would do.

    `fits` says of a class whether it would.
    """

    def __init__(self, message: str, group: str, fits: Callable[[type], bool]) -> None:
        super().__init__(message)
        self.group = group
        self.fits = fits


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message names the file and what is wrong with it."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint whose bytes are not those that were written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The remedy for a misspelt name: the nearest known one, or all of them."""
    names = sorted(map(str, known))
    if not names:
        return "there is none to set"
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"choose one of {', '.join(names)}"
