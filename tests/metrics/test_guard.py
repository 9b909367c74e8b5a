"""The guard against catastrophic overfitting: what it sees, and when it speaks."""

import pytest
import torch
from torch import Tensor, nn

from gan_cli.attacks.base import NoAttack
from gan_cli.classifiers.base import Classifier
from gan_cli.errors import OverfittedError
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


def test_a_sudden_fall_is_an_error_and_a_slow_one_is_not(guard):
    classifier = Right()
    guard.begin(classifier, 0)
    for step, classifier.right in enumerate([9, 8, 7, 6], start=1):
        guard.check(classifier, step)
        assert guard.accuracy(classifier, step).value == pytest.approx(classifier.right / 10)
    classifier.right = 3
    with pytest.raises(OverfittedError, match=r"between the steps 4 and 5.*60.0% were right, and then 30.0%"):
        guard.check(classifier, 5)


def test_a_step_is_looked_at_once(guard):
    classifier = Right()
    guard.accuracy(classifier, 3)
    looks = classifier.looks
    guard.accuracy(classifier, 3)
    guard.check(classifier, 3)
    assert classifier.looks == looks
