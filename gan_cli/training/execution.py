"""How the steps of a run are computed: what was asked for, and what the device is good for."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from gan_cli.training.acceleration import accelerated, choose_mode
from gan_cli.training.affinity import on_processors
from gan_cli.training.device import MOST_THREADS, Device
from gan_cli.training.loop import Game, Iteration
from gan_cli.training.precision import choose_precision
from gan_cli.training.scheduling import Scheduling
from gan_cli.training.state import TrainState


@dataclass(frozen=True)
class Plan:
    """How a run computes. run.json keeps it, so that the run goes on as it began."""

    device: str
    threads: int
    mode: str
    """`eager`, `compile` or `graph`."""
    precision: str
    """`float32`, `tf32` or `bf16`."""
    reasons: tuple[str, ...] = ()
    """A line in words for each choice."""

    @classmethod
    def recorded(cls, entry: object) -> "Plan | None":
        """What run.json says; None where it says nothing that can be used."""
        match entry:
            case {
                "device": "cpu" | "cuda" as device,
                "threads": int(threads),
                "accelerate": "eager" | "graph" | "compile" as mode,
                "precision": "float32" | "tf32" | "bf16" as precision,
            } if 1 <= threads <= MOST_THREADS:
                return cls(device, threads, mode, precision)
            case _:
                return None

    def record(self, mode: str) -> Mapping[str, Any]:
        """What run.json keeps, with the mode that the steps have by now."""
        return {"device": self.device, "threads": self.threads, "accelerate": mode, "precision": self.precision}

    def placed(self) -> AbstractContextManager[None]:
        """Keeps the threads of eager steps on the CPU in their places; compiled steps and CUDA start more threads."""
        is_plain = self.device == "cpu" and self.mode == "eager"
        return on_processors(self.threads) if is_plain else nullcontext()

    def iteration(self, state: TrainState, game: Game, scheduling: Scheduling) -> Iteration:
        """The step of a game as planned."""
        return accelerated(self.mode, self.device, state, game, scheduling)


def plan(
    settings: Device,
    device: torch.device,
    *,
    operations: int,
    steps: int,
    before: Plan | None,
    data: str,
    is_game: bool = True,
) -> Plan:
    """The plan of a run: on the same kind of device that of `before`, if it is one that goes on.

    `operations` are the floating-point operations of a forward pass of both networks; `data` says in words how the data
    come to the device. Only the steps of a game are accelerated.
    """
    if before is not None and before.device == device.type:
        threads, why_threads = settings.threads or before.threads, ""
        mode, why_mode = before.mode, ""
        precision, why_precision = before.precision, ", all as before"
    else:
        threads, why_threads = settings.threads_for(operations)
        mode, why_mode = "eager", ""
        if is_game:
            mode, why_mode = choose_mode(settings.accelerate, device, steps, settings.deterministic)
        precision, why_precision = choose_precision(settings.precision, device)
    reasons = (
        f"device: {device.type}, {threads} thread{'s' * (threads > 1)}{why_threads}",
        f"steps: {mode}{why_mode}",
        f"precision: {precision}{why_precision}",
        f"data: {data}",
    )
    return Plan(device.type, threads, mode, precision, reasons)
