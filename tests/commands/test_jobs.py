"""How any job is carried out in a folder, shown by one that is no game: a line fitted to points."""

import json
from contextlib import nullcontext
from dataclasses import dataclass

import pytest

from gan_cli.commands.train import carry_out
from gan_cli.config.schema import EveryConfig
from gan_cli.errors import ConfigError, DivergedError
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
from gan_cli.training.execution import Plan
from tests.helpers.jobs import Fitting, fitting
from tests.helpers.runs import tree

FILES = {"config.yaml": "model: line\n"}


def record(folder: RunFolder) -> dict:
    return json.loads((folder.path / "run.json").read_text())


def test_a_job_leaves_what_every_run_leaves(tmp_path):
    folder = RunFolder(tmp_path / "fit")
    carry_out(fitting(10), folder, FILES)
    assert record(folder).items() >= {"status": "done", "step": 10, "parameters": {"line": 2}}.items()
    assert record(folder)["execution"] == Plan("cpu", 1, "eager", "float32").record("eager")
    lines = read.metrics(folder.path)
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10]
    assert [line["images_seen"] for line in lines] == [16, 32, 48, 64, 80]
    assert lines[-1]["slope"] == pytest.approx(2, abs=0.2)
    assert all(line["learning_rate"] == 0.1 for line in lines)
    assert (folder.path / "samples.png").read_bytes() == b"a picture"
    assert (folder.path / "curves.png").read_bytes() == b"5 lines"
    assert [path.name for path in read.checkpoints(folder.path)] == ["step-0000008.pt", "step-0000010.pt"]


def test_a_job_goes_on_where_it_was_and_ends_as_one_that_never_stopped(tmp_path):
    whole, halves = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "halves")
    carry_out(fitting(20), whole, FILES)
    for steps in (10, 20):
        carry_out(fitting(steps), halves, FILES)
    assert record(halves)["fingerprint"] == record(whole)["fingerprint"]
    assert [line["error"] for line in read.metrics(halves.path)] == [line["error"] for line in read.metrics(whole.path)]
    before = tree(tmp_path)
    carry_out(fitting(20), halves, FILES)  # done already
    assert {name for name, content in tree(tmp_path).items() if before[name] != content} <= {"halves/train.log"}
    with pytest.raises(ConfigError, match=r"train\.steps=5, but .* has taken 20"):
        carry_out(fitting(5), halves, FILES)


def test_a_job_that_diverges_keeps_its_last_good_checkpoint(tmp_path):
    folder = RunFolder(tmp_path / "fit")
    with pytest.raises(DivergedError, match=r"error is nan at step 7; .*step-0000004\.pt"):
        carry_out(fitting(10, broken_from=6), folder, FILES)
    # The loop learns of it at step 8, with the numbers of two steps.
    assert record(folder).items() >= {"status": "diverged", "exit_code": 3, "step": 7, "steps": 10}.items()


@dataclass(kw_only=True)
class Real(Fitting):
    """A fit with a picture of its data."""

    def real_picture(self) -> bytes:
        return f"real data after step {self.state.step}".encode()


def test_real_data_are_drawn_at_the_start_and_again_if_that_is_lost(tmp_path):
    folder = RunFolder(tmp_path / "fit")
    path = folder.path / "real.png"
    with pytest.raises(DivergedError):
        carry_out(Real(**vars(fitting(10, broken_from=1))), folder, FILES)
    assert path.read_bytes() == b"real data after step 0"
    carry_out(Real(**vars(fitting(4))), folder, FILES)
    path.unlink()
    for steps in (8, 12):
        carry_out(Real(**vars(fitting(steps))), folder, FILES)
        assert path.read_bytes() == b"real data after step 4"
    without = RunFolder(tmp_path / "without")
    carry_out(fitting(4), without, FILES)
    assert not (without.path / "real.png").exists()


class BrokenPenError(Exception):
    """A picture cannot be drawn."""


@dataclass(kw_only=True)
class Undrawable(Fitting):
    """A fit whose pictures cannot be drawn from some step on."""

    undrawable_from: int

    def picture(self) -> bytes:
        if self.state.step >= self.undrawable_from:
            raise BrokenPenError
        return super().picture()


def test_a_picture_that_cannot_be_drawn_costs_no_steps_and_is_made_up_for(tmp_path):
    folder, every = RunFolder(tmp_path / "fit"), EveryConfig(log=5, samples=5, checkpoint=5, evaluate=None, keep=3)
    for broken_from in (5, 10, 20):  # the last at no step
        job = fitting(10, every=every)
        broken = Undrawable(**vars(job), undrawable_from=broken_from)
        with pytest.raises(BrokenPenError) if broken_from < 20 else nullcontext():
            carry_out(broken, folder, FILES)
        assert read.step_of(read.checkpoints(folder.path)[-1]) == min(broken_from, 10)
    whole = RunFolder(tmp_path / "whole")
    carry_out(fitting(10, every=every), whole, FILES)
    assert record(folder)["status"] == "done"
    assert record(folder)["fingerprint"] == record(whole)["fingerprint"]
    for name in ("samples.png", "curves.png", "samples/step-0000005.png", "samples/step-0000010.png"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes()


@pytest.mark.parametrize(
    ("every", "logged", "evaluated", "drawn", "saved"),
    [
        (
            EveryConfig(log=3, samples=4, checkpoint=5, evaluate=4, keep=2),
            [3, 4, 6, 8, 9, 12, 13],
            [4, 8, 12, 13],
            [4, 8, 12, 13],
            [10, 13],
        ),
        (EveryConfig(log=20, samples=None, checkpoint=None, evaluate=None, keep=2), [13], [13], [13], [13]),
        (
            EveryConfig(log=20, samples=None, checkpoint=3, evaluate=5, keep=4),
            [5, 10, 13],
            [5, 10, 13],
            [13],
            [6, 9, 12, 13],
        ),
    ],
)
def test_each_interval_says_when_and_the_last_step_has_everything(tmp_path, every, logged, evaluated, drawn, saved):
    folder = RunFolder(tmp_path / "fit")
    carry_out(fitting(13, every=every), folder, FILES)
    lines = read.metrics(folder.path)
    assert [line["step"] for line in lines] == logged
    assert [line["step"] for line in lines if "slope" in line] == evaluated
    assert sorted(path.name for path in (folder.path / "samples").iterdir()) == [f"step-{n:07d}.png" for n in drawn]
    assert [read.step_of(path) for path in read.checkpoints(folder.path)] == saved
