"""Generators and critics: shapes, ranges, and what their knobs change."""

import pytest
import torch
from torch import nn

from gan_cli.models import dcgan, mlp


def dcgan_generator(side=28, channels=1, **changes):
    knobs = {"latent_size": 8, "latent": "normal", "width": 4, "activation": "relu", "normalization": "batch"}
    return dcgan.Generator((channels, side, side), **(knobs | {"upsampling": "transposed"} | changes))


def dcgan_critic(side=28, channels=1, **changes):
    knobs = {"width": 4, "activation": "leaky_relu", "normalization": "none"}
    return dcgan.Critic((channels, side, side), **(knobs | changes))


def mlp_generator(shape=(2,), **changes):
    knobs = {"latent_size": 3, "latent": "normal", "hidden": [8, 8], "activation": "relu", "normalization": "none"}
    return mlp.Generator(shape, **(knobs | changes))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("side", range(8, 129, 4))
def test_dcgan_takes_every_side_it_promises(side, upsampling, channels):
    images = dcgan_generator(side, channels, upsampling=upsampling)(torch.randn(2, 8))
    assert images.shape == (2, channels, side, side)
    assert images.abs().max() <= 1
    assert dcgan_critic(side, channels)(images).shape == (2,)


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4), (1, 30, 30), (1, 132, 132), (1, 28, 32)])
def test_dcgan_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="takes"):
        dcgan.Critic(shape, width=4, activation="relu", normalization="none")


@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "instance", "spectral"])
def test_each_side_of_dcgan_takes_each_normalization(normalization):
    images = dcgan_generator(normalization=normalization)(torch.randn(4, 8))
    assert dcgan_critic(normalization=normalization)(images).isfinite().all()


@pytest.mark.parametrize("normalization", ["none", "layer", "instance", "spectral"])
def test_scores_are_independent_of_the_batch_unless_it_is_normalised(normalization):
    torch.manual_seed(0)
    critic = dcgan_critic(normalization=normalization).eval()
    x = torch.randn(4, 1, 28, 28)
    torch.testing.assert_close(critic(x)[:2], critic(x[:2]))


def test_batch_normalization_makes_scores_depend_on_the_batch():
    torch.manual_seed(0)
    critic = dcgan_critic(normalization="batch")
    x = torch.randn(4, 1, 28, 28)
    assert (critic(x)[:2] - critic(x[:2])).abs().max() > 1e-4


def test_spectral_normalization_bounds_the_largest_singular_value():
    torch.manual_seed(0)
    critic = mlp.Critic((2,), hidden=[64, 64], activation="relu", normalization="spectral")
    for _ in range(30):
        critic(torch.randn(8, 2))
    for layer in critic.layers:
        if isinstance(layer, nn.Linear) and layer.out_features == 64:
            assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.05)


def test_mlp_draws_points_without_bounds_and_images_within_them():
    latent = 100 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    assert mlp_generator()(latent).abs().max() > 1
    images = mlp_generator((1, 8, 8))(latent)
    assert images.shape == (50, 1, 8, 8)
    assert images.abs().max() <= 1


def test_mlp_without_hidden_layers_is_affine():
    """f-GAN's univariate model: x = σz + μ."""
    generator = mlp_generator((1,), latent_size=1, hidden=[])
    z = torch.tensor([[-1.0], [0.0], [1.0]])
    x = generator(z)
    torch.testing.assert_close(x[2] - x[1], x[1] - x[0])
    assert sum(p.numel() for p in generator.parameters()) == 2


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "silu", "softplus", "tanh"])
def test_mlp_takes_each_activation(activation):
    critic = mlp.Critic((1, 8, 8), hidden=[16], activation=activation, normalization="layer")
    assert critic(torch.randn(5, 1, 8, 8)).shape == (5,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp_generator(hidden=[8, 0]), "hidden="),
        (lambda: mlp_generator(latent_size=0), "latent_size=0"),
        (lambda: mlp_generator(normalization="instance"), "normalization=instance"),
        (lambda: dcgan_critic(width=0), "width=0"),
    ],
)
def test_impossible_knobs_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_latents_follow_their_distribution_and_their_stream():
    normal = mlp_generator(latent="normal").sample_latent(4000, torch.Generator().manual_seed(0))
    uniform = mlp_generator(latent="uniform").sample_latent(4000, torch.Generator().manual_seed(0))
    assert normal.std().item() == pytest.approx(1, abs=0.03)
    assert uniform.abs().max().item() == pytest.approx(1, abs=0.01)
    assert uniform.var().item() == pytest.approx(1 / 3, abs=0.02)
    again = mlp_generator(latent="normal").sample_latent(4000, torch.Generator().manual_seed(0))
    assert torch.equal(normal, again)
