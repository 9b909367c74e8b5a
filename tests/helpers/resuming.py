"""Runs in memory that stop, are saved, and go on."""

from collections import deque
from itertools import islice
from pathlib import Path

from gan_cli.assembly.games import assemble
from gan_cli.jobs import GameJob
from gan_cli.runs import checkpoints
from gan_cli.runs.folder import RunFolder
from tests.helpers.configs import compose


def advance(experiment: GameJob, steps: int) -> GameJob:
    """The run, some steps later."""
    deque(islice(experiment.terms(), steps), maxlen=0)
    return experiment


def assert_resumes_exactly(steps: int, folder: Path, *overrides: str) -> None:
    """`steps` + `steps` steps, with a checkpoint between, are twice as many at once; and once as many are not."""
    config = compose(f"train.steps={2 * steps}", *overrides)
    whole = advance(assemble(config), 2 * steps).state
    half = advance(assemble(config), steps).state
    assert half.step == steps
    path = checkpoints.save(RunFolder(folder), half.state_dict(), keep=1)
    continued = assemble(config)
    continued.state.load_state_dict(checkpoints.load(path))
    assert continued.state.fingerprint() == half.fingerprint()
    advance(continued, steps)
    assert continued.state.step == whole.step == 2 * steps
    assert continued.state.fingerprint() == whole.fingerprint() != half.fingerprint()
