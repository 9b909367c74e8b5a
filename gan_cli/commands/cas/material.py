"""What the classifiers are trained and tested on: checked before anything is trained."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig

from gan_cli.commands.cas.data import Data, of_config, of_text, of_words
from gan_cli.config import parts
from gan_cli.config.build import build
from gan_cli.config.schema import Config, kind_of
from gan_cli.datasets.base import Dataset, Images
from gan_cli.datasets.decoding import MANIFEST
from gan_cli.errors import ConfigError
from gan_cli.runs import find, read


@dataclass(frozen=True)
class Material:
    """Real images, synthetic ones of the same classes, and real ones to test on."""

    real: Data
    test: Data
    synthetic: Data
    """A run that images are drawn from, or a folder of them."""
    classes: tuple[str, ...]
    real_count: int
    real_least: int
    """The number of real images of the class that has the fewest."""
    test_count: int
    synthetic_count: int | None
    """The number of images in the folder; None: a run, which draws as many as are asked for."""
    run_config: DictConfig | None = None
    """The config of the run, whose GAN may be trained anew."""

    def drawn(self, n: int | None, seed: int) -> Data:
        """`n` synthetic images, or new ones for every batch; those of a folder are what they are."""
        return self.synthetic if self.synthetic_count is not None else self.synthetic.having(n=n, sample_seed=seed)


def gathered(source: Path, words: Sequence[str]) -> Material:
    """The material of a run or of a folder of labelled images.

    `words` are `dataset=…`, `dataset.KEY=…`, the real images, by default those of the run, and `test.data=…`, by
    default the test split of these. Raises `ConfigError`.
    """
    if not source.is_dir():
        raise ConfigError(f"{source} is not a folder: name that of a run, such as outputs/default, or one of images")
    run = source if find.is_run(source) else None
    config = read.config_of_run(run) if run else None
    if run:
        _check_run(run)
    default = of_config(config.dataset) if config else _of_manifest(source)
    real = of_words([word for word in words if word.startswith("dataset")], default)
    if real is None:
        why = "its data are of no option" if run else "a folder of images does not say what they are to be compared to"
        raise ConfigError(f"{source}: {why}: name the real images with dataset=…")
    real_images = _images(real, "dataset")
    given = [word.removeprefix("test.data=") for word in words if word.startswith("test.data=")]
    test = _test(real, real_images, given)
    test_images = _images(test, "test.data")
    classes = tuple(real_images.classes)
    _check_classes("dataset", real_images, classes)
    _check_classes("test.data", test_images, classes)
    if tuple(test_images.classes) != classes:
        test = test.having(classes=list(classes))
    if real_images.fingerprint() == test_images.fingerprint():
        raise ConfigError("test.data= holds the images of dataset=: name others, such as test.data=mnist:split=test")
    _same_shape("test.data", test_images.sample_shape, real_images.sample_shape)
    if run:
        synthetic, count = _of_run(run, real_images)
    else:
        synthetic, count = _of_folder(source, real_images)
    return Material(
        real=real,
        test=test,
        synthetic=synthetic,
        classes=classes,
        real_count=len(real_images),
        real_least=int(_counts(real_images).min()),
        test_count=len(test_images),
        synthetic_count=count,
        run_config=config,
    )


def _check_run(run: Path) -> None:
    if kind_of(read.config_of_run(run)) is not Config:
        raise ConfigError(f"{run} is the run of a classifier: name that of a conditional game, which gan-train makes")
    record = read.record(run)
    if not record:
        raise ConfigError(f"{run}/run.json is missing or damaged: the same gan-train command writes it anew")
    if (status := record.get("status")) != "done":
        raise ConfigError(f"{run} is {status}: let it end first; the same gan-train command continues it")
    if len(record.get("sample_shape", ())) != 3:
        raise ConfigError(f"{run} draws points: choose a run of images")
    if not record.get("classes"):
        raise ConfigError(
            f"{run} is unconditional, so its images have no labels: train with model.conditional=true, or name a"
            " folder of labelled images"
        )


def _of_manifest(folder: Path) -> Data | None:
    """The data of the run that `gan-sample` drew the images of a folder from, if it says so."""
    try:
        run = Path(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["run"])
        return of_config(read.config_of_run(run).dataset)
    except (OSError, ValueError, KeyError, TypeError, ConfigError):  # none, that of somebody else, or a lost run
        return None


def _test(real: Data, images: Images, given: Sequence[str]) -> Data:
    if len(given) > 1:
        raise ConfigError(f"test.data= is given twice ({', '.join(given)}): leave one out")
    if given:
        return of_text(given[0], "test.data")
    values = dict(real.values)
    if images.other_split() is None:
        raise ConfigError(
            f"dataset={real.name} has no test split: name real images that are not trained on, such as"
            " test.data=mnist:split=test, or other data with dataset=…"
        )
    if values.get("split") == "test":
        raise ConfigError(
            "dataset.split=test is what is tested on: train on the other, or name another with test.data=…"
        )
    return Data(
        real.name, tuple((key, value) for key, value in values.items() if key not in ("per_class", "split"))
    ).having(split="test")


def _images(data: Data, key: str) -> Images:
    with parts.data_of(key):
        built: Dataset = build(data.node(), Dataset, key)
    if not isinstance(built, Images) or built.labels is None:
        raise ConfigError(f"{key}={data.name} holds no labelled images: choose some, such as {key}=mnist")
    return built


def _counts(images: Images) -> torch.Tensor:
    assert images.labels is not None
    return torch.bincount(images.labels, minlength=len(images.classes))


def _check_classes(key: str, images: Images, wanted: Sequence[str]) -> None:
    """Raise `ConfigError` unless there are several classes, those that are wanted, and images of each."""
    _same_classes(key, images.classes, wanted)
    if len(wanted) < 2:
        raise ConfigError(f"{key}= has the one class {', '.join(wanted)}, which takes no classifier: choose several")
    if empty := [name for name, count in zip(images.classes, _counts(images).tolist(), strict=True) if not count]:
        raise ConfigError(f"{key}= has no image of class {empty[0]}: leave it out with {key}.classes=[…]")


def _same_classes(key: str, classes: Sequence[str], wanted: Sequence[str]) -> None:
    for name in sorted(set(classes) ^ set(wanted)):
        where = "is not one of dataset=" if name in set(classes) else "is missing"
        raise ConfigError(f"{key}: class {name} {where}: choose the same classes, as with dataset.classes=[…]")


def _same_shape(key: str, shape: Sequence[int], wanted: Sequence[int]) -> None:
    if tuple(shape) != tuple(wanted):
        raise ConfigError(
            f"{key} has images of shape {tuple(shape)}, and dataset= of {tuple(wanted)}: choose the same resolution and"
            " channels"
        )


def _of_run(run: Path, real: Images) -> tuple[Data, None]:
    record = read.record(run)
    classes = list(record["classes"])
    _same_classes(str(run), classes, real.classes)
    for name, share in record["classes"].items():
        if not share:
            raise ConfigError(f"{run} has seen no image of class {name}: leave it out with dataset.classes=[…]")
    _same_shape(str(run), record["sample_shape"], real.sample_shape)
    data = Data("generated").having(run=str(run.resolve()))
    return _in_order(data, classes, real), None


def _of_folder(folder: Path, real: Images) -> tuple[Data, int]:
    channels, resolution, _ = real.sample_shape
    data = Data("folder").having(path=str(folder.resolve()), resolution=resolution, channels=channels)
    images = _images(data, "folder")
    _check_classes(str(folder), images, real.classes)
    return _in_order(data, images.classes, real), len(images)


def _in_order(data: Data, classes: Sequence[str], real: Images) -> Data:
    """The data with their labels in the order of the real ones."""
    return data if list(classes) == list(real.classes) else data.having(classes=list(real.classes))
