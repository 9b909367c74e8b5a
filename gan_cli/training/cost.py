"""What steps cost on a machine: time, memory and operations, and the rate that the machine is capable of."""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gan_cli.training.loop import Terms

PARTS = 10
"""Parts of the measurement, whose paces are compared."""

PRODUCT = 0.05
"""Seconds that a product of matrices takes at least, so that starting it does not count."""

LARGEST = 8192
"""Rows of the largest matrices that are multiplied."""


class Operations(TorchDispatchMode):
    """Counts the floating-point operations of products of matrices and of convolutions, gradients among them.

    torch's own `FlopCounterMode` also follows the modules, by hooks that the gradient within a penalty does not bear.
    """

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **kwargs, out_val=out)
        return out


def timed(terms: Iterator[Terms], device: torch.device, steps: int) -> float:
    """The seconds that so many steps take."""
    begun = time.perf_counter()
    for _ in range(steps):
        next(terms)
    wait_for(device)
    return time.perf_counter() - begun


def wait_for(device: torch.device) -> None:
    """Wait for what a GPU was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def paces(take: Callable[[int], float], seconds: float) -> list[float]:
    """The seconds of a step in each of up to `PARTS` parts, which together take about so many seconds.

    `take` takes so many steps and returns the seconds that they took. A step that is slower than a part makes one, and
    one that takes all of the time is the measurement.
    """
    first = take(1)
    if first >= seconds:
        return [first]
    each = max(1, int(seconds / PARTS / max(first, 1e-9)))
    spent, found = 0.0, list[float]()
    while len(found) < PARTS and (not found or spent < seconds):
        took = take(each)
        found.append(took / each)
        spent += took
    return found


def best_rate(device: torch.device, dtype: torch.dtype) -> float:
    """The floating-point operations per second of products of square matrices, of the size that is fastest."""
    best, size = 0.0, 512
    while True:
        matrix = torch.ones(size, size, device=device, dtype=dtype)
        fastest = min(_product(matrix) for _ in range(3))
        best = max(best, 2 * size**3 / fastest)
        if fastest >= PRODUCT or size >= LARGEST:
            return best
        size *= 2


def _product(matrix: torch.Tensor) -> float:
    wait_for(matrix.device)
    begun = time.perf_counter()
    torch.mm(matrix, matrix)
    wait_for(matrix.device)
    return time.perf_counter() - begun


def peak_memory(device: torch.device) -> tuple[int, int]:
    """Bytes at the peak, and those there are: of the GPU, or of this process and its machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    unit = 1 if sys.platform == "darwin" else 1024
    there_is = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, there_is
