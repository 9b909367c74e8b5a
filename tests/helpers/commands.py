"""The commands, called in this process, which saves torch's import."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import entry_points

import pytest


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit code, and what it said."""

    code: int
    out: str
    err: str


Command = Callable[..., Finished]


def call(command: str, *arguments: str) -> Finished:
    """`gan-train …` by its entry point."""
    (entry,) = entry_points(group="console_scripts", name=command)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2))
    code = 0
    with pytest.MonkeyPatch.context() as patch, _logging_restored(), redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", [command, *arguments])
        patch.setenv("HYDRA_FULL_ERROR", "0")  # gan-train changes it
        try:
            entry.load()()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
    return Finished(code, _written(out), _written(err))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    content: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return content.decode()


@contextmanager
def _logging_restored() -> Iterator[None]:
    """The commands set up the program's logger for a process of their own."""
    package = logging.getLogger("gan_cli")
    before = package.level, package.propagate, package.handlers[:]
    try:
        yield
    finally:
        package.level, package.propagate, package.handlers[:] = before
