"""Toy data: what is drawn agrees with the density that is stated."""

import pytest
import torch

from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Mixture, ParallelLines

NODES = {name: options.option("dataset", name) for name in options.names("dataset")}
TOYS = {name: build(node, Density, name) for name, node in NODES.items() if "mixtures" in node._target_}
with_density = pytest.mark.parametrize(
    "toy", [toy for toy in TOYS.values() if not isinstance(toy, ParallelLines)], ids=lambda toy: type(toy).__name__
)


def draw(toy, n, seed=0):
    return toy.sample(n, torch.Generator().manual_seed(seed))


def test_the_toys_are_those_of_the_design():
    assert set(TOYS) == {"ring", "grid", "gaussian", "swiss_roll", "mixture1d", "parallel_lines"}


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
def test_samples_have_the_stated_shape_and_depend_on_the_generator_alone(toy):
    points = draw(toy, 100)
    assert points.shape == (100, *toy.sample_shape)
    assert torch.equal(points, draw(toy, 100))
    assert not torch.equal(points, draw(toy, 100, seed=1))


@with_density
def test_density_integrates_to_one(toy):
    """By importance sampling from a wider copy of the data themselves."""
    generator = torch.Generator().manual_seed(1)
    n = 20_000
    centres = draw(toy, 4000).double()
    width = 0.1
    picked = centres[torch.randint(len(centres), (n,), generator=generator)]
    x = picked + width * torch.randn(picked.shape, dtype=torch.float64, generator=generator)
    log_kernel = -torch.cdist(x, centres).square() / (2 * width**2)
    dimensions = x.shape[1]
    log_proposal = torch.logsumexp(log_kernel, 1) - torch.log(torch.tensor(float(len(centres))))
    log_proposal -= dimensions * torch.log(torch.tensor(width * (2 * torch.pi) ** 0.5))
    mass = (toy.log_density(x) - log_proposal).exp().mean().item()
    assert mass == pytest.approx(1, abs=0.05)


@with_density
def test_samples_fall_where_the_density_says(toy):
    """The mean log density of samples equals that of its own expectation, taken on fresh ones."""
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
