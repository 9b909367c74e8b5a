"""The device that a run computes on, and how it computes there."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Le

from gan_cli.errors import ConfigError
from gan_cli.ranges import Count
from gan_cli.ranks import place
from gan_cli.sampling import BATCH_SIZE
from gan_cli.training.affinity import find_threads
from gan_cli.training.allocator import keep_freed_memory

# What torch chose, for the runs of a sweep that follow one with another setting.
DEFAULT_THREADS = torch.get_num_threads()

MOST_THREADS = 1024
MOST_WORKERS = 256

WORK_OF_A_THREAD = 50e6
"""Floating-point operations of a forward pass of both networks that keep a thread busy for longer than it takes the
threads to wait for one another."""


@dataclass(frozen=True)
class Device:
    """What the `device` group chooses."""

    kind: Literal["auto", "cpu", "cuda"]
    threads: Annotated[Count, Le(MOST_THREADS)] | None
    deterministic: bool
    precision: Literal["auto", "float32", "tf32", "bf16"] = "float32"
    accelerate: Literal["auto", "eager", "graph", "compile"] = "auto"
    data: Literal["auto", "resident", "streamed"] = "auto"
    workers: Annotated[Count, Le(MOST_WORKERS)] = 2
    generation_batch_size: Count = BATCH_SIZE
    """Images that are generated, and looked at by metrics, at a time."""
    cudnn_benchmark: bool = True
    """Whether cuDNN times its kernels for each shape and takes the fastest, unless the run is deterministic."""

    def activate(self) -> torch.device:
        """Set torch up for this process, and return the device."""
        available = torch.cuda.is_available()
        if self.kind == "cuda" and not available:
            raise ConfigError("device.kind=cuda, but torch finds no CUDA device: use device=cpu or device=auto")
        keep_freed_memory()
        torch.set_num_threads(self.threads or _threads_of_a_process())
        find_threads()
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(self.deterministic)
        # Two processes may find another kernel fastest, and it rounds otherwise.
        torch.backends.cudnn.benchmark = self.cudnn_benchmark and not self.deterministic
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        if self.kind == "cpu" or not available:
            return torch.device("cpu")
        if place().size > 1:
            torch.cuda.set_device(_of_this_process())
        return torch.device("cuda")

    def threads_for(self, operations: int) -> tuple[int, str]:
        """The number of threads by the floating-point operations of a forward pass, and the reason in brackets.

        A rule and not a measurement: another number of threads rounds otherwise, and the same command should give the
        same run.
        """
        if self.threads is not None:
            return self.threads, ""
        number = max(1, min(_threads_of_a_process(), int(operations / WORK_OF_A_THREAD)))
        return number, f" (a forward pass is {operations / 1e6:,.0f} million operations)"


def _threads_of_a_process() -> int:
    """Its share of the machine, which the processes of a run have together unless the environment says otherwise."""
    return DEFAULT_THREADS if "OMP_NUM_THREADS" in os.environ else max(1, DEFAULT_THREADS // place().local_size)


def _of_this_process() -> int:
    """The CUDA device of a process among those of its machine; clusters may show each its own alone."""
    count, here = torch.cuda.device_count(), place()
    if 1 < count <= here.local_rank or (count == 1 < here.local_size and "CUDA_VISIBLE_DEVICES" not in os.environ):
        raise ConfigError(
            f"{here.local_size} processes cannot share {count} CUDA device{'s' * (count > 1)}: start with"
            f" --nproc-per-node={count}, or device=cpu"
        )
    return here.local_rank if count > 1 else 0
