"""Signs of masked gradients: what is told of, and what may well be weaker."""

from pathlib import Path

import pytest

from gan_cli.commands.attack.asked import attacks
from gan_cli.commands.attack.classifier.results import OfClassifier
from gan_cli.commands.attack.masking import signs_of_masking
from gan_cli.config.options import CONFIGS


def result(name: str, error: float) -> OfClassifier:
    (asked,) = attacks([name], [CONFIGS])
    number = {"value": error, "error": 0.01, "real": None}
    return OfClassifier(Path("r"), asked, name, {"numbers": {f"error/{name}": number}, "samples": {"held_out": 100}})


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        ("fgsm:epsilon=0.2", "noise:epsilon=0.2"),
        ("pgd:epsilon=0.2", "fgsm:epsilon=0.2"),
        ("pgd:epsilon=0.2", "pgd:epsilon=0.2:steps=10"),
        ("pgd:epsilon=0.2", "transfer:epsilon=0.2:run=other"),
    ],
)
def test_an_attack_along_the_gradient_that_is_weaker_than_it_can_be_is_told_of(weak, strong):
    assert list(signs_of_masking([result(weak, 0.3), result(strong, 0.4)])) == [f"r: {weak} is weaker than {strong}"]
    assert not list(signs_of_masking([result(weak, 0.4), result(strong, 0.3)]))
    assert not list(signs_of_masking([result(weak, 0.395), result(strong, 0.4)]))


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        ("pgd:epsilon=0.2:step_size=0.001", "fgsm:epsilon=0.2"),  # steps that do not cross the ball
        ("fgsm:epsilon=0.2", "noise:epsilon=0.2:restarts=20"),
        ("fgsm:epsilon=0.2", "noise:epsilon=0.3"),
        ("fgsm:epsilon=0.2:target=3", "noise:epsilon=0.2"),
        ("fgsm:epsilon=0.2", "pgd:epsilon=0.2"),
        ("noise:epsilon=0.2", "fgsm:epsilon=0.2"),
        ("fgsm:epsilon=0.2:norm=l2", "noise:epsilon=0.2"),
        ("fgsm:epsilon=0.2:clip=false", "noise:epsilon=0.2"),
    ],
)
def test_what_may_well_be_weaker_is_not(weak, strong):
    assert not list(signs_of_masking([result(weak, 0.3), result(strong, 0.4)]))


def test_a_budget_as_large_as_the_range_must_succeed_everywhere():
    (sign,) = signs_of_masking([result("pgd:epsilon=1", 0.9)])
    assert sign == "r: pgd:epsilon=1 may change every pixel into any other, and leaves 10.0% right"
    assert not list(signs_of_masking([result("pgd:epsilon=1:norm=l2", 0.9)]))
    assert not list(signs_of_masking([result("pgd:epsilon=1.0", 1.0)]))
    assert not list(signs_of_masking([result("fgsm:epsilon=1.0", 0.9)]))
