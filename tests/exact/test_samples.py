"""Divergences from samples against those from the densities that the samples are of."""

import math

import pytest
import torch

from gan_cli.config.options import names as options
from gan_cli.datasets.mixtures import Gaussian, Grid, Mixture1d, Ring
from gan_cli.exact.densities import between
from gan_cli.exact.samples import SampledDensity
from tests.helpers.configs import divergence

SOME = ["kl", "js", "total_variation"]
MOST = [*SOME, "reverse_kl", "gan", "jeffreys", "pearson", "squared_hellinger", "alpha"]
WITHOUT_A_LAW = {"relativistic", "wgan_clip", "wgan_gp", "wgan_lp"}
"""Those whose exact value is no function of the densities at each point."""
RING = Ring(modes=8, radius=2.0, deviation=0.02)
LINE = Mixture1d([-1.0, 2.0], [0.255, 1.414], [0.33, 0.67])


def samples(density, n=60_000, seed=0):
    return density.sample(n, torch.Generator().manual_seed(seed))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("p", "q", "names"),
    [
        (LINE, Gaussian([1.0], 1.83), MOST),
        (RING, Ring(modes=8, radius=2.0, deviation=0.03), SOME),
        pytest.param(RING, RING, SOME, marks=pytest.mark.slow),
        (Grid(side=3, spacing=2.0, deviation=0.05), Grid(side=3, spacing=2.02, deviation=0.05), SOME),
    ],
)
def test_the_value_is_right_within_its_error(p, q, names):
    sampled = SampledDensity(p, samples(q))
    for name in names:
        found, true = sampled.divergence(divergence(name)), between(divergence(name), p, q)
        assert abs(found.value - true) < 3 * found.error, name
        assert found.error < 0.05 + 0.2 * abs(true), name


@pytest.mark.thorough
def test_the_part_of_the_samples_is_how_much_the_value_varies():
    p, q = LINE, Gaussian([1.0], 1.83)
    found = [SampledDensity(p, samples(q, 10_000, seed)) for seed in range(60)]
    for name in MOST[:4]:
        values = torch.tensor([sampled.divergence(divergence(name)).value for sampled in found])
        errors = torch.tensor([sampled.standard_error(divergence(name)) for sampled in found])
        assert 0.75 < (errors.square().mean().sqrt() / values.std()).item() < 1.35, name


@pytest.mark.parametrize("name", sorted({*options("divergence")} - WITHOUT_A_LAW))
def test_an_exact_divergence_has_a_gradient_in_q(name):
    """Where both have mass it is that of finite differences, even if the integrand is infinite at other nodes.

    The gradient is taken of what adds up over nodes.
    """

    def integral(log_p, log_q, weights):
        return divergence(name).exact(log_p, log_q, weights) ** (1 / divergence(name).power)

    log_p = torch.tensor([-1.0, -2.0, -0.5, -3.0, -math.inf, -1.5], dtype=torch.float64)
    log_q = torch.tensor([-1.2, -1.0, -2.5, -3.1, -2.0, -math.inf], dtype=torch.float64, requires_grad=True)
    weights = torch.full((6,), 0.5, dtype=torch.float64)
    (slopes,) = torch.autograd.grad(integral(log_p, log_q, weights), log_q)

    def of_both(log_q):
        return integral(log_p[:4], log_q, weights[:4])

    known, steps = log_q[:4].detach(), 1e-6 * torch.eye(4, dtype=torch.float64)
    expected = torch.stack([(of_both(known + step) - of_both(known - step)) / 2e-6 for step in steps])
    torch.testing.assert_close(slopes[:4], expected, rtol=1e-4, atol=1e-8)


@pytest.mark.thorough
def test_more_samples_have_a_smaller_error():
    few, many = (SampledDensity(RING, samples(RING, n)).divergence(divergence("js")).error for n in (2_000, 200_000))
    assert many < few / 5


@pytest.mark.thorough
@pytest.mark.parametrize("deviation", [1e-4, 0.01, 0.1, 0.3, 0.45, 0.7])
def test_a_generator_narrower_than_the_data_is_not_blurred(deviation):
    """Collapse is what a divergence is to tell of."""
    p, q = Gaussian([0.0], 1.0), Gaussian([0.0], deviation)
    sampled = SampledDensity(p, samples(q))
    for name in ("js", "total_variation", "squared_hellinger", "reverse_kl"):
        found, true = sampled.divergence(divergence(name)), between(divergence(name), p, q)
        assert found.value == pytest.approx(true, rel=0.05), name
        assert abs(found.value - true) < 4 * found.error, name


def test_one_mode_of_eight_is_found_out():
    sampled = SampledDensity(RING, samples(Gaussian([2.0, 0.0], 0.02)))
    assert sampled.divergence(divergence("total_variation")).value == pytest.approx(7 / 8, abs=0.01)
    assert sampled.divergence(divergence("reverse_kl")).value == pytest.approx(math.log(8), abs=0.1)


def test_infinity_from_samples_is_not_certain():
    kl = SampledDensity(Gaussian([0.0], 1.0), samples(Gaussian([20.0], 1.0))).divergence(divergence("kl"))
    assert kl.value > 100
    assert kl.error >= 0.2 * kl.value


def test_a_generator_that_misses_the_data_is_as_far_as_can_be_and_its_kl_unknown():
    sampled = SampledDensity(RING, samples(Gaussian([0.0, 0.0], 0.1)))
    assert sampled.divergence(divergence("total_variation")).value == pytest.approx(1, abs=0.01)
    kl = sampled.divergence(divergence("kl"))
    assert kl.value > 1000
    assert kl.error >= 0.2 * kl.value


def test_samples_beyond_all_data_count():
    p = Gaussian([0.0], 1.0)
    half_away = torch.cat([samples(p, 20_000), samples(p, 20_000) + 1000])
    sampled = SampledDensity(p, half_away)
    assert sampled.divergence(divergence("total_variation")).value == pytest.approx(0.5, abs=0.02)
    # ∫ p log(p/q) with q = p/2 where p is.
    assert sampled.divergence(divergence("kl")).value == pytest.approx(math.log(2), abs=0.03)
    # Each sample is half a square of its distance away; what the kernel says of q is nothing against it.
    assert sampled.divergence(divergence("reverse_kl")).value == pytest.approx(1000**2 / 4, rel=0.01)
