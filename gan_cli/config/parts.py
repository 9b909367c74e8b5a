"""Builders of a run's parts: each takes the config and returns an object of the type that its group has."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_cli.attacks.base import Attack
from gan_cli.classifiers.base import OpenClassifier, TrainedNetwork
from gan_cli.config.build import build, naming
from gan_cli.datasets.base import Dataset
from gan_cli.datasets.generated import OpenRun
from gan_cli.divergences.base import Divergence
from gan_cli.errors import ConfigError, NeedsError
from gan_cli.metrics.base import Metric
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.models.base import Critic, Generator
from gan_cli.models.packed import Packed, packed_shape

logger = logging.getLogger(__name__)


def dataset(config: DictConfig, open_run: OpenRun, key: str = "dataset") -> Dataset:
    """The data of a node of the config, those that come from runs by `open_run`."""
    with data_of(key):
        built: Dataset = build(OmegaConf.select(config, key), Dataset, key, open_run=open_run)
    return built.made()


@contextmanager
def data_of(key: str) -> Iterator[None]:
    """Have errors of data name their key where they name that of the data of most runs, `dataset`."""
    try:
        yield
    except ConfigError as error:
        if key == "dataset":
            raise
        chosen = re.sub(r"\bdataset=(\w+) dataset\.path=([^\s,]+)", rf"{key}='\1:path=\2'", str(error))
        raise ConfigError(re.sub(r"(?<![\w./=])dataset(?=\.[a-z_]+=|=\w)", key, chosen)) from error


def divergence(config: DictConfig) -> Divergence:
    """The divergence with its penalty."""
    built: Divergence = build(config.divergence, Divergence, "divergence")
    return built


def generator(config: DictConfig, sample_shape: tuple[int, ...], class_count: int = 0) -> Generator:
    """The generator, untrained, for samples of a shape that are of so many classes."""
    given = {"sample_shape": sample_shape, "class_count": class_count}
    built: Generator = build(config.model.generator, Generator, "model.generator", **given)
    return built


def critic(config: DictConfig, sample_shape: tuple[int, ...], class_count: int = 0) -> Critic:
    """The critic, untrained, for the same samples: for packs of them if `train.packing` is above 1."""
    packing = config.train.get("packing", 1)
    given = {"sample_shape": packed_shape(sample_shape, packing), "class_count": class_count}
    built: Critic = build(config.model.critic, Critic, "model.critic", **given)
    if packing == 1:
        return built
    with naming("model.critic"):
        return Packed(built, packing)


def attack(node: Any, key: str, data: Dataset, open_classifier: OpenClassifier) -> Attack:
    """The attack of a node on images such as `data`; a classifier that it takes from a run is opened by a function.

    Raises `ConfigError` if the data cannot be attacked so.
    """

    def opened(run: str) -> TrainedNetwork:
        try:
            return open_classifier(run)
        except ConfigError as error:
            raise ConfigError(f"{key}.run={run}: {error}") from error

    built: Attack = build(node, Attack, key, open_classifier=opened)
    with naming(key):
        built.check(data.classes, data.sample_shape)
    return built


def extractor(config: DictConfig, open_classifier: OpenClassifier) -> Extractor:
    """The extractor, which gives metrics their features; one that is a run's by `open_classifier`."""
    built: Extractor = build(config.metric.extractor, Extractor, "metric.extractor", open_classifier=open_classifier)
    return built


def metric(
    node: Any, key: str, data: Dataset, features: Extractor, *, has_labels: bool, has_players: bool = True
) -> Metric:
    """The metric of a node. Raises `ConfigError` if it does not apply to the data or to what is measured.

    That has labels where a conditional generator draws it, and players where it is a run.
    """
    built: Metric = build(node, Metric, key)
    with naming(key):
        if built.needs_players and not has_players:
            raise ValueError("is about the players of a run: measure one with gan-eval RUN, or leave the metric out")
        if built.needs_labels and not has_labels:
            needed = (
                "a conditional generator: train with model.conditional=true"
                if has_players
                else "generated images in one sub-folder a class, named as those of the real ones"
            )
            raise ValueError(f"needs {needed}, or leave the metric out")
        built.check(data)
        if built.looks_at == "classes" and not features.classifies:
            raise NeedsError("needs class probabilities", "metric/extractor", _classifies)
    if built.looks_at != "samples":
        with naming("metric.extractor"):
            features.check(data)
        if built.most_dimensions is not None:
            _check_dimensions(features.dimensions(tuple(data.sample_shape)), built.most_dimensions, key)
    if built.needs_labels and built.looks_at == "classes":
        with naming(key):
            _check_names(data.classes, features.class_names(data.sample_shape))
    return built


def _check_dimensions(dimensions: int, most: int, key: str) -> None:
    with naming(key):
        if dimensions > most:
            raise NeedsError(
                f"its cost is cubic in the dimensions of the features, which are {dimensions:,} here and may be"
                f" {most:,}",
                "metric/extractor",
                _classifies,
            )


def _check_names(of_data: Sequence[str], of_features: Sequence[str]) -> None:
    if unknown := [name for name in of_data if name not in set(of_features)]:
        known = ", ".join(of_features[:10]) + (", …" if len(of_features) > 10 else "")
        raise ValueError(
            f"the extractor tells {known or 'no classes by name'}, and the data have {', '.join(unknown[:5])}: choose a"
            " metric/extractor made for them, or metric=[]"
        )


def warn_of_other_data(features: Extractor, data: Dataset, metrics: Iterable[Metric]) -> None:
    """Warn if metrics look at features that were made for what the data are not known to show, by word or by class."""
    if features.made_for in (None, data.shows) or all(metric.looks_at == "samples" for metric in metrics):
        return
    if data.classes and set(data.classes) <= set(features.class_names(tuple(data.sample_shape))):
        return
    shown = "the data do not say what they show" if data.shows is None else f"the data show {data.shows}"
    logger.warning(
        "metric.extractor was made for %s, and %s: its features may miss what matters", features.made_for, shown
    )


def _classifies(kind: type) -> bool:
    return issubclass(kind, Extractor) and kind.classifies
