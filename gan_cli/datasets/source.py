"""What images may come from, and the order that they have wherever they come from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

Opener = Callable[[], BinaryIO]
"""Opens a file. Raises `OSError`, or `NoPictureError` for what is not to be opened."""


class Source(Protocol):
    """Files, each with its name relative to what holds them all."""

    path: Path
    is_archive: bool
    count: int | None
    """The number of files; None if it is not known yet."""

    def identity(self, *, verify: bool) -> str:
        """A digest of all that the images depend on: of the bytes, or without `verify` of what stands for them."""

    def files(self) -> Iterator[tuple[str, Opener]]:
        """Each file once. Raises `ConfigError` for files that cannot be listed."""


def in_order(name: str) -> tuple[str, str]:
    """The key that files are sorted by: first by the class, which is a folder."""
    return name.partition("/")[0], name
