"""How far the training of many classifiers is, and how long it will take: a bar on a terminal, else lines of a log."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from gan_cli.errors import ConfigError
from gan_cli.runs import read
from gan_cli.show.wording import duration

logger = logging.getLogger(__name__)


class Run(Protocol):
    """A run in a folder."""

    @property
    def folder(self) -> Path: ...

    @property
    def steps(self) -> int: ...


class Task(Protocol):
    """A few runs that are trained one after the other."""

    @property
    def name(self) -> str: ...

    @property
    def runs(self) -> Sequence[Run]: ...


class Progress:
    """Counts the steps of all members, read from what each logs of itself."""

    def __init__(self, tasks: Sequence[Task], left: Sequence[Task]) -> None:
        """`tasks` are all, `left` those that are not done yet."""
        self._tasks = {task.name: task for task in tasks}
        names = {task.name for task in left}
        self._steps = {task.name: 0 if task.name in names else total(task) for task in tasks}
        self._total = sum(map(total, tasks))
        self._ended = len(tasks) - len(left)
        for task in left:
            self._steps[task.name] = taken(task)
        self._at_start = sum(self._steps.values())
        self._started = time.perf_counter()

    def __enter__(self) -> "Progress":
        self._bar = tqdm(
            total=self._total,
            initial=self._at_start,
            unit="step",
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            smoothing=0.02,  # members differ in what a step costs
        )
        logger.info("%d classifiers, %d of them done: %d steps to go", *self._counts())
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _counts(self) -> tuple[int, int, int]:
        return len(self._tasks), self._ended, self._total - self._at_start

    def show(self, running: Sequence[Task]) -> None:
        """Say what is being trained now."""
        for task in running:
            self._steps[task.name] = taken(task)
        self._bar.n = sum(self._steps.values())
        names = " and ".join(task.name for task in running)
        self._bar.set_description(f"{self._ended} of {len(self._tasks)} done, now {names}", refresh=False)
        self._bar.refresh()

    def ended(self, name: str, status: str, message: str) -> None:
        """Take in the end of a member, and say how long the others will take."""
        if status == "interrupted":
            return
        self._ended += 1
        self._steps[name] = total(self._tasks[name])
        left = self.seconds_left()
        rest = "" if left is None or status == "failed" else f"; about {duration(round(left))} left"
        level = logging.INFO if status == "done" else logging.WARNING
        told = f": {message}" if status == "diverged" else ""
        logger.log(level, "%d of %d: %s %s%s%s", self._ended, len(self._tasks), name, status, told, rest)

    def seconds_left(self) -> float | None:
        """By the rate so far; None before there is one."""
        position = sum(self._steps.values())
        done = position - self._at_start
        return (time.perf_counter() - self._started) * (self._total - position) / done if done else None


def total(task: Task) -> int:
    """The steps of a member."""
    return sum(run.steps for run in task.runs)


def taken(task: Task) -> int:
    """The steps of a member that are logged."""
    return sum(min(run.steps, _logged(run.folder)) for run in task.runs)


def _logged(folder: Path) -> int:
    try:
        lines = read.metrics(folder)
    except ConfigError:  # the member itself complains of it
        return 0
    return int(lines[-1]["step"]) if lines else 0
