"""`--out` and the like: the file or folder that a command was told to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_cli.errors import ConfigError
from gan_cli.runs.folder import is_own


def refuse_own(out: Path, option: str = "--out") -> None:
    """Raise `ConfigError` for the place of a run's own files."""
    if is_own(out.resolve()):
        raise ConfigError(f"{option} {out} is where a run keeps its own files: choose another place")


@contextmanager
def writing(out: Path, option: str = "--out") -> Iterator[None]:
    """Refuse the places of a run's own files, and say in one line what the disk refuses."""
    try:
        refuse_own(out, option)
        yield
    except OSError as error:
        raise ConfigError(
            f"{option} {out} cannot be written ({error.strerror or error}): choose another place"
        ) from error
