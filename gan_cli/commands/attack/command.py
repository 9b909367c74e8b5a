"""`gan-attack`: how often attacks succeed against classifiers, each number with its receipt."""

import logging
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from gan_cli import sources
from gan_cli.assembly.classifiers import known_test_images
from gan_cli.attacks.base import Attack
from gan_cli.commands.attack import figure, text
from gan_cli.commands.attack.arguments import Question
from gan_cli.commands.attack.asked import Asked, attacks, plain
from gan_cli.commands.attack.images import prepare, write_images
from gan_cli.commands.attack.results import Result
from gan_cli.commands.classified import add_receipt
from gan_cli.config import options, parts
from gan_cli.config.build import build
from gan_cli.config.foreign import refuse_foreign
from gan_cli.datasets.base import Images
from gan_cli.errors import ConfigError
from gan_cli.metrics.attacked import Attacked, attack_numbers, attacked
from gan_cli.runs import read
from gan_cli.runs.classifiers import LoadedClassifier, open_classifier
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.receipts import Asked as AskedOfReceipts
from gan_cli.runs.receipts import ExtractorIdentity, Request
from gan_cli.training.device import Device

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


def attack(question: Question) -> str:
    """Carry out what is asked of each run, write what it shows, and return it in words. Raises `ConfigError`."""
    if question.limit is not None and question.limit < 1:
        raise ConfigError(f"--limit {question.limit} must be at least 1")
    if question.seed < 0:
        raise ConfigError(f"--seed {question.seed} must be at least 0")
    options.check_folder(question.config_dir)
    resolved = [run.resolve() for run in question.runs]
    if repeated := [run for run in resolved if resolved.count(run) > 1]:
        raise ConfigError(f"{repeated[0]} is named twice: leave one out")
    folders = [options.CONFIGS] if question.config_dir is None else [options.CONFIGS, question.config_dir]
    asked = attacks(question.attacks, folders)
    settings: Device = build(options.option("device", question.device), Device, "device")
    device = settings.activate()
    subjects = [_subject(run, question, device) for run in question.runs]
    trials = [Trial(subject, one, _built(one, subject, question, device)) for subject in subjects for one in asked]
    for trial in trials:
        _check(trial, question)
    for subject in subjects:
        _warn_of_missing(subject)
    if question.out is not None:
        prepare(question.out, len(trials))
    results = []
    for trial in trials:
        result, found = _result(trial, question)
        results.append(result)
        if question.out is not None:
            found = found or _attacked(trial, question, trial.images)
            write_images(question.out, trial.subject.run, trial.subject.trained, result.name, trial.images, found)
    first = RunFolder(question.runs[0])
    if curves := figure.curves(results):
        first.write_findings("attacks.png", curves)
    if (shown := _shown(trials[: len(asked)], question)) is not None:
        first.write_findings("adversarial.png", shown)
    return text.as_text(results)


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


def _check(trial: Trial, question: Question) -> None:
    """Raise `ConfigError` for what cannot be carried out, before anything is."""
    if not len(trial.images):
        raise ConfigError(
            f"--attack {trial.asked.name}: the {len(trial.subject.test)} images are all of the target: choose another"
        )
    if _surrogate_sha256(trial) == trial.subject.trained.sha256:
        words = f"--attack {trial.asked.name}: the examples are those of {trial.subject.run} itself"
        if len(question.runs) == 1:
            raise ConfigError(f"{words}, as fgsm and pgd make them: name another run")
        logger.warning("%s: nothing is transferred to it", words)
    for option, is_given in (("--out", question.out is not None), ("--8-bit", question.as_bytes)):
        if is_given and not trial.attack.clip:
            raise ConfigError(f"{option}: pixels beyond black and white have no 8 bits: set clip=true, or leave it out")


def _built(one: Asked, subject: Subject, question: Question, device: torch.device) -> Attack:
    refuse_foreign(OmegaConf.create({"attack": one.node}), question.allow)

    def opened(path: str) -> LoadedClassifier:
        return open_classifier(path, device, question.allow)

    with one.naming():
        return parts.attack(one.node, one.key, subject.test, opened)


def _attacked(trial: Trial, question: Question, images: Images) -> Attacked:
    assert images.labels is not None
    subject = trial.subject

    def bar(firsts: Iterable[int]) -> Iterable[int]:
        return typing.cast(
            Iterable[int],
            tqdm(firsts, desc=f"{subject.run.name}: {trial.asked.name}", leave=False, delay=0.5, disable=None),
        )

    return attacked(
        trial.attack,
        subject.trained.network,
        images.images,
        images.labels,
        target=trial.target,
        seed=question.seed,
        as_bytes=_in_bytes(question),
        parts=bar,
    )


def _in_bytes(question: Question) -> bool:
    return question.as_bytes or question.out is not None


def _result(trial: Trial, question: Question) -> tuple[Result, Attacked | None]:
    """The numbers of an attack: those of an earlier receipt, or new ones with the images that they are of."""
    subject, name = trial.subject, _name(trial.asked, question)
    request = _request(trial, name, question)
    for earlier in reversed(read.receipts(subject.run)):
        if request.is_repeated_by(earlier) and f"error/{name}" in earlier["numbers"]:
            return Result(subject.run, trial.asked, name, earlier), None
    found = _attacked(trial, question, trial.images)
    device = next(subject.trained.network.parameters()).device
    receipt = add_receipt(subject.run, request, attack_numbers(found, name), len(trial.images), device)
    return Result(subject.run, trial.asked, name, receipt), found


def _name(asked: Asked, question: Question) -> str:
    """The name of the attack with what is not usual of its images: such numbers are not to be compared."""
    first = [] if question.limit is None else [f"first {question.limit}"]
    return ", ".join([asked.name, *first, *(["8 bit"] if _in_bytes(question) else [])])


def _request(trial: Trial, name: str, question: Question) -> Request:
    subject, values = trial.subject, plain(trial.asked.node)
    target = str(values.pop("_target_"))
    if (digest := _surrogate_sha256(trial)) is not None:
        values["run_sha256"] = digest
    return Request(
        metric=f"attack {name}",
        target=target,
        code_sha256=sources.code_digest(target, "gan_cli.metrics.attacked.attacked"),
        options=values | {"limit": question.limit, "as_bytes": _in_bytes(question)},
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


def _surrogate_sha256(trial: Trial) -> str | None:
    """The digest of the checkpoint whose examples are tried; None if these are of the classifier under attack."""
    if trial.attack.surrogate is None:
        return None
    return read.digest_of(read.checkpoints(Path(trial.asked.node.run).expanduser())[-1])


def _shown(trials: Sequence[Trial], question: Question) -> bytes | None:
    """A picture of the last attack that has a size: few images of every class, attacked once more."""
    for trial in reversed(trials):
        if trial.asked.epsilon:
            labels = trial.images.labels
            assert labels is not None
            few = torch.cat([(labels == label).nonzero().flatten()[:SHOWN] for label in labels.unique()]).sort().values
            images = Images(trial.images.images[few], labels[few], classes=list(trial.images.classes))
            return figure.pictured(trial.subject.trained, images, _attacked(trial, question, images), trial.asked)
    return None
