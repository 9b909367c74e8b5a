"""What every attack keeps to: its ball, the range, the network as it was."""

import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gan_cli.attacks.ball import projected, steepest
from gan_cli.attacks.base import Attack, NoAttack
from gan_cli.attacks.examples import LogOdds, examples
from gan_cli.attacks.gradient import FastGradient, ProjectedGradient, gradient
from gan_cli.config import options
from gan_cli.config.build import build

SHAPE = (1, 6, 6)
CLASSES = 3
BOUNDED = ["fgsm", "pgd", "noise"]
GRADIENT = ["fgsm", "pgd"]
NORMS = ["linf", "l2"]


def attack(text: str) -> Attack:
    built: Attack = build(options.option("attack", text), Attack, "attack")
    return built


@cache
def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Images with black and white pixels among them, and labels."""
    torch.manual_seed(0)
    return torch.randn(24, *SHAPE, dtype=torch.float64).clamp(-1, 1), torch.randint(CLASSES, (24,))


def linear() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES)).double()


def deep() -> nn.Sequential:
    """With what behaves otherwise in training."""
    torch.manual_seed(2)
    layers = [nn.Flatten(), nn.Linear(36, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Dropout(0.5), nn.Linear(32, CLASSES)]
    return nn.Sequential(*layers).double()


def sizes(change: torch.Tensor, norm: str) -> torch.Tensor:
    """In units of the data range."""
    flat = change.flatten(1) / 2
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def losses(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cross_entropy(network.eval()(images), labels, reduction="none").detach()


@pytest.mark.parametrize("epsilon", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", [*BOUNDED, "pgd:step_size=5", "pgd:steps=1", "fgsm:random_start=true:step_size=1"])
def test_a_change_stays_in_its_ball_and_in_the_range(name, norm, clip, epsilon):
    images, labels = data()
    changed = examples(attack(f"{name}:norm={norm}:clip={clip}:epsilon={epsilon}"), deep(), images, labels)
    assert changed.shape == images.shape
    assert not changed.requires_grad
    assert (sizes(changed - images, norm) <= epsilon * (1 + 1e-9)).all()
    assert (sizes(changed - images, norm) > 0).all()
    # A small budget too takes black and white pixels out of the range, unless they are cut.
    assert (changed.abs().amax() <= 1) == clip


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", BOUNDED)
def test_no_budget_changes_nothing(name, norm):
    images, labels = data()
    assert torch.equal(examples(attack(f"{name}:norm={norm}:epsilon=0"), deep(), images, labels), images)


def test_no_attack_changes_nothing():
    images, labels = data()
    assert torch.equal(examples(NoAttack(), deep(), images, labels), images)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", GRADIENT)
def test_the_loss_of_a_linear_model_only_rises(name, norm, clip):
    images, labels = data()
    network = linear()
    changed = examples(attack(f"{name}:norm={norm}:clip={clip}:epsilon=0.1"), network, images, labels)
    assert (losses(network, changed, labels) > losses(network, images, labels)).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fgsm", "pgd:step_size=1"])  # large steps forget the random start
def test_against_two_classes_a_linear_model_is_attacked_to_the_worst_case(name, norm):
    """The closed form: the margin falls by ε times the dual norm of the difference of weights."""
    images, _ = data()
    torch.manual_seed(3)
    layer = nn.Linear(36, 2)
    network = nn.Sequential(nn.Flatten(), layer).double()
    labels = torch.arange(24) % 2
    difference = layer.weight[0] - layer.weight[1]
    dual = difference.abs().sum() if norm == "linf" else difference.norm()
    margin = (network(images)[:, 0] - network(images)[:, 1]) * (1 - 2 * labels)
    changed = examples(attack(f"{name}:norm={norm}:clip=false:epsilon=0.1"), network, images, labels)
    worst = nn.functional.softplus(2 * 0.1 * dual - margin)
    torch.testing.assert_close(losses(network, changed, labels), worst.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", GRADIENT)
def test_a_target_is_approached(name):
    images, labels = data()
    network = deep()
    changed = examples(attack(f"{name}:epsilon=0.2"), network, images, labels, target=2)
    target = torch.full_like(labels, 2)
    before, after = losses(network, images, target), losses(network, changed, target)
    assert after.mean() < before.mean()
    assert (after < before).float().mean() > 0.9


def test_more_restarts_are_never_weaker():
    images, labels = data()
    network = deep()
    kept = []
    for restarts in (1, 2, 5, 10):
        torch.manual_seed(4)  # the first restarts are the same
        tried = attack(f"pgd:restarts={restarts}:steps=2:epsilon=0.05")
        changed = examples(tried, network, images, labels)
        wins = tried.succeeds(network.eval()(changed).log_softmax(1), labels)
        kept.append((wins, losses(network, changed, labels)))
    for (wins, loss), (more_wins, more_loss) in pairwise(kept):
        assert (more_wins | ~wins).all()
        assert (more_loss[wins == more_wins] >= loss[wins == more_wins]).all()
    assert (kept[0][1] < kept[-1][1]).any()


@pytest.mark.parametrize("norm", NORMS)
def test_a_classifier_that_is_sure_is_attacked_as_well(norm):
    """Logits a hundred times as large choose the same classes, and have no cross-entropy left in float32."""

    class Sure(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.inner, self.factor = linear().float(), factor

        def forward(self, images):
            return self.factor * self.inner(images)

    images, labels = data()[0].float(), linear()(data()[0]).argmax(1)
    usual, sure = (
        examples(attack(f"fgsm:epsilon=0.2:norm={norm}"), Sure(factor), images, labels) for factor in (1, 100)
    )
    wrong = [Sure(1)(changed).argmax(1) != labels for changed in (usual, sure)]
    assert (wrong[0].float().mean() > 0.5) == (norm == "linf")
    # A sure classifier is pushed towards the nearest other class alone, and an unsure one away from its own.
    assert wrong[1].float().mean() >= wrong[0].float().mean() - 0.1
    assert ((sure - images).flatten(1).norm(dim=1) > 0).all()


def test_the_objective_rises_with_the_cross_entropy_and_falls_with_that_of_a_target():
    images, labels = data()
    network = deep().eval()
    losses = cross_entropy(network(images), labels, reduction="none")
    torch.testing.assert_close(nn.functional.softplus(LogOdds(network, labels)(images)), losses)
    of_target = cross_entropy(network(images), torch.full_like(labels, 1), reduction="none")
    torch.testing.assert_close(nn.functional.softplus(-LogOdds(network, labels, 1)(images)), of_target)


def test_more_steps_raise_the_loss_further():
    images, labels = data()
    network = deep()
    found = [
        losses(network, examples(attack(f"pgd:steps={steps}:epsilon=0.1"), network, images, labels), labels).mean()
        for steps in (1, 5, 40)
    ]
    assert sorted(found) == found


@pytest.mark.parametrize("name", GRADIENT)
def test_black_and_white_pixels_move_as_far_as_others(name):
    """Those that the gradient draws inwards: the gradient is taken before pixels are cut to the range."""
    labels = torch.tensor([0])
    layer = nn.Linear(2, 2, bias=False)
    network = nn.Sequential(nn.Flatten(), layer).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))
    # Cross-entropy of class 0 rises with the first pixel, which is black, and falls with the second, which is white.
    images = torch.tensor([[-1.0, 1.0]], dtype=torch.float64).reshape(1, 1, 1, 2)
    changed = examples(attack(f"{name}:epsilon=0.1"), network, images, labels)
    torch.testing.assert_close(changed.flatten(), torch.tensor([-0.8, 0.8], dtype=torch.float64))


@pytest.mark.parametrize("name", [*BOUNDED, "pgd:restarts=3", "rubbish"])
def test_the_network_is_left_as_it_was(name):
    images, labels = data()
    network = deep().train()
    network[2].eval()
    network[1].requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    examples(attack(name), network, images, labels)
    assert [module.training for module in network.children()] == [True, True, False, True, True, True]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [parameter.requires_grad for parameter in network[1].parameters()] == [False, False]


def test_a_random_start_fills_the_ball():
    images = torch.zeros(2000, 1, 1, 3, dtype=torch.float64)
    torch.manual_seed(5)
    for norm in NORMS:
        start = attack(f"pgd:steps=1:step_size=0:epsilon=0.5:norm={norm}")
        changed = start(images, LogOdds(nn.Flatten(), torch.zeros(2000, dtype=torch.long)))
        size = sizes(changed, norm) / 0.5
        # Evenly: the share within a part of the radius is its third power.
        for part in (0.5, 0.8, 1.0):
            assert (size <= part).double().mean().item() == pytest.approx(part**3, abs=0.03)


def test_noise_is_on_the_border():
    images, labels = data()
    for norm in NORMS:
        changed = examples(attack(f"noise:epsilon=0.1:clip=false:norm={norm}"), deep(), images, labels)
        torch.testing.assert_close(sizes(changed - images, norm), torch.full((24,), 0.1, dtype=torch.float64))
        signs = (changed - images).sign().mean((1, 2, 3))
        assert signs.abs().mean() == pytest.approx(math.sqrt(2 / math.pi / 36), abs=0.06)  # as even as coins


def test_rubbish_is_no_image_and_succeeds_where_any_class_is_sure():
    images, labels = data()
    rubbish = attack("rubbish:mean=0.25:deviation=2.0")
    torch.manual_seed(6)
    drawn = (rubbish(images.repeat(50, 1, 1, 1), lambda x: x.sum((1, 2, 3))) + 1) / 2
    assert drawn.mean().item() == pytest.approx(0.25, abs=0.05)
    assert drawn.std().item() == pytest.approx(2.0, abs=0.05)
    shares = torch.tensor([[0.51, 0.4, 0.09], [0.4, 0.3, 0.3]]).log()
    assert rubbish.succeeds(shares, labels[:2]).tolist() == [True, False]


def test_success_is_another_class_or_the_target():
    logs = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]).log()
    labels = torch.tensor([0, 0])
    assert NoAttack().succeeds(logs, labels).tolist() == [False, True]
    assert NoAttack().succeeds(logs, labels, target=2).tolist() == [False, True]
    assert NoAttack().succeeds(logs, labels, target=1).tolist() == [False, False]


def test_another_network_is_attacked_in_its_place():
    """The transferred example is the other's own, and not what this one's gradient would give."""
    images, labels = data()
    victim, other = linear(), deep()
    own = examples(attack("fgsm"), other, images, labels)
    transferring = attack("fgsm")
    transferring.surrogate = other
    assert torch.equal(examples(transferring, victim, images, labels), own)
    assert not torch.equal(examples(attack("fgsm"), victim, images, labels), own)


def test_restarts_of_what_is_not_random_are_refused():
    with pytest.raises(Exception, match="restarts=2 would all be the same"):
        attack("fgsm:restarts=2")


@pytest.mark.parametrize("word", ["epsilon=-0.1", "steps=0", "norm=l3", "restarts=0", "clip=maybe"])
def test_values_out_of_range_are_refused(word):
    with pytest.raises(Exception, match=word.split("=")[0]):
        attack(f"pgd:{word}")


# Wrong formulae, each of which a law above refuses


def about_the_last_step(self, images, objective):
    changed = images
    for _ in range(self.steps):
        step = self.step_size * steepest(gradient(objective, changed), self.norm)
        changed = changed + projected(step, 2 * self.epsilon, self.norm)
    return changed


@pytest.mark.parametrize("name", ["pgd"])
def test_a_projection_about_the_last_step_leaves_the_ball(name, monkeypatch):
    monkeypatch.setattr(ProjectedGradient, "__call__", about_the_last_step)
    with pytest.raises(AssertionError):
        test_a_change_stays_in_its_ball_and_in_the_range(name, "linf", False, 0.3)


def test_a_gradient_that_is_descended_is_noticed(monkeypatch):
    ascended = FastGradient.__call__
    monkeypatch.setattr(FastGradient, "__call__", lambda self, x, objective: ascended(self, x, lambda y: -objective(y)))
    with pytest.raises(AssertionError):
        test_the_loss_of_a_linear_model_only_rises("fgsm", "linf", True)
