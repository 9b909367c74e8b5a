"""The commands, as processes of their own and inside this one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.helpers.commands import Command, Finished, call
from tests.helpers.undrawn import undrawn

torch.set_num_threads(1)  # the models of the tests are too small for more


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that uses one thread and keeps its data in this test's folder."""
    inherited = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    return {**inherited, "GAN_CLI_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def gan_train(tmp_path: Path, environment: dict[str, str]) -> Command:
    """`python -m gan_cli ARGUMENTS` in a process of its own, in an empty folder."""

    def call(*arguments: str, **variables: str) -> Finished:
        command = [sys.executable, "-m", "gan_cli", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            timeout=900,
            capture_output=True,
            text=True,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def inside() -> Command:
    """`inside("gan-train", …)`: a command called in this process."""
    return call


@pytest.fixture(name="undrawn")
def _undrawn() -> Iterator[None]:
    """For runs whose pictures nobody looks at."""
    with undrawn():
        yield
