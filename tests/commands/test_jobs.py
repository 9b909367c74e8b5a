"""How any job is carried out in a folder, shown by one that is no game: a line fitted to points."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from gan_cli.commands.train import carry_out
from gan_cli.config.schema import EveryConfig
from gan_cli.datasets.mixtures import Gaussian
from gan_cli.errors import ConfigError, DivergedError
from gan_cli.jobs import Job
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
from gan_cli.trackers import NoTracker
from gan_cli.training.execution import Plan
from gan_cli.training.loop import Terms
from gan_cli.training.state import State
from tests.helpers.runs import tree


@dataclass
class Fit(State):
    """A line and what moves it."""

    line: nn.Linear
    optimizer: torch.optim.Optimizer
    step: int = 0

    def parts(self) -> Mapping[str, nn.Module | torch.optim.Optimizer]:
        return {"line": self.line, "optimizer": self.optimizer}


@dataclass(kw_only=True)
class Fitting(Job):
    """y = 2x by stochastic gradient descent."""

    headline = "error"
    shown = ("error",)

    state: Fit
    mode = "eager"
    extends_exactly = True
    broken_from: int | None = None

    def terms(self) -> Iterator[Terms]:
        while self.state.step < self.steps:
            x = torch.randn(8, 1, generator=torch.Generator().manual_seed(self.state.step))
            error = (self.state.line(x) - 2 * x).square().mean()
            if self.broken_from is not None and self.state.step >= self.broken_from:
                error = error * torch.nan
            self.state.optimizer.zero_grad()
            error.backward()
            self.state.optimizer.step()
            self.state.step += 1
            yield {"error": error.detach()}

    def numbers(self) -> dict[str, float]:
        return {"slope": self.state.line.weight.item()}

    def picture(self) -> bytes:
        return b"a picture"

    def curves(self, metrics: Sequence[Mapping[str, float]]) -> bytes:
        return f"{len(metrics)} lines".encode()

    def networks(self) -> Mapping[str, nn.Module]:
        return {"line": self.state.line}

    def learning_rates(self) -> dict[str, float]:
        return {"learning_rate": self.state.optimizer.param_groups[0]["lr"]}


def fitting(steps: int, **changes: int) -> Fitting:
    line = nn.Linear(1, 1)
    nn.init.zeros_(line.weight)
    nn.init.zeros_(line.bias)
    return Fitting(
        seed=0,
        steps=steps,
        images_per_step=8,
        every=EveryConfig(log=2, samples=None, checkpoint=4, evaluate=None, keep=2),
        device=torch.device("cpu"),
        dataset=Gaussian([0.0], 1.0),
        state=Fit(line, torch.optim.SGD(line.parameters(), 0.1, momentum=0.5)),
        tracker=NoTracker(),
        plan=Plan("cpu", 1, "eager", "float32", ("as it comes",)),
        **changes,
    )


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
    assert record(folder).items() >= {"status": "diverged", "exit_code": 3}.items()
