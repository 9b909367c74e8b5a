"""How `gan-cas` trains and tests, as gan-classify does: functions that other processes can be sent."""

import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gan_cli import files
from gan_cli.assembly.classifiers import assemble
from gan_cli.commands.cas.members import Trainer
from gan_cli.commands.train import run
from gan_cli.config import parts
from gan_cli.datasets.base import Images
from gan_cli.errors import ConfigError
from gan_cli.metrics.accuracy import accuracies, confusion
from gan_cli.runs.classifiers import open_classifier
from gan_cli.runs.sources import open_run


def train(config: DictConfig, folder: Path) -> None:
    """Train the run of a config in a folder, or continue it there; raises as `carry_out` does."""
    run(config, folder, {"config.yaml": OmegaConf.to_yaml(config)})


def test(folder: Path, data: DictConfig, out: Path) -> None:
    """Write the accuracy of the classifier in a folder on the labelled images of a node. Raises `ConfigError`."""
    classifier = open_classifier(folder)
    images = parts.dataset(OmegaConf.create({"dataset": data}), open_run)
    if not isinstance(images, Images) or list(images.classes) != list(classifier.classes):
        raise ConfigError(f"{folder} tells other classes than the synthetic images have: remove it to train it anew")
    numbers = accuracies(confusion(classifier.network, images), classifier.classes)
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write(out, json.dumps({"accuracy": numbers["accuracy"].value, "images": len(images)}).encode())


def check(config: DictConfig) -> None:
    """Raise `ConfigError` for a classifier that cannot be trained."""
    assemble(config)


TRAINER = Trainer(classifier=train, gan=train, test=test, check=check)
