"""`--estimate`: how long a run will take on this machine, by a few of its steps taken for real."""

import io
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig

from gan_cli.commands.signals import TooLongError, limited
from gan_cli.commands.study import Compose, open_study
from gan_cli.commands.train import assembled, resume
from gan_cli.jobs import Job
from gan_cli.runs import record
from gan_cli.runs.folder import RunFolder
from gan_cli.show.estimates import PATIENCE, Besides, Estimate, Measured
from gan_cli.training.acceleration import WARM_UP
from gan_cli.training.cost import Operations, best_rate, paces, peak_memory, timed, wait_for

logger = logging.getLogger(__name__)

QUICK = 5.0
"""Seconds for one of each, below which a second one of each is timed."""

ENDLESS = 10**9
"""Steps of the job that is measured, so that a short run has enough of them."""


def estimates(config: DictConfig, path: Path, name: str, compose: Compose, seconds: float) -> list[Estimate]:
    """What is left of the run of a config in the folder `path`, or of each member of its study; writes nothing.

    Steps are timed for so many seconds a run. Raises `ConfigError` as `train.run` does.
    """
    if not config.get("study"):
        return [_estimate(config, RunFolder(path), name, seconds)]
    members = open_study(config, path, compose).members
    return [_estimate(members.config(of), members.folder(of), f"{name}/{of}", seconds) for of in members]


def _estimate(config: DictConfig, folder: RunFolder, name: str, seconds: float) -> Estimate:
    folder.refuse_others()
    logger.info("measuring %s", name)
    job = assembled(config, folder)
    resume(job, folder)
    return estimate(job, name, seconds)


def estimate(job: Job, name: str, seconds: float) -> Estimate:
    """What is left of a job, whose state is spoilt by it."""
    taken, left = job.state.step, job.steps - job.state.step
    measured = _measured(job, seconds) if left else None
    return Estimate(name, taken, left, job.images_per_step, measured)


def _measured(job: Job, seconds: float) -> Measured:
    plan, taken, steps = job.plan, job.state.step, job.steps
    job.steps = taken + ENDLESS
    with plan.placed():
        begun = time.perf_counter()
        operations, line = _counted_step(job)
        is_slow = time.perf_counter() - begun >= seconds
        if job.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(job.device)
        take = partial(timed, job.terms(), job.device)
        settling = 0 if plan.mode == "eager" else WARM_UP + 2
        start = take(settling)
        besides = _besides(job, taken, steps, line, None if is_slow else partial(take, 1))
        begun, own = time.perf_counter(), time.thread_time()
        found = paces(take, seconds)
        own_share = (time.thread_time() - own) / (time.perf_counter() - begun)
        step = statistics.fmean(found)
        memory, there_is = peak_memory(job.device)
        best = best_rate(job.device, torch.bfloat16 if plan.precision == "bf16" else torch.float32)
    return Measured(
        device=_device(job),
        step=step,
        spread=statistics.stdev(found) / step if len(found) > 1 else None,
        own_share=own_share if job.device.type == "cpu" else None,
        preparation=max(0.0, start - settling * step) if settling else 0.0,
        besides=besides,
        memory=memory,
        memory_there_is=there_is,
        operations=operations,
        best=best,
    )


def _counted_step(job: Job) -> tuple[int, dict[str, float]]:
    """The operations of the next step, and its terms as a line of metrics.jsonl.

    It is taken as it stands, since compiled and captured steps do not tell their operations.
    """
    plan, job.plan = job.plan, replace(job.plan, mode="eager")
    with Operations() as counter:
        terms = next(job.terms())
    job.plan = plan
    return counter.total, {"step": job.state.step, **{name: float(term) for name, term in terms.items()}}


def _besides(
    job: Job, taken: int, steps: int, line: dict[str, float], take_a_step: Callable[[], float] | None
) -> list[Besides]:
    """What the rest of the run does beside its steps, each timed twice, a step apart, unless that takes long.

    `line` is one of metrics.jsonl, for the curves.
    """
    every = job.every
    tasks: dict[str, tuple[Callable[[], object], int | None]] = {
        "evaluation": (job.numbers, every.evaluate),
        "picture": (lambda: (job.picture(), job.curves([line])), every.samples),
        "checkpoint": (lambda: torch.save(job.state.state_dict(), io.BytesIO()), every.checkpoint),
    }
    first = {what: _seconds_of(task, job.device) for what, (task, _) in tasks.items()}
    later: dict[str, float | None] = dict.fromkeys(tasks)
    if take_a_step is not None and sum(PATIENCE if seconds is None else seconds for seconds in first.values()) < QUICK:
        take_a_step()  # what is known of a step is not worked out again
        later = {what: _seconds_of(task, job.device) for what, (task, _) in tasks.items()}
    return [
        Besides(what, _times(taken, steps, interval), first[what], later[what]) for what, (_, interval) in tasks.items()
    ]


def _seconds_of(task: Callable[[], object], device: torch.device) -> float | None:
    begun = time.perf_counter()
    try:
        with limited(PATIENCE):
            task()
            wait_for(device)
    except TooLongError:
        return None
    return time.perf_counter() - begun


def _times(taken: int, steps: int, interval: int | None) -> int:
    """How often an interval is over between two steps, where the last step has its own turn."""
    return 1 if interval is None else steps // interval - taken // interval + (steps % interval > 0)


def _device(job: Job) -> str:
    how = f"{job.plan.precision}, {job.mode}"
    if job.device.type == "cuda":
        return f"{record.device_name(job.device)} ({how})"
    threads = f"{job.plan.threads} thread{'s' * (job.plan.threads > 1)}"
    return f"{record.processor()} ({threads}, {how})"
