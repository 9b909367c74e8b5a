"""From a config to the training of a classifier that is ready to start, checked before the first step."""

import logging
import typing
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gan_cli.assembly.numbers import optimizer, schedule
from gan_cli.assembly.source import batches_of
from gan_cli.attacks.base import Attack, NoAttack
from gan_cli.augmentations.base import Augmentation
from gan_cli.classifiers.base import Classifier, OpenClassifier
from gan_cli.config import parts
from gan_cli.config.build import build, in_range, naming
from gan_cli.config.schema import EveryConfig, validate
from gan_cli.datasets.base import Batch, Dataset, Endless, Images, as_uint8
from gan_cli.datasets.held_out import divided
from gan_cli.editions import NEWEST
from gan_cli.errors import ConfigError
from gan_cli.jobs import ClassifierJob
from gan_cli.metrics.guard import WATCHED, Guard
from gan_cli.randomness import stream
from gan_cli.ranges import NonNegative
from gan_cli.runs import read
from gan_cli.runs.classifiers import open_classifier
from gan_cli.runs.sources import open_run
from gan_cli.trackers import Tracker
from gan_cli.training.classifying import ClassifierState, Lesson, Pace
from gan_cli.training.device import Device
from gan_cli.training.execution import Plan, plan

logger = logging.getLogger(__name__)


def assemble(config: DictConfig, before: Plan | None = None, edition: int = NEWEST) -> ClassifierJob:
    """The job of a classifier's config, after a dry forward pass. Raises `ConfigError`; writes nothing.

    `before` and `edition` are those of a run to be continued.
    """
    validate(config)
    settings: Device = build(config.device, Device, "device")
    if settings.accelerate not in ("auto", "eager"):
        raise ConfigError(
            f"device.accelerate={settings.accelerate} is for games: the steps of a classifier are eager, leave it out"
        )
    device = settings.activate()
    training, test = _data(config)
    augmentation: Augmentation = build(config.augmentation, Augmentation, "augmentation")
    if augmentation.adaptive is not None:
        raise ConfigError(
            "augmentation has a probability that the scores of a critic lead, and a classifier has none: choose"
            " augmentation=diffaugment"
        )
    opened = partial(open_classifier, device=device)
    attack = _checked(parts.attack(config.attack, "attack", training, opened), "attack")
    tracker: Tracker = build(config.tracker, Tracker, "tracker")
    source = batches_of(config, training, settings, device, edition)
    with naming("train"):
        (first,) = source(0, 1).unbind()
    torch.manual_seed(stream(config.seed, "initial weights"))
    classifier: Classifier = build(
        config.classifier,
        Classifier,
        "classifier",
        sample_shape=training.sample_shape,
        class_count=len(training.classes),
    )
    classifier.to(device).to(memory_format=torch.channels_last)
    if "classifier" not in config.optimizer:
        raise ConfigError("optimizer has no node for a classifier: add one to its yaml, as configs/optimizer/adam.yaml")
    built, changing = optimizer(config.optimizer.classifier, "optimizer.classifier", classifier)
    clean_weight = 1.0 if isinstance(attack, NoAttack) else config.train.clean_weight
    if clean_weight == 1 and not isinstance(attack, NoAttack):
        raise ConfigError("train.clean_weight=1 leaves the attack no weight: choose less, or attack=none")
    lesson = Lesson(classifier, augmentation, attack, clean_weight, config.train.label_smoothing)
    with naming("classifier"), FlopCounterMode(display=False) as counter:
        _dry_pass(lesson, first, len(training.classes))
    planned = plan(
        settings,
        device,
        operations=counter.get_total_flops(),
        steps=config.train.steps,
        before=before,
        data=source.description,
        is_game=False,
    )
    torch.set_num_threads(planned.threads)
    lesson.bf16 = planned.precision == "bf16"
    return ClassifierJob(
        seed=config.seed,
        edition=edition,
        steps=config.train.steps,
        images_per_step=config.train.batch_size,
        every=typing.cast(EveryConfig, OmegaConf.to_object(config.every)),
        device=device,
        dataset=training,
        classes=dict(zip(training.classes, training.class_shares().tolist(), strict=True)),
        state=ClassifierState(classifier, built),
        tracker=tracker,
        plan=planned,
        lesson=lesson,
        batches=source,
        pace=Pace(in_range(schedule(config.train.schedule, "train.schedule"), NonNegative, "train.schedule"), changing),
        test=test,
        guard=_guard(config, training, opened, is_attacked=not isinstance(attack, NoAttack)),
    )


def _data(config: DictConfig) -> tuple[Dataset, Images]:
    """What is trained on, and what is tested on. Raises `ConfigError`."""
    training = parts.dataset(config, open_run)
    if not training.classes:
        raise ConfigError("dataset has no labels: choose one with classes, such as a folder with a sub-folder for each")
    if len(training.sample_shape) != 3:
        raise ConfigError(
            "dataset has points, and classifiers take images: choose mnist5k or another data set of images"
        )
    if len(training.classes) < 2:
        raise ConfigError(f"dataset has one class, {training.classes[0]}: a classifier needs two")
    if isinstance(training, Images) and (missing := [name for name, share in _shares(training) if not share]):
        raise ConfigError(f"dataset has no image of class {missing[0]}: add some, or leave it out of dataset.classes")
    if config.test.data is not None:
        test = _like(training, parts.dataset(config, open_run, "test.data"), "test.data")
        _warn_of_shared(training, test)
        return training, test
    other = training.other_split()
    if isinstance(other, Images):
        return training, _like(training, other, "dataset")
    if not isinstance(training, Images):
        raise ConfigError(
            "test.data has no value: data that are drawn without end leave none to test on: set test.data=…"
        )
    with naming("dataset"):
        return divided(training, config.test.share, config.seed)


def known_test_images(run: Path, config: DictConfig) -> Images:
    """The images that a run was tested on, with its labels. Raises `ConfigError` if the data are no longer those."""
    training, test = _data(config)
    known = read.record(run)
    if (known.get("dataset"), known.get("test")) != (training.fingerprint(), test.fingerprint()):
        raise ConfigError(f"{run} was trained or tested on other data than dataset.* finds now: restore them")
    return test


def _checked(attack: Attack, key: str) -> Attack:
    """An attack of a key. Raises `ConfigError` if a classifier cannot learn to withstand it."""
    with naming(key):
        if not attack.keeps_images:
            raise ValueError("its images are of no class, so that nothing is learned of them: choose another attack")
        if not attack.is_for_training:
            raise ValueError("takes minutes a batch and is for gan-attack: choose fgsm, pgd or noise")
        if attack.target is not None:
            raise ValueError(f"target={attack.target} is for gan-attack: leave it out")
        if attack.surrogate is not None:
            raise ValueError("another classifier's examples are for gan-attack: choose fgsm, pgd or noise")
    return attack


def _guard(config: DictConfig, data: Dataset, opened: OpenClassifier, *, is_attacked: bool) -> Guard | None:
    """What watches over training, by an attack on some of its images, if anything does. Raises `ConfigError`."""
    if config.train.guard is None:
        return None
    if not isinstance(config.train.guard, DictConfig):
        raise ConfigError(f"train.guard={config.train.guard} is not an attack: write train.guard=pgd, or null")
    attack = _checked(parts.attack(config.train.guard, "train.guard", data, opened), "train.guard")
    if isinstance(attack, NoAttack):
        return None
    if not is_attacked:
        raise ConfigError("train.guard is for training against an attack: choose attack=fgsm, or train.guard=null")
    source = torch.Generator().manual_seed(stream(config.seed, "guard"))
    if isinstance(data, Images):
        assert data.labels is not None
        chosen = torch.randperm(len(data), generator=source)[:WATCHED]
        return Guard(attack, data.images[chosen], data.labels[chosen], config.seed)
    assert isinstance(data, Endless)
    batch = data.batch(WATCHED, source)
    assert batch.labels is not None
    return Guard(attack, as_uint8(batch.samples), batch.labels, config.seed)


def _like(training: Dataset, test: Dataset, key: str) -> Images:
    """Test images with the labels of the training data, by the names of the classes. Raises `ConfigError`."""
    if not isinstance(test, Images) or test.labels is None or not test.classes:
        raise ConfigError(f"{key} has no labelled images to test on: choose data that have")
    if test.sample_shape != training.sample_shape:
        raise ConfigError(
            f"{key} has images of shape {tuple(test.sample_shape)} where dataset has {tuple(training.sample_shape)}:"
            " give both the same resolution and channels"
        )
    if set(test.classes) != set(training.classes):
        odd = sorted(set(test.classes) ^ set(training.classes))
        raise ConfigError(f"{key} and dataset differ in their classes ({_few(odd)}): give both the same")
    known = {name: label for label, name in enumerate(training.classes)}
    labels = torch.tensor([known[name] for name in test.classes])[test.labels]
    return Images(test.images, labels, classes=list(training.classes))


def _warn_of_shared(training: Dataset, test: Images) -> None:
    """Tell of test images that are trained on, which say nothing of others. Raises `ConfigError` if all are."""
    if not isinstance(training, Images):
        return
    known = {_digest(image) for image in training.images}  # and not the images, which memory may not hold
    shared = sum(_digest(image) in known for image in test.images)
    if shared == len(test):
        raise ConfigError("test.data holds images of dataset alone: name others, or leave it out")
    if shared:
        logger.warning("%d of the %d test images are trained on too", shared, len(test))


def _digest(image: Tensor) -> bytes:
    return blake2b(image.contiguous().numpy().data, digest_size=16).digest()


def _shares(data: Images) -> list[tuple[str, float]]:
    return list(zip(data.classes, data.class_shares().tolist(), strict=True))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


@torch.no_grad()
def _dry_pass(lesson: Lesson, batch: Batch, classes: int) -> None:
    """Classify once, in evaluation mode so that nothing changes, and check the shape."""
    lesson.classifier.eval()
    logits = lesson.classifier(lesson.augmentation(batch.samples))
    if logits.shape != (len(batch.samples), classes):
        raise ConfigError(
            f"classifier gives logits of shape {tuple(logits.shape)} for a batch of {len(batch.samples)} and {classes}"
            " classes; it must be (batch, classes)"
        )
