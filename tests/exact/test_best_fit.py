"""The best Gaussians: those of another quadrature, all that tie, and none that is best only nearby."""

import math

import pytest

from gan_cli.datasets.mixtures import Gaussian, Mixture1d
from gan_cli.exact.best_fit import best_gaussians
from gan_cli.exact.densities import between
from tests.helpers.configs import divergence

PAPERS = Mixture1d([-1.0, 2.0], [0.255, math.sqrt(2)], [0.33, 0.67])
APART = Mixture1d([-4.0, 4.0], [1.0, 1.0], [0.5, 0.5])

BEST = {
    "kl": (0.2830, 1.0100, 1.8307),
    "reverse_kl": (0.2482, 1.5780, 1.6312),
    "js": (0.1281, 1.3068, 1.7540),
    "jeffreys": (0.5707, 1.3216, 1.7029),
    "pearson": (0.6456, 0.5737, 1.9273),
}
"""D_f, μ* and σ* by another quadrature; they agree with the exact row of f-GAN's Table 3 within 1e-3."""


def fits(name, data):
    of = divergence(name)
    return best_gaussians(lambda gaussian: between(of, data, gaussian), data)


QUICK = ("kl",)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in BEST]
)
def test_the_best_gaussian_and_its_divergence_are_those_of_another_quadrature(name):
    (fit,) = fits(name, PAPERS)
    value, mean, deviation = BEST[name]
    assert fit.value == pytest.approx(value, abs=2e-4)
    assert fit.mean == pytest.approx(mean, abs=2e-4)
    assert fit.deviation == pytest.approx(deviation, abs=2e-4)


@pytest.mark.thorough
def test_reverse_kl_sits_on_either_of_two_separate_modes():
    left, right = fits("reverse_kl", APART)
    for fit, mean in ((left, -4), (right, 4)):
        assert fit.value == pytest.approx(math.log(2), abs=2e-4)
        assert fit.mean == pytest.approx(mean, abs=1e-3)
        assert fit.deviation == pytest.approx(1, abs=2e-3)


@pytest.mark.thorough
def test_kl_covers_two_separate_modes_by_their_moments():
    (fit,) = fits("kl", APART)
    assert fit.mean == pytest.approx(0, abs=1e-4)
    assert fit.deviation == pytest.approx(math.sqrt(17), abs=1e-4)


@pytest.mark.thorough
def test_the_heavier_of_two_modes_is_best_alone():
    (fit,) = fits("reverse_kl", Mixture1d([-4.0, 4.0], [1.0, 1.0], [0.6, 0.4]))
    assert fit.mean == pytest.approx(-4, abs=1e-2)
    assert fit.value == pytest.approx(-math.log(0.6), abs=2e-3)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("mean", "deviation"), [pytest.param(0.0, 1.0, marks=pytest.mark.slow), (1e4, 1e-3), (-3.0, 500.0)]
)
def test_the_search_knows_no_scale(mean, deviation):
    data = Gaussian([mean], deviation)
    (fit,) = best_gaussians(lambda gaussian: between(divergence("js"), data, gaussian), data)
    assert fit.mean == pytest.approx(mean, abs=1e-3 * deviation)
    assert fit.deviation == pytest.approx(deviation, rel=1e-3)


def test_another_objective_has_other_optima():
    """Three wells of one depth in the plane of mean and deviation, infinite below a deviation."""
    wells = [(-6.0, 1.0), (0.0, 3.0), (5.0, 1.5)]

    def objective(gaussian):
        mean, deviation = gaussian.means.item(), gaussian.deviations.item()
        if deviation < 0.9:
            return math.inf
        return min((mean - m) ** 2 + (deviation - d) ** 2 for m, d in wells) - 1e3

    found = best_gaussians(objective, APART)
    assert [(fit.mean, fit.deviation) for fit in found] == [pytest.approx(well, abs=1e-4) for well in wells]
    assert [fit.value for fit in found] == [pytest.approx(-1e3)] * 3


def test_an_objective_that_is_infinite_everywhere_has_no_optimum():
    with pytest.raises(ValueError, match="infinite for every Gaussian"):
        best_gaussians(lambda gaussian: math.inf, APART)
