"""What `gan-eval` does: read the answer from a receipt, else measure and leave one. torch is imported to measure."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from gan_cli import catalogue, receipts, record, wording
from gan_cli.artifacts import RunFolder, step_of
from gan_cli.config import Config
from gan_cli.digests import digest_path
from gan_cli.errors import ConfigError, did_you_mean
from gan_cli.receipts import Receipt, Request

if TYPE_CHECKING:
    from gan_cli.experiment import Experiment
    from gan_cli.metrics.subject import Subject

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """What the command line asks."""

    run: Path
    metrics: Sequence[str]
    """By name; none: all that apply."""
    n: int | None
    split: str | None
    weights: str
    step: int | None
    seed: int
    extractor: str | None
    device: str


@dataclass(frozen=True)
class Answer:
    """The receipts, a metric each, and the metrics that failed with the reason."""

    receipts: list[Receipt]
    failures: dict[str, str]


def evaluate(question: Question) -> Answer:
    """A receipt for each metric: from evaluation.json, or measured now and added to it.

    Raises `ConfigError` for what cannot be asked of this run.
    """
    if question.n is not None and question.n < 2:
        raise ConfigError(f"--n {question.n} must be at least 2")
    if question.seed < 0:
        raise ConfigError(f"--seed {question.seed} must be at least 0")
    folder = RunFolder(question.run)
    config = _config(folder, question)
    extractor = receipts.identity(config.metric.extractor)
    requests = _requests(folder, config, question)
    known = folder.read_receipts()
    found = {
        request.metric: receipt
        for request in requests
        for receipt in known
        if request.is_answered_by(receipt, extractor)
    }
    failures: dict[str, str] = {}
    if missing := [request for request in requests if request.metric not in found]:
        measured, failures = _measure(folder, config, question, missing)
        found |= measured
    in_order = [found[request.metric] for request in requests if request.metric in found]
    if question.metrics and (refused := [receipt for receipt in in_order if receipt["refused"]]):
        raise ConfigError(refused[0]["refused"])
    return Answer(in_order, failures)


def _config(folder: RunFolder, question: Question) -> DictConfig:
    """The config of the run, with the metrics, the extractor and the device that are asked for."""
    config = folder.read_config()
    if config is None:
        raise ConfigError(f"{folder.path} is not the folder of a run: it has no .hydra/config.yaml")
    if config.get("study"):
        raise ConfigError(f"{folder.path} is a study of several runs: choose one in {folder.path / 'members'}")
    own = config.get("metric") or OmegaConf.create()
    if question.extractor is not None:
        own.extractor = catalogue.option("metric/extractor", question.extractor)
    if "extractor" not in own:
        names = ", ".join(catalogue.names("metric/extractor"))
        raise ConfigError(f"{folder.path} has no metric.extractor in its config: choose one with --extractor: {names}")
    known = sorted({*catalogue.names("metric"), *map(str, own)} - {"extractor"})
    chosen = OmegaConf.create({"extractor": own.extractor})
    for name in question.metrics or known:
        if name not in known:
            raise ConfigError(f"--metric {name} is not a metric: {did_you_mean(name, known)}")
        chosen[name] = own[name] if name in own else catalogue.option("metric", name)[name]
        if question.n is not None and "samples" in chosen[name]:
            chosen[name].samples = question.n
    config.metric = chosen
    config.device = catalogue.option("device", question.device)
    return cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), config))


def _requests(folder: RunFolder, config: DictConfig, question: Question) -> list[Request]:
    """What is asked of each metric."""
    checkpoints = folder.checkpoints() if question.step is None else [folder.checkpoint_of(question.step)]
    if not checkpoints:
        raise ConfigError(f"{folder.path} has no checkpoint yet: wait for its first, or set every.checkpoint")
    try:
        digest = digest_path(checkpoints[-1]).read_text().split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        digest = ""  # loading it will tell what is wrong
    return [
        Request(
            metric=str(name),
            options=_options(node),
            split=question.split or config.dataset.get("split"),
            weights=question.weights,
            seed=question.seed,
            step=step_of(checkpoints[-1]),
            checkpoint_sha256=digest,
            dataset_sha256=record.read(folder.path).get("dataset"),
        )
        for name, node in config.metric.items()
        if name != "extractor"
    ]


def _options(node: DictConfig) -> dict[str, Any]:
    options = cast(dict[str, Any], OmegaConf.to_container(node))
    return {name: value for name, value in options.items() if not name.startswith("_")}


def _measure(
    folder: RunFolder, config: DictConfig, question: Question, requests: Sequence[Request]
) -> tuple[dict[str, Receipt], dict[str, str]]:
    """The receipts by metric, each added to evaluation.json as soon as it is known, and what failed."""
    from gan_cli.experiment import assemble

    nodes = config.metric
    config.metric = OmegaConf.create({"extractor": nodes.extractor})
    experiment = assemble(config)
    if record.read(folder.path).get("dataset") not in (None, experiment.dataset.fingerprint()):
        raise ConfigError(f"{folder.path} was trained on other data than dataset.* finds now: restore them")
    requests = _load(experiment, folder, question, requests)
    subject = _subject(experiment, question)
    measured: dict[str, Receipt] = {}
    failures: dict[str, str] = {}
    for request in requests:
        try:
            receipt = _receipt(folder, experiment, subject, nodes, request)
        except ConfigError as error:
            failures[request.metric] = str(error)
            continue
        folder.add_receipt(receipt)
        measured[request.metric] = receipt
    return measured, failures


def _load(
    experiment: "Experiment", folder: RunFolder, question: Question, requests: Sequence[Request]
) -> Sequence[Request]:
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


def _subject(experiment: "Experiment", question: Question) -> "Subject":
    from gan_cli.metrics.subject import RealSamples, Subject

    state = experiment.state
    chosen = state.average if question.weights == "average" else state.generator
    extractor = experiment.real.extractor
    try:
        real = RealSamples(experiment.dataset, extractor, question.seed, experiment.device, question.split)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    return Subject(chosen, chosen, state.critic, experiment.divergence, real, question.seed)


def _receipt(
    folder: RunFolder, experiment: "Experiment", subject: "Subject", nodes: DictConfig, request: Request
) -> Receipt:
    """Measure, and tell how. Raises `ConfigError` where weights cannot be had, or there are too few samples."""
    from gan_cli.experiment import new_metric

    subject.drawn.clear()
    started = time.perf_counter()
    extractor = experiment.real.extractor
    numbers: dict[str, Any] = {}
    by: dict[str, Any] = {"extractor": None, "extractor_sha256": None}
    refused = None
    key = f"metric.{request.metric}"
    try:
        metric = new_metric(nodes[request.metric], key, experiment.dataset, experiment.divergence, extractor)
    except ConfigError as error:
        refused = str(error)
        by = receipts.identity(nodes.extractor)
    else:
        logger.info("measuring %s", request.metric)
        if metric.looks_at != "samples":
            by = receipts.identity(nodes.extractor) | {"extractor_sha256": extractor.digest()}
        try:
            numbers = {name: asdict(number) for name, number in metric(subject).items()}
        except ValueError as error:
            raise ConfigError(f"{key}: {error}") from error
        if (picture := metric.picture(subject)) is not None:
            folder.write_figure(f"{request.metric}.png", picture)
    return {
        **asdict(request),
        "numbers": numbers,
        "refused": refused,
        "samples": dict(subject.drawn),
        **by,
        "dtype": "float32",
        **record.circumstances(experiment.device),
        "seconds": round(time.perf_counter() - started, 2),
        "made": record.now(),
    }


def table(answer: Answer) -> str:
    """The numbers, each with its 95 % interval, what real samples get in the generator's place, and its samples."""
    if not any(receipt["numbers"] for receipt in answer.receipts):
        return "no number"
    one = answer.receipts[0]
    split = f"{one['split']} split, " if one["split"] else ""
    title = f"step {one['step']}, {one['weights']} weights, {split}seed {one['seed']}; ± is 1.96 standard errors"
    rows = [("number", "value", "of real data", "samples", "real", "held out", "extractor")]
    for receipt in answer.receipts:
        counts = [str(receipt["samples"].get(kind, "")) for kind in ("generated", "real", "held_out")]
        for name, number in receipt["numbers"].items():
            error, real = number["error"], number["real"]
            value = wording.measured(number["value"], None if error is None else wording.QUANTILE * error)
            rows.append((name, value, "" if real is None else wording.short(real), *counts, receipt["extractor"] or ""))
    return f"{title}\n{wording.aligned(rows)}"
