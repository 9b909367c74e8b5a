"""Attacks on critics: how far the scores of real and of generated samples move, each number with its receipt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import torch

from gan_cli import sources
from gan_cli.assembly.games import known_data
from gan_cli.attacks.base import Attack
from gan_cli.commands.attack import trial
from gan_cli.commands.attack.arguments import Question
from gan_cli.commands.attack.asked import Asked
from gan_cli.commands.attack.critic import figure, text
from gan_cli.commands.attack.critic.results import OfCritic, Unmoved
from gan_cli.commands.attack.images import prepare, write_images
from gan_cli.commands.attack.trial import Shown
from gan_cli.commands.receipt import receipt_of
from gan_cli.config import parts
from gan_cli.datasets.base import Dataset, Images
from gan_cli.divergences.base import Divergence
from gan_cli.errors import ConfigError
from gan_cli.metrics.base import Measured
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.moved import TOWARDS, Judged, Moved, Side, critic_numbers, moved, moved_numbers
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Players
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.load import TrainedRun, load_run
from gan_cli.runs.receipts import Asked as AskedOfReceipts
from gan_cli.runs.receipts import ExtractorIdentity, Receipt, RunRequest, code_of_game

SAMPLES = 1000
"""Of each side, unless there are fewer or others are asked for."""

OTHERS = "choose fgsm, pgd or noise"


@dataclass(frozen=True)
class Subject:
    """A critic and the samples that it is attacked with."""

    trained: TrainedRun
    dataset: Dataset
    divergence: Divergence
    question: Question
    n: int

    @property
    def run(self) -> Path:
        return self.trained.path

    @cached_property
    def judged(self) -> Judged:
        """The samples, those of the averaged generator drawn as `gan-eval` draws them."""
        trained, seed = self.trained, self.question.seed
        real = RealSamples(self.dataset, Raw(), seed, torch.device(trained.device))
        for network in (trained.average, trained.critic):
            network.to(memory_format=torch.channels_last)  # as in training
        players = Players(real, seed, trained.average, trained.average, trained.critic, self.divergence)
        return Judged.of(players, self.n, as_bytes=self.question.in_bytes)

    @property
    def added(self) -> str:
        """What is not usual of the samples, for the names of numbers: others are not to be compared."""
        question = self.question
        samples = "" if question.limit is None else f", {question.limit} samples"
        return samples + (", 8 bit" if question.in_bytes else "")

    def request(self, metric: str, target: str, code: Sequence[str], options: Mapping[str, object]) -> RunRequest:
        """A measurement of this critic."""
        trained = self.trained
        return RunRequest(
            metric=metric + self.added,
            target=target,
            code_sha256=sources.code_digest(*code),
            options={**options, "samples": self.n, "as_bytes": self.question.in_bytes},
            split=trained.config.dataset.get("split"),
            weights="average",
            seed=self.question.seed,
            step=trained.step,
            checkpoint_sha256=trained.checkpoint_sha256,
            dataset_sha256=self.dataset.fingerprint(),
            subject_code_sha256=code_of_game(trained.config),
            extractor=ExtractorIdentity(),
            asked=AskedOfReceipts(None, None, None),
        )

    def kept(self, request: RunRequest, numbers: Mapping[str, Measured]) -> Receipt:
        """The receipt of new numbers, which it is added to the others of the run."""
        receipt = receipt_of(
            request,
            torch.device(self.trained.device),
            numbers=numbers,
            samples={side: len(images) for side, images in self.judged.images.items()},
            origin=self.dataset.origin,
        )
        RunFolder(self.run).add_receipt(receipt, {})
        return receipt


@dataclass(frozen=True)
class Trial:
    """One attack on one critic."""

    subject: Subject
    asked: Asked
    attack: Attack

    @property
    def name(self) -> str:
        return self.asked.name + self.subject.added

    def moved(self, judged: Judged) -> dict[Side, Moved]:
        """What becomes of samples, by their side."""
        question = self.subject.question
        bar = trial.bar(self.subject.run, self.asked.name)
        return {
            side: moved(self.attack, judged, side, seed=question.seed, as_bytes=question.in_bytes, parts=bar)
            for side in TOWARDS
        }


def attack_critics(question: Question, asked: Sequence[Asked], device: torch.device) -> Shown:
    """Carry out each attack on each run. Raises `ConfigError` before anything is written."""
    subjects = [_subject(run, question, device) for run in question.runs]
    trials = [[Trial(subject, one, _attack(one, subject)) for one in asked] for subject in subjects]
    if question.out is not None:
        prepare(question.out, sum(map(len, trials)))
    results = []
    for subject, of_subject in zip(subjects, trials, strict=True):
        unmoved = _unmoved(subject)
        for each in of_subject:
            result, found = _result(each, unmoved)
            results.append(result)
            if question.out is not None:
                _write(question.out, each, found or each.moved(subject.judged))
    return Shown(text.as_text(results), {"attacks.png": figure.curves(results), "adversarial.png": _shown(trials[0])})


def _subject(run: Path, question: Question, device: torch.device) -> Subject:
    trained = load_run(run, device=device, allow=question.allow)
    if not trained.draws_images:
        raise ConfigError(f"{run} draws points, and attacks change images: choose a run of images")
    if (packing := trained.config.train.get("packing", 1)) > 1:
        raise ConfigError(
            f"{run} has train.packing={packing}, whose critic has no score of one sample: choose a run with 1"
        )
    dataset = known_data(run, trained.config)
    n = question.limit or SAMPLES
    if isinstance(dataset, Images) and n > len(dataset):
        if question.limit is not None:
            raise ConfigError(f"--limit {n} is more than the {len(dataset)} images that train {run}: choose fewer")
        n = len(dataset)
    read.receipts(run)  # a damaged file is told of before anything is measured
    return Subject(trained, dataset, parts.divergence(trained.config), question, n)


def _attack(one: Asked, subject: Subject) -> Attack:
    """An attack on a critic. Raises `ConfigError` for one that needs classes."""

    def refuse(path: str) -> NoReturn:
        raise ConfigError(f"a classifier's examples are not for the critic of a game: {OTHERS}")

    if one.node.get("target") is not None:
        raise ConfigError(
            f"{one.key}: target={one.node.target} is for classifiers, a critic has no classes: leave it out"
        )
    with trial.naming(subject.run, subject.question):
        attack = trial.built(one, subject.dataset, subject.question, refuse)
    if attack.needs_logits:
        raise ConfigError(f"{one.key} asks for the logits of a classifier, and a critic has none: {OTHERS}")
    if not attack.keeps_images:
        raise ConfigError(
            f"{one.key} has nothing left of real and generated images, which a critic tells apart: {OTHERS}"
        )
    return attack


def _unmoved(subject: Subject) -> Unmoved:
    """What the critic says of the samples as they are: by an earlier receipt, or measured now."""
    target = "gan_cli.metrics.moved.critic_numbers"
    request = subject.request("critic", target, [target], {})
    receipt = trial.known(subject.run, request, f"passed/none{subject.added}")
    if receipt is None:
        bar = trial.bar(subject.run, "scores")
        numbers = critic_numbers(subject.judged, seed=subject.question.seed, parts=bar)
        receipt = subject.kept(request, {name + subject.added: number for name, number in numbers.items()})
    return Unmoved(receipt, subject.added, subject.divergence.penalty.promise)


def _result(each: Trial, unmoved: Unmoved) -> tuple[OfCritic, dict[Side, Moved] | None]:
    """The numbers of an attack: those of an earlier receipt, or new ones with the samples that they are of."""
    subject, values = each.subject, trial.values(each.asked, each.attack)
    target = str(values.pop("_target_"))
    request = subject.request(f"attack {each.asked.name}", target, [target, "gan_cli.metrics.moved.moved"], values)
    if (earlier := trial.known(subject.run, request, f"passed/{each.name}")) is not None:
        return OfCritic(subject.run, each.asked, each.name, earlier, unmoved), None
    found = each.moved(subject.judged)
    receipt = subject.kept(request, moved_numbers(found["real"], found["generated"], each.name))
    return OfCritic(subject.run, each.asked, each.name, receipt, unmoved), found


def _write(out: Path, each: Trial, found: Mapping[Side, Moved]) -> None:
    """The changed samples, in a sub-folder for each side."""
    trained = each.subject.trained
    sides = list(found)
    labels = torch.cat([torch.full((len(found[side].images),), index) for index, side in enumerate(sides)])
    origin = {
        "run": str(trained.path.absolute()),
        "checkpoint_sha256": trained.checkpoint_sha256,
        "step": trained.step,
        "attack": each.name,
    }
    write_images(out, torch.cat([found[side].images for side in sides]), labels, sides, origin)


def _shown(trials: Sequence[Trial]) -> bytes | None:
    """A picture of the last attack that has a size: a few samples of each side, attacked once more."""
    for each in reversed(trials):
        if each.asked.epsilon:
            few = each.subject.judged.few(max(figure.EXAMPLES.values()))
            return figure.pictured(few, each.moved(few), each.asked)
    return None
