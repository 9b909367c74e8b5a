"""Comparisons without classifiers: material of a run, made-up results, and a trainer that learns nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from gan_cli.commands.cas import settings
from gan_cli.commands.cas.data import Data
from gan_cli.commands.cas.material import Material
from gan_cli.commands.cas.members import Trainer
from gan_cli.commands.cas.plan import Plan, planned
from gan_cli.commands.cas.results import Confusion, Result, accuracy_of
from gan_cli.errors import DivergedError

CLASSES = ("cat", "dog", "owl")


def material(real: int = 6000, synthetic: int | None = None, least: int = 1000) -> Material:
    """Images of three classes, the synthetic ones of a run unless a number of them is in a folder."""
    source = Data("generated", (("run", "/runs/digits"),)) if synthetic is None else Data("folder", (("path", "/a"),))
    test = Data("mnist", (("split", "test"),))
    return Material(Data("mnist"), test, source, CLASSES, real, least, 1000, synthetic)


def plan(*words: str, of: Material | None = None, overrides: Sequence[str] = ()) -> Plan:
    return planned(settings.read(words), of or material(), "/out", overrides)


def confusion(accuracy: float, images: int = 1000) -> Confusion:
    """Three classes, all as often right, and wrong for the next one."""
    right = round(accuracy * images)
    return [
        [right if column == row else (images - right) * (column == (row + 1) % 3) for column in range(3)]
        for row in range(3)
    ]


def result(condition: str, seed: int, accuracy: float, on_synthetic: float | None = None) -> Result:
    counts = confusion(accuracy)
    return Result(condition, seed, accuracy_of(counts), counts, on_synthetic)


def results(accuracies: Mapping[str, Sequence[float]]) -> list[Result]:
    """Made-up results: the accuracies of each condition, a seed after the other."""
    return [result(name, seed, value) for name, values in accuracies.items() for seed, value in enumerate(values)]


def images(folder: Path, counts: Mapping[str, int], seed: int = 0, size: int = 8) -> Path:
    """A folder of grey noise, so many images of each class."""
    source = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = source.integers(0, 256, (size, size), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


# A trainer, of functions that can be sent to other processes


def compose(overrides: Sequence[str]) -> DictConfig:
    """A config that holds its overrides, and what is read of it."""
    values = {key: value.strip('"') for key, _, value in (word.partition("=") for word in overrides)}
    return OmegaConf.create(
        {
            "seed": int(values["seed"]),
            "name": values["name"],
            "train": {"steps": int(values["train.steps"]), "batch_size": int(values["train.batch_size"])},
            "device": {"kind": "cpu"},
            "dataset": {"words": [word for word in overrides if word.startswith("dataset")]},
        }
    )


def learn(config: DictConfig, folder: Path) -> None:
    """Write what a classifier would: it is better with both kinds of images than with either."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(config))
    with (folder / "trained.log").open("a") as log:
        log.write("once\n")
    if config.name == "synthetic,seed=1":
        (folder / "run.json").write_text(json.dumps({"status": "diverged"}))
        raise DivergedError("the loss is not finite", 3)
    accuracy = {"real": 0.9, "synthetic": 0.8}.get(config.name.split(",")[0], 0.95) + 0.002 * (config.seed % 3)
    record = {
        "status": "done",
        "step": config.train.steps,
        "steps": config.train.steps,
        "confusion": confusion(accuracy),
    }
    (folder / "run.json").write_text(json.dumps(record))


def agree(folder: Path, data: DictConfig, out: Path) -> None:
    assert (folder / "run.json").exists()
    assert data._target_
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"accuracy": 0.75}))


def accept(config: DictConfig) -> None:
    assert config.train.steps


TRAINER = Trainer(classifier=learn, gan=learn, test=agree, check=accept)
