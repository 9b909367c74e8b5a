"""The commands, as processes of their own and inside this one."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch

from tests.helpers.commands import Command, Finished

torch.set_num_threads(1)  # the models of the tests are too small for more


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For a process that uses one thread and keeps its data in this test's folder."""
    inherited = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    return {**inherited, "GAN_CLI_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def gan_train(tmp_path: Path, environment: dict[str, str]) -> Command:
    """`python -m gan_cli ARGUMENTS` in a process of its own, in an empty folder."""

    def call(*arguments: str, **variables: str) -> Finished:
        command = [sys.executable, "-m", "gan_cli", *arguments]
        options = {"cwd": tmp_path, "env": environment | variables, "stdin": subprocess.DEVNULL, "timeout": 900}
        done = subprocess.run(command, capture_output=True, text=True, **options)
        return Finished(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`inside("gan-train", …)`: a command's entry point called in this process, which saves torch's import."""

    def call(command: str, *arguments: str) -> Finished:
        monkeypatch.setattr(sys, "argv", [command, *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # gan-train changes it
        capsys.readouterr()
        code = 0
        with _logging_restored():
            try:
                (entry,) = entry_points(group="console_scripts", name=command)
                entry.load()()
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
        said = capsys.readouterr()
        return Finished(code, said.out, said.err)

    return call


@contextmanager
def _logging_restored() -> Iterator[None]:
    """The commands set up the program's logger for a process of their own."""
    package = logging.getLogger("gan_cli")
    before = package.level, package.propagate, package.handlers[:]
    try:
        yield
    finally:
        package.level, package.propagate, package.handlers[:] = before
