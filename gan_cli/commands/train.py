"""One run from start to end: resume, train, report, draw, save."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gan_cli.assembly import Experiment, assemble
from gan_cli.commands.reporter import Reporter
from gan_cli.commands.signals import StopSignals
from gan_cli.config.identity import differences
from gan_cli.errors import ConfigError, InterruptedRunError
from gan_cli.metrics.base import flat
from gan_cli.runs import checkpoints, read, record
from gan_cli.runs.folder import RunFolder
from gan_cli.show import pictures, samples
from gan_cli.training.execution import Execution

logger = logging.getLogger(__name__)


def run(config: DictConfig, path: Path, config_files: Mapping[str, str]) -> None:
    """Train the run of `config` in the folder `path`, or continue it there; `config_files` are kept in it.

    Raises `ConfigError` before anything is written when the input is wrong, `DivergedError` when a number is no
    longer finite, and `InterruptedRunError` when a signal stopped the run.
    """
    folder = RunFolder(path)
    refuse_changes(folder, config)
    experiment = assemble(config, Execution.recorded(read.record(path).get("execution")))
    with folder.claimed():
        _resume(experiment, folder)
        if experiment.state.step == experiment.steps and read.record(path).get("status") == "done":
            logger.info("%s is done; train.steps=… beyond %d continues it", path, experiment.state.step)
            return
        folder.write_config(config_files)
        metrics = folder.rewind_metrics(experiment.state.step)
        summary = _summary(experiment, folder, metrics)
        logger.info("%s", "; ".join(experiment.reasons))
        with recorded(folder, summary):
            _train(experiment, folder, metrics, summary)
            summary["fingerprint"] = experiment.state.fingerprint()


def refuse_changes(folder: RunFolder, config: DictConfig) -> None:
    """Raise `ConfigError`, listing each difference, where the folder holds a run of another config."""
    before = read.config(folder.path)
    if before is None:
        return
    changed = differences(before, config)
    if changed:
        raise ConfigError(
            f"{folder.path} was trained with another config: {', '.join(changed)};"
            " restore these values, or choose another name=…"
        )


def _resume(experiment: Experiment, folder: RunFolder) -> None:
    """Bring the state to that of the newest good checkpoint."""
    state = experiment.state
    before = read.record(folder.path)
    if before.get("dataset") not in (None, experiment.dataset.fingerprint()):
        raise ConfigError(f"{folder.path} was trained on other data: restore them, or choose another name=…")
    found = checkpoints.newest(folder.path, device=experiment.device) if read.checkpoints(folder.path) else None
    if found is None and before.get("status") == "done":
        raise ConfigError(f"{folder.path} is done, but has no checkpoint: restore one, or choose another name=…")
    if found is not None:
        path, saved = found
        try:
            state.load_state_dict(saved)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"{path} belongs to another model: remove it to use the one before") from error
        if state.step > experiment.steps:
            raise ConfigError(
                f"train.steps={experiment.steps}, but {folder.path} has taken {state.step}:"
                " ask for at least as many, or choose another name=…"
            )
        logger.info("continuing %s from step %d", folder.path, state.step)
        if before.get("steps") != experiment.steps and not experiment.extends_exactly:
            logger.warning(
                "train.schedule depends on train.steps, which was %s: the learning rates jump", before.get("steps")
            )


def _summary(experiment: Experiment, folder: RunFolder, metrics: list[dict[str, float]]) -> dict[str, Any]:
    """What run.json says of a run that begins."""
    state = experiment.state
    summary: dict[str, Any] = {
        "status": "running",
        "seed": experiment.seed,
        "steps": experiment.steps,
        "step": state.step,
        "dataset": experiment.dataset.fingerprint(),
        "sample_shape": list(experiment.dataset.sample_shape),
        "parameters": {
            "generator": sum(p.numel() for p in state.generator.parameters()),
            "critic": sum(p.numel() for p in state.critic.parameters()),
        },
        "execution": vars(experiment.execution),
        **record.circumstances(experiment.device),
        "started": read.record(folder.path).get("started", record.now()),
    }
    if metrics:
        summary["final"] = metrics[-1]
    return summary


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


def _train(experiment: Experiment, folder: RunFolder, metrics: list[dict[str, float]], summary: dict[str, Any]) -> None:
    """The loop. A step is due for a report, a picture or a checkpoint at its interval, and when it is the last."""
    state, every = experiment.state, experiment.every
    reporter = Reporter(experiment, folder, metrics)
    with StopSignals() as stop, reporter:
        for terms in experiment.start():
            reporter.add(terms)
            summary["step"] = state.step
            signal_number = stop.received
            is_last = state.step == experiment.steps or signal_number is not None
            due = partial(_due, state.step, is_last)

            # Report: the first look at numbers that may still be on their way from the device.
            if due(every.log) or due(every.evaluate):
                summary["final"] = reporter.report(partial(_evaluate, experiment) if due(every.evaluate) else dict)

            # Draw.
            if due(every.samples):
                folder.write_samples(state.step, _picture(experiment))
                folder.write_curves(pictures.curves(metrics, experiment.divergence.unit))

            # Save, but never a state that has gone bad.
            if due(every.checkpoint):
                reporter.check()
                folder.write_record(summary)
                checkpoints.save(folder, state.state_dict(), every.keep)

            # Stop?
            if signal_number is not None:
                raise InterruptedRunError(
                    f"{signal.Signals(signal_number).name} after step {state.step}, which is saved;"
                    " the same command continues the run",
                    signal_number,
                )
            reporter.resume_clock()


def _due(step: int, is_last: bool, interval: int | None) -> bool:
    return is_last or (interval is not None and step % interval == 0)


def _evaluate(experiment: Experiment) -> dict[str, float]:
    """The numbers of every metric."""
    subject = experiment.subject
    numbers: dict[str, float] = {}
    for name, metric in experiment.metrics.items():
        try:
            numbers |= flat(metric(subject))
        except ValueError as error:
            raise ConfigError(f"metric.{name}: {error}") from error
    return numbers


def _picture(experiment: Experiment) -> bytes:
    """What the averaged generator makes of the same latents at every step."""
    return samples.picture(
        experiment.state.average,
        experiment.dataset,
        seed=experiment.seed,
        title=f"step {experiment.state.step}",
        critic=experiment.state.critic,
    )
