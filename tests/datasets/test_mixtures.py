"""Toy data: what is drawn agrees with the density that is stated."""

import math

import pytest
import torch

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Mixture, ParallelLines
from tests.helpers.configs import toys

TOYS = toys()


def draw(toy, n, seed=0):
    return toy.sample(n, torch.Generator().manual_seed(seed))


def has_density(toy: Density) -> bool:
    try:
        toy.log_density(draw(toy, 1).double())
    except NotImplementedError:
        return False
    return True


with_density = pytest.mark.parametrize("name", [name for name, toy in TOYS.items() if has_density(toy)])


def test_the_toys_of_the_design_are_there():
    with_densities = {name for name, toy in TOYS.items() if has_density(toy)}
    assert {"ring", "grid", "gaussian", "swiss_roll", "mixture1d"} <= with_densities
    assert "parallel_lines" in TOYS.keys() - with_densities


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
def test_samples_have_the_stated_shape_and_depend_on_the_generator_alone(toy):
    points = draw(toy, 100)
    assert points.shape == (100, *toy.sample_shape)
    assert torch.equal(points, draw(toy, 100))
    assert not torch.equal(points, draw(toy, 100, seed=1))


@pytest.mark.thorough
@with_density
def test_density_integrates_to_one(name):
    """By importance sampling from Gaussians about samples, each as wide as the tenth nearest of them is far."""
    toy, n = TOYS[name], 5_000
    generator = torch.Generator().manual_seed(1)
    centres = draw(toy, 2000).double()
    widths = torch.cdist(centres, centres).kthvalue(11).values
    picked = torch.randint(len(centres), (n,), generator=generator)
    noise = torch.randn(n, *toy.sample_shape, dtype=torch.float64, generator=generator)
    x = centres[picked] + widths[picked, None] * noise
    log_kernels = -torch.cdist(x, centres).square() / (2 * widths**2) - x.shape[1] * widths.log()
    normaliser = math.log(len(centres)) + x.shape[1] * math.log(2 * math.pi) / 2
    weights = (toy.log_density(x) - log_kernels.logsumexp(1) + normaliser).exp()
    error = weights.std().item() / math.sqrt(n)
    assert error < 0.02
    assert weights.mean().item() == pytest.approx(1, abs=4 * error)


@with_density
def test_samples_fall_where_the_density_says(name):
    """The mean log density of samples equals that of its own expectation, taken on fresh ones."""
    toy = TOYS[name]
    a, b = (toy.log_density(draw(toy, 20_000, seed).double()) for seed in (0, 1))
    assert a.isfinite().all()
    assert a.mean().item() == pytest.approx(b.mean().item(), abs=0.05)


def test_mixture_density_is_that_of_its_components():
    toy = TOYS["mixture1d"]
    assert isinstance(toy, Mixture)
    x = torch.linspace(-4, 6, 50, dtype=torch.float64)
    parts = [
        weight * torch.distributions.Normal(mean.double(), deviation.double()).log_prob(x).exp()
        for weight, mean, deviation in zip(toy.weights, toy.means[:, 0], toy.deviations, strict=True)
    ]
    torch.testing.assert_close(toy.log_density(x[:, None]).exp(), parts[0] + parts[1])


@pytest.mark.parametrize(("name", "modes", "deviation"), [("ring", 8, 0.02), ("grid", 25, 0.05)])
def test_modes_are_distinct_and_equally_often_drawn(name, modes, deviation):
    """The demo of unrolled GANs counts one point of its ring twice."""
    toy = TOYS[name]
    assert isinstance(toy, Mixture)
    assert len(toy.means) == modes
    assert torch.pdist(toy.means).min() > 20 * deviation
    points = draw(toy, 20_000)
    distance, nearest = torch.cdist(points.double(), toy.means).min(1)
    shares = torch.bincount(nearest, minlength=modes) / len(points)
    assert shares.sub(1 / modes).abs().max() < 0.01
    # In the plane the root mean square distance to the mode is √2 deviations.
    assert distance.square().mean().sqrt().item() == pytest.approx(2**0.5 * deviation, rel=0.02)


def test_parallel_lines_are_a_segment_without_a_density():
    points = draw(ParallelLines(position=0.5), 1000)
    assert (points[:, 0] == 0.5).all()
    assert points[:, 1].min() >= 0
    assert points[:, 1].max() <= 1
    with pytest.raises(NotImplementedError, match="no density"):
        TOYS["parallel_lines"].log_density(points)
