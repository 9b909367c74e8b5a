"""A job that is no game: a line fitted to points."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gan_cli.config.schema import EveryConfig
from gan_cli.datasets.mixtures import Gaussian
from gan_cli.editions import NEWEST
from gan_cli.jobs import Job
from gan_cli.trackers import NoTracker
from gan_cli.training.execution import Plan
from gan_cli.training.loop import Terms
from gan_cli.training.state import State


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


def fitting(steps: int, **changes: Any) -> Fitting:
    """A fit of eight points a step, with nothing learned yet."""
    line = nn.Linear(1, 1)
    nn.init.zeros_(line.weight)
    nn.init.zeros_(line.bias)
    given: dict[str, Any] = {
        "every": EveryConfig(log=2, samples=None, checkpoint=4, evaluate=None, keep=2),
        "tracker": NoTracker(),
    }
    return Fitting(
        seed=0,
        edition=NEWEST,
        steps=steps,
        images_per_step=8,
        device=torch.device("cpu"),
        dataset=Gaussian([0.0], 1.0),
        state=Fit(line, torch.optim.SGD(line.parameters(), 0.1, momentum=0.5)),
        plan=Plan("cpu", 1, "eager", "float32", ("as it comes",)),
        **(given | changes),
    )
