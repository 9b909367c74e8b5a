"""Attacks on classifiers: how often they succeed on test images, each number with its receipt."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from omegaconf import DictConfig

from gan_cli import sources
from gan_cli.assembly.classifiers import known_test_images
from gan_cli.attacks.base import Attack
from gan_cli.commands.attack import trial
from gan_cli.commands.attack.arguments import Question
from gan_cli.commands.attack.asked import Asked
from gan_cli.commands.attack.classifier import figure, text
from gan_cli.commands.attack.classifier.results import OfClassifier
from gan_cli.commands.attack.images import prepare, write_images
from gan_cli.commands.attack.trial import Shown
from gan_cli.commands.receipt import receipt_of
from gan_cli.datasets.base import Images
from gan_cli.errors import ConfigError
from gan_cli.metrics.attacked import Attacked, attack_numbers, attacked
from gan_cli.runs import read
from gan_cli.runs.classifiers import LoadedClassifier, open_classifier
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.receipts import Asked as AskedOfReceipts
from gan_cli.runs.receipts import ExtractorIdentity, RunRequest

logger = logging.getLogger(__name__)

SHOWN = 10
"""Images of a class that may be drawn."""


@dataclass(frozen=True)
class Subject:
    """A classifier and the images that it is attacked with."""

    run: Path
    config: DictConfig
    trained: LoadedClassifier
    test: Images
    fingerprint: str | None
    """Of all test images."""


@dataclass(frozen=True)
class Trial:
    """One attack on one classifier."""

    subject: Subject
    asked: Asked
    attack: Attack

    @property
    def target(self) -> int | None:
        """The label of the class that images are to be taken for."""
        return None if self.attack.target is None else list(self.subject.trained.classes).index(self.attack.target)

    @cached_property
    def images(self) -> Images:
        """The images without those that are of the target already."""
        images, labels = self.subject.test.images, self.subject.test.labels
        assert labels is not None
        if self.target is None:
            return self.subject.test
        others = labels != self.target
        return Images(images[others], labels[others], classes=list(self.subject.trained.classes))


def attack_classifiers(question: Question, asked: Sequence[Asked], device: torch.device) -> Shown:
    """Carry out each attack on each run. Raises `ConfigError` before anything is written."""
    subjects = [_subject(run, question, device) for run in question.runs]
    trials = [_trial(subject, one, question, device) for subject in subjects for one in asked]
    if question.out is not None:
        prepare(question.out, len(trials))
    for subject in subjects:
        _warn_of_missing(subject)
    results = []
    for each in trials:
        result, found = _result(each, question)
        results.append(result)
        if question.out is not None:
            _write(question.out, each, result.name, found or _attacked(each, question, each.images))
    own = list(zip(trials, results, strict=True))[: len(asked)]
    pictures = {"attacks.png": figure.curves(results), "adversarial.png": _shown(own, question)}
    return Shown(text.as_text(results), pictures)


def _subject(run: Path, question: Question, device: torch.device) -> Subject:
    trained = open_classifier(run, device, question.allow)
    config = read.config_of_run(run)
    test = known_test_images(run, config)
    assert test.labels is not None
    n = question.limit or len(test)
    if n > len(test):
        raise ConfigError(f"--limit {n} is more than the {len(test)} test images of {run}: choose fewer")
    first = Images(test.images[:n], test.labels[:n], classes=list(trained.classes))
    read.receipts(run)  # a damaged file is told of before anything is measured
    return Subject(run, config, trained, first, test.fingerprint())


def _warn_of_missing(subject: Subject) -> None:
    """Tell of classes without an image among the first ones, in data that are sorted by class."""
    assert subject.test.labels is not None
    if missing := len(subject.trained.classes) - len(subject.test.labels.unique()):
        n, classes = len(subject.test), len(subject.trained.classes)
        logger.warning("%d of %d classes have none of the first %d test images of %s", missing, classes, n, subject.run)


def _trial(subject: Subject, one: Asked, question: Question, device: torch.device) -> Trial:
    def opened(path: str) -> LoadedClassifier:
        return open_classifier(path, device, question.allow)

    with trial.naming(subject.run, question):
        found = Trial(subject, one, trial.built(one, subject.test, question, opened))
    if not len(found.images):
        raise ConfigError(f"--attack {one.name}: the {len(subject.test)} images are all of the target: choose another")
    if _surrogate_sha256(found) == subject.trained.sha256:
        words = f"--attack {one.name}: the examples are those of {subject.run} itself"
        if len(question.runs) == 1:
            raise ConfigError(f"{words}, as fgsm and pgd make them: name another run")
        logger.warning("%s: nothing is transferred to it", words)
    return found


def _attacked(each: Trial, question: Question, images: Images) -> Attacked:
    assert images.labels is not None
    return attacked(
        each.attack,
        each.subject.trained.network,
        images.images,
        images.labels,
        target=each.target,
        seed=question.seed,
        as_bytes=question.in_bytes,
        parts=trial.bar(each.subject.run, each.asked.name),
    )


def _result(each: Trial, question: Question) -> tuple[OfClassifier, Attacked | None]:
    """The numbers of an attack: those of an earlier receipt, or new ones with the images that they are of."""
    subject, name = each.subject, _name(each.asked, question)
    request = _request(each, name, question)
    if (earlier := trial.known(subject.run, request, f"error/{name}")) is not None:
        return OfClassifier(subject.run, each.asked, name, earlier), None
    found = _attacked(each, question, each.images)
    device = next(subject.trained.network.parameters()).device
    numbers = attack_numbers(found, name)
    receipt = receipt_of(request, device, numbers=numbers, samples={"held_out": len(each.images)})
    RunFolder(subject.run).add_receipt(receipt, {})
    return OfClassifier(subject.run, each.asked, name, receipt), found


def _name(asked: Asked, question: Question) -> str:
    """The name of the attack with what is not usual of its images: such numbers are not to be compared."""
    first = [] if question.limit is None else [f"first {question.limit}"]
    return ", ".join([asked.name, *first, *(["8 bit"] if question.in_bytes else [])])


def _request(each: Trial, name: str, question: Question) -> RunRequest:
    subject, values = each.subject, trial.values(each.asked, each.attack)
    target = str(values.pop("_target_"))
    if (digest := _surrogate_sha256(each)) is not None:
        values["run_sha256"] = digest
    return RunRequest(
        metric=f"attack {name}",
        target=target,
        code_sha256=sources.code_digest(target, "gan_cli.metrics.attacked.attacked"),
        options=values | {"limit": question.limit, "as_bytes": question.in_bytes},
        split=None,
        weights="raw",
        seed=question.seed,
        step=subject.trained.step,
        checkpoint_sha256=subject.trained.sha256,
        dataset_sha256=subject.fingerprint,
        subject_code_sha256=sources.code_digest(str(subject.config.classifier.get("_target_"))),
        extractor=ExtractorIdentity(),
        asked=AskedOfReceipts(None, None, None),
    )


def _surrogate_sha256(each: Trial) -> str | None:
    """The digest of the checkpoint whose examples are tried; None if these are of no other run."""
    if each.attack.surrogate is None or "run" not in each.asked.node:
        return None
    return read.digest_of(read.checkpoints(Path(each.asked.node.run).expanduser())[-1])


def _write(out: Path, each: Trial, name: str, found: Attacked) -> None:
    """The changed images, by their true class."""
    subject, labels = each.subject, each.images.labels
    assert labels is not None
    origin = {
        "run": str(subject.run.absolute()),
        "checkpoint_sha256": subject.trained.sha256,
        "step": subject.trained.step,
        "attack": name,
    }
    write_images(out, found.images, labels, subject.trained.classes, origin)


def _shown(tried: Sequence[tuple[Trial, OfClassifier]], question: Question) -> bytes | None:
    """A picture of the last attack that has a size and fools anything: few images of every class, attacked once more.

    Attacks that take minutes are not repeated for a picture.
    """
    for each, result in reversed(tried):
        if each.asked.epsilon and each.attack.is_for_training and result.error.value:
            labels = each.images.labels
            assert labels is not None
            few = torch.cat([(labels == label).nonzero().flatten()[:SHOWN] for label in labels.unique()]).sort().values
            images = Images(each.images.images[few], labels[few], classes=list(each.images.classes))
            return figure.pictured(each.subject.trained, images, _attacked(each, question, images), each.asked)
    return None
