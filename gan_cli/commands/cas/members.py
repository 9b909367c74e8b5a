"""Train the classifiers, several at a time: each in a process that takes one after the other, with one thread."""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, connection, get_context, parent_process
from pathlib import Path

from omegaconf import DictConfig

from gan_cli.commands.cas.progress import Progress
from gan_cli.commands.signals import StopSignals
from gan_cli.errors import CommandError, DivergedError, InterruptedRunError
from gan_cli.runs import read

logger = logging.getLogger(__name__)

POLL = 1.0
"""Seconds between two looks at how far the members are."""

GRACE = 60.0
"""Seconds that a process has to save its member when the command has died."""

Train = Callable[[DictConfig, Path], None]
"""Trains the run of a config in a folder, or continues it there, and raises as `commands.train.run` does."""

Check = Callable[[DictConfig], None]
"""Raises `ConfigError` for a config that cannot be trained."""

Test = Callable[[Path, DictConfig, Path], None]
"""Tests the classifier in a folder on the data of a node, and writes how it did into a file."""


@dataclass(frozen=True)
class Trainer:
    """How a member is trained: functions of modules, since they are sent to other processes."""

    classifier: Train
    gan: Train
    test: Test
    check: Check


@dataclass(frozen=True)
class Run:
    """The config and the folder of a run."""

    config: DictConfig
    folder: Path

    @property
    def steps(self) -> int:
        return int(self.config.train.steps)

    @property
    def status(self) -> str | None:
        """As run.json has it."""
        return read.record(self.folder).get("status")


@dataclass(frozen=True)
class Task:
    """A member, the GAN that it needs first, and what it is tested on beside the real test set."""

    name: str
    run: Run
    gan: Run | None = None
    test: DictConfig | None = None
    tested: Path | None = None
    """The file of the result of `test`."""

    @property
    def runs(self) -> list[Run]:
        """In the order that they are trained in."""
        return [self.run] if self.gan is None else [self.gan, self.run]

    @property
    def is_done(self) -> bool:
        return self.run.status == "done" and (self.tested is None or self.tested.exists())

    @property
    def has_diverged(self) -> bool:
        """It would again, since nothing about it has changed."""
        return any(run.status == "diverged" for run in self.runs)


@dataclass(frozen=True)
class Outcome:
    """How a member ended, in a form that goes from process to process."""

    name: str
    status: str
    """`done`, `diverged`, `interrupted` or `failed`."""
    message: str = ""
    exit_code: int = 0


def attempted(task: Task, trainer: Trainer) -> Outcome:
    """Train a member, or continue it; a failure is an outcome too."""
    try:
        if task.gan is not None and task.gan.status != "done":
            trainer.gan(task.gan.config, task.gan.folder)
        trainer.classifier(task.run.config, task.run.folder)
        if task.test is not None and task.tested is not None and not task.tested.exists():
            trainer.test(task.run.folder, task.test, task.tested)
    except DivergedError as error:
        return Outcome(task.name, "diverged", str(error), error.exit_code)
    except InterruptedRunError as error:
        return Outcome(task.name, "interrupted", str(error), error.exit_code)
    except CommandError as error:
        return Outcome(task.name, "failed", str(error), error.exit_code)
    except Exception:
        return Outcome(task.name, "failed", traceback.format_exc(), 1)
    return Outcome(task.name, "done")


def train_all(tasks: Sequence[Task], trainer: Trainer, workers: int, executor: Executor | None = None) -> list[str]:
    """Train the members that are not done, and return the names of those that diverged.

    Raises `InterruptedRunError` when a signal stopped it, and what else ended a member as a `CommandError`; those that
    had begun are brought to an end first, or to a checkpoint.
    """
    diverged = [task.name for task in tasks if task.has_diverged]
    for name in diverged:
        logger.warning("%s diverged before: remove its folder to try again", name)
    left = [task for task in tasks if not task.is_done and task.name not in diverged]
    if not left:
        return diverged
    with Progress(tasks, left) as progress, executor or _pool(min(workers, len(left))) as pool:
        outcomes = _attempts(left, trainer, workers, pool, progress)
    for outcome in outcomes:
        if outcome.status == "failed":
            raise _failure(outcome)
    return diverged + [outcome.name for outcome in outcomes if outcome.status == "diverged"]


def _attempts(
    left: Sequence[Task], trainer: Trainer, workers: int, pool: Executor, progress: Progress
) -> list[Outcome]:
    """Keep so many members running until all have ended, one has failed, or a signal has arrived."""
    waiting, running = deque(left), dict[Future[Outcome], Task]()
    outcomes: list[Outcome] = []
    with StopSignals() as stop:
        while running or (waiting and stop.received is None and not _has_failed(outcomes)):
            while waiting and len(running) < workers and stop.received is None and not _has_failed(outcomes):
                task = waiting.popleft()
                running[pool.submit(attempted, task, trainer)] = task
            if stop.received is not None:
                _stop_children()
            ended, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
            for future in ended:
                outcomes.append(_outcome(running.pop(future), future))
                progress.ended(outcomes[-1].name, outcomes[-1].status, outcomes[-1].message)
            progress.show(list(running.values()))
        if stop.received is not None:
            name = signal.Signals(stop.received).name
            raise InterruptedRunError(f"{name}: what has begun is saved; the same command continues it", stop.received)
    return outcomes


def _outcome(task: Task, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        why = "its process was killed, perhaps for want of memory: the same command goes on, cas.workers=1 takes less"
        return Outcome(task.name, "failed", why, 1)


def _has_failed(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.status == "failed" for outcome in outcomes)


def _failure(outcome: Outcome) -> CommandError:
    """The failure with the exit code that it had."""
    error = CommandError(f"{outcome.name}: {outcome.message.strip()}")
    error.exit_code = outcome.exit_code
    return error


def _pool(workers: int) -> Executor:
    """Processes that are started afresh: torch's threads do not survive a fork."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start)


def _start() -> None:
    """Begin a process: its terminal is the parent's business, and so are the signals that it sends."""
    if hasattr(os, "setsid"):
        os.setsid()
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it stays open as long as the process
    logging.getLogger("gan_cli").setLevel(logging.DEBUG)
    logging.getLogger("gan_cli").propagate = False
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # but for the time that a member is trained
    threading.Thread(target=_outlive_no_parent, daemon=True).start()


def _outlive_no_parent() -> None:
    """Stop the training once the command is gone, however it went."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(POLL)
    os._exit(1)


def _stop_children() -> None:
    """Have each process save its member and end it; one that is between two members needs to be told again."""
    for child in active_children():
        if child.pid is not None:
            os.kill(child.pid, signal.SIGTERM)
