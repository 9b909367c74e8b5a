"""Measure what `gan-eval` was asked and no receipt answers."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from gan_cli.assembly import assemble
from gan_cli.commands.question import Question
from gan_cli.config import parts
from gan_cli.errors import CommandError, ConfigError
from gan_cli.files import digest_path
from gan_cli.jobs import GameJob
from gan_cli.metrics.base import Metric
from gan_cli.metrics.subject import RealSamples, Subject
from gan_cli.runs import receipts, record
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.receipts import Receipt, Request

logger = logging.getLogger(__name__)

Failures = dict[str, CommandError]
"""By metric, what went wrong."""


def measure(
    folder: RunFolder, config: DictConfig, question: Question, requests: Sequence[Request]
) -> tuple[dict[str, Receipt], Failures]:
    """The receipts by metric, each added to evaluation.json as soon as it is known, and what failed.

    Raises `ConfigError` where a metric was asked for by name that does not apply.
    """
    nodes = config.metric
    config.metric = OmegaConf.create({"extractor": nodes.extractor})
    config.device.precision = "float32"  # as the receipts say
    experiment = assemble(config)
    if record.read(folder.path).get("dataset") not in (None, experiment.dataset.fingerprint()):
        raise ConfigError(f"{folder.path} was trained on other data than dataset.* finds now: restore them")
    metrics, refusals = _applicable(nodes, experiment)
    if question.metrics and refusals:
        raise ConfigError(next(iter(refusals.values())))
    requests = _load(experiment, folder, question, requests)
    subject = _subject(experiment, question)
    known = folder.read_receipts()
    extractor = receipts.identity(nodes.extractor)
    measured: dict[str, Receipt] = {}
    failures: Failures = {}
    for request in requests:
        name = request.metric
        # Of the checkpoint that is measured in the place of a damaged one there may be receipts.
        if earlier := [receipt for receipt in known if request.is_answered_by(receipt, extractor)]:
            measured[name] = earlier[-1]
            continue
        figures: dict[str, bytes] = {}
        try:
            if name in refusals:
                receipt = _receipt(experiment, request, extractor, refused=refusals[name])
            else:
                receipt, figures = _measured(experiment, subject, request, metrics[name], extractor)
        except Exception as error:  # one number that cannot be had does not keep back the others
            failures[name] = _explained(request, error)
            continue
        measured[name] = receipt
        try:
            folder.add_receipt(receipt, figures)
        except CommandError as error:  # the number is shown all the same
            failures[name] = error
    return measured, failures


def _applicable(nodes: DictConfig, experiment: GameJob) -> tuple[dict[str, Metric], dict[str, str]]:
    """The metrics that apply, and why the others do not."""
    metrics: dict[str, Metric] = {}
    refusals: dict[str, str] = {}
    for name, node in ((str(key), node) for key, node in nodes.items()):
        if name == "extractor":
            continue
        try:
            metrics[name] = parts.metric(
                node, f"metric.{name}", experiment.dataset, experiment.divergence, experiment.real.extractor
            )
        except ConfigError as error:
            refusals[name] = str(error)
    return metrics, refusals


def _load(experiment: GameJob, folder: RunFolder, question: Question, requests: Sequence[Request]) -> Sequence[Request]:
    """Bring the players to the step that is asked for; the requests, where that is an earlier one since it is whole."""
    found = folder.load_checkpoint(question.step, experiment.device)
    if found is None:
        raise ConfigError(f"{folder.path} has no checkpoint: it was removed just now")
    path, saved = found
    try:
        experiment.state.load_state_dict(saved)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} does not fit the model that {folder.path}/.hydra/config.yaml describes") from error
    digest = digest_path(path).read_text().split()[0]
    return [replace(request, step=experiment.state.step, checkpoint_sha256=digest) for request in requests]


def _subject(experiment: GameJob, question: Question) -> Subject:
    state = experiment.state
    chosen = state.average if question.weights == "average" else state.generator
    extractor = experiment.real.extractor
    try:
        real = RealSamples(experiment.dataset, extractor, question.seed, experiment.device, question.split)
    except ValueError as error:
        raise ConfigError(f"--{error}: leave --split out") from error
    return Subject(chosen, chosen, state.critic, experiment.divergence, real, question.seed)


def _measured(
    experiment: GameJob, subject: Subject, request: Request, metric: Metric, extractor: Mapping[str, Any]
) -> tuple[Receipt, dict[str, bytes]]:
    """The numbers with their receipt, and figures by file name."""
    logger.info("measuring %s", request.metric)
    started = time.perf_counter()
    subject.drawn.clear()
    numbers = {name: asdict(number) for name, number in metric(subject).items()}
    picture = metric.picture(subject)
    if metric.looks_at == "samples":
        extractor = {"extractor": None, "extractor_sha256": None}
    else:
        extractor = {**extractor, "extractor_sha256": experiment.real.extractor.digest()}
    if not metric.uses_split:
        request = replace(request, split=None)
    receipt = _receipt(experiment, request, extractor, numbers=numbers, samples=dict(subject.drawn))
    receipt["seconds"] = round(time.perf_counter() - started, 2)
    return receipt, {} if picture is None else {f"{request.metric}.png": picture}


def _receipt(
    experiment: GameJob,
    request: Request,
    extractor: Mapping[str, Any],
    *,
    numbers: Mapping[str, Any] | None = None,
    samples: Mapping[str, int] | None = None,
    refused: str | None = None,
) -> Receipt:
    return {
        **asdict(request),
        **extractor,
        "numbers": numbers or {},
        "samples": samples or {},
        "refused": refused,
        "dtype": "float32",
        **record.circumstances(experiment.device),
        "made": record.now(),
    }


def _explained(request: Request, error: Exception) -> CommandError:
    """What went wrong, in one line."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        logger.error("measuring %s", request.metric, exc_info=error)
    if isinstance(error, CommandError):
        return error
    what = (str(error) or type(error).__name__).splitlines()[0]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in what:
        return ConfigError(f"metric.{request.metric}: not enough memory for so many samples: choose a smaller --n")
    if isinstance(error, ValueError):
        return ConfigError(f"metric.{request.metric}: {what}")
    return CommandError(
        f"metric.{request.metric} failed: {type(error).__name__}: {what}; HYDRA_FULL_ERROR=1 shows where"
    )
