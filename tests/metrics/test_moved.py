"""How far scores move: the closed form of linear critics, what is left as it was, what the numbers count."""

import math

import pytest
import torch
from torch import nn

from gan_cli.attacks.base import Attack
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Images, as_uint8, to_unit_range
from gan_cli.divergences.penalties import R1, R1R2, Interpolate, InterpolateOneSided, NoPenalty, Penalty
from gan_cli.metrics import moved as module
from gan_cli.metrics.moved import TOWARDS, Judged, Moved, Side, critic_numbers, moved, moved_numbers
from gan_cli.models.base import Critic
from tests.helpers.subjects import random_images, subject

SIDES = list(TOWARDS)


class Linear(Critic):
    """One score w · x, or with labels their own w for each class."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(classes, 16))
        self.conditional = classes > 1

    def forward(self, x, labels=None):
        return (x.flatten(1) * self.weight[0 if labels is None else labels]).sum(1)


class Deep(Critic):
    """With what behaves otherwise in training."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Dropout(0.5), nn.Linear(32, 1)
        )

    def forward(self, x):
        return self.layers(x).flatten(0)


def attack(text: str) -> Attack:
    built: Attack = build(options.option("attack", text), Attack, "attack")
    return built


def judged(critic: Critic, n: int = 12, labels: torch.Tensor | None = None) -> Judged:
    """Images well within the range, so that no change of 0.1 leaves it."""
    source = torch.Generator().manual_seed(2)
    images: dict[Side, torch.Tensor] = {side: torch.rand(n, 1, 4, 4, generator=source) - 0.5 for side in TOWARDS}
    return Judged(critic, images, labels)


def pushed(found: Moved, side: Side) -> torch.Tensor:
    return TOWARDS[side] * (found.after - found.before)


# The closed form


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", ["fgsm", "pgd:step_size=1"])  # large steps forget the random start
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_critic_moves_by_the_budget_times_the_dual_norm(norm, name, side):
    """ε is in units of the data range, which is 2 wide: real scores fall and generated ones rise by 2ε‖w‖."""
    critic = Linear()
    dual = critic.weight.detach().norm(p=1 if norm == "linf" else 2)
    found = moved(attack(f"{name}:epsilon=0.1:norm={norm}"), judged(critic), side)
    torch.testing.assert_close(pushed(found, side), torch.full((12,), 0.2 * dual), rtol=1e-5, atol=1e-5)
    length = 0.2 * (4.0 if norm == "linf" else 1.0)
    torch.testing.assert_close(found.lengths, torch.full((12,), length), rtol=1e-5, atol=1e-5)


def test_slope_and_gradient_of_a_linear_critic_are_the_norm_of_its_weights():
    critic = Linear()
    of, steepest = judged(critic), critic.weight.detach().norm().item()
    found = {side: moved(attack("fgsm:epsilon=0.1:norm=l2"), of, side) for side in TOWARDS}
    numbers = moved_numbers(found["real"], found["generated"], "x") | critic_numbers(of)
    for name in (*(f"slope/{side}/x" for side in SIDES), *(f"gradient/{place}" for place in (*SIDES, "between"))):
        assert numbers[name].value == pytest.approx(steepest, rel=1e-5)
        assert numbers[name].error == pytest.approx(0, abs=1e-6)
    # By one sign for all pixels no direction is as steep as the gradient's.
    by_sign = {side: moved(attack("fgsm:epsilon=0.1"), of, side) for side in TOWARDS}
    slope = moved_numbers(by_sign["real"], by_sign["generated"], "x")["slope/real/x"].value
    assert slope == pytest.approx(critic.weight.detach().abs().sum().item() / 4, rel=1e-5)
    assert slope < steepest


def test_each_image_is_attacked_under_its_own_label():
    labels = torch.arange(12) % 3
    critic = Linear(classes=3)
    for side in TOWARDS:
        found = moved(attack("fgsm:epsilon=0.1"), judged(critic, labels=labels), side)
        expected = 0.2 * critic.weight.detach().abs().sum(1)[labels]
        torch.testing.assert_close(pushed(found, side), expected, rtol=1e-5, atol=1e-5)
    steep = critic_numbers(judged(critic, labels=labels))["gradient/between"].value
    assert steep == pytest.approx(critic.weight.detach().norm(dim=1)[labels].mean().item(), rel=1e-5)


# What is left as it was


@pytest.mark.parametrize("name", ["fgsm", "pgd", "noise"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_no_budget_moves_nothing(name, norm):
    of = judged(Deep())
    found = {side: moved(attack(f"{name}:epsilon=0:norm={norm}"), of, side) for side in TOWARDS}
    assert all(torch.equal(found[side].images, of.images[side]) for side in TOWARDS)
    numbers = moved_numbers(found["real"], found["generated"], "x")
    assert numbers.keys() == {"moved/real/x", "moved/generated/x", "passed/x"}  # no change has no slope
    assert numbers["moved/real/x"].value == numbers["moved/generated/x"].value == 0
    assert numbers["passed/x"] == critic_numbers(of)["passed/none"]


@pytest.mark.parametrize("name", ["fgsm", "pgd:restarts=2", "noise:restarts=3"])
def test_the_critic_is_left_as_it_was(name):
    critic = Deep().train()
    critic.layers[2].eval()
    before = {key: value.clone() for key, value in critic.state_dict().items()}
    of = judged(critic)
    for side in TOWARDS:
        moved(attack(name), of, side)
    critic_numbers(of)
    assert [module.training for module in critic.layers] == [True, True, False, True, True, True]
    assert all(torch.equal(value, before[key]) for key, value in critic.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in critic.parameters())


@pytest.mark.parametrize("side", SIDES)
def test_the_strongest_of_several_tries_counts(side):
    of = judged(Deep())
    once, often = (moved(attack(f"noise:epsilon=0.1:restarts={n}"), of, side) for n in (1, 20))
    assert (pushed(often, side) >= pushed(once, side)).all()
    assert (pushed(often, side) > pushed(once, side)).any()


def test_random_numbers_depend_on_the_seed_and_differ_between_the_sides():
    of = judged(Linear())
    of = Judged(of.critic, {"real": of.images["real"], "generated": of.images["real"]})
    change = {
        (side, seed): moved(attack("noise:epsilon=0.1"), of, side, seed=seed).images
        for side in SIDES
        for seed in (0, 1)
    }
    assert torch.equal(change["real", 0], moved(attack("noise:epsilon=0.1"), of, "real").images)
    assert not torch.equal(change["real", 0], change["real", 1])
    assert not torch.equal(change["real", 0], change["generated", 0])


def test_images_of_8_bits_stay_within_the_budget():
    images = random_images(12, 3)
    given: dict[Side, torch.Tensor] = {side: to_unit_range(images) for side in TOWARDS}
    found = moved(attack("fgsm:epsilon=0.01"), Judged(Linear(), given), "real", as_bytes=True)
    assert torch.equal(found.images, to_unit_range(as_uint8(found.images)))
    change = as_uint8(found.images).int() - images.int()
    assert change.abs().max() == 2  # 0.01 of 255 levels is 2.55


# What is judged, and what is counted


def test_images_are_those_of_the_data_and_of_the_generator_and_share_labels():
    images = random_images(20, 4)
    labels = torch.arange(20) % 2
    data = Images(images, labels, classes=["a", "b"])
    fake = 0.3 * to_unit_range(random_images(7, 5))
    of = Judged.of(subject(data, fake), 10)
    assert len(of) == 10
    assert torch.equal(of.images["generated"], fake[torch.arange(10) % 7])
    rounded = Judged.of(subject(data, fake), 10, as_bytes=True).images["generated"]
    assert torch.equal(rounded, to_unit_range(as_uint8(of.images["generated"])))
    assert of.labels is not None
    known = {image.numpy().tobytes(): label for image, label in zip(to_unit_range(images), labels, strict=True)}
    assert [known[image.numpy().tobytes()] for image in of.images["real"]] == of.labels.tolist()
    assert len(Judged.of(subject(data, fake), 100)) == 20
    few = of.few(3)
    assert (len(few), len(few.images["generated"]), few.labels.tolist()) == (3, 3, of.labels[:3].tolist())


def test_what_passes_scores_above_half_of_the_real_images_as_they_were():
    images = torch.zeros(5, 1, 1, 1)
    real = Moved(images, torch.tensor([1.0, 2, 3, 4, 5]), torch.tensor([0.0, 0, 0, 0, 0]), torch.ones(5))
    generated = Moved(images, torch.zeros(5), torch.tensor([2.0, 3, 4, 5, 6]), torch.tensor([0.0, 1, 2, 4, 8]))
    numbers = moved_numbers(real, generated, "x")
    assert numbers["passed/x"].value == 0.6
    assert numbers["moved/real/x"].value == 3
    assert numbers["moved/generated/x"].value == 4
    assert numbers["slope/generated/x"].value == pytest.approx((3 / 1 + 4 / 2 + 5 / 4 + 6 / 8) / 4)
    assert numbers["moved/generated/x"].error == pytest.approx(math.sqrt(2 / 5))


PROMISED = {Interpolate: 1.0, InterpolateOneSided: 1.0, R1: 0.0, R1R2: 0.0}


@pytest.mark.parametrize("penalty", PROMISED)
def test_a_penalty_is_least_at_the_slope_that_it_promises_where_it_promises_it(penalty):
    """A critic k|x| has slope k everywhere: the penalty of no k is below that of the slope promised."""
    promise = penalty.promise
    assert promise.slope == PROMISED[penalty]
    x = torch.full((8, 1), 2.0, dtype=torch.float64)

    def of_slopes(real: float, fake: float) -> float:
        """The penalty of a critic whose slope is one at real samples, and another at fake ones and between."""

        def critic(at):
            return torch.where(at == 2, real, fake)[:, 0] * at[:, 0]

        return penalty(1.0)(critic, x, x + 1).item()

    place = {"real": lambda k: of_slopes(k, 0.0), "generated": lambda k: of_slopes(0.0, k)}
    place["between"] = place["generated"]
    for where in promise.at:
        least = place[where](promise.slope)
        others = [place[where](promise.slope + change) for change in (-0.5, 0.5)]
        assert others[1] > least
        assert (others[0] == least) == promise.is_bound
    if "generated" not in promise.at and "between" not in promise.at:
        assert of_slopes(0.0, 3.0) == of_slopes(0.0, 0.0)


def test_penalties_without_a_slope_promise_none():
    class Drift(Penalty):
        def __call__(self, critic, real, fake):
            return critic(real).square().mean()

    assert NoPenalty().promise is Drift().promise is None


# Wrong formulae, each of which a law above refuses


def test_a_push_the_wrong_way_is_noticed(monkeypatch):
    monkeypatch.setattr(module, "TOWARDS", {"real": 1, "generated": -1})
    with pytest.raises(AssertionError):
        test_a_linear_critic_moves_by_the_budget_times_the_dual_norm("linf", "fgsm", "real")


def test_lengths_in_units_of_the_data_range_are_noticed(monkeypatch):
    monkeypatch.setattr(module, "lengths", lambda change: change.flatten(1).norm(dim=1) / 2)
    with pytest.raises(AssertionError):
        test_slope_and_gradient_of_a_linear_critic_are_the_norm_of_its_weights()
