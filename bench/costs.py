"""The costs beside the steps: starting, reporting, drawing, saving; and whether time and memory grow as they should."""

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from omegaconf import DictConfig

from bench.timing import Setting, synchronize
from bench.workloads import GAMES, WORKLOADS, compose, config_of
from gan_cli.trackers import Tracker
from gan_cli.training.loop import Terms

ROOT = Path(__file__).parents[1]
LOG_INTERVAL = 100
NO_REPORTS = ("every.samples=null", "every.checkpoint=null", "every.evaluate=null")


@dataclass(frozen=True)
class Cost:
    """A number and what it measures."""

    what: str
    value: float
    unit: str


class Stamps(Tracker):
    """Notes, for the runs of this process, when the numbers of a step were reported and how much memory was in use."""

    seen: dict[int, tuple[float, float]]

    def open(self, folder: Path, step: int) -> None:
        Stamps.seen = {}

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        Stamps.seen[step] = time.perf_counter(), _memory()

    def close(self) -> None: ...


def start_up(repeats: int) -> list[Cost]:
    """The times of commands that should answer at once."""
    commands = {
        "python -c pass": ["-c", "pass"],
        'python -c "import torch"': ["-c", "import torch"],
        "gan-train --help": ["-m", "gan_cli", "--help"],
    }
    return _wall_times(commands, repeats)


def first_step(setting: Setting, repeats: int) -> list[Cost]:
    """The default run, ended after one step; the step is also the last, which is drawn, saved and evaluated."""
    what = "gan-train train.steps=1, with its picture, checkpoint and evaluation"
    command = ["-m", "gan_cli", "train.steps=1", f"device={setting.device}", *NO_REPORTS]
    return _wall_times({what: command}, repeats)


def _wall_times(commands: Mapping[str, Sequence[str]], repeats: int) -> list[Cost]:
    """Seconds from the start of a process to its end, the commands in turn, each time in an empty folder."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    times: dict[str, list[float]] = {what: [] for what in commands}
    for _ in range(repeats):
        for what, command in commands.items():
            with tempfile.TemporaryDirectory() as folder:
                environment = os.environ | {"PYTHONPATH": path}
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, *command],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    check=True,
                    capture_output=True,
                )
                times[what].append(time.perf_counter() - start)
    return [Cost(what, median(values), "s") for what, values in times.items()]


class Costs:
    """Measures within one process; every method gives rows of the table."""

    def __init__(self, setting: Setting, repeats: int) -> None:
        self._device = torch.device(setting.device)
        self._repeats = repeats
        self._common = (f"device={setting.device}", f"device.threads={setting.threads}", f"seed={setting.seed}")
        torch.set_num_threads(setting.threads)
        sys.stderr = io.StringIO()  # no terminal, so no progress bars

    def loop(self, steps: int) -> list[Cost]:
        """What a run with a report each 100 steps does besides its steps, by a clock that runs within these alone.

        The steps are waited for. A GPU would otherwise compute while the run does the rest: there this is a bound.
        """
        from gan_cli.assembly.games import assemble
        from gan_cli.commands.train import run

        config = self._ring(steps)
        taken: list[float] = []

        def clocked(*arguments: Any) -> Any:
            job: Any = assemble(*arguments)
            terms = job.terms
            job.terms = lambda: self._clocked(terms(), taken)
            return job

        added, medians = [], []
        for _ in range(self._repeats):
            taken.clear()
            with tempfile.TemporaryDirectory() as folder, patch("gan_cli.commands.train.assemble", clocked):
                run(config, Path(folder, "run"), {})
            whole = Stamps.seen[steps][0] - Stamps.seen[LOG_INTERVAL][0]
            added.append(whole / sum(taken[LOG_INTERVAL:]) - 1)
            medians.append(median(taken))
        return [
            Cost("ring, a step", 1e3 * median(medians), "ms"),
            Cost(f"ring, what a run with every.log={LOG_INTERVAL} adds to a step", 100 * median(added), "%"),
        ]

    def reports(self) -> list[Cost]:
        """One report of each kind, of the default run."""
        from gan_cli.assembly.games import assemble
        from gan_cli.commands.reporter import Reporter
        from gan_cli.runs import checkpoints
        from gan_cli.runs.folder import RunFolder

        job = assemble(compose("metric=[]", *self._common))
        state, iterator = job.state, job.terms()
        with tempfile.TemporaryDirectory() as path:
            folder = RunFolder(Path(path))

            def draw() -> None:
                folder.write_picture("samples", state.step, job.picture())

            with Reporter(job, folder, []) as reporter:
                reports: dict[str, Callable[[], object]] = {
                    f"log report of {LOG_INTERVAL} steps": lambda: reporter.report(dict),
                    "sample grid": draw,
                    "checkpoint": lambda: checkpoints.save(folder, state.state_dict(), job.every.keep),
                }
                times: dict[str, list[float]] = {what: [] for what in reports}
                for _ in range(self._repeats):
                    for terms in islice(iterator, LOG_INTERVAL):
                        reporter.add(terms)
                    for what, report in reports.items():
                        times[what].append(self._timed(report))
        return [Cost(f"default run, one {what}", 1e3 * median(values), "ms") for what, values in times.items()]

    def linear(self, workload: str, seconds: float) -> list[Cost]:
        """The time of twice the steps and of twice the batch, 2 if it is in proportion; pairs are taken in turn."""
        from gan_cli.assembly.games import assemble

        batch = WORKLOADS[workload].batch_size
        game = GAMES["none"]

        def iterator(size: int) -> Iterator[object]:
            overrides = ("device.accelerate=eager", f"train.batch_size={size}")
            return assemble(config_of(WORKLOADS[workload], game, *self._common, *overrides)).terms()

        single, double = iterator(batch), iterator(2 * batch)
        self._seconds(double, 5)
        self._seconds(single, 5)
        steps = max(5, round(seconds / (self._seconds(single, 5) / 5)))
        more_steps, more_images = [], []
        for _ in range(self._repeats):
            once = self._seconds(single, steps)
            more_steps.append(self._seconds(single, 2 * steps) / once)
            more_images.append(self._seconds(double, steps) / self._seconds(single, steps))
        return [
            Cost(f"{workload}, eager: time of {2 * steps} steps over that of {steps}", median(more_steps), "×"),
            Cost(f"{workload}, eager: batch {2 * batch} over batch {batch}", median(more_images), "×"),
        ]

    def memory(self, steps: int) -> list[Cost]:
        """The memory of a run early and late; what it adds in between it would add again and again."""
        from gan_cli.commands.train import run

        with tempfile.TemporaryDirectory() as folder:
            run(self._ring(steps), Path(folder, "run"), {})
        early, late = (Stamps.seen[step][1] for step in (steps // 10, steps))
        return [
            Cost(f"ring, resident memory at step {steps // 10:,}", early, "MiB"),
            Cost(f"ring, resident memory at step {steps:,}", late, "MiB"),
        ]

    def _ring(self, steps: int) -> DictConfig:
        """The smallest run there is, in which everything besides the steps weighs most."""
        tracker = ("tracker=none", "tracker._target_=bench.costs.Stamps")
        log = (f"every.log={LOG_INTERVAL}", f"train.steps={steps}")
        return compose("dataset=ring", "metric=[]", *self._common, *tracker, *log, *NO_REPORTS)

    def _clocked(self, iterator: Iterator[Terms], taken: list[float]) -> Iterator[Terms]:
        """The same steps, with the seconds that each took added to `taken`."""
        while True:
            start = time.perf_counter()
            terms = next(iterator, None)
            if terms is None:
                return
            synchronize(self._device)
            taken.append(time.perf_counter() - start)
            yield terms

    def _seconds(self, iterator: Iterator[object], steps: int) -> float:
        return self._timed(lambda: [None for _ in islice(iterator, steps)])

    def _timed(self, call: Callable[[], object]) -> float:
        synchronize(self._device)
        start = time.perf_counter()
        call()
        synchronize(self._device)
        return time.perf_counter() - start


def _memory() -> float:
    """Memory in use by this process, in MiB; if the system does not tell, the most that ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 1024)
    return pages * resource.getpagesize() / 2**20
