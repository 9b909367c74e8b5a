"""What a classifier has learned, from the folder of its run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gan_cli.classifiers.base import Classifier
from gan_cli.config.build import build
from gan_cli.config.foreign import refuse_foreign
from gan_cli.config.schema import ClassifierConfig, kind_of
from gan_cli.errors import ConfigError
from gan_cli.runs import checkpoints, read


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier at the end of its training; it learns no more."""

    network: Classifier
    sample_shape: tuple[int, ...]
    classes: Sequence[str]
    """Their names, in the order of the logits."""
    sha256: str
    """That of the checkpoint."""
    step: int


def open_classifier(
    path: str | Path, device: torch.device | str = "cpu", allow: Sequence[str] = ()
) -> LoadedClassifier:
    """The classifier of a run that has ended, at its newest whole checkpoint. Raises `ConfigError`.

    `allow` are the modules, beside our own, that the config may name classes of.
    """
    folder = Path(path).expanduser()
    config, record = read.config_of_run(folder), read.record(folder)
    if kind_of(config) is not ClassifierConfig:
        raise ConfigError(f"{folder} is the run of a game: choose that of a classifier, which gan-classify makes")
    refuse_foreign(config, allow)
    if (status := record.get("status")) == "diverged":
        raise ConfigError(f"{folder} has diverged: train another, at a lower rate")
    if status not in ("done", "overfitted"):  # of an overfitted one the checkpoints are of before that
        raise ConfigError(f"{folder} is {status or 'without a record'}: the same gan-classify command finishes it")
    checkpoint, state = checkpoints.newest(folder, device=device)
    sample_shape, classes = tuple(record.get("sample_shape", ())), list(record.get("classes", ()))
    try:
        network: Classifier = build(
            config.classifier, Classifier, "classifier", sample_shape=sample_shape, class_count=len(classes)
        )
        network.load_state_dict(state["classifier"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise ConfigError(f"{checkpoint} does not fit the classifier that {folder / read.CONFIG} describes") from error
    network.requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)
    return LoadedClassifier(network, sample_shape, classes, read.digest_of(checkpoint), state["step"])
