"""Laws that every divergence obeys, checked in float64 against autograd and against sums over discrete P and Q."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from gan_cli.build import build
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.fgan import FDivergence, Gan, KullbackLeibler, log_lambert_w_of_exp, log_softplus
from gan_cli.errors import ConfigError
from gan_cli.penalties import NoPenalty

CONFIGS = Path(__file__).parent.parent / "configs"


def from_yaml(path: Path, **changes: object) -> Divergence:
    """The divergence of a yaml file, without its penalty."""
    node = OmegaConf.load(path)
    del node["defaults"]
    built: Divergence = build(OmegaConf.merge(node, changes), Divergence, path.stem)
    return built


ALL = {path.stem: from_yaml(path) for path in sorted((CONFIGS / "divergence").glob("*.yaml"))}
F_DIVERGENCES = {name: divergence for name, divergence in ALL.items() if isinstance(divergence, FDivergence)}
# Parameters other than the defaults lead to other branches of the same formulae.
for key, values in {"alpha": (-1.0, 0.9, 1.5, 2.0, 3.0), "weight": (0.1, 0.9)}.items():
    name = {"alpha": "alpha", "weight": "js_weighted"}[key]
    for value in values:
        F_DIVERGENCES[f"{name}({value})"] = from_yaml(CONFIGS / "divergence" / f"{name}.yaml", **{key: value})

every_f_divergence = pytest.mark.parametrize("divergence", F_DIVERGENCES.values(), ids=F_DIVERGENCES)
every_divergence = pytest.mark.parametrize("divergence", ALL.values(), ids=ALL)

RATIOS = torch.logspace(-3, 3, 61, dtype=torch.float64)
SCORES = torch.linspace(-12, 12, 241, dtype=torch.float64)


def slope(divergence: FDivergence, u: Tensor) -> Tensor:
    """f'(u) by automatic differentiation."""
    u = u.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(divergence.f(u).sum(), u)
    return gradient


def score_of(divergence: FDivergence, t: Tensor) -> Tensor:
    """The raw score v with g_f(v) = t, by bisection."""
    low, high = torch.full_like(t, -200.0), torch.full_like(t, 2e6)
    for _ in range(200):
        middle = (low + high) / 2
        below = divergence.activation(middle) < t
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def a_pair(seed: int, n: int = 7) -> tuple[Tensor, Tensor]:
    """Two discrete distributions with the same support."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, n, generator=generator, dtype=torch.float64)
    p, q = logits.softmax(1)
    return p, q


def value(divergence: FDivergence, p: Tensor, q: Tensor) -> Tensor:
    """D_f(P‖Q) by its definition."""
    return (q * divergence.f(p / q)).sum()


def bound(divergence: FDivergence, v: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The estimate that infinitely many samples would give for a critic with scores v."""
    return (p * divergence.activation(v)).sum() - (q * divergence.conjugate_of_activation(v)).sum()


def check_value_at_one(divergence: FDivergence) -> None:
    stated = -2 * math.log(2) if isinstance(divergence, Gan) else 0.0
    torch.testing.assert_close(divergence.f(torch.ones(1, dtype=torch.float64)).item(), stated, rtol=0, atol=1e-12)


def check_slope_at_one(divergence: FDivergence) -> None:
    one = torch.ones(1, dtype=torch.float64)
    # Total variation has a kink there; torch gives the middle of its subgradients, which is the stated value.
    torch.testing.assert_close(slope(divergence, one).item(), divergence.f_prime_at_one, rtol=0, atol=1e-12)


def check_convexity(divergence: FDivergence) -> None:
    generator = torch.Generator().manual_seed(0)
    u, w = torch.rand(2, 1000, generator=generator, dtype=torch.float64).mul(6).sub(3).exp()
    chord = (divergence.f(u) + divergence.f(w)) / 2
    assert (chord - divergence.f((u + w) / 2) >= -1e-9 * (1 + chord.abs())).all()
    apart = (u - w).abs() > 1
    if divergence is not F_DIVERGENCES["total_variation"]:
        assert (chord - divergence.f((u + w) / 2))[apart].min() > 0


def check_fenchel_young(divergence: FDivergence) -> None:
    """f(u) + f*(t) ≥ ut everywhere in the domain, with equality at t = f'(u)."""
    t = slope(divergence, RATIOS)
    torch.testing.assert_close(divergence.f(RATIOS) + divergence.conjugate(t), RATIOS * t, rtol=1e-7, atol=1e-7)
    other = divergence.activation(SCORES)
    gap = divergence.f(RATIOS)[:, None] + divergence.conjugate(other) - RATIOS[:, None] * other
    assert gap.min() > -1e-7 * (1 + (RATIOS[:, None] * other).abs().max())


def check_stable_composition(divergence: FDivergence) -> None:
    composed = divergence.conjugate(divergence.activation(SCORES))
    torch.testing.assert_close(divergence.conjugate_of_activation(SCORES), composed, rtol=1e-6, atol=1e-6)


def check_activation(divergence: FDivergence) -> None:
    """It increases, stays inside the domain of f*, and comes close to the upper end of it."""
    low, high = divergence.conjugate_domain
    t = divergence.activation(SCORES)
    assert (t.diff() > 0).all()
    assert (t > low).all()
    assert (t < high).all()
    if math.isfinite(high):
        near = divergence.activation(torch.tensor(40.0, dtype=torch.float64)).item()
        assert near == pytest.approx(high, abs=1e-9)
    if math.isinf(high):
        assert divergence.activation(torch.tensor(1e4, dtype=torch.float64)) >= 1e4


def check_bound_is_tight(divergence: FDivergence) -> None:
    """The score whose T is f'(p/q) attains D_f(P‖Q)."""
    for seed in range(5):
        p, q = a_pair(seed)
        best = score_of(divergence, slope(divergence, p / q))
        torch.testing.assert_close(bound(divergence, best, p, q), value(divergence, p, q), rtol=1e-7, atol=1e-9)


def check_bound_is_never_exceeded(divergence: FDivergence) -> None:
    generator = torch.Generator().manual_seed(1)
    for seed in range(5):
        p, q = a_pair(seed)
        exact = value(divergence, p, q)
        for scale in (0.3, 1.0, 3.0, 10.0):
            for v in scale * torch.randn(50, len(p), generator=generator, dtype=torch.float64):
                assert bound(divergence, v, p, q) <= exact + 1e-9


LAWS = [
    check_value_at_one,
    check_slope_at_one,
    check_convexity,
    check_fenchel_young,
    check_stable_composition,
    check_activation,
    check_bound_is_tight,
    check_bound_is_never_exceeded,
]


@every_f_divergence
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__.removeprefix("check_"))
def test_f_divergence_obeys(law, divergence):
    if law is check_bound_is_tight and divergence is F_DIVERGENCES["total_variation"]:
        p, q = a_pair(0)
        largest = bound(divergence, 50 * torch.sign(p - q), p, q)
        torch.testing.assert_close(largest, value(divergence, p, q), rtol=1e-9, atol=0)
        return
    law(divergence)


@dataclass(frozen=True, kw_only=True)
class SwappedSign(KullbackLeibler):
    def conjugate(self, t: Tensor) -> Tensor:
        return torch.exp(t + 1)


@dataclass(frozen=True, kw_only=True)
class MissingHalf(Gan):
    def conjugate(self, t: Tensor) -> Tensor:
        return 2 * super().conjugate(t)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return 2 * super().conjugate_of_activation(v)


@dataclass(frozen=True, kw_only=True)
class UnlikeItsStableForm(Gan):
    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return super().conjugate_of_activation(-v)


@dataclass(frozen=True, kw_only=True)
class OutsideItsDomain(Gan):
    def activation(self, v: Tensor) -> Tensor:
        return v


@dataclass(frozen=True, kw_only=True)
class Decreasing(Gan):
    def activation(self, v: Tensor) -> Tensor:
        return super().activation(-v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return super().conjugate_of_activation(-v)


@dataclass(frozen=True, kw_only=True)
class Concave(KullbackLeibler):
    def f(self, u: Tensor) -> Tensor:
        return -super().f(u)


@pytest.mark.parametrize(
    ("mutant", "caught_by"),
    [
        (SwappedSign, check_fenchel_young),
        (MissingHalf, check_bound_is_tight),
        (UnlikeItsStableForm, check_stable_composition),
        (UnlikeItsStableForm, check_bound_is_never_exceeded),
        (OutsideItsDomain, check_activation),
        (Decreasing, check_activation),
        (Concave, check_convexity),
    ],
)
def test_a_wrong_formula_is_caught(mutant, caught_by):
    with pytest.raises((AssertionError, ValueError)):
        caught_by(mutant(generator_loss="minimax"))


@every_divergence
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("score", [-80.0, 0.0, 80.0])
def test_values_and_gradients_are_finite_far_from_zero(divergence, dtype, score):
    real = torch.tensor([score, score], dtype=dtype, requires_grad=True)
    fake = torch.tensor([score, score], dtype=dtype, requires_grad=True)
    for result in (divergence.estimate(real, fake), divergence.generator_objective(fake, real)):
        assert result.shape == ()
        assert torch.isfinite(result)
        gradients = torch.autograd.grad(result, [real, fake], allow_unused=True)
        assert all(torch.isfinite(gradient).all() for gradient in gradients if gradient is not None)


@every_divergence
def test_critic_gains_by_raising_real_and_lowering_fake_scores(divergence):
    real, fake = torch.full((2, 4), 0.3, dtype=torch.float64).requires_grad_(True).unbind()
    raise_real, lower_fake = torch.autograd.grad(divergence.estimate(real, fake), [real, fake])
    assert (raise_real > 0).all()
    assert (lower_fake < 0).all()


@every_divergence
def test_generator_gains_by_raising_fake_scores(divergence):
    fake = torch.full((4,), -0.3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(divergence.generator_objective(fake, torch.zeros_like(fake)), fake)
    assert (gradient < 0).all()


@every_f_divergence
def test_minimax_generator_descends_the_bound_itself(divergence):
    changed = type(divergence)(**{**vars(divergence), "generator_loss": "minimax"})
    fake = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    real = torch.zeros(3, dtype=torch.float64)
    (of_estimate,) = torch.autograd.grad(changed.estimate(real, fake), fake)
    (of_objective,) = torch.autograd.grad(changed.generator_objective(fake, None), fake)
    torch.testing.assert_close(of_objective, of_estimate)


@every_f_divergence
def test_minimax_and_non_saturating_agree_at_the_optimum_up_to_a_positive_factor(divergence):
    """Where P = Q both push every sample alike, so that the two forms have the same fixed point."""
    v = score_of(divergence, torch.tensor([divergence.f_prime_at_one], dtype=torch.float64)).requires_grad_(True)
    (minimax,) = torch.autograd.grad(divergence.minimax(v), v)
    (non_saturating,) = torch.autograd.grad(divergence.non_saturating(v), v)
    # d/dv f*(g(v)) = f*'(t) g'(v), and f*' is 1 at f'(1).
    torch.testing.assert_close(minimax, non_saturating, rtol=1e-5, atol=1e-7)


KNOWN_VALUES = {
    "kl": lambda p, q: (p * (p / q).log()).sum(),
    "reverse_kl": lambda p, q: (q * (q / p).log()).sum(),
    "js": lambda p, q: (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum(),
    "gan": lambda p, q: (p * (p / (p + q)).log() + q * (q / (p + q)).log()).sum(),
    "js_weighted": lambda p, q: (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum() / 2,
    "jeffreys": lambda p, q: ((p - q) * (p / q).log()).sum(),
    "pearson": lambda p, q: ((p - q) ** 2 / q).sum(),
    "neyman": lambda p, q: ((p - q) ** 2 / p).sum(),
    "squared_hellinger": lambda p, q: ((p.sqrt() - q.sqrt()) ** 2).sum(),
    "total_variation": lambda p, q: (p - q).abs().sum() / 2,
    "alpha": lambda p, q: 4 * (1 - (p * q).sqrt().sum()),
    "alpha(2.0)": lambda p, q: ((p - q) ** 2 / q).sum() / 2,
    "alpha(-1.0)": lambda p, q: ((p - q) ** 2 / p).sum() / 2,
}


@pytest.mark.parametrize("name", KNOWN_VALUES)
def test_divergence_is_the_integral_that_its_docstring_states(name):
    p, q = a_pair(3)
    torch.testing.assert_close(value(F_DIVERGENCES[name], p, q), KNOWN_VALUES[name](p, q))


def test_every_member_of_the_f_gan_table_is_here():
    assert len([name for name in F_DIVERGENCES if "(" not in name]) == 11


def test_alpha_tends_to_kl_and_reverse_kl():
    p, q = a_pair(4)
    for alpha, name in ((1 - 1e-6, "kl"), (1e-6, "reverse_kl")):
        near = from_yaml(CONFIGS / "divergence" / "alpha.yaml", alpha=alpha)
        torch.testing.assert_close(value(near, p, q), value(F_DIVERGENCES[name], p, q), rtol=1e-4, atol=1e-5)


def expectation(divergence: Divergence, v: Tensor, p: Tensor, q: Tensor, n: int = 4000) -> Tensor:
    """The estimate for samples in exact proportion to P and Q."""
    real = v.repeat_interleave((p * n).round().long())
    fake = v.repeat_interleave((q * n).round().long())
    return divergence.estimate(real, fake)


P = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
Q = torch.tensor([0.125, 0.125, 0.25, 0.5], dtype=torch.float64)

OPTIMA = {
    "lsgan": (P / (P + Q), -0.5 * (P * Q / (P + Q)).sum()),
    "hinge": (torch.sign(P - Q), -2 * torch.minimum(P, Q).sum()),
}


@pytest.mark.parametrize("name", OPTIMA)
def test_margin_critic_is_best_where_its_docstring_says(name):
    best, stated = OPTIMA[name]
    torch.testing.assert_close(expectation(ALL[name], best, P, Q), stated)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        other = best + 0.5 * torch.randn(4, generator=generator, dtype=torch.float64)
        assert expectation(ALL[name], other, P, Q) <= stated + 1e-12


def test_relativistic_estimate_lies_between_minus_log_2_and_0():
    equal, apart = torch.zeros(8, dtype=torch.float64), torch.full((8,), 100.0, dtype=torch.float64)
    assert ALL["relativistic"].estimate(equal, equal).item() == pytest.approx(-math.log(2))
    assert ALL["relativistic"].estimate(apart, equal).item() == pytest.approx(0, abs=1e-12)


def test_wasserstein_estimate_of_a_shift_is_the_shift_for_the_critic_of_slope_one():
    x = torch.randn(100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert ALL["wgan_gp"].estimate(x + 3, x).item() == pytest.approx(3)


def test_clipping_brings_every_weight_into_its_box_and_leaves_the_others():
    critic = torch.nn.Linear(50, 50)
    before = critic.weight.detach().clone()
    ALL["wgan_clip"].constrain(critic)
    torch.testing.assert_close(critic.weight.detach(), before.clamp(-0.01, 0.01), rtol=0, atol=0)
    assert (before.abs() > 0.01).any()
    assert (before.abs() < 0.01).any()


def test_lambert_w_solves_its_equation_and_has_its_derivative():
    y = torch.linspace(-60, 200, 521, dtype=torch.float64, requires_grad=True)
    s = log_lambert_w_of_exp(y)
    torch.testing.assert_close(s.exp() + s, y)
    (derivative,) = torch.autograd.grad(s.sum(), y)
    torch.testing.assert_close(derivative, 1 / (1 + s.exp()))


def test_log_softplus_is_the_logarithm_and_does_not_underflow():
    v = torch.linspace(-700, 30, 731, dtype=torch.float64)
    torch.testing.assert_close(log_softplus(v), torch.log1p(v.exp()).log())
    assert log_softplus(torch.tensor(-1e4)).item() == -1e4


def test_divergences_come_without_penalty_unless_a_config_names_one():
    assert all(isinstance(divergence.penalty, NoPenalty) for divergence in ALL.values())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("alpha", {"alpha": 1.0}),
        ("alpha", {"alpha": 0.0}),
        ("js_weighted", {"weight": 1.0}),
        ("wgan_clip", {"clip": 0.0}),
        ("gan", {"critic_steps": 0}),
        ("gan", {"generator_loss": "maximin"}),
    ],
)
def test_parameters_out_of_range_are_refused(name, change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        from_yaml(CONFIGS / "divergence" / f"{name}.yaml", **change)
