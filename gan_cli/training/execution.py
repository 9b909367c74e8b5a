"""How the steps of a run are computed: what was asked for, and what the device is good for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.training import acceleration, precision
from gan_cli.training.device import MOST_THREADS, Device
from gan_cli.training.loop import Game


@dataclass
class Execution:
    """The choices of a run, which run.json keeps, so that the run goes on as it began."""

    device: str
    threads: int
    accelerate: str
    precision: str

    @classmethod
    def recorded(cls, entry: object) -> "Execution | None":
        """What run.json says; None where it says nothing that can be used."""
        match entry:
            case {
                "device": "cpu" | "cuda" as device,
                "threads": int(threads),
                "accelerate": "eager" | "graph" | "compile" as accelerate,
                "precision": "float32" | "tf32" | "bf16" as number_format,
            } if 1 <= threads <= MOST_THREADS:
                return cls(device, threads, accelerate, number_format)
            case _:
                return None

    def accelerated(self) -> acceleration.Accelerate:
        """The maker of iterations; where it has to fall back on less, the choice is corrected."""

        def fall_back(remaining: str) -> None:
            self.accelerate = remaining

        return acceleration.accelerated(self.accelerate, self.device, fall_back)


def choose(
    settings: Device,
    device: torch.device,
    game: Game,
    real: Tensor,
    *,
    operations: int,
    steps: int,
    before: Execution | None,
) -> tuple[Execution, list[str]]:
    """The execution of a run, that of `before` on the same kind of device, and a line for each choice.

    `real` is a batch of shape `(batch, *sample_shape)`, `operations` the floating-point operations of a forward pass of
    both networks.
    """
    if before is not None and before.device == device.type:
        torch.set_num_threads(settings.threads or before.threads)
        return before, [
            f"device: {device.type}, {_threads()}",
            f"steps: {before.accelerate}",
            f"precision: {before.precision}, all as before",
        ]
    why_threads = settings.spread(operations)
    accelerate, why_accelerate = acceleration.choose(settings.accelerate, device, steps, settings.deterministic)
    number_format, why_precision = precision.choose(settings.precision, device, game, real)
    reasons = [
        f"device: {device.type}, {_threads()}{why_threads}",
        f"steps: {accelerate}{why_accelerate}",
        f"precision: {number_format}{why_precision}",
    ]
    return Execution(device.type, torch.get_num_threads(), accelerate, number_format), reasons


def _threads() -> str:
    number = torch.get_num_threads()
    return f"{number} thread{'s' * (number > 1)}"
