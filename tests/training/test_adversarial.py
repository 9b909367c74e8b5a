"""Training against attacks: the loss of Goodfellow 2015, on the attack's own terms, and runs that resume."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from gan_cli.assembly.classifiers import assemble
from gan_cli.attacks.base import Attack, NoAttack
from gan_cli.attacks.examples import examples
from gan_cli.classifiers.base import Classifier
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Batch
from gan_cli.datasets.images import Mnist5k
from gan_cli.errors import ConfigError, OverfittedError
from gan_cli.runs.classifiers import open_classifier
from gan_cli.training.classifying import Lesson
from tests.commands.test_classify import train
from tests.helpers.configs import compose_classifier
from tests.helpers.runs import metrics, record

BATCH = Batch(
    torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double() * 2 - 1, torch.arange(12) % 2
)


class Linear(Classifier):
    """Softmax regression in double precision."""

    def __init__(self) -> None:
        super().__init__(2)
        torch.manual_seed(1)
        self.linear = nn.Linear(16, 2).double()
        self.head = self.linear

    def features(self, images):
        return images.flatten(1)


def attack(text: str) -> Attack:
    built: Attack = build(options.option("attack", text), Attack, "attack")
    return built


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_the_loss_is_weighted_between_images_as_they_are_and_attacked_ones(weight):
    classifier, against = Linear(), attack("fgsm:epsilon=0.2")
    changed = examples(against, classifier, BATCH.samples, BATCH.labels)
    losses = [cross_entropy(classifier(images), BATCH.labels) for images in (BATCH.samples, changed)]
    rights = [(classifier(images).argmax(1) == BATCH.labels).float().mean() for images in (BATCH.samples, changed)]
    assert rights[0] > rights[1]
    loss, right = Lesson(classifier, attack=against, clean_weight=weight).loss(BATCH)
    torch.testing.assert_close(loss, weight * losses[0] + (1 - weight) * losses[1])
    torch.testing.assert_close(right, weight * rights[0] + (1 - weight) * rights[1])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothed_labels_give_each_class_its_part_of_the_cross_entropy(smoothing):
    classifier = Linear()
    loss, right = Lesson(classifier, label_smoothing=smoothing).loss(BATCH)
    logs = classifier(BATCH.samples).log_softmax(1)
    targets = (1 - smoothing) * torch.eye(2).double()[BATCH.labels] + smoothing / 2
    torch.testing.assert_close(loss, -(targets * logs).sum(1).mean())
    torch.testing.assert_close(right, (logs.argmax(1) == BATCH.labels).float().mean())


def test_of_two_classes_a_linear_classifier_learns_the_worst_case_in_closed_form():
    """E ζ(ε‖w‖₁ − y(wᵀx + b)): for both classes, not for y = +1 alone as Goodfellow 2015 prints it."""
    classifier, epsilon = Linear(), 0.25
    loss, _ = Lesson(classifier, attack=attack(f"fgsm:epsilon={epsilon}:clip=false"), clean_weight=0).loss(BATCH)
    w, b = (of[1] - of[0] for of in (classifier.linear.weight, classifier.linear.bias))
    y = 2 * BATCH.labels - 1
    margin = y * (BATCH.samples.flatten(1) @ w + b)
    # Images are in [−1, 1], where ε is twice as much.
    torch.testing.assert_close(loss, softplus(2 * epsilon * w.abs().sum() - margin).mean(), rtol=1e-6, atol=1e-6)
    printed = softplus(y * (2 * epsilon * w.abs().sum() - (BATCH.samples.flatten(1) @ w + b))).mean()
    assert (loss - printed).abs() > 1e-3


def test_without_an_attack_images_are_seen_once():
    job = assemble(compose_classifier("dataset=mnist5k", "dataset.resolution=8", "classifier=softmax"))
    assert isinstance(job.lesson.attack, NoAttack)
    seen = []
    job.lesson.classifier.head.register_forward_hook(lambda *_: seen.append(1))
    job.lesson.loss(job.batches(0, 1).unbind()[0])
    assert len(seen) == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["attack=rubbish"], "attack: its images are of no class"),
        (["attack=fgsm", "attack.target=3"], "attack.target=3 is for gan-attack"),
        (["attack=transfer"], "attack.run has no value"),
        (["attack=transfer", "attack.run=nowhere"], "attack.run=nowhere: nowhere is not the folder of a run"),
        (["attack=pgd", "train.clean_weight=1.5"], "train.clean_weight=1.5 must be at most 1"),
        (["train.guard=pdg"], "train.guard=pdg is not an attack: did you mean pgd"),
        (["train.guard=0.1"], "train.guard=0.1 is not an attack: write train.guard=pgd"),
        (["train.guard=rubbish"], "train.guard: its images are of no class"),
        (["train.guard='pgd:target=3'"], "train.guard.target=3 is for gan-attack"),
        (["train.guard=pgd"], "train.guard is for training against an attack: choose attack=fgsm, or train.guard=null"),
        (["train.label_smoothing=1"], "train.label_smoothing=1.0 must be below 1"),
        (["attack=pgd", "train.clean_weight=1"], "train.clean_weight=1 leaves the attack no weight"),
        (["attack=fgsm", "attack.epsilon=1001"], "attack.epsilon=1001 must be at most 1000"),
    ],
)
def test_what_nothing_is_learned_of_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        assemble(compose_classifier("dataset=mnist5k", "dataset.resolution=8", "classifier=softmax", *words))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["fgsm", "pgd", "noise"])
def test_a_run_against_an_attack_resumes_bit_for_bit(name, tmp_path: Path):
    plain = ["classifier=small_cnn", "classifier.dropout=0.3", "train.schedule=constant"]
    chosen = [*plain, f"attack={name}", *(["attack.steps=3"] if name == "pgd" else [])]
    whole = train(tmp_path / "whole", *chosen, "train.steps=4")
    train(tmp_path / "parts", *chosen, "train.steps=2")
    parts = train(tmp_path / "parts", *chosen, "train.steps=4")
    assert record(parts)["fingerprint"] == record(whole)["fingerprint"]
    assert record(whole)["fingerprint"] != record(train(tmp_path / "none", *plain, "train.steps=4"))["fingerprint"]


def test_a_run_that_suddenly_falls_to_an_attack_ends_and_keeps_what_it_was_before(tmp_path: Path, monkeypatch):
    words = ["attack=fgsm", "train.guard='pgd:epsilon=0.05:steps=2'", "every.checkpoint=2", "every.evaluate=2"]
    run = train(tmp_path / "run", *words, "train.steps=2")
    monkeypatch.setattr("gan_cli.metrics.guard.FALL", -2.0)  # every look is a fall
    with pytest.raises(OverfittedError, match=r"after step 4; last good checkpoint: .*step-0+2\.pt"):
        train(tmp_path / "run", *words, "train.steps=6")
    assert record(run)["status"] == "overfitted"
    assert open_classifier(run).step == 2


def test_the_guard_attacks_images_that_are_trained_on_and_changes_no_step(tmp_path: Path):
    words = ["dataset=mnist5k", "dataset.resolution=8", "classifier=softmax", "attack=fgsm", "train.batch_size=16"]
    jobs = {
        size: assemble(compose_classifier(*words, f"train.guard='pgd:epsilon={size}:steps=3'")) for size in (0, 0.5)
    }
    trained_on = {image.numpy().tobytes() for image in Mnist5k(resolution=8).images}
    for job in jobs.values():
        assert {image.numpy().tobytes() for image in job.guard.images} <= trained_on
        list(islice(job.terms(), 60))
    unguarded = assemble(compose_classifier(*words))
    list(islice(unguarded.terms(), 60))
    assert jobs[0].state.fingerprint() == jobs[0.5].state.fingerprint() == unguarded.state.fingerprint()
    seen = {size: job.guard.accuracy(job.state.classifier, 60).value for size, job in jobs.items()}
    assert seen[0.5] < 0.05 < 0.2 < seen[0]


@pytest.mark.thorough
def test_training_against_an_attack_withstands_it(tmp_path: Path):
    def error(run: Path) -> float:
        from gan_cli.metrics.attacked import attacked

        test = Mnist5k(resolution=8, per_class=20, subset_seed=1)
        found = attacked(attack("fgsm:epsilon=0.1"), open_classifier(run).network, test.images, test.labels)
        return found.succeeded.double().mean().item()

    plain = train(tmp_path / "plain", "train.steps=300")
    hardened = train(tmp_path / "hardened", "train.steps=300", "attack=fgsm", "attack.epsilon=0.1")
    assert error(hardened) < error(plain) - 0.1
    assert metrics(hardened)[-1]["loss"] > metrics(plain)[-1]["loss"]
