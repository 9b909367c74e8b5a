"""W₁ against closed forms, and from samples within its error."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import AffineGaussian, Gaussian, Mixture1d, ParallelLines, Ring
from gan_cli.exact.quadrature import Lattice
from gan_cli.exact.transport import between, exactly, of_samples

MIXTURE = Mixture1d([-1.0, 2.0], [0.255, 1.414], [0.33, 0.67])
AFFINE = AffineGaussian(torch.tensor([[1.2, -0.5]]), torch.tensor([0.3]))


def on_the_line(mean: float, deviation: float) -> Gaussian:
    return Gaussian([mean], deviation)


def samples(density: Density, n: int = 2000, seed: int = 0) -> torch.Tensor:
    return density.sample(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.5, -3.0, 1e3])
def test_shifted_gaussians_are_as_far_apart_as_their_means(mean):
    found = exactly(on_the_line(0.0, 1.0), on_the_line(mean, 1.0))
    assert found.value == pytest.approx(abs(mean), rel=1e-9, abs=1e-15)
    assert found.half_width <= 1e-6 * abs(mean)


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (5.0, 0.1), (1.0, 1.000001), (1e-3, 1e3)])
def test_gaussians_of_two_deviations_have_a_closed_form(a, b):
    found = exactly(on_the_line(7.0, a), on_the_line(7.0, b))
    assert found.value == pytest.approx(abs(a - b) * math.sqrt(2 / math.pi), rel=1e-8)
    assert 0 < found.half_width < 1e-4 * found.value


def test_a_mixture_agrees_with_adaptive_quadrature_of_quantiles():
    """Between N(2, 0.1²) and the mixture, whose CDFs cross once inside."""
    q = norm(2, 0.1)

    def gap(x):
        return abs(0.33 * norm.cdf((x + 1) / 0.255) + 0.67 * norm.cdf((x - 2) / 1.414) - q.cdf(x))

    pieces = [-15, -2, -1, 0, 1.5, 2, 2.5, 4, 18]
    stated = sum(quad(gap, a, b, epsabs=1e-12, limit=500)[0] for a, b in pairwise(pieces))
    found = exactly(MIXTURE, on_the_line(2.0, 0.1))
    assert found.value == pytest.approx(stated, abs=1e-8)
    assert found.value == pytest.approx(exactly(on_the_line(2.0, 0.1), MIXTURE).value, rel=1e-12)


@pytest.mark.parametrize("density", [MIXTURE, AFFINE], ids=["mixture", "affine"])
def test_a_cdf_is_the_integral_of_the_density(density):
    low, high = (corner.double() for corner in density.box())
    for at in (low + 0.4 * (high - low), low + 0.55 * (high - low)):
        lattice = Lattice.over((low, at), density.resolution())
        below = sum((weights * density.log_density(x).exp()).sum().item() for x, weights in lattice)
        assert density.cdf(at[None]).item() == pytest.approx(below, abs=1e-9)
        assert 0.01 < below < 0.99


@pytest.mark.parametrize("position", [-0.7, 0.0, 1e-3, 5.0])
def test_parallel_lines_are_as_far_apart_as_they_are(position):
    found = exactly(ParallelLines(0.5), ParallelLines(0.5 + position))
    assert found.value == pytest.approx(abs(position))
    assert found.half_width == 0


def test_points_in_the_plane_have_no_closed_form():
    plane = Gaussian([0.0, 0.0], 1.0)
    for p, q in ((plane, plane), (plane, ParallelLines(0.0))):
        with pytest.raises(NotImplementedError, match="on the line and between parallel lines"):
            exactly(p, q)
    with pytest.raises(NotImplementedError, match="no CDF"):
        plane.cdf(torch.zeros(1, 2))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("p", "q", "stated"),
    [
        (Ring(8, 2.0, 0.02), Ring(8, 2.0, 0.02), 0.0),
        (Gaussian([0.0, 0.0], 1.0), Gaussian([3.0, 4.0], 1.0), 5.0),
        # Concentric Gaussians: each point moves along its radius, of mean length √(π/2).
        (Gaussian([0.0, 0.0], 1.0), Gaussian([0.0, 0.0], 2.0), math.sqrt(math.pi / 2)),
    ],
    ids=["ring", "shifted", "concentric"],
)
def test_samples_in_the_plane_tell_the_distance_within_the_error(p, q, stated):
    found = between(p, q, samples(p), samples(q, seed=1))
    assert abs(found.value - stated) < found.half_width < 0.5


def test_the_error_of_samples_is_what_two_of_each_are_apart():
    p = torch.tensor([[0.0], [1.0], [0.0], [3.0]])
    q = torch.tensor([[5.0], [7.0], [5.0], [8.0], [100.0]])
    found = of_samples(p, q)
    # {0, 1} to {5, 7}; {0, 1} to {0, 3} and {5, 7} to {5, 8}.
    assert found.value == pytest.approx(5.5)
    assert found.half_width == pytest.approx(1.0 + 0.5)


def test_an_unknown_density_is_told_by_its_samples():
    p = on_the_line(0.0, 1.0)
    by_samples = between(p, None, samples(p), samples(on_the_line(2.0, 1.0), seed=1))
    assert by_samples.half_width > 0.01
    assert abs(by_samples.value - 2) < by_samples.half_width
    assert between(p, on_the_line(2.0, 1.0), samples(p), samples(p)).value == pytest.approx(2)


class WithoutCdf(Density):
    """Somebody's density on the line."""

    sample_shape = (1,)

    def sample(self, n, generator):
        return torch.rand(n, 1, generator=generator)

    def log_density(self, x):
        return torch.where((x[:, 0] >= 0) & (x[:, 0] <= 1), 0.0, -math.inf)

    def box(self):
        return torch.zeros(1), torch.ones(1)

    def resolution(self):
        return 0.1


def test_a_density_without_a_cdf_is_told_by_its_samples():
    q = on_the_line(2.0, 0.1)
    found = between(WithoutCdf(), q, samples(WithoutCdf()), samples(q))
    assert abs(found.value - 1.5) < found.half_width < 0.2
