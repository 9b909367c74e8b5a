"""What the study of weight clipping measures, on critics that are known, and its fixed generator."""

import math

import pytest
import torch
from torch import nn

from gan_cli import sampling
from gan_cli.assembly.games import assemble
from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Grid, Mixture1d, ParallelLines, Ring, SwissRoll
from gan_cli.errors import ConfigError
from gan_cli.models import mlp
from gan_cli.models.toys import NoisyData
from gan_cli.studies.weight_clipping import (
    WeightClipping,
    gradient_norms,
    growth,
    peaks,
    ranked,
    share_at_the_bounds,
    weights,
)
from tests.helpers.configs import compose

NOISY = ("model=noisy_data", "train.batch_size=16", "train.generator=frozen", "model.critic.hidden=[8]")
RING = Ring(modes=8, radius=2.0, deviation=0.02)
ROLL = SwissRoll(noise=0.25, scale=7.5)


class Scored(nn.Module):
    """A critic given as a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.function(x)


def constant_critic(weight, width=4, layers=5):
    """A perceptron all of whose weights are equal, and whose units are all at work."""
    critic = mlp.Critic((2,), [width] * layers, "relu", "none").double()
    for layer in critic.modules():
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, weight)
            nn.init.constant_(layer.bias, 1.0)
    return critic


# The measures


@pytest.mark.parametrize("weight", [0.1, 0.25, 0.5])
def test_gradients_change_by_width_times_weight_from_layer_to_layer(weight):
    """∂v/∂h is w in each unit next to the score, and every layer before it multiplies by 4w."""
    norms = gradient_norms(constant_critic(weight), torch.ones(3, 2, dtype=torch.float64))
    expected = [2 * weight * (4 * weight) ** power for power in (4, 3, 2, 1, 0)] + [1.0]
    assert norms == pytest.approx(expected)
    assert growth(norms[:-1]) == pytest.approx(4 * weight)


def test_the_share_at_the_bounds_counts_weights_and_biases():
    critic = constant_critic(0.5)
    with torch.no_grad():
        critic.layers[1].weight[0, 0] = 0.4
        critic.layers[1].weight[0, 1] = -0.4999
        for layer in critic.modules():
            if isinstance(layer, nn.Linear):
                layer.bias.fill_(0.1)
    total = len(weights(critic))
    assert total == (2 + 4 * 4 + 1) * 4 + 5 * 4 + 1
    assert share_at_the_bounds(critic, 0.5) == pytest.approx((total - 1 - 5 * 4 - 1) / total)


@pytest.mark.parametrize("mixture", [RING, Grid(side=5, spacing=0.7, deviation=0.02)])
def test_the_density_has_a_peak_at_every_mode_and_a_slope_has_none(mixture):
    assert peaks(Scored(mixture.log_density), mixture) == len(mixture.means)
    assert peaks(Scored(lambda x: x[:, 0]), mixture) == 0
    assert peaks(Scored(lambda x: -mixture.log_density(x)), mixture) == 0
    assert peaks(Scored(lambda x: torch.zeros(len(x))), mixture) == 0


def test_a_single_hill_is_the_peak_of_the_mode_below_it_alone():
    assert peaks(Scored(lambda x: -x.norm(dim=1)), Grid(side=5, spacing=0.7, deviation=0.02)) == 1
    assert peaks(Scored(lambda x: -x.norm(dim=1)), RING) == 0


@pytest.mark.parametrize("shift", [-1.0, 0.0, 2.0])
def test_pairs_of_gaussians_are_ranked_as_their_distance_says(shift):
    real, fake = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = (1 + math.erf(shift / 2)) / 2
    assert ranked(real + shift, fake) == pytest.approx(expected, abs=0.02)


def test_scores_that_do_not_differ_rank_half_of_the_pairs():
    assert ranked(torch.ones(5), torch.ones(7)) == 0.5


def test_a_critic_that_is_the_ratio_of_densities_ranks_as_the_best():
    """And a study of it says so: of a ring of sharp modes in unit noise nothing is left to learn."""
    member = assemble(compose(*NOISY, "dataset=ring", "divergence=wgan_clip", "metric=[]"))
    p, q = member.dataset, member.state.generator.density()
    assert isinstance(p, Density)
    ratio = nn.Linear(1, 1, bias=False)
    nn.init.ones_(ratio.weight)
    member.state.critic.layers = nn.Sequential(Scored(lambda x: (p.log_density(x) - q.log_density(x))[:, None]), ratio)
    member.state.critic.layers.append(nn.Flatten(0))
    numbers = WeightClipping({}).conclude({"best": member}).numbers["best"]
    assert numbers["ranked"] == pytest.approx(numbers["ranked_at_best"], abs=1e-9)
    assert 0.99 < numbers["ranked"] <= 1
    assert (numbers["peaks"], numbers["modes"]) == (8, 8)
    assert numbers["clip"] == 0.01


# The fixed generator


@pytest.mark.parametrize("data", [RING, ROLL, Mixture1d([-1.0, 2.0], [0.3, 1.4], [0.3, 0.7])])
@pytest.mark.parametrize("deviation", [0.1, 1.0])
def test_the_density_of_noisy_data_is_that_of_its_samples(data, deviation):
    """The samples of the generator and of the density are equally likely under it, up to their standard error."""
    generator = NoisyData(data.sample_shape, data, deviation)
    density = generator.density()
    samples = sampling.generate(generator, sampling.latents(generator, 20_000, 0)).double()
    own = density.sample(20_000, torch.Generator().manual_seed(1)).double()
    (likelihood, spread), (expected, _) = (
        (values.mean().item(), values.std().item()) for values in map(density.log_density, (samples, own))
    )
    assert likelihood == pytest.approx(expected, abs=5 * spread * math.sqrt(2 / 20_000))
    torch.testing.assert_close(samples.var(0), own.var(0), rtol=0.05, atol=0)


def test_noise_of_a_deviation_lies_about_the_data():
    generator = NoisyData((2,), RING, 0.5)
    latent = generator.sample_latent(20_000)
    points, noise = latent.chunk(2, dim=1)
    torch.testing.assert_close(generator(latent), points + 0.5 * noise)
    torch.testing.assert_close(noise.var(0), torch.ones(2), rtol=0.05, atol=0)
    assert torch.cdist(points.double(), RING.means).amin(1).max() < 0.15


def test_the_seed_decides_the_noisy_data():
    generator = NoisyData((2,), RING, 0.5)
    torch.manual_seed(3)
    first, second = generator.sample_latent(4), generator.sample_latent(4)
    torch.manual_seed(3)
    assert torch.equal(generator.sample_latent(4), first)
    assert not torch.equal(first, second)
    assert torch.equal(sampling.latents(generator, 4, 0), sampling.latents(generator, 4, 0))


def test_noisy_lines_have_no_density():
    assert NoisyData((2,), ParallelLines(0.0), 0.5).density() is None


def test_noise_is_for_points():
    with pytest.raises(ConfigError, match=r"model\.generator"):
        assemble(compose(*NOISY, "dataset=mnist5k", "dataset.resolution=8"))
    with pytest.raises(ConfigError, match=r"model\.generator\.deviation=0"):
        assemble(compose(*NOISY, "dataset=ring", "model.generator.deviation=0"))


def test_the_study_is_of_data_in_the_plane():
    member = assemble(compose(*NOISY, "dataset=mixture1d", "metric=[]"))
    with pytest.raises(ValueError, match="line must have data in the plane"):
        WeightClipping({}).check({"line": member})
