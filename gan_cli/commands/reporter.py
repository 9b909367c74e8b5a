"""From the terms of each step to a line of numbers an interval, on disk and on the screen."""

import logging
import sys
import time
from collections.abc import Callable, Mapping

import torch
from tqdm import tqdm

from gan_cli.errors import DivergedError, OverfittedError
from gan_cli.jobs import Job
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
from gan_cli.schedules import Progress
from gan_cli.training.loop import Terms
from gan_cli.training.scheduling import Scheduling

logger = logging.getLogger(__name__)

Numbers = dict[str, float]

USUAL_DECAY = Scheduling().average_decay
"""That of the average where a run is told nothing else: it is not reported, since the step tells it."""


class Reporter:
    """Averages the terms of the steps since its last report; reads the device only when it is asked to.

    While it is entered it shows a progress bar on a terminal, and the tracker is open.
    """

    def __init__(self, job: Job, folder: RunFolder, metrics: list[Numbers]) -> None:
        self._job = job
        self._folder = folder
        self._metrics = metrics
        self._seconds = metrics[-1].get("seconds", 0.0) if metrics else 0.0
        self._interval_seconds = 0.0
        self._pending: list[Terms] = []
        rates = job.learning_rates()
        followed = job.changing().items()
        self._changing = {name: of for name, of in followed if name not in rates and of != USUAL_DECAY}

    def __enter__(self) -> "Reporter":
        step = self._job.state.step
        self._reported = step
        self._job.tracker.open(self._folder.path, step)
        self._bar = tqdm(
            total=self._job.steps,
            initial=step,
            unit="step",
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )
        self.resume_clock()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._job.tracker.close()

    def add(self, terms: Terms) -> None:
        """Take in the terms of the step that was just taken."""
        self._pending.append(terms)
        self._interval_seconds += time.perf_counter() - self._resumed
        self.resume_clock()
        self._bar.update()

    def resume_clock(self) -> None:
        """Time spent before this, on reports, pictures and checkpoints, is not counted as training."""
        self._resumed = time.perf_counter()

    def check(self) -> None:
        """Raise `DivergedError` when a term since the last report, or a weight, is not finite."""
        state = self._job.state
        if self._pending:
            self._find_non_finite()
        if not state.is_finite():
            self._diverged(f"the weights after step {state.step} are not finite", state.step)

    def refuse_faults(self) -> None:
        """Raise `OverfittedError` if the job finds a fault with its state."""
        if (fault := self._job.fault(self._metrics)) is not None:
            raise OverfittedError(f"{fault}; last good checkpoint: {self._newest()}")

    def report(self, evaluate: Callable[[], Mapping[str, float]]) -> Numbers:
        """One line of metrics.jsonl: the means over the interval. Raises `DivergedError` as `check` does."""
        names, values = self._find_non_finite()
        # The values have arrived, so the steps are over: only now is the interval's time known on a GPU.
        self._interval_seconds += time.perf_counter() - self._resumed
        self._seconds += self._interval_seconds
        evaluation = evaluate()
        step, images_per_step = self._job.state.step, self._job.images_per_step
        numbers: Numbers = {
            "step": step,
            "images_seen": step * images_per_step,
            "seconds": round(self._seconds, 3),
            **dict(zip(names, values.mean(0).tolist(), strict=True)),
            **self._job.learning_rates(),
            **self._numbers_that_change(),
            "images_per_second": round(len(self._pending) * images_per_step / self._interval_seconds, 1),
            **evaluation,
        }
        self._pending.clear()
        self._interval_seconds = 0.0
        self._metrics.append(numbers)
        self._folder.append_metrics(numbers)
        self._job.tracker.log(step, numbers)
        self._show(numbers, evaluation)
        return numbers

    def _numbers_that_change(self) -> Numbers:
        """The numbers that the last step was computed with, of those that follow a schedule."""
        last = Progress(self._job.state.step - 1, self._job.steps, self._job.images_per_step)
        return {name: schedule.at(last) for name, schedule in self._changing.items()}

    def _find_non_finite(self) -> tuple[list[str], torch.Tensor]:
        """The names and values of the pending terms, shape `(steps, terms)`, once all are known to be finite."""
        names = list(self._pending[0])
        values = torch.stack([torch.stack([terms[name] for name in names]) for terms in self._pending])
        values = values.double().cpu()
        bad = (~values.isfinite()).nonzero()
        if len(bad):
            index, term = bad[0].tolist()
            step = self._job.state.step - len(self._pending) + index + 1
            last = values[index - 1] if index else None
            self._diverged(f"{names[term]} is {values[index, term]} at step {step}", step, names, last)
        return names, values

    def _diverged(self, what: str, step: int, names: list[str] | None = None, last: torch.Tensor | None = None) -> None:
        if names is not None and last is not None:
            finite = ", ".join(f"{name} {value:.4g}" for name, value in zip(names, last.tolist(), strict=True))
        elif self._metrics:
            finite = ", ".join(f"{name} {value:.4g}" for name, value in self._metrics[-1].items())
        else:
            finite = "none"
        raise DivergedError(
            f"diverged: {what}; last finite numbers: {finite}; last good checkpoint: {self._newest()}", step
        )

    def _newest(self) -> str:
        checkpoints = read.checkpoints(self._folder.path)
        return str(checkpoints[-1]) if checkpoints else "none"

    def _show(self, numbers: Numbers, evaluation: Mapping[str, float]) -> None:
        headline = self._job.headline
        self._bar.set_postfix_str(f"{headline} {numbers[headline]:.4f}, {numbers['images_per_second']:.0f} images/s")
        shown = [*self._job.shown, *(name for name in evaluation if "/" not in name)]  # a slash leads to a class
        values = ", ".join(f"{name} {numbers[name]:.4g}" for name in shown if name in numbers)
        width = len(str(self._job.steps))
        logger.debug(
            "step %*d of %d: %s, %.0f images/s",
            width,
            numbers["step"],
            self._job.steps,
            values,
            numbers["images_per_second"],
        )
