"""Every divergence obeys every law, and every law catches wrong formulas; and what the laws do not speak of."""

import itertools
import math
from pathlib import Path
from typing import Any

import mpmath
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gan_cli.commands.divergence import check
from gan_cli.commands.divergence.calculus import slope
from gan_cli.commands.divergence.laws import LAWS, score_of
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence, mass_times
from gan_cli.divergences.fgan import (
    Alpha,
    Gan,
    Jeffreys,
    JensenShannon,
    KullbackLeibler,
    Neyman,
    Pearson,
    ReverseKullbackLeibler,
    SquaredHellinger,
    WeightedJensenShannon,
    log_lambert_w_of_exp,
    log_softplus,
    power,
)
from gan_cli.divergences.margin import Hinge, LeastSquares
from gan_cli.divergences.mmd import MaximumMeanDiscrepancy
from gan_cli.divergences.penalties import NoPenalty
from gan_cli.divergences.relativistic import Relativistic
from gan_cli.divergences.strictly_convex import log_ratio
from gan_cli.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


def from_yaml(path: Path, **changes: object) -> Any:
    """The divergence of a yaml file, without its penalty."""
    node = options.option("divergence", path.stem, (path.parents[1],))
    node.pop("penalty", None)
    return build(OmegaConf.merge(node, changes), Divergence, path.stem)


ALL: dict[str, Divergence] = {path.stem: from_yaml(path) for path in sorted((CONFIGS / "divergence").glob("*.yaml"))}
F_DIVERGENCES = {name: divergence for name, divergence in ALL.items() if isinstance(divergence, FDivergence)}
# Parameters other than the defaults lead to other branches of the same formulae.
for key, values in {"alpha": (-1.0, 0.9, 1.5, 2.0, 3.0), "weight": (0.1, 0.9)}.items():
    name = {"alpha": "alpha", "weight": "js_weighted"}[key]
    for number in values:
        F_DIVERGENCES[f"{name}({number})"] = from_yaml(CONFIGS / "divergence" / f"{name}.yaml", **{key: number})
F_DIVERGENCES = {
    name: linked for name, linked in check.with_links(F_DIVERGENCES).items() if isinstance(linked, FDivergence)
}
EVERY = {**ALL, **F_DIVERGENCES}

every_f_divergence = pytest.mark.parametrize("divergence", F_DIVERGENCES.values(), ids=F_DIVERGENCES)
every_divergence = pytest.mark.parametrize("divergence", ALL.values(), ids=ALL)


def a_pair(seed: int, n: int = 7) -> tuple[Tensor, Tensor]:
    """Two discrete distributions with the same support."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, n, generator=generator, dtype=torch.float64)
    p, q = logits.softmax(1)
    return p, q


def value(divergence: FDivergence, p: Tensor, q: Tensor) -> Tensor:
    """D_f(P‖Q) by its definition."""
    return (q * divergence.f(p / q)).sum()


@pytest.mark.parametrize("name", EVERY)
def test_every_law_holds(name):
    check.raise_if_broken([check.measure(name, EVERY[name])])


def test_a_divergence_that_does_not_say_what_its_form_descends_is_not_judged_by_it():
    class Silent(KullbackLeibler):
        def descended(self):
            return FDivergence.descended(self)

    errors = check.measure("silent", Silent(generator_loss="minimax")).errors
    assert [law for law, error in errors.items() if error is None] == ["descended"]


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_descending_what_is_stated_has_the_gradient_of_the_non_saturating_form(name):
    """By a model of one parameter: d/dθ of E_Q[−T] with T held still is that of the sum of divergences."""
    divergence = F_DIVERGENCES[name]
    p, q = a_pair(5)
    logits = q.log().requires_grad_(True)
    model = logits.softmax(0)
    score = score_of(divergence, slope(divergence.f, p / q))
    non_saturating = (model * -divergence.activation(score)).sum()
    stated = torch.stack([weight * value(term, p, model) for weight, term in divergence.descended()]).sum()
    (ascended,), (descended,) = (torch.autograd.grad(of, logits, retain_graph=True) for of in (non_saturating, stated))
    torch.testing.assert_close(ascended, descended, rtol=1e-6, atol=1e-8)


def test_laws_of_f_divergences_have_something_to_say_of_kl_and_nothing_of_hinge():
    kl, hinge = (check.measure(name, ALL[name]).errors for name in ("kl", "hinge"))
    assert [name for name, error in kl.items() if error is None] == []
    assert {name for name, error in hinge.items() if error is None} == {
        law.name for law in LAWS if issubclass(law.kind, FDivergence)
    }


class ConjugateOfSwappedSign(KullbackLeibler):
    def conjugate(self, t: Tensor) -> Tensor:
        return torch.exp(t + 1)


class MissingHalf(Gan):
    def conjugate(self, t: Tensor) -> Tensor:
        return 2 * super().conjugate(t)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return 2 * super().conjugate_of_activation(v)


class PlusInTheMixture(WeightedJensenShannon):
    """A reprint of f-GAN's table has it so."""

    def f(self, u: Tensor) -> Tensor:
        mixed = 1 - self.weight + self.weight * u
        return self.weight * torch.xlogy(u, u) + torch.xlogy(mixed, mixed)


class PearsonOverAllRealU(Pearson):
    """As the paper prints it."""

    def conjugate(self, t: Tensor) -> Tensor:
        return t.square() / 4 + t


class AlphaWithoutClamp(Alpha):
    """As the paper prints it."""

    def conjugate(self, t: Tensor) -> Tensor:
        return ((t * (self.alpha - 1) + 1).pow(self.alpha / (self.alpha - 1)) - 1) / self.alpha


class UnlikeItsStableForm(Gan):
    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return super().conjugate_of_activation(-v)


class OutsideItsDomain(Gan):
    def activation(self, v: Tensor) -> Tensor:
        return v


class WrongDomain(JensenShannon):
    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 1.0)


class Decreasing(Gan):
    def activation(self, v: Tensor) -> Tensor:
        return super().activation(-v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return super().conjugate_of_activation(-v)


class DecreasingReverseKullbackLeibler(ReverseKullbackLeibler):
    """As the paper's appendix prints it."""

    def activation(self, v: Tensor) -> Tensor:
        return -torch.exp(v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return -1 - v


class OutOfReach(KullbackLeibler):
    def activation(self, v: Tensor) -> Tensor:
        return torch.tanh(v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return self.conjugate(self.activation(v))


class Concave(KullbackLeibler):
    def f(self, u: Tensor) -> Tensor:
        return -super().f(u)


class WrongSlopeAtOne(KullbackLeibler):
    f_prime_at_one = 0.0


class LogarithmOfSigmoid(Gan):
    """The activation that many an implementation has."""

    def activation(self, v: Tensor) -> Tensor:
        return torch.log(torch.sigmoid(v) + 1e-8)


class ExponentialInTheLogarithm(Gan):
    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return torch.log(1 + torch.exp(2 * v)) / 2 + softplus(v) - softplus(2 * v) / 2


class NotANumber(Gan):
    def activation(self, v: Tensor) -> Tensor:
        return super().activation(v) + 0 * torch.sqrt(v + 50)


class ComposedNaively(SquaredHellinger):
    """1 − t, for t close to 1, has no digits."""

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return self.conjugate(self.activation(v))


class DifferenceOfLargeNumbers(Jeffreys):
    """As the paper's formula has it."""

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        s = log_lambert_w_of_exp(1 - v)
        return s.exp() + torch.exp(-s) + v - 2


class SwappedForms(Gan):
    def minimax(self, fake: Tensor) -> Tensor:
        return super().non_saturating(fake)

    def non_saturating(self, fake: Tensor) -> Tensor:
        return super().minimax(fake)


class ClimbingGenerator(Gan):
    def non_saturating(self, fake: Tensor) -> Tensor:
        return -super().non_saturating(fake)


class DescendsWhatItsNameSays(KullbackLeibler):
    """As many a text has it of the non-saturating form."""

    def descended(self):
        return [(1, self)]


class DescendsHalf(Pearson):
    def descended(self):
        return [(1, power(1))]


class DescendsTheSum(JensenShannon):
    def descended(self):
        return [(1, power(0)), (1, self)]


class DescendsTheNextPower(Alpha):
    def descended(self):
        return [(1, power(self.alpha + 1))]


class LogarithmInPlaceOfTheRatio(KullbackLeibler):
    def activation(self, v: Tensor) -> Tensor:
        return self.slope(v / 2)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return self.conjugate_of_slope(v / 2)


class ShiftedStart(Jeffreys):
    """The bound is as good, but a score of 0 is not P = Q."""

    def activation(self, v: Tensor) -> Tensor:
        return self.slope(log_ratio(v) + 0.1)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return self.conjugate_of_slope(log_ratio(v) + 0.1)


class RootForgotten(SquaredHellinger):
    def slope(self, log_u: Tensor) -> Tensor:
        return -torch.expm1(-log_u)


class SquareForgotten(Neyman):
    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return -2 * torch.expm1(-2 * log_u)


class RatioUpsideDown(ReverseKullbackLeibler):
    def slope(self, log_u: Tensor) -> Tensor:
        return -torch.exp(log_u)


class HalfAnEstimate(KullbackLeibler):
    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().estimate(real, fake) / 2


class RegressionToSwappedLabels(LeastSquares):
    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().estimate(fake, real)


class WiderMargin(Hinge):
    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return -(2 - real).relu().mean() - (1 + fake).relu().mean()


class GeneratorOfHingeThatFlees(Hinge):
    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -super().generator_objective(fake, real)


class InwardCritic(Relativistic):
    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return logsigmoid(fake - real).mean()


class CriticThatGathers(MaximumMeanDiscrepancy):
    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return -super().estimate(real, fake)


RATIO = {"link": "ratio"}
KERNEL = {"kernel": {"_target_": "gan_cli.divergences.mmd.RationalQuadratic", "alphas": [0.5], "length": 1.0}}

WRONG = [
    (ConjugateOfSwappedSign, {}, ["conjugate", "inverse", "stable"]),
    (MissingHalf, {}, ["identity", "conjugate", "inverse", "best v", "optimum"]),
    (PlusInTheMixture, {"weight": 0.3}, ["identity", "conjugate", "f′(1)"]),
    (PearsonOverAllRealU, {}, ["conjugate"]),
    (AlphaWithoutClamp, {"alpha": 1.5}, ["conjugate"]),
    (AlphaWithoutClamp, {"alpha": 2.0}, ["conjugate"]),
    (UnlikeItsStableForm, {}, ["identity", "stable", "best v", "direction"]),
    (OutsideItsDomain, {}, ["identity", "domain"]),
    (WrongDomain, {}, ["domain"]),
    (Decreasing, {}, ["increases", "direction"]),
    (DecreasingReverseKullbackLeibler, {}, ["increases", "direction"]),
    (OutOfReach, {}, ["identity", "slopes"]),
    (Concave, {}, ["identity", "convex"]),
    (WrongSlopeAtOne, {}, ["f′(1)"]),
    (LogarithmOfSigmoid, {}, ["identity", "best v", "stable"]),
    (ExponentialInTheLogarithm, {}, ["float32", "bfloat16"]),
    (NotANumber, {}, ["float32", "bfloat16"]),
    (ComposedNaively, {}, ["float32", "bfloat16"]),
    (DifferenceOfLargeNumbers, {}, ["float32"]),
    (SwappedForms, {}, ["generator"]),
    (ClimbingGenerator, {}, ["generator", "direction"]),
    (DescendsWhatItsNameSays, {}, ["descended"]),
    (DescendsHalf, {}, ["descended"]),
    (DescendsTheSum, {}, ["descended"]),
    (DescendsTheNextPower, {"alpha": 0.5}, ["descended"]),
    (LogarithmInPlaceOfTheRatio, RATIO, ["ratio"]),
    (ShiftedStart, RATIO, ["ratio"]),
    (RootForgotten, RATIO, ["ratio", "stable", "identity"]),
    (SquareForgotten, RATIO, ["stable", "best v", "identity"]),
    (RatioUpsideDown, RATIO, ["ratio", "increases", "direction"]),
    (HalfAnEstimate, {}, ["generator", "optimum"]),
    (RegressionToSwappedLabels, {"real_label": 1.0, "fake_label": 0.0, "generator_label": 1.0}, ["direction"]),
    (WiderMargin, {}, ["optimum"]),
    (GeneratorOfHingeThatFlees, {}, ["direction"]),
    (InwardCritic, {}, ["direction"]),
    (CriticThatGathers, KERNEL, ["direction"]),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("mutant", "values", "caught_by"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_the_command_catches_a_wrong_formula(inside, tmp_path, mutant, values, caught_by):
    (tmp_path / "divergence").mkdir()
    form = {"generator_loss": "minimax"} if issubclass(mutant, FDivergence) else {}
    node = {"_target_": f"{mutant.__module__}.{mutant.__name__}", **form, **values}
    OmegaConf.save(OmegaConf.create(node), tmp_path / "divergence" / "mutant.yaml")
    checked = inside("gan-divergence", "check", "mutant", "--config-dir", str(tmp_path))
    assert checked.code == 1
    assert "!" in checked.out
    assert checked.err.count("\n") == 1
    for law in caught_by:
        assert f"mutant breaks {law} (" in checked.err, checked.err


def test_every_law_catches_something():
    assert {law for _, _, caught_by in WRONG for law in caught_by} == {law.name for law in LAWS}


@every_divergence
def test_values_and_gradients_are_finite_far_from_zero(divergence):
    for dtype, score in itertools.product([torch.float32, torch.bfloat16], [-80.0, 0.0, 80.0]):
        real, fake = (torch.full((2,), score, dtype=dtype, requires_grad=True) for _ in range(2))
        for result in (divergence.estimate(real, fake), divergence.generator_objective(fake, real)):
            assert result.shape == ()
            assert torch.isfinite(result), (dtype, score)
            gradients = torch.autograd.grad(result, [real, fake], allow_unused=True)
            finite = [torch.isfinite(gradient).all() for gradient in gradients if gradient is not None]
            assert all(finite), (dtype, score)


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
    members = {name for name in KNOWN_VALUES if "(" not in name}
    assert len(members) == 11
    assert members <= F_DIVERGENCES.keys()


def test_alpha_tends_to_kl_and_reverse_kl():
    p, q = a_pair(4)
    for alpha, name in ((1 - 1e-6, "kl"), (1e-6, "reverse_kl")):
        near = from_yaml(CONFIGS / "divergence" / "alpha.yaml", alpha=alpha)
        torch.testing.assert_close(value(near, p, q), value(F_DIVERGENCES[name], p, q), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("alpha", [-1e-11, 1e-12, 0.5, 1 - 1e-11, 1 + 1e-9, 1.5])
def test_alpha_has_its_digits_near_its_limits(alpha):
    near, limit = power(alpha), power(round(alpha)) if abs(alpha - round(alpha)) < 1e-3 else None
    p, q = a_pair(4)
    u, exact = mpmath.mpf(3), mpmath.mpf(alpha)
    with mpmath.workdps(50):
        stated = float((u**exact - 1 - exact * (u - 1)) / (exact * (exact - 1)))
    assert near.f(torch.tensor(3.0, dtype=torch.float64)).item() == pytest.approx(stated, rel=1e-12)
    if limit is not None:
        torch.testing.assert_close(value(near, p, q), value(limit, p, q), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("alpha", [0.8, 0.99, 1 - 1e-9, 1e-9])
def test_alpha_near_its_limits_starts_where_it_should_under_the_ratio_link(alpha):
    """f-GAN's map starts far from P = Q: at α = 0.8 with an estimate of thousands, at 0.99 with infinity."""
    start = torch.zeros(8)
    near = Alpha(alpha=alpha, generator_loss="minimax", link="ratio")
    assert near.estimate(start, start).item() == 0
    assert near.estimate(start + 3, start - 3).isfinite()
    paper = Alpha(alpha=0.8, generator_loss="minimax")
    assert abs(paper.estimate(start, start).item()) > 1000


@pytest.mark.parametrize(("weight", "v"), [(1e-6, 19.0), (1e-6, 21.0), (1e-5, 22.0), (0.5, 21.0), (0.5, 60.0)])
def test_weighted_js_is_stable_for_any_weight(weight, v):
    divergence = WeightedJensenShannon(weight=weight, generator_loss="minimax")
    with mpmath.workdps(60):
        pi, x = mpmath.mpf(weight), mpmath.log(1 + mpmath.exp(-mpmath.mpf(v))) / mpmath.mpf(weight)
        stated = float((1 - pi) * (mpmath.log(1 - pi) - mpmath.log(1 - mpmath.exp(-x))))
    computed = divergence.conjugate_of_activation(torch.tensor(v, dtype=torch.float64))
    assert computed.item() == pytest.approx(stated, rel=1e-8)


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


def test_no_mass_counts_for_nothing_even_times_infinity():
    masses = torch.tensor([0.0, 0.0, 0.0, 2.0, 0.5], dtype=torch.float64)
    values = torch.tensor([3.0, math.inf, -math.inf, 3.0, math.inf], dtype=torch.float64)
    assert mass_times(masses, values).tolist() == [0.0, 0.0, 0.0, 6.0, math.inf]


@every_f_divergence
def test_an_f_of_natural_logarithms_is_in_nats(divergence):
    (formula,) = (line for line in (type(divergence).__doc__ or "").splitlines() if line.strip().startswith("f:"))
    assert divergence.unit == ("nats" if "log" in formula else "")
