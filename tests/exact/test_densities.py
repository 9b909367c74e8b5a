"""Exact divergences against closed forms, and against scipy's adaptive quadrature."""

import math
import re

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import ncx2, norm

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import AffineGaussian, Gaussian, Grid, Mixture1d, ParallelLines, Ring, SwissRoll
from gan_cli.divergences.fgan import KullbackLeibler
from gan_cli.exact.densities import Pair, between
from gan_cli.exact.quadrature import Lattice
from tests.helpers.configs import divergence, toys

RING = Ring(modes=8, radius=2.0, deviation=0.02)


def on_the_line(mean: float, deviation: float) -> Gaussian:
    return Gaussian([mean], deviation)


def overlap(m: float, s: float) -> float:
    """∫√(pq) for p = N(0, 1) and q = N(m, s²)."""
    return math.sqrt(2 * s / (1 + s**2)) * math.exp(-(m**2) / (4 * (1 + s**2)))


CLOSED_FORMS = {
    "kl": lambda m, s: math.log(s) + (1 + m**2) / (2 * s**2) - 1 / 2,
    "reverse_kl": lambda m, s: -math.log(s) + (s**2 + m**2) / 2 - 1 / 2,
    "jeffreys": lambda m, s: (1 + m**2) / (2 * s**2) + (s**2 + m**2) / 2 - 1,
    "pearson": lambda m, s: s**2 / math.sqrt(2 * s**2 - 1) * math.exp(m**2 / (2 * s**2 - 1)) - 1,
    "neyman": lambda m, s: math.exp(m**2 / (2 - s**2)) / (s * math.sqrt(2 - s**2)) - 1,
    "squared_hellinger": lambda m, s: 2 - 2 * overlap(m, s),
    "alpha": lambda m, s: 4 - 4 * overlap(m, s),
}


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.0, 1.0), (-3.0, 1.2), (0.5, 0.9), (0.0, 0.72)])
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_gaussians_have_closed_forms(name, mean, deviation):
    stated = CLOSED_FORMS[name](mean, deviation)
    value = between(divergence(name), on_the_line(0.0, 1.0), on_the_line(mean, deviation))
    assert value == pytest.approx(stated, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("distance", [0.0, 0.3, 2.0, 30.0])
def test_total_variation_of_equal_gaussians_is_an_error_function(distance):
    p, q = on_the_line(0.0, 1.0), on_the_line(distance, 1.0)
    stated = math.erf(distance / math.sqrt(8))
    assert between(divergence("total_variation"), p, q) == pytest.approx(stated, abs=1e-9)
    assert between(divergence("hinge"), p, q) == pytest.approx(2 * stated - 2, abs=2e-9)


def disc(mean: tuple[float, float], deviation: float) -> float:
    """Total variation of N(mean, 1) and N(0, deviation²) in the plane: p > q inside a disc, each mass noncentral χ²."""
    offset = math.hypot(*mean)
    narrower = 1 - 1 / deviation**2
    middle = offset / narrower
    radius = math.sqrt((4 * math.log(deviation) - offset**2) / narrower + middle**2)
    inside = ncx2.cdf(radius**2, 2, (middle - offset) ** 2 + 1e-300)
    return inside - ncx2.cdf((radius / deviation) ** 2, 2, (middle / deviation) ** 2 + 1e-300)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("p", "q", "stated"),
    [
        (Gaussian([0.0, 0.0], 1.0), Gaussian([2.0, 0.0], 1.0), math.erf(1 / math.sqrt(2))),
        (Gaussian([0.0, 0.0], 0.3), Gaussian([0.3, 0.4], 0.3), math.erf(0.5 / 0.3 / math.sqrt(8))),
        (Gaussian([0.0, 0.0], 1.0), Gaussian([0.0, 0.0], 1.5), disc((0.0, 0.0), 1.5)),
        (Gaussian([0.7, -1.1], 1.0), Gaussian([0.0, 0.0], 2.0), disc((0.7, -1.1), 2.0)),
        (Ring(8, 2.0, 0.02), Ring(8, 2.0, 0.03), disc((0.0, 0.0), 1.5)),
    ],
    ids=["aligned", "oblique", "circle", "eccentric", "ring"],
)
def test_total_variation_in_the_plane_is_right_to_within_its_small_error(p, q, stated):
    pair = Pair(p, q)
    found = pair.divergence(divergence("total_variation"))
    assert found.value == pytest.approx(stated, abs=2e-8)
    assert abs(found.value - stated) <= found.half_width < 2e-6
    hinge = pair.divergence(divergence("hinge"))
    assert hinge.value == pytest.approx(2 * stated - 2, abs=4e-8)
    assert hinge.error > found.error


def test_a_kink_has_a_larger_error_than_a_smooth_f():
    pair = Pair(Gaussian([0.0, 0.0], 1.0), Gaussian([1.0, 1.0], 1.5))
    assert pair.divergence(divergence("total_variation")).error > 1e-8
    assert 0 < pair.divergence(divergence("js")).error < 1e-8


@pytest.mark.thorough
def test_ridges_between_modes_are_resolved_to_within_the_error():
    """log p has a kink on both axes, where Q lies; both densities are products, so the plane is twice the line."""
    reverse_kl = divergence("reverse_kl")
    stated = 2 * between(reverse_kl, Mixture1d([-1.0, 1.0], [0.1, 0.1], [0.5, 0.5]), on_the_line(0.0, 1.0))
    found = Pair(Grid(side=2, spacing=2.0, deviation=0.1), Gaussian([0.0, 0.0], 1.0)).divergence(reverse_kl)
    assert found.value == pytest.approx(stated, abs=2e-5)
    assert abs(found.value - stated) < found.half_width < 1e-4
    assert Pair(RING, RING).divergence(divergence("total_variation")).error == 0


@pytest.mark.parametrize(
    ("alpha", "distance"),
    [(0.99, 40), (1.01, 40), (0.999, 40), (0.01, 25), (1.0000001, 20), (0.5, 1), (3, 2), (-1, 2), (-2, 1)],
)
def test_alpha_of_equal_gaussians_has_a_closed_form_near_its_limits_too(alpha, distance):
    value = between(divergence(f"alpha:alpha={alpha}"), on_the_line(0.0, 1.0), on_the_line(distance, 1.0))
    stated = math.expm1(-alpha * (1 - alpha) * distance**2 / 2) / (alpha * (alpha - 1))
    assert value == pytest.approx(stated, rel=1e-6)


def test_parameters_keep_the_digits_that_were_given():
    p, q = on_the_line(1e6, 0.01), on_the_line(1e6 + 0.01, 0.01)
    assert between(divergence("kl"), p, q) == pytest.approx(0.5, rel=1e-5)


class Cauchy(Gaussian):
    """A density whose box does not hold its tails."""

    def log_density(self, x):
        return torch.distributions.Cauchy(0.0, self.deviations.item()).log_prob(x[:, 0])


def test_tails_too_heavy_for_boxes_are_refused_and_not_taken_for_infinite():
    with pytest.raises(ValueError, match="tails are too heavy"):
        between(divergence("kl"), Cauchy([0.0], 1.0), Cauchy([0.0], 2.0))


class GrowsLikeALogarithm(KullbackLeibler):
    """A user's f, beyond what float64 holds of u."""

    def f(self, u):
        return 2 * torch.xlogy(u, u)


def test_a_slowly_growing_f_is_continued_as_a_logarithm():
    doubled = GrowsLikeALogarithm(generator_loss="minimax")
    assert between(doubled, on_the_line(-50.0, 1.0), on_the_line(50.0, 1.0)) == pytest.approx(10_000, rel=1e-6)


def integral(integrand) -> float:
    return quad(integrand, -30, 30, limit=500, points=[-1, 0, 2], epsabs=1e-12)[0]


P, Q = norm(0, 1).pdf, norm(2, 1.5).pdf
BY_QUAD = {
    "js": lambda x: P(x) * math.log(2 * P(x) / (P(x) + Q(x))) + Q(x) * math.log(2 * Q(x) / (P(x) + Q(x))),
    "gan": lambda x: P(x) * math.log(P(x) / (P(x) + Q(x))) + Q(x) * math.log(Q(x) / (P(x) + Q(x))),
    "lsgan": lambda x: -0.5 * P(x) * Q(x) / (P(x) + Q(x)),
}


@pytest.mark.parametrize("name", BY_QUAD)
def test_other_divergences_agree_with_adaptive_quadrature(name):
    value = between(divergence(name), on_the_line(0.0, 1.0), on_the_line(2.0, 1.5))
    labels = divergence("lsgan")
    scale = (labels.real_label - labels.fake_label) ** 2 if name == "lsgan" else 1
    assert value == pytest.approx(scale * integral(BY_QUAD[name]), rel=1e-6)


@pytest.mark.thorough
def test_a_fine_density_beside_a_coarse_one_is_integrated_over_both():
    ring, wide = Ring(modes=8, radius=2.0, deviation=0.02), Gaussian([0.0, 0.0], 1.0)
    entropy = math.log(8) + math.log(2 * math.pi * math.e * 0.02**2)
    cross_entropy = math.log(2 * math.pi) + (2.0**2 + 2 * 0.02**2) / 2
    assert between(divergence("kl"), ring, wide) == pytest.approx(cross_entropy - entropy, rel=1e-6)
    assert between(divergence("gan"), ring, wide) == pytest.approx(between(divergence("gan"), wide, ring), rel=1e-6)


def test_a_density_far_off_is_found():
    assert between(divergence("kl"), on_the_line(-50.0, 1.0), on_the_line(50.0, 1.0)) == pytest.approx(5000, rel=1e-6)
    assert between(divergence("js"), on_the_line(-50.0, 1.0), on_the_line(50.0, 1.0)) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize(
    ("name", "p", "q"),
    [
        ("pearson", on_the_line(0.0, 1.0), on_the_line(0.0, 0.7)),
        ("pearson", Mixture1d([-1.0, 2.0], [0.255, 1.414], [0.33, 0.67]), on_the_line(0.0, 0.9)),
        ("neyman", on_the_line(0.0, 0.7), on_the_line(0.0, 1.0)),
        ("kl", ParallelLines(0.0), ParallelLines(0.5)),
        ("reverse_kl", ParallelLines(0.0), Gaussian([0.0, 0.0], 1.0)),
    ],
)
def test_infinity_is_an_answer(name, p, q):
    assert between(divergence(name), p, q) == math.inf


@pytest.mark.parametrize(
    ("name", "value"),
    [("js", 2 * math.log(2)), ("gan", 0.0), ("total_variation", 1.0), ("squared_hellinger", 2.0), ("alpha", 4.0)],
)
def test_parallel_lines_are_as_far_apart_as_two_distributions_can_be(name, value):
    assert between(divergence(name), ParallelLines(0.0), ParallelLines(1e-3)) == pytest.approx(value)
    assert between(divergence("hinge"), ParallelLines(0.0), ParallelLines(1e-3)) == pytest.approx(0.0)


DENSITIES = [
    Gaussian([1.0], 0.5),
    Mixture1d([-1.0, 2.0], [0.255, 1.414], [0.33, 0.67]),
    Ring(modes=8, radius=2.0, deviation=0.02),
    Grid(side=3, spacing=2.0, deviation=0.1),
    SwissRoll(noise=2.0, scale=7.5),
    AffineGaussian(torch.tensor([[1.0, 0.4, 0.0], [0.2, 0.1, 0.3]]), torch.tensor([1.0, -1.0])),
]


@pytest.mark.parametrize("density", DENSITIES, ids=lambda density: type(density).__name__)
def test_the_box_of_a_density_holds_all_of_it(density: Density):
    low, high = (corner.double() for corner in density.box())
    lattice = Lattice.over((low, high), 2 * density.resolution())
    mass = sum((weights * density.log_density(x).exp()).sum().item() for x, weights in lattice)
    assert mass == pytest.approx(1, abs=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("density", [*DENSITIES, ParallelLines(0.3)], ids=lambda density: type(density).__name__)
def test_nothing_is_between_a_density_and_itself(density):
    assert between(divergence("js"), density, density) == pytest.approx(0, abs=1e-12)
    assert between(divergence("gan"), density, density) == pytest.approx(-2 * math.log(2), abs=1e-6)


def test_an_affine_generator_has_the_density_of_its_samples():
    weight, bias = torch.tensor([[1.0, 0.4], [0.2, 0.3]]), torch.tensor([1.0, -1.0])
    density = AffineGaussian(weight, bias)
    x = density.sample(50_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(x.mean(0), bias, rtol=0, atol=0.02)
    torch.testing.assert_close(x.T.cov(), weight @ weight.T, rtol=0, atol=0.03)
    with pytest.raises(ValueError, match="rank"):
        AffineGaussian(torch.tensor([[1.0, 2.0], [2.0, 4.0]]), bias)


@pytest.mark.parametrize(
    ("p", "q", "complaint"),
    [
        (Gaussian([0.0], 1.0), Gaussian([0.0, 0.0], 1.0), "P has points of 1 and Q of 2 dimensions"),
        (Gaussian([0.0] * 4, 1.0), Gaussian([1.0] * 4, 1.0), "too many"),
        (Ring(8, 2.0, 1e-5), Gaussian([0.0, 0.0], 1.0), "too many"),
        (Ring(100_000, 2.0, 0.02), Gaussian([0.0, 0.0], 1.0), "too many"),
    ],
)
def test_what_cannot_be_compared_is_refused(p, q, complaint):
    with pytest.raises(ValueError, match=complaint):
        between(divergence("kl"), p, q)


def test_what_has_no_closed_form_says_so():
    with pytest.raises(NotImplementedError, match="no closed form"):
        between(divergence("relativistic"), on_the_line(0.0, 1.0), on_the_line(1.0, 1.0))


@pytest.mark.thorough
@pytest.mark.parametrize("toy", toys().values(), ids=toys())
def test_every_toy_can_be_compared_with_itself_or_says_that_it_cannot(toy):
    if toy.terms > 100:
        pytest.skip("its quadrature takes seconds")
    try:
        value = between(divergence("js"), toy, toy)
    except NotImplementedError as error:
        assert re.search("has no (box|resolution)", str(error))
    else:
        assert value == pytest.approx(0, abs=1e-12)
