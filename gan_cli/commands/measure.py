"""Measure what `gan-eval` was asked and no receipt answers."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig

from gan_cli.assembly.games import known_data
from gan_cli.commands.question import Question
from gan_cli.commands.receipt import receipt_of
from gan_cli.config import parts
from gan_cli.config.build import build
from gan_cli.datasets.base import Dataset
from gan_cli.divergences.base import Divergence
from gan_cli.errors import CommandError, ConfigError
from gan_cli.files import shortest
from gan_cli.metrics.base import Metric
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.metrics.subject import RealSamples, Subject
from gan_cli.runs import read
from gan_cli.runs.classifiers import open_classifier
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.load import TrainedRun, load_run
from gan_cli.runs.receipts import ExtractorIdentity, Receipt, Request
from gan_cli.show import pictures
from gan_cli.training.device import Device

logger = logging.getLogger(__name__)

Failures = dict[str, CommandError]
"""What went wrong, by metric."""


@dataclass(frozen=True)
class Setup:
    """All that a measurement needs."""

    device: torch.device
    run: TrainedRun
    dataset: Dataset
    divergence: Divergence
    extractor: Extractor
    metrics: Mapping[str, Metric]
    """Those that apply, by name."""
    refusals: Mapping[str, str]
    """Why the others do not."""


def measure(config: DictConfig, question: Question, requests: Sequence[Request]) -> tuple[dict[str, Receipt], Failures]:
    """The receipts by metric, each added to evaluation.json as soon as it is known, and what failed.

    Raises `ConfigError` for a question that cannot be asked of the run, and where a metric was asked for by name that
    does not apply.
    """
    folder = RunFolder(question.run)
    setup = _setup(config, question)
    subject, requests = _subject(setup, question, requests)
    known = read.receipts(folder.path)
    measured: dict[str, Receipt] = {}
    failures: Failures = {}
    for request in requests:
        # Receipts of other questions may tell as much, now that this one is known to be one.
        if earlier := [receipt for receipt in known if request.is_answered_by(receipt)]:
            measured[request.metric] = earlier[-1]
            continue
        figures: dict[str, bytes] = {}
        try:
            if request.metric in setup.refusals:
                receipt = receipt_of(
                    request, setup.device, refused=setup.refusals[request.metric], origin=setup.dataset.origin
                )
            else:
                receipt, figures = _measured(setup, subject, request)
        except Exception as error:  # one number that cannot be had does not keep back the others
            failures[request.metric] = _explained(request, error)
            continue
        measured[request.metric] = receipt
        try:
            folder.add_receipt(receipt, figures)
        except CommandError as error:  # the number is shown all the same
            failures[request.metric] = error
    return measured, failures


def _setup(config: DictConfig, question: Question) -> Setup:
    config.device.precision = "float32"  # as the receipts say
    settings: Device = build(config.device, Device, "device")
    device = settings.activate()
    dataset = _data(config, question)
    divergence, extractor = parts.divergence(config), parts.extractor(config, open_classifier)
    run = load_run(question.run, question.step, device, question.allow)
    is_conditional = run.sampler(question.weights).conditional
    metrics: dict[str, Metric] = {}
    refusals: dict[str, str] = {}
    for name, node in ((str(key), node) for key, node in config.metric.items() if key != "extractor"):
        try:
            metrics[name] = parts.metric(
                node, f"metric.{name}", dataset, divergence, extractor, is_conditional=is_conditional
            )
        except ConfigError as error:
            refusals[name] = str(error)
    if question.metrics and refusals:
        raise ConfigError(next(iter(refusals.values())))
    parts.warn_of_other_data(extractor, dataset, metrics.values())
    return Setup(device, run, dataset, divergence, extractor, metrics, refusals)


def _data(config: DictConfig, question: Question) -> Dataset:
    """The data that the run learned of. Raises `ConfigError`, which names --data where they may have moved."""
    path = config.dataset.get("path")
    if path is None or question.data is not None:
        return known_data(question.run, config)
    remedy = "restore them, or name where they are now with --data PATH"
    if not Path(path).expanduser().exists():
        raise ConfigError(f"the data of {question.run}, dataset.path={shortest(path)}, do not exist: {remedy}")
    return known_data(question.run, config, remedy)


def _subject(setup: Setup, question: Question, requests: Sequence[Request]) -> tuple[Subject, Sequence[Request]]:
    """The players at the step that is asked for, and the requests, which may be of an older checkpoint or no split.

    The newest checkpoint is skipped if it is damaged; the config does not tell whether the data have splits.
    """
    run = setup.run
    try:
        real = RealSamples(setup.dataset, setup.extractor, question.seed, setup.device, question.split)
    except ValueError as error:
        raise ConfigError(f"--{error}: leave --split out") from error
    generator, critic = run.sampler(question.weights), run.critic
    for network in (generator, critic):
        network.to(memory_format=torch.channels_last)  # as in training
    subject = Subject(generator, generator, critic, setup.divergence, real, question.seed)
    of_run = partial(replace, step=run.step, checkpoint_sha256=run.checkpoint_sha256)
    return subject, [of_run(request, split=question.split or setup.dataset.split) for request in requests]


def _measured(setup: Setup, subject: Subject, request: Request) -> tuple[Receipt, dict[str, bytes]]:
    """The numbers with their receipt, and figures by file name."""
    logger.info("measuring %s", request.metric)
    metric = setup.metrics[request.metric]
    started = time.perf_counter()
    subject.drawn.clear()
    numbers = metric(subject)
    picture = metric.picture(subject)
    if metric.looks_at == "samples":
        request = replace(request, extractor=ExtractorIdentity())
    else:
        request = replace(request, extractor=replace(request.extractor, extractor_sha256=setup.extractor.digest()))
    if not metric.uses_split:
        request = replace(request, split=None)
    receipt = receipt_of(request, setup.device, numbers=numbers, samples=subject.drawn, origin=setup.dataset.origin)
    receipt["seconds"] = round(time.perf_counter() - started, 2)
    return receipt, {} if picture is None else {f"{request.metric}.png": pictures.gallery(picture)}


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
