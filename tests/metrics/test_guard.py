"""The guard against catastrophic overfitting: what it sees, and when it speaks."""

import pytest
import torch
from torch import Tensor, nn

from gan_cli.attacks.base import NoAttack
from gan_cli.classifiers.base import Classifier
from gan_cli.metrics.guard import Guard


class Right(Classifier):
    """Right of so many of ten images of class 0."""

    def __init__(self) -> None:
        super().__init__(2)
        self.head = nn.Linear(1, 2)
        self.right = 10
        self.looks = 0

    def features(self, images: Tensor) -> Tensor:
        return images

    def forward(self, images: Tensor) -> Tensor:
        self.looks += 1
        return torch.tensor([[1.0, 0.0]] * self.right + [[0.0, 1.0]] * (10 - self.right))


@pytest.fixture
def guard() -> Guard:
    return Guard(NoAttack(), torch.zeros(10, 1, 2, 2, dtype=torch.uint8), torch.zeros(10, dtype=torch.int64), seed=0)


def test_a_fall_below_the_best_is_a_fault_however_often_it_was_looked_at(guard):
    classifier, metrics = Right(), [{"step": 0.0, "accuracy": 1.0}]
    for step, classifier.right in enumerate([5, 9, 8, 8], start=1):
        seen = guard.accuracy(classifier, step).value
        assert seen == pytest.approx(classifier.right / 10)
        metrics.append({"step": float(step), "guard_accuracy": seen})
        assert guard.fault(classifier, step, metrics) is None
    classifier.right = 6
    assert "90.0% were right after step 2, and 60.0% after step 5" in guard.fault(classifier, 5, metrics)


def test_the_first_look_is_no_fall(guard):
    classifier = Right()
    classifier.right = 0
    assert guard.fault(classifier, 1, []) is None


def test_a_step_is_looked_at_once(guard):
    classifier = Right()
    guard.accuracy(classifier, 3)
    looks = classifier.looks
    guard.accuracy(classifier, 3)
    guard.fault(classifier, 3, [])
    assert classifier.looks == looks


def test_a_classifier_that_never_withstood_the_guards_attack_is_told_of_once(guard, caplog):
    classifier = Right()
    classifier.right = 3
    for trained, told in ((0.75, 0), (0.85, 1), (0.85, 1)):
        assert guard.fault(classifier, 1, [{"step": 1.0, "batch_accuracy": trained}]) is None
        assert len(caplog.messages) == told
    assert caplog.messages[0].startswith("85.0 % of the images are right in training and 30.0 % under train.guard: ")
