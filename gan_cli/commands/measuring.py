"""Take measurements one by one: each becomes a receipt, or one line that says why it could not be had."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from omegaconf import DictConfig

from gan_cli.commands.receipt import receipt_of
from gan_cli.config import parts
from gan_cli.datasets.base import Dataset
from gan_cli.errors import CommandError, ConfigError
from gan_cli.metrics.base import Metric
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.metrics.subject import Subject
from gan_cli.runs.receipts import ExtractorIdentity, Receipt, Request
from gan_cli.show import pictures

logger = logging.getLogger(__name__)

Failures = dict[str, CommandError]
"""What went wrong, by metric."""

Keep = Callable[[Receipt, Mapping[str, bytes]], None]
"""Writes a receipt, and figures by file name. Raises `CommandError`."""


@dataclass(frozen=True)
class Setup:
    """All that measurements need beside their subject."""

    device: torch.device
    dataset: Dataset
    extractor: Extractor
    metrics: Mapping[str, Metric]
    """Those that apply, by name."""
    refusals: Mapping[str, str]
    """Why the others do not."""

    def needs_extractor(self, metric: str) -> bool:
        """Whether a metric looks at features."""
        return metric in self.metrics and self.metrics[metric].looks_at != "samples"

    @cached_property
    def without_extractor(self) -> ConfigError | None:
        """Why there are no features, such as weights that cannot be downloaded: asked once, and not by each metric."""
        try:
            self.extractor.digest()
        except ConfigError as error:
            return error
        return None


def setup(
    config: DictConfig,
    device: torch.device,
    dataset: Dataset,
    extractor: Extractor,
    *,
    by_name: bool,
    has_labels: bool,
    has_players: bool,
) -> Setup:
    """The metrics of a config. Raises `ConfigError` for one that does not apply, if they were asked for `by_name`."""
    metrics: dict[str, Metric] = {}
    refusals: dict[str, str] = {}
    for name, node in ((str(key), node) for key, node in config.metric.items() if key != "extractor"):
        try:
            metrics[name] = parts.metric(
                node, f"metric.{name}", dataset, extractor, has_labels=has_labels, has_players=has_players
            )
        except ConfigError as error:
            refusals[name] = str(error)
    if by_name and refusals:
        raise ConfigError(next(iter(refusals.values())))
    parts.warn_of_other_data(extractor, dataset, metrics.values())
    return Setup(device, dataset, extractor, metrics, refusals)


def take(
    setup: Setup,
    subject: Subject,
    requests: Sequence[Request],
    known: Sequence[Receipt],
    added: Mapping[str, object],
    keep: Keep,
) -> tuple[dict[str, Receipt], Failures]:
    """The receipts by metric, each kept as soon as it is known, and what failed.

    `known` are receipts of before, which may answer a request; `added` is what a receipt says beside the rest.
    """
    measured: dict[str, Receipt] = {}
    failures: Failures = {}
    for request in requests:
        if earlier := [receipt for receipt in known if request.is_answered_by(receipt)]:
            measured[request.metric] = earlier[-1]
            continue
        if setup.needs_extractor(request.metric) and setup.without_extractor is not None:
            failures[request.metric] = setup.without_extractor
            continue
        figures: dict[str, bytes] = {}
        try:
            if request.metric in setup.refusals:
                receipt = receipt_of(request, setup.device, refused=setup.refusals[request.metric])
            else:
                receipt, figures = _measured(setup, subject, request)
        except Exception as error:  # one number that cannot be had does not keep back the others
            failures[request.metric] = _explained(request, error)
            continue
        measured[request.metric] = receipt = {**receipt, **added}
        try:
            keep(receipt, figures)
        except CommandError as error:  # the number is shown all the same
            failures[request.metric] = error
    return measured, failures


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
    receipt = receipt_of(request, setup.device, numbers=numbers, samples=subject.drawn)
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
        return ConfigError(
            f"metric.{request.metric}: not enough memory for so many samples: choose a smaller --n or --batch-size"
        )
    if isinstance(error, ValueError):
        return ConfigError(f"metric.{request.metric}: {what}")
    return CommandError(
        f"metric.{request.metric} failed: {type(error).__name__}: {what}; HYDRA_FULL_ERROR=1 shows where"
    )
