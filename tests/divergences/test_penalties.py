"""Penalties against the closed forms of critics whose gradient is known."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from gan_cli.config.build import build
from gan_cli.divergences.penalties import (
    R1,
    R1R2,
    Interpolate,
    InterpolateOneSided,
    NoPenalty,
    Penalty,
    Weighted,
    between,
)
from gan_cli.models.base import Critic, Scoring

CONFIGS = Path(__file__).parents[2] / "configs" / "divergence" / "penalty"
PENALTIES = {path.stem: build(OmegaConf.load(path), Penalty, path.stem) for path in sorted(CONFIGS.glob("*.yaml"))}

SLOPE = torch.tensor([3.0, 4.0], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    """A critic whose gradient is SLOPE, of norm 5, everywhere."""
    return x @ SLOPE + 7


def quadratic(x: Tensor) -> Tensor:
    """A critic whose gradient at x is x."""
    return x.square().sum(1) / 2


class Quadratic(Critic):
    def forward(self, x: Tensor) -> Tensor:
        return quadratic(x)


@pytest.fixture
def real() -> Tensor:
    return torch.randn(64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def fake() -> Tensor:
    return 2 * torch.randn(64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 1


def test_the_options_of_the_design_are_there():
    kinds = {name: type(penalty) for name, penalty in PENALTIES.items()}
    designed = {
        "none": NoPenalty,
        "interpolate": Interpolate,
        "interpolate_one_sided": InterpolateOneSided,
        "r1": R1,
        "r1_r2": R1R2,
    }
    assert designed.items() <= kinds.items()


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (NoPenalty(), 0.0),
        (Interpolate(10.0), 10 * (5 - 1) ** 2),
        (InterpolateOneSided(10.0), 10 * (5 - 1) ** 2),
        (R1(0.5), 0.5 / 2 * 25),
        (R1R2(0.5), 0.5 / 2 * (25 + 25)),
    ],
)
def test_penalty_of_a_linear_critic_is_its_closed_form(penalty, expected, real, fake):
    assert penalty(linear, real, fake).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("penalty", "expected"), [(Interpolate(2.0), 2 * 0.75**2), (InterpolateOneSided(2.0), 0.0)])
def test_only_the_two_sided_penalty_lifts_a_slope_below_one(penalty, expected, real, fake):
    assert penalty(lambda x: linear(x) / 20, real, fake).item() == pytest.approx(expected, abs=1e-12)


def test_r1_looks_at_real_samples_and_r2_at_fake_ones(real, fake):
    at_real, at_fake = real.square().sum(1).mean(), fake.square().sum(1).mean()
    torch.testing.assert_close(R1(3.0)(quadratic, real, fake), 3 / 2 * at_real)
    torch.testing.assert_close(R1R2(3.0)(quadratic, real, fake), 3 / 2 * (at_real + at_fake))


def test_interpolated_points_lie_on_the_segments_and_spread_over_them(real, fake):
    torch.manual_seed(0)
    points = between(real, fake)
    position = (points - real) / (fake - real)
    torch.testing.assert_close(position[:, 0], position[:, 1])
    assert position.min() >= 0
    assert position.max() <= 1
    assert position[:, 0].std().item() == pytest.approx(1 / math.sqrt(12), abs=0.05)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_penalty_has_the_gradient_of_finite_differences(penalty, real, fake):
    """The second derivative through the critic is exact."""

    def value(scale: Tensor) -> Tensor:
        torch.manual_seed(0)
        return penalty(lambda x: scale * x.sin().sum(1), real, fake)

    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    if isinstance(penalty, NoPenalty):
        assert not value(scale).requires_grad
        return
    (gradient,) = torch.autograd.grad(value(scale), scale)
    difference = (value(scale + 1e-5) - value(scale - 1e-5)) / 2e-5
    torch.testing.assert_close(gradient, difference.detach(), rtol=1e-6, atol=1e-8)
    assert gradient != 0


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_a_flat_critic_gives_finite_gradients(penalty, real, fake):
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    value = penalty(lambda x: x @ weight, real, fake)
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value, weight)
        assert torch.isfinite(gradient).all()


def test_norms_are_summed_in_float32_for_a_critic_in_bfloat16():
    x = torch.zeros(2, 3, 40, 40, dtype=torch.bfloat16)
    value = R1(2.0)(lambda x: x.flatten(1).sum(1), x, x)
    assert value.dtype == torch.float32
    assert value.item() == 4800


class Judge(Critic):
    def __init__(self, *normalization: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(2, 8), *normalization, nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_scores_that_share_a_pass_with_the_penalty_are_those_of_passes_of_their_own(penalty, real, fake):
    critic = Judge()
    penalised = round(getattr(penalty, "share", 1) * len(real))
    results = []
    for shared in (True, False):
        torch.manual_seed(1)
        if shared:
            parts = penalty.with_scores(Scoring(critic), real, fake)
        else:
            parts = critic(real), critic(fake), penalty(critic, real[:penalised], fake[:penalised])
        loss = parts[0].sum() - 2 * parts[1].square().sum() + parts[2]
        results.append([*parts, *torch.autograd.grad(loss, list(critic.parameters()), allow_unused=True)])
    for together, apart in zip(*results, strict=True):
        torch.testing.assert_close(together, apart)


def test_a_batch_norm_sees_real_and_fake_samples_apart(real, fake):
    critic = Judge(nn.BatchNorm1d(8))
    assert not critic.judges_alone
    assert Judge().judges_alone
    for scores, samples in zip(Scoring(critic).both(real, fake), (real, fake), strict=True):
        torch.testing.assert_close(scores, critic(samples))
    assert not torch.allclose(critic(torch.cat([real, fake]))[: len(real)], critic(real))


def test_real_and_fake_samples_may_differ_in_number(real, fake):
    few = fake[:3]
    means = [samples.square().sum(1).mean() for samples in (real, few)]
    for penalty, expected in ((R1(1.0), means[0] / 2), (R1R2(1.0), sum(means) / 2)):
        real_scores, fake_scores, value = penalty.with_scores(Scoring(Quadratic()), real, few)
        torch.testing.assert_close((real_scores, fake_scores), (quadratic(real), quadratic(few)))
        torch.testing.assert_close(value, expected)


def quarter(penalty: Penalty) -> Penalty:
    return replace(penalty, share=0.25) if isinstance(penalty, Weighted) else penalty


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_a_share_of_the_batch_is_penalised_and_all_of_it_is_scored(penalty, real, fake):
    critic = Judge()
    torch.manual_seed(1)
    real_scores, fake_scores, value = quarter(penalty).with_scores(Scoring(critic), real, fake)
    torch.manual_seed(1)
    torch.testing.assert_close(value, penalty(critic, real[:16], fake[:16]))
    torch.testing.assert_close((real_scores, fake_scores), (critic(real), critic(fake)))


@pytest.mark.parametrize("penalty", [R1(2.0), R1R2(2.0)], ids=lambda penalty: type(penalty).__name__)
def test_quarters_of_a_batch_have_its_penalty_on_average(penalty, real, fake):
    scoring = Scoring(Judge())
    rolled = [(real.roll(-at, 0), fake.roll(-at, 0)) for at in range(0, 64, 16)]
    values = torch.stack([quarter(penalty).with_scores(scoring, *both)[2] for both in rolled])
    torch.testing.assert_close(values.mean(), penalty(scoring, real, fake))
    assert values.std() > 0.01 * values.mean()


def test_the_smallest_share_is_one_sample(real, fake):
    *_, value = R1(1.0, share=1e-9).with_scores(Scoring(Judge()), real, fake)
    torch.testing.assert_close(value, R1(1.0)(Judge(), real[:1], fake[:1]))
