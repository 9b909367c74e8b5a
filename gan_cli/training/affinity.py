"""Where torch's threads run: each on a processor of its own, while a run uses the whole machine."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

PLACED = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
"""Environment variables by which the user, or a cluster, has said where threads run."""

ELEMENTS = 2**20
"""Elements of an operation that starts torch's threads."""

PATIENCE = 1.0
"""Seconds for threads to end that torch no longer needs, as in a sweep whose runs have ever fewer."""

_workers: set[int] = set()

_processors: set[int] = set()
"""Those that the process may use, while its threads are kept each on one of them."""


def find_threads() -> None:
    """Start torch's threads and remember which they are; other threads must not start meanwhile."""
    before = _tasks()
    torch.ones(ELEMENTS).add_(1)
    after = _tasks()
    _workers.intersection_update(after)
    _workers.update(after - before)


@contextmanager
def on_processors(number: int) -> Iterator[None]:
    """Keep torch's `number` threads, the calling one among them, each on a processor if they are as many as there are.

    The threads of an operation wait for one another. Beside other work the system moves them about and lets two of them
    share a processor, which docs/performance.md has in numbers. Runs that leave processors free are not kept on
    any, so that others find room; nor are threads whose place the environment says, or those of systems other than
    Linux. A thread that starts meanwhile inherits the place of the one that started it: `go_anywhere` is for those.
    """
    before: dict[int, set[int]] = {}
    try:
        with suppress(OSError):  # a system that forbids it, or a thread that has ended
            for thread, processor in _places(number):
                mask = os.sched_getaffinity(thread)
                os.sched_setaffinity(thread, [processor])
                before[thread] = mask
                _processors.update(mask)
        yield
    finally:
        _processors.clear()
        for thread, mask in before.items():
            with suppress(OSError):
                os.sched_setaffinity(thread, mask)


def go_anywhere() -> None:
    """Let the calling thread run on every processor that the process may use."""
    if _processors:
        with suppress(OSError):
            os.sched_setaffinity(0, _processors)


def _places(number: int) -> list[tuple[int, int]]:
    """The processor of each of torch's threads; none unless both are `number`."""
    if not hasattr(os, "sched_setaffinity") or any(name in os.environ for name in PLACED):
        return []
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) != number:
        return []
    find_threads()
    until = time.monotonic() + PATIENCE
    while len(_workers) >= number and time.monotonic() < until:
        time.sleep(0.01)
        find_threads()
    threads = [threading.get_native_id(), *sorted(_workers)]
    return list(zip(threads, processors, strict=True)) if len(threads) == number else []


def _tasks() -> set[int]:
    """The threads of this process, on Linux."""
    tasks = Path("/proc/self/task")
    return {int(path.name) for path in tasks.iterdir()} if tasks.exists() else set()
