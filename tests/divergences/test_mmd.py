"""The maximum mean discrepancy: its estimate against closed forms and a double loop, its value against step critics."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor

from gan_cli.assembly.games import assemble
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.mixtures import Gaussian as Normal
from gan_cli.datasets.mixtures import Mixture1d, ParallelLines
from gan_cli.divergences import mmd
from gan_cli.divergences.mmd import Kernel, MaximumMeanDiscrepancy
from gan_cli.errors import ConfigError
from gan_cli.exact.densities import Pair, between
from gan_cli.exact.samples import SampledDensity
from gan_cli.metrics.exact import held_out_estimate
from gan_cli.studies.dirac_game import DiracGame, behaviour
from tests.helpers.configs import TINY, compose, divergence

BANDWIDTHS, ALPHAS, LENGTH = (0.7, 3.0), (0.2, 2.0), 1.3


@dataclass(frozen=True)
class Known:
    """A kernel of the project, and k(a, b) written out as a function of a − b."""

    kernel: Kernel

    def of(self, difference: float) -> float:
        if isinstance(self.kernel, mmd.Gaussian):
            return sum(math.exp(-((difference / sigma) ** 2) / 2) for sigma in BANDWIDTHS) / 2
        return sum((1 + difference**2 / (2 * alpha * LENGTH**2)) ** -alpha for alpha in ALPHAS) / 2

    def expected(self, mean: float, variance: float) -> float:
        """E[k] where a − b is normal: of the Gaussian kernel in closed form, else by quadrature."""
        if isinstance(self.kernel, mmd.Gaussian):
            totals = [sigma**2 + variance for sigma in BANDWIDTHS]
            terms = zip(BANDWIDTHS, totals, strict=True)
            return sum(sigma / math.sqrt(t) * math.exp(-(mean**2) / (2 * t)) for sigma, t in terms) / 2
        deviation = math.sqrt(variance)
        return quad(lambda d: self.of(d) * norm.pdf(d, mean, deviation), -math.inf, math.inf, epsabs=1e-10)[0]

    @property
    def divergence(self) -> MaximumMeanDiscrepancy:
        return MaximumMeanDiscrepancy(kernel=self.kernel)


KNOWN = [Known(mmd.Gaussian(BANDWIDTHS)), Known(mmd.RationalQuadratic(ALPHAS, LENGTH))]
OPTIONS: dict[str, Kernel] = {
    name: build(options.option("divergence/kernel", name), Kernel, name) for name in options.names("divergence/kernel")
}

either_kernel = pytest.mark.parametrize("known", KNOWN, ids=["gaussian", "rational_quadratic"])
every_option = pytest.mark.parametrize("kernel", OPTIONS.values(), ids=OPTIONS)


def scores(*sizes: int, seed: int = 0, deviation: float = 2.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [deviation * torch.randn(n, generator=generator, dtype=torch.float64) for n in sizes]


# The estimate


@either_kernel
def test_the_estimate_is_a_double_loop_over_pairs_of_different_samples(known):
    real, fake = scores(4, 3)

    def mean(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
        return sum(known.of((a - b).item()) for a, b in pairs) / len(pairs)

    within = [mean(list(itertools.permutations(side, 2))) for side in (real, fake)]
    looped = sum(within) - 2 * mean(list(itertools.product(real, fake)))
    assert known.divergence.estimate(real, fake).item() == pytest.approx(looped, rel=1e-12)


@either_kernel
def test_the_generator_minimises_the_same_estimate_with_the_gradient_of_finite_differences(known):
    real, fake = scores(5, 4)
    of = known.divergence
    assert of.generator_objective(fake, real).item() == of.estimate(real, fake).item()
    assert torch.autograd.gradcheck(of.estimate, (real.requires_grad_(), fake.requires_grad_()))


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.0, 0.5), (3.0, 2.0)])
@either_kernel
def test_the_estimate_is_unbiased(known, mean, deviation):
    """Scores from N(0, 1) and N(mean, deviation²): batches of 3 and 4 average to the closed form, 0 for P = Q."""
    batches = 20_000
    generator = torch.Generator().manual_seed(1)
    real, fake = (torch.randn(batches, n, generator=generator, dtype=torch.float64) for n in (3, 4))
    values = torch.vmap(known.divergence.estimate)(real, mean + deviation * fake)
    stated = known.expected(0, 2) + known.expected(0, 2 * deviation**2) - 2 * known.expected(mean, 1 + deviation**2)
    assert (mean, deviation) != (0, 1) or stated == pytest.approx(0, abs=1e-9)
    error = values.std().item() / math.sqrt(batches)
    assert abs(values.mean().item() - stated) < 5 * error
    # With the diagonal, a mean over all pairs would be larger by the shares 1/n of the gap to k(a, a) = 1.
    bias = (1 - known.expected(0, 2)) / 3 + (1 - known.expected(0, 2 * deviation**2)) / 4
    assert bias > 20 * error


@either_kernel
def test_the_estimate_knows_neither_place_nor_order_nor_sign_nor_side(known):
    real, fake = scores(6, 5)
    of = known.divergence
    value = of.estimate(real, fake)
    for changed in (
        of.estimate(real + 7, fake + 7),
        of.estimate(real.flip(0), fake.roll(2)),
        of.estimate(-real, -fake),
        of.estimate(fake, real),
    ):
        torch.testing.assert_close(changed, value)
    assert abs(of.estimate(real + 7, fake).item() - value.item()) > 0.1


@pytest.mark.parametrize("deviation", [1e-3, 1.0, 1e3])
@every_option
def test_float32_has_its_digits_for_scores_that_are_close_and_far(kernel, deviation):
    real, fake = (side.float() for side in scores(16, 16, deviation=deviation))
    real = (real + deviation).requires_grad_()
    of = MaximumMeanDiscrepancy(kernel=kernel)
    single, double = of.estimate(real, fake), of.estimate(real.double(), fake.double())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=2e-5, atol=1e-6 * min(1, deviation) ** 2)
    (mine,), (right,) = (torch.autograd.grad(value, real, retain_graph=True) for value in (single, double))
    torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-5 * right.abs().max().item())


# Kernels


@every_option
def test_a_kernel_is_1_for_equal_scores_and_falls_to_0(kernel):
    distances = torch.cat([torch.zeros(1), torch.logspace(-3, 30, 200)]).double()
    gaps = kernel.gap(distances.square())
    assert gaps[0] == 0
    assert (gaps.diff() >= 0).all()
    assert (gaps[:28].diff() > 0).all()
    assert gaps[-1].item() == pytest.approx(1, abs=1e-9)


@every_option
def test_a_kernel_is_positive_definite(kernel):
    (x,) = scores(30)
    matrix = 1 - kernel.gap((x[:, None] - x).square())
    assert torch.linalg.eigvalsh(matrix).min() > -1e-12


def test_a_rational_quadratic_kernel_tends_to_a_gaussian():
    squared = torch.linspace(0, 5, 20, dtype=torch.float64).square()
    near, limit = mmd.RationalQuadratic([1e7], 0.8).gap(squared), mmd.Gaussian([0.8]).gap(squared)
    torch.testing.assert_close(near, limit, rtol=1e-5, atol=1e-6)


def test_near_a_constant_critic_the_estimate_is_the_square_of_the_difference_of_means():
    """Unbiased too: without the variances of the means."""
    real, fake = scores(6, 5)
    estimate = MaximumMeanDiscrepancy(kernel=mmd.RationalQuadratic(ALPHAS, LENGTH)).estimate(1e-5 * real, 1e-5 * fake)
    unbiased = (real.mean() - fake.mean()) ** 2 - real.var() / len(real) - fake.var() / len(fake)
    torch.testing.assert_close(1e10 * estimate * LENGTH**2, unbiased, rtol=1e-6, atol=1e-6)


# The value at the best critic


def population(kernel: Kernel, v: Tensor, mu: Tensor) -> Tensor:
    """∫∫k dμdμ for critics with scores `v` at points whose masses under P and Q differ by `mu`."""
    k = 1 - kernel.gap((v[..., :, None] - v[..., None, :]).square())
    return torch.einsum("...ij,i,j->...", k, mu, mu)


@every_option
def test_no_critic_exceeds_twice_the_square_of_total_variation_and_the_step_reaches_it(kernel):
    generator = torch.Generator().manual_seed(2)
    p, q = torch.randn(2, 7, generator=generator, dtype=torch.float64).softmax(1)
    exact = MaximumMeanDiscrepancy(kernel=kernel).exact(p.log(), q.log(), torch.ones_like(p)).item()
    assert exact == pytest.approx(2 * ((p - q).abs().sum().item() / 2) ** 2)
    noise = torch.randn(2000, 7, generator=generator, dtype=torch.float64)
    sizes = torch.logspace(-2, 6, 2000, dtype=torch.float64)[:, None]
    steps = sizes * (p - q).sign()
    for v in (sizes * noise, steps + noise, steps):
        assert population(kernel, v, p - q).max().item() < exact * (1 + 1e-12)
    assert population(kernel, 1e30 * (p - q).sign(), p - q).item() == pytest.approx(exact, rel=1e-9)
    # A step that puts one point on the wrong side stays below for good.
    wrong = torch.where(torch.arange(7) == (p - q).abs().argmax(), q - p, p - q).sign()
    assert population(kernel, 1e30 * wrong, p - q).item() < 0.9 * exact


def test_the_exact_value_of_toys_is_twice_the_square_of_total_variation():
    p, q = Normal([0.0], 1.0), Normal([1.5], 1.0)
    stated = 2 * math.erf(1.5 / math.sqrt(8)) ** 2
    pair = Pair(p, q)
    found, variation = (pair.divergence(divergence(name)) for name in ("mmd", "total_variation"))
    assert found.value == pytest.approx(stated, abs=1e-8)
    assert found.value == pytest.approx(2 * variation.value**2, rel=1e-12)
    # d(2·TV²) = 4·TV·dTV
    assert found.error == pytest.approx(4 * variation.value * variation.error, rel=0.5)
    assert between(divergence("mmd"), p, p) == pytest.approx(0, abs=1e-12)
    assert between(divergence("mmd"), ParallelLines(0.0), ParallelLines(0.1)) == 2


def test_the_exact_value_from_samples_is_right_within_its_error():
    p, q = Mixture1d([-1.0, 2.0], [0.255, 1.414], [0.33, 0.67]), Normal([1.0], 1.83)
    sampled = SampledDensity(p, q.sample(60_000, torch.Generator().manual_seed(0)))
    found, true = sampled.divergence(divergence("mmd")), between(divergence("mmd"), p, q)
    assert abs(found.value - true) < 3 * found.error
    assert found.error < 0.2 * true


# In a game


@pytest.mark.parametrize("kernel", OPTIONS)
def test_every_kernel_takes_steps(kernel):
    job = assemble(compose(*TINY, "divergence=mmd", f"divergence/kernel={kernel}", "train.steps=3"))
    assert all(math.isfinite(value) for terms in job.terms() for value in terms.values())


def test_one_score_makes_no_pair():
    (one, more) = scores(1, 4)
    for sides in ((one, more), (more, one)):
        with pytest.raises(ValueError, match="a batch has 1"):
            divergence("mmd").estimate(*sides)
    for overrides in (["train.batch_size=1"], ["train.batch_size=4", "train.packing=4"]):
        with pytest.raises(ConfigError, match=r"^divergence: .* a batch has 1: raise train\.batch_size$"):
            assemble(compose(*TINY, "divergence=mmd", *overrides))


@pytest.mark.parametrize(("samples", "packing"), [(1210, 1), (1000, 8)])
def test_the_held_out_estimate_leaves_no_part_with_one_score(samples, packing):
    job = assemble(compose(*TINY, "divergence=mmd", f"train.packing={packing}"))
    found = held_out_estimate(job.subject, *job.subject.fresh_points(samples))
    assert math.isfinite(found.value)
    assert found.error > 0


def test_at_a_single_point_nothing_pulls():
    """The estimate 2 − 2k(0, ψθ) of the Dirac-GAN is of fourth order at (0, 0)."""
    kernel = divergence("mmd").kernel
    game = DiracGame(MaximumMeanDiscrepancy(kernel=kernel))
    torch.testing.assert_close(game.jacobian(), torch.zeros(2, 2, dtype=torch.float64), rtol=0, atol=1e-5)
    assert behaviour(game, 0.1, 50, 1.0).verdict == "drifts"
    theta, psi = 0.8, 0.9
    x = torch.tensor(theta * psi, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(2 * kernel.gap(x.square()), x)
    assert game.field((theta, psi)) == pytest.approx((-psi * slope.item(), theta * slope.item()))
