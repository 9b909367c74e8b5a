"""Contenders in processes of their own, which take turns: each has its own global settings of torch and its own memory.

Only one of them works at a time. The device is synchronised around a window of steps and never within one.
"""

import logging
import math
import multiprocessing
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torch.utils.data import DataLoader

from bench import tutorial
from bench.workloads import GAMES, WORKLOADS, Game, Workload, config_of, pictures
from gan_cli.training.cost import Operations

TIMEOUT = 900
"""Seconds after which a contender is given up; compilation is the slowest of what is waited for."""

MEBIBYTE = 2**20


class ContenderError(Exception):
    """A contender has failed; the message is the last line of its traceback."""


class Remote:
    """An object that lives in a process of its own; its methods are called by name."""

    def __init__(self, factory: Callable[..., object], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, factory, *arguments))
        self._process.start()
        theirs.close()

    def call(self, method: str, *arguments: object) -> Any:
        """What the method returns. Raises `ContenderError`."""
        try:
            self._pipe.send((method, arguments))
            if not self._pipe.poll(TIMEOUT):
                raise ContenderError(f"no answer to {method} in {TIMEOUT} s")
            succeeded, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ContenderError(f"its process died in {method}") from error
        if not succeeded:
            print(value, file=sys.stderr)
            raise ContenderError(value.strip().splitlines()[-1])
        return value

    def close(self) -> None:
        """End the process and wait for its end."""
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(pipe: Connection, factory: Callable[..., object], *arguments: object) -> None:
    """Make the object at the first call, so that an error in that is reported too; end when the other side does."""
    served = None
    while True:
        try:
            method, values = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            served = served or factory(*arguments)
            answer = True, getattr(served, method)(*values)
        except Exception:
            answer = False, traceback.format_exc()
        pipe.send(answer)


@dataclass(frozen=True)
class Setting:
    """What all contenders have in common."""

    device: str
    threads: int
    workers: int
    """Processes of the tutorial's loader."""
    seed: int


class Contender:
    """An implementation of a workload: something that takes steps, and what is known about it."""

    def __init__(self, workload: str, game: str, name: str, setting: Setting) -> None:
        self._device = torch.device(setting.device)
        self._warnings = _Warnings()
        logging.getLogger("gan_cli").addHandler(self._warnings)
        warnings.simplefilter("ignore")
        torch.set_num_threads(setting.threads)
        torch.manual_seed(setting.seed)
        make = _tutorial if name.startswith("tutorial") else _ours
        self.step, self._networks = make(WORKLOADS[workload], GAMES[game], name, setting)

    def parameters(self) -> list[int]:
        """The number of parameters of the generator, and of the critic."""
        return [sum(p.numel() for p in network.parameters()) for network in self._networks]

    def start(self) -> float:
        """Seconds that the first step takes, with all that is made or compiled for it."""
        return self._seconds(1)

    def warm_up(self, seconds: float, steps: int, window: float, at_least: int) -> None:
        """Take `steps` steps for `seconds` or longer, and settle how many steps fill a window."""
        taken, spent, count = 0, 0.0, 1
        while taken < steps or spent < seconds:
            last = self._seconds(count)
            taken, spent, per_step = taken + count, spent + last, last / count
            count *= 2
        self._count = max(at_least, math.ceil(window / per_step))

    def window(self) -> float:
        """Seconds a step, over one window."""
        return self._seconds(self._count) / self._count

    def report(self) -> dict[str, Any]:
        """Peak memory so far, and what went wrong without ending it."""
        finite = all(p.isfinite().all() for network in self._networks for p in network.parameters())
        notes = list(self._warnings.messages) + ([] if finite else ["the weights are not finite"])
        report = {"notes": notes, "steps_per_window": self._count}
        if self._device.type == "cuda":
            reserved = torch.cuda.max_memory_reserved() / MEBIBYTE
            return report | {"memory_mib": torch.cuda.max_memory_allocated() / MEBIBYTE, "reserved_mib": reserved}
        return report | {"memory_mib": peak_memory()}

    def operations(self) -> int:
        """Floating-point operations of one step, counted where it runs operation by operation."""
        with Operations() as counted:
            self.step()
        return counted.total

    def _seconds(self, steps: int) -> float:
        synchronize(self._device)
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        synchronize(self._device)
        return time.perf_counter() - start


Made = tuple[Callable[[], object], tuple[torch.nn.Module, torch.nn.Module]]


def _ours(workload: Workload, game: Game, name: str, setting: Setting) -> Made:
    """The program, with an acceleration and a precision, as in "graph bf16"."""
    from gan_cli.assembly.games import assemble
    from gan_cli.training.execution import Plan

    accelerate, precision = name.split()
    config = config_of(
        workload,
        game,
        f"seed={setting.seed}",
        f"device={setting.device}",
        f"device.threads={setting.threads}",
        f"device.accelerate={accelerate}",
        f"device.precision={precision}",
        "device.data=resident",
    )
    # Given as a run's that is continued, they are not weighed against one another but taken.
    job = assemble(config, Plan(setting.device, setting.threads, accelerate, precision))
    return partial(next, job.terms()), (job.state.generator, job.state.critic)


def _tutorial(workload: Workload, game: Game, name: str, setting: Setting) -> Made:
    """A tutorial's script, with its loader or, "in memory", without one."""
    device = torch.device(setting.device)
    torch.backends.cudnn.benchmark = True  # as pytorch/examples has it
    assert workload.networks is not None
    generator, critic = (network.to(device) for network in workload.networks())
    data = pictures(workload.channels, workload.side)
    loader: Any
    if name.endswith("in memory"):
        loader = tutorial.InMemory(data.to(device).float().div_(127.5).sub_(1), workload.batch_size)
    else:
        as_stored = data.squeeze(1) if workload.channels == 1 else data.movedim(1, -1).contiguous()
        dataset = tutorial.Pictures(as_stored.numpy())
        loader = DataLoader(dataset, workload.batch_size, shuffle=True, num_workers=setting.workers)
    steps: Iterator[tutorial.Losses] = game.loop(generator, critic, loader, device, workload.latent_size)
    return partial(next, steps), (generator, critic)


class Peak:
    """What the device reaches when it multiplies best: in a product of square matrices, or in a 3 × 3 convolution.

    Both are measured, because a CPU's library for the one may reach far less than that for the other.
    """

    def __init__(self, setting: Setting) -> None:
        self._device = torch.device(setting.device)
        torch.set_num_threads(setting.threads)
        torch.backends.cudnn.benchmark = True
        is_large = self._device.type == "cuda"
        self._side = 8192 if is_large else 2048
        self._images = (256, 512, 16, 16) if is_large else (32, 512, 8, 8)

    @torch.no_grad()
    def window(self, precision: str) -> float:
        """Operations a second, the best of a few."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32

        def tensor(*shape: int) -> Tensor:
            drawn = torch.randn(shape, device=self._device).to(dtype)
            return drawn.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else drawn

        n, channels, height, width = self._images
        a, b = tensor(self._side, self._side), tensor(self._side, self._side)
        x, weight = tensor(*self._images), tensor(channels, channels, 3, 3)
        return max(
            2 * self._side**3 / self._seconds(lambda: a @ b),
            2 * n * height * width * channels**2 * 9 / self._seconds(lambda: conv2d(x, weight, padding=1)),
        )

    def _seconds(self, product: Callable[[], Tensor]) -> float:
        times = []
        for _ in range(4):
            synchronize(self._device)
            start = time.perf_counter()
            product()
            synchronize(self._device)
            times.append(time.perf_counter() - start)
        return min(times)


class _Warnings(logging.Handler):
    """Keeps what the program warns of, such as that it could not compile."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory() -> float:
    """The most memory that this process ever held, libraries included, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MEBIBYTE if sys.platform == "darwin" else peak / 1024
