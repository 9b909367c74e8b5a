"""One run from start to end: resume, train, report, draw, save."""

import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gan_cli.assembly import classifiers, games
from gan_cli.commands import together
from gan_cli.commands.reporter import Reporter
from gan_cli.commands.signals import StopSignals
from gan_cli.config.identity import differences
from gan_cli.config.schema import ClassifierConfig, Config, RunConfig, kind_of
from gan_cli.config.taken import COMMANDS
from gan_cli.datasets.base import Dataset
from gan_cli.errors import ConfigError, InterruptedRunError
from gan_cli.jobs import Job
from gan_cli.ranks import place
from gan_cli.runs import checkpoints, read, record
from gan_cli.runs.folder import RunFolder
from gan_cli.training.execution import Plan

logger = logging.getLogger(__name__)


ASSEMBLERS: Mapping[type[RunConfig], Callable[..., Job]] = {
    Config: games.assemble,
    ClassifierConfig: classifiers.assemble,
}


def run(config: DictConfig, path: Path, config_files: Mapping[str, str]) -> Path:
    """Train the run of `config` in the folder `path`, or continue it there; `config_files` are kept in it.

    Returns the newest picture. Raises as `carry_out` does.
    """
    folder = RunFolder(path)
    job = assembled(config, folder)
    if together.is_first():
        carry_out(job, folder, config_files)
    else:
        help_out(job)
    return path / f"{job.pictured}.png"


def assembled(config: DictConfig, folder: RunFolder) -> Job:
    """The job of a config, computed as the folder's run was begun, if there is one. Raises `ConfigError`."""

    def known() -> tuple[Plan | None, int]:
        refuse_changes(folder, config)
        return Plan.recorded(read.record(folder.path).get("execution")), read.edition(folder.path)

    before, edition = together.from_first(known)
    return ASSEMBLERS[kind_of(config)](config, before, edition)


def carry_out(job: Job, folder: RunFolder, config_files: Mapping[str, str]) -> None:
    """Train a job in a folder, or continue it there; `config_files` are kept in it.

    Raises `ConfigError` before anything is written when the input is wrong, `DivergedError` when a number is no
    longer finite, and `InterruptedRunError` when a signal stopped the run.
    """
    with folder.claimed():
        resume(job, folder)
        together.share(job.state)
        if job.state.step == job.steps and read.record(folder.path).get("status") == "done":
            logger.info("%s is done; train.steps=… beyond %d continues it", folder.path, job.state.step)
            return
        folder.write_config(config_files)
        metrics = folder.rewind_metrics(job.state.step)
        summary = _summary(job, folder, metrics)
        logger.info("%s", "; ".join(job.plan.reasons))
        if job.dataset.description:
            logger.info("loaded: %s", job.dataset.description)
        with recorded(folder, summary):
            if not folder.holds(read.REAL) and (real := job.real_picture()) is not None:
                folder.write_findings(str(read.REAL), real)
            _train(job, folder, metrics, summary)
            summary["fingerprint"] = job.state.fingerprint()


def help_out(job: Job) -> None:
    """Train a job that another process of its run carries out, with it. Raises what ends the run."""
    together.share(job.state)
    state, agreed = job.state, together.StopAgreement()
    with StopSignals() as stop, job.plan.placed():
        for _ in job.terms():
            signal_number = agreed(stop.received, is_last=state.step == job.steps)
            if _is_at_work(job, signal_number is not None):
                together.wait()
            if signal_number is not None:
                raise _interrupted(state.step, signal_number)


def refuse_changes(folder: RunFolder, config: DictConfig) -> None:
    """Raise `ConfigError`, listing each difference, where the folder holds a run of another config."""
    before = read.config(folder.path)
    if before is None:
        return
    if kind_of(before) is not kind_of(config):
        raise ConfigError(f"{folder.path} is a run of {COMMANDS[kind_of(before)]}: choose another name=…")
    changed = differences(before, config)
    if changed:
        raise ConfigError(
            f"{folder.path} was trained with another config: {', '.join(changed)};"
            " restore these values, or choose another name=…"
        )


def resume(job: Job, folder: RunFolder) -> None:
    """Bring the state to that of the newest good checkpoint. Raises `ConfigError` where that is not the job's."""
    state = job.state
    before = read.record(folder.path)
    if before.get("dataset") not in (None, job.dataset.fingerprint()):
        raise ConfigError(f"{folder.path} was trained on other data: restore them, or choose another name=…")
    if before.get("classes", job.classes) != job.classes:
        raise ConfigError(f"{folder.path} was trained on other classes: restore them, or choose another name=…")
    if any(before.get(name, digest) != digest for name, digest in job.held_out().items()):
        raise ConfigError(f"{folder.path} was tested on other data: restore them, or choose another name=…")
    if not (kept := read.checkpoints(folder.path)) and before.get("status") == "done":
        raise ConfigError(f"{folder.path} is done, but has no checkpoint: restore one, or choose another name=…")
    if not kept:
        return
    path, saved = checkpoints.newest(folder.path, device=job.device)
    try:
        state.load_state_dict(saved)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} belongs to another model: remove it to use the one before") from error
    if state.step > job.steps:
        raise ConfigError(
            f"train.steps={job.steps}, but {folder.path} has taken {state.step}:"
            " ask for at least as many, or choose another name=…"
        )
    logger.info("continuing %s from step %d", folder.path, state.step)
    if before.get("steps") != job.steps and not job.extends_exactly:
        logger.warning("a schedule depends on train.steps, which was %s: its number jumps", before.get("steps"))


def _summary(job: Job, folder: RunFolder, metrics: list[dict[str, float]]) -> dict[str, Any]:
    """What run.json says of a run that begins."""
    networks = job.networks().items()
    summary: dict[str, Any] = {
        "status": "running",
        "seed": job.seed,
        "edition": job.edition,
        "steps": job.steps,
        "step": job.state.step,
        "dataset": job.dataset.fingerprint(),
        "sample_shape": list(job.dataset.sample_shape),
        "parameters": {name: sum(p.numel() for p in network.parameters()) for name, network in networks},
        "execution": job.plan.record(job.mode),
        **record.circumstances(job.device),
        "started": read.record(folder.path).get("started", record.now()),
    }
    summary |= _of_data(job.dataset) | dict(job.held_out())
    if place().size > 1:
        summary["processes"] = place().size
    if job.classes:
        summary["classes"] = dict(job.classes)
    if metrics:
        summary["final"] = metrics[-1]
    return summary


def _of_data(dataset: Dataset) -> dict[str, Any]:
    """What is known of the data beside their digest: the run that drew them, and what they show."""
    known = {"origin": dataset.origin, "shows": dataset.shows, "is_stacked": dataset.is_stacked}
    return {name: value for name, value in known.items() if value}


@contextmanager
def recorded(folder: RunFolder, summary: dict[str, Any]) -> Iterator[None]:
    """Keep run.json in step with how the run stands, however it ends."""
    folder.write_record(summary)
    try:
        yield
        summary["status"] = "done"
    except BaseException as error:
        summary |= record.of_failure(error)
        raise
    finally:
        folder.write_record(summary | {"ended": record.now()})


def _train(job: Job, folder: RunFolder, metrics: list[dict[str, float]], summary: dict[str, Any]) -> None:
    """The loop. A step is due for a report, a picture or a checkpoint at its interval, and when it is the last."""
    state, every = job.state, job.every
    reporter = Reporter(job, folder, metrics)
    agreed, communication = together.StopAgreement(), together.Communication()
    with StopSignals() as stop, reporter, job.plan.placed():
        # A run may have ended between a checkpoint and its picture.
        if (
            state.step
            and _due(state.step, state.step == job.steps, every.samples)
            and not folder.shows(job.pictured, state.step)
        ):
            _draw(job, folder, metrics)
        reporter.resume_clock()
        for terms in job.terms():
            reporter.add(terms)
            communication.after_step()
            signal_number = agreed(stop.received, is_last=state.step == job.steps)
            is_last = state.step == job.steps or signal_number is not None
            due = partial(_due, state.step, is_last)
            summary |= {"step": state.step, "execution": job.plan.record(job.mode)}

            # Report: the first look at numbers that may still be on their way from the device.
            if due(every.log) or due(every.evaluate):
                communication.tell()
                summary["final"] = reporter.report(job.numbers if due(every.evaluate) else dict)
            if due(every.evaluate):
                summary |= job.findings()
            if due(every.evaluate) or due(every.checkpoint):
                reporter.refuse_faults()

            # Save, but never a state that has gone bad.
            if due(every.checkpoint):
                reporter.check()
                folder.write_record(summary)
                checkpoints.save(folder, state.state_dict(), every.keep)

            # Draw: after saving, so that no step is lost with a picture.
            if due(every.samples):
                _draw(job, folder, metrics)

            # Stop?
            if _is_at_work(job, signal_number is not None):
                together.wait()
            if signal_number is not None:
                raise _interrupted(state.step, signal_number)
            reporter.resume_clock()


def _is_at_work(job: Job, is_stopped: bool) -> bool:
    """Whether the step just taken is followed by what one process does for all."""
    every, is_last = job.every, is_stopped or job.state.step == job.steps
    intervals = (every.log, every.evaluate, every.checkpoint, every.samples)
    return any(_due(job.state.step, is_last, interval) for interval in intervals)


def _interrupted(step: int, signal_number: int) -> InterruptedRunError:
    name = signal.Signals(signal_number).name
    return InterruptedRunError(
        f"{name} after step {step}, which is saved; the same command continues the run", signal_number
    )


def _draw(job: Job, folder: RunFolder, metrics: list[dict[str, float]]) -> None:
    folder.write_picture(job.pictured, job.state.step, job.picture())
    folder.write_curves(job.curves(metrics))


def _due(step: int, is_last: bool, interval: int | None) -> bool:
    return is_last or (interval is not None and step % interval == 0)
