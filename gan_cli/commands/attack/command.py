"""`gan-attack`: how often attacks succeed against classifiers, each number with its receipt."""

import typing
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from gan_cli import sources
from gan_cli.assembly.classifiers import assemble
from gan_cli.attacks.base import Attack
from gan_cli.commands.attack import figure, text
from gan_cli.commands.attack.arguments import Question
from gan_cli.commands.attack.asked import Asked, attacks, plain
from gan_cli.commands.attack.images import refuse_unwritable, write_images
from gan_cli.commands.attack.results import Result
from gan_cli.config import options, parts
from gan_cli.config.build import build
from gan_cli.config.foreign import refuse_foreign
from gan_cli.datasets.base import Images
from gan_cli.errors import ConfigError
from gan_cli.metrics.attacked import Attacked, attack_numbers, attacked
from gan_cli.runs import read, record
from gan_cli.runs.classifiers import LoadedClassifier, open_classifier
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.receipts import Asked as AskedOfReceipts
from gan_cli.runs.receipts import ExtractorIdentity, Receipt, Request
from gan_cli.training.device import Device

SHOWN = 64
"""Images of a run that may be drawn."""


@dataclass(frozen=True)
class Subject:
    """A classifier and the images that it is attacked with."""

    run: Path
    config: DictConfig
    trained: LoadedClassifier
    test: Images
    fingerprint: str | None
    """Of all test images."""


def attack(question: Question) -> str:
    """Carry out what is asked of each run, write what it shows, and return it in words. Raises `ConfigError`."""
    if question.limit is not None and question.limit < 1:
        raise ConfigError(f"--limit {question.limit} must be at least 1")
    if question.seed < 0:
        raise ConfigError(f"--seed {question.seed} must be at least 0")
    folders = [options.CONFIGS] if question.config_dir is None else [options.CONFIGS, question.config_dir]
    asked = attacks(question.attacks, folders)
    settings: Device = build(options.option("device", question.device), Device, "device")
    device = settings.activate()
    subjects = [_subject(run, question, device) for run in question.runs]
    built = [[_built(one, subject, question, device) for one in asked] for subject in subjects]
    if question.out is not None:
        refuse_unwritable(question.out, asked, subjects_count=len(subjects), is_cut=_is_cut(built[0][0]))
    results = []
    for subject, its_attacks in zip(subjects, built, strict=True):
        for one, made in zip(asked, its_attacks, strict=True):
            result, found = _result(subject, one, made, question)
            results.append(result)
            if question.out is not None:
                images = _attackable(subject, made)
                found = found or _attacked(subject, one, made, question, images)
                write_images(question.out, subject.run, subject.trained, one.name, images, found, question.seed)
    first = RunFolder(question.runs[0])
    if curves := figure.curves(results):
        first.write_findings("attacks.png", curves)
    if (shown := _shown(subjects[0], asked, built[0], question)) is not None:
        first.write_findings("adversarial.png", shown)
    return text.as_text(results)


def _is_cut(made: Attack) -> bool:
    return bool(getattr(made, "clip", True))


def _subject(run: Path, question: Question, device: torch.device) -> Subject:
    trained = open_classifier(run, device, question.allow)
    config = read.config_of_run(run)
    config.device = options.option("device", question.device)
    job = assemble(config)
    known = read.record(run)
    if (known.get("dataset"), known.get("test")) != (job.dataset.fingerprint(), job.test.fingerprint()):
        raise ConfigError(f"{run} was trained or tested on other data than dataset.* finds now: restore them")
    labels = job.test.labels
    assert labels is not None
    n = question.limit or len(job.test)
    if n > len(job.test):
        raise ConfigError(f"--limit {n} is more than the {len(job.test)} test images of {run}: choose fewer")
    first = Images(job.test.images[:n], labels[:n], classes=list(trained.classes))
    return Subject(run, config, trained, first, job.test.fingerprint())


def _built(one: Asked, subject: Subject, question: Question, device: torch.device) -> Attack:
    refuse_foreign(OmegaConf.create({"attack": one.node}), question.allow)

    def opened(path: str) -> LoadedClassifier:
        return open_classifier(path, device, question.allow)

    return parts.attack(one.node, one.key, subject.test, opened)


def _target(subject: Subject, made: Attack) -> int | None:
    return None if made.target is None else list(subject.trained.classes).index(made.target)


def _attackable(subject: Subject, made: Attack) -> Images:
    """The images without those that are of the target already."""
    labels, target = subject.test.labels, _target(subject, made)
    assert labels is not None
    if target is None:
        return subject.test
    others = labels != target
    return Images(subject.test.images[others], labels[others], classes=list(subject.trained.classes))


def _attacked(subject: Subject, one: Asked, made: Attack, question: Question, images: Images) -> Attacked:
    assert images.labels is not None

    def bar(firsts: Iterable[int]) -> Iterable[int]:
        return typing.cast(
            Iterable[int], tqdm(firsts, desc=f"{subject.run.name}: {one.name}", leave=False, delay=0.5, disable=None)
        )

    return attacked(
        made,
        subject.trained.network,
        images.images,
        images.labels,
        target=_target(subject, made),
        seed=question.seed,
        as_bytes=question.as_bytes,
        parts=bar,
    )


def _result(subject: Subject, one: Asked, made: Attack, question: Question) -> tuple[Result, Attacked | None]:
    """The numbers of an attack: those of an earlier receipt, or new ones with the images that they are of."""
    request = _request(subject, one, made, question)
    for earlier in reversed(read.receipts(subject.run)):
        if request.is_repeated_by(earlier):
            return Result(subject.run, one, earlier), None
    images = _attackable(subject, made)
    if not len(images):
        raise ConfigError(f"{one.key}: no image is of another class than its target: raise --limit, or leave it out")
    found = _attacked(subject, one, made, question, images)
    numbers = attack_numbers(found, one.name)
    receipt: Receipt = {
        **asdict(request),
        **asdict(request.extractor),
        "numbers": {name: asdict(number) for name, number in numbers.items()},
        "samples": {"held_out": len(images)},
        "refused": None,
        "dtype": "float32",
        **record.circumstances(next(subject.trained.network.parameters()).device),
        "made": record.now(),
    }
    RunFolder(subject.run).add_receipt(receipt, {})
    return Result(subject.run, one, receipt), found


def _request(subject: Subject, one: Asked, made: Attack, question: Question) -> Request:
    values = plain(one.node)
    target = str(values.pop("_target_"))
    if made.surrogate is not None:
        values["run_sha256"] = read.digest_of(read.checkpoints(Path(values["run"]).expanduser())[-1])
    return Request(
        metric=f"attack {one.name}",
        target=target,
        code_sha256=sources.code_digest(target, "gan_cli.metrics.attacked.attacked"),
        options=values | {"limit": question.limit, "as_bytes": question.as_bytes},
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


def _shown(subject: Subject, asked: Sequence[Asked], built: Sequence[Attack], question: Question) -> bytes | None:
    """A picture of the last attack that has a size: few images, attacked once more."""
    for one, made in reversed(list(zip(asked, built, strict=True))):
        if one.epsilon:
            images = _attackable(subject, made)
            assert images.labels is not None
            few = Images(images.images[:SHOWN], images.labels[:SHOWN], classes=list(images.classes))
            return figure.examples(subject.trained, few, _attacked(subject, one, made, question, few), one)
    return None
