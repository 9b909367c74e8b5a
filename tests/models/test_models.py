"""Generators and critics: shapes, ranges, and what their knobs change."""

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from gan_cli.models import dcgan, mlp, resnet
from gan_cli.models.layers import PooledConv2d, UpsampleConv2d, nonlinearity
from tests.helpers.layers import unfused

Knobs = dict[str, Any]


def dcgan_generator(side=28, channels=1, **changes):
    knobs: Knobs = {
        "latent_size": 8,
        "latent": "normal",
        "width": 4,
        "activation": "relu",
        "normalization": "batch",
    }
    return dcgan.Generator((channels, side, side), **(knobs | {"upsampling": "transposed"} | changes))


def dcgan_critic(side=28, channels=1, **changes):
    knobs: Knobs = {"width": 4, "activation": "leaky_relu", "normalization": "none"}
    return dcgan.Critic((channels, side, side), **(knobs | changes))


def resnet_generator(side=32, channels=3, **changes):
    knobs: Knobs = {"latent_size": 8, "latent": "normal", "width": 4, "max_width": 8, "activation": "relu"}
    return resnet.Generator((channels, side, side), **(knobs | {"normalization": "batch"} | changes))


def resnet_critic(side=32, channels=3, **changes):
    knobs: Knobs = {"width": 4, "max_width": 8, "activation": "relu", "normalization": "none"}
    return resnet.Critic((channels, side, side), **(knobs | changes))


def mlp_generator(shape=(2,), **changes):
    knobs: Knobs = {
        "latent_size": 3,
        "latent": "normal",
        "hidden": [8, 8],
        "activation": "relu",
        "normalization": "none",
    }
    return mlp.Generator(shape, **(knobs | changes))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("side", [*range(8, 129, 4), 132, 252, 256])
def test_dcgan_takes_every_side_it_promises(side, upsampling, channels):
    images = dcgan_generator(side, channels, upsampling=upsampling)(torch.randn(2, 8))
    assert images.shape == (2, channels, side, side)
    assert images.abs().max() <= 1
    assert dcgan_critic(side, channels)(images).shape == (2,)


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4), (1, 30, 30), (1, 260, 260), (1, 28, 32)])
def test_dcgan_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="takes"):
        dcgan.Critic(shape, width=4, activation="relu", normalization="none")


def two_layers_for_each_fused(network):
    """A copy that upsamples, or pools, in layers of their own."""
    network = deepcopy(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, UpsampleConv2d | PooledConv2d):
                setattr(parent, name, unfused(child))
    return network


@pytest.mark.parametrize(("side", "fused"), [(8, 1), (28, 2), (64, 4)])
def test_resizing_dcgan_is_the_nearest_upsampling_that_it_replaces(side, fused):
    torch.manual_seed(0)
    generator = dcgan_generator(side, upsampling="resize").double()
    assert sum(isinstance(m, UpsampleConv2d) for m in generator.modules()) == fused
    reference = two_layers_for_each_fused(generator)
    # From 4 to 7, the one level that is not a doubling, nothing is fused.
    assert [m.size for m in generator.modules() if isinstance(m, nn.Upsample)] == ([(7, 7)] if side == 28 else [])
    latent = torch.randn(3, 8, dtype=torch.float64)
    torch.testing.assert_close(generator(latent), reference(latent), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 32, 64, 128])
def test_resnet_takes_every_side_it_promises(side, channels):
    images = resnet_generator(side, channels)(torch.randn(2, 8))
    assert images.shape == (2, channels, side, side)
    assert images.abs().max() <= 1
    assert resnet_critic(side, channels)(images).shape == (2,)


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((2,), "takes square images, not samples of shape .*: choose model=mlp"),
        ((1, 32, 64), "takes square images, not samples of shape .*: choose model=mlp"),
        ((1, 28, 28), "takes sides of 16, 32, 64 or 128, not 28: choose dataset.resolution=32"),
        ((1, 8, 8), "not 8: choose"),
        ((1, 33, 33), "not 33: choose"),
        ((1, 256, 256), "not 256: choose"),
    ],
)
def test_resnet_refuses_other_shapes_with_a_remedy(shape, remedy):
    knobs: Knobs = {"width": 4, "max_width": 4, "activation": "relu", "normalization": "none"}
    with pytest.raises(ValueError, match=remedy):
        resnet.Critic(shape, **knobs)
    with pytest.raises(ValueError, match=remedy):
        resnet.Generator(shape, latent_size=8, latent="normal", **knobs)


def test_resnet_is_the_one_of_the_paper():
    """Counted by hand from the table of appendix F, biases included."""

    def convolution(inputs, outputs, size):
        return inputs * outputs * size**2 + outputs

    def parameters(network):
        return sum(p.numel() for p in network.parameters())

    paper = {"width": 128, "max_width": 128}
    same, shortcut, norm = convolution(128, 128, 3), convolution(128, 128, 1), 2 * 128
    up = 2 * same + shortcut + 2 * norm
    assert parameters(resnet_generator(latent_size=128, **paper)) == (
        (128 + 1) * 4 * 4 * 128 + 3 * up + norm + convolution(128, 3, 3)
    )
    first = convolution(3, 128, 3) + same + convolution(3, 128, 1)
    assert parameters(resnet_critic(**paper)) == first + (2 * same + shortcut) + 2 * 2 * same + 128 + 1


def test_resnet_doubles_its_channels_away_from_the_image_up_to_a_bound():
    critic = resnet_critic(64, width=4, max_width=12)
    generator = resnet_generator(64, width=4, max_width=12)
    assert [m.out_channels for m in critic.modules() if isinstance(m, PooledConv2d)] == [4, 8, 12]
    assert [m.out_channels for m in generator.modules() if isinstance(m, UpsampleConv2d)] == [12, 12, 8, 4]


def test_resnet_computes_what_the_paper_draws():
    """Upsampling and pooling apart from the convolutions; the shortcuts in the paper's order."""
    torch.manual_seed(0)
    generator, critic = resnet_generator().double(), resnet_critic().double()
    latent = torch.randn(3, 8, dtype=torch.float64)
    images = generator(latent)
    drawn_generator, drawn_critic = two_layers_for_each_fused(generator), two_layers_for_each_fused(critic)
    for network in (drawn_generator, drawn_critic):
        for module in network.modules():
            if isinstance(module, resnet._Block) and isinstance(module.shortcut, nn.Sequential):
                module.shortcut = module.shortcut[::-1]
    torch.testing.assert_close(drawn_generator(latent), images, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(drawn_critic(images), critic(images), rtol=1e-10, atol=1e-10)


WEIGHTED = nn.Linear | nn.Conv2d | nn.ConvTranspose2d


def assert_normal(weight: torch.Tensor, deviation: float) -> None:
    """Within four standard errors, the deviation and the share within one deviation are those of N(0, deviation)."""
    n = weight.numel()
    assert weight.mean().item() == pytest.approx(0, abs=4 * deviation / n**0.5)
    assert weight.std().item() == pytest.approx(deviation, rel=4 / (2 * n) ** 0.5)
    within = (weight.abs() < deviation).double().mean().item()
    assert within == pytest.approx(0.6827, abs=4 * (0.6827 * 0.3173 / n) ** 0.5)


def assert_uniform(weight: torch.Tensor, reach: float) -> None:
    """All is within ±reach, and the deviation is that of a uniform distribution there, within four standard errors."""
    assert weight.abs().max().item() <= reach
    assert weight.std().item() == pytest.approx(reach / 3**0.5, rel=4 / (2 * weight.numel()) ** 0.5)


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_dcgan_starts_with_normal_weights_of_deviation_0_02(upsampling):
    torch.manual_seed(0)
    for network in (dcgan_generator(width=32, latent_size=32, upsampling=upsampling), dcgan_critic(width=32)):
        layers = [layer for layer in network.modules() if isinstance(layer, WEIGHTED)]
        assert len(layers) == 4
        for layer in layers:
            assert_normal(layer.weight.detach(), 0.02)
            assert layer.bias is None or not layer.bias.any()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert (layer.weight == 1).all()
                assert (layer.bias == 0).all()


def test_mlp_starts_with_uniform_weights_within_one_over_the_root_of_the_inputs():
    torch.manual_seed(0)
    critic = mlp.Critic((64,), [128, 128], "relu", "none")
    for network in (mlp_generator((64,), latent_size=32, hidden=[128, 128]), critic):
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        assert len(layers) == 3
        for layer in layers:
            assert_uniform(layer.weight.detach(), layer.in_features**-0.5)
            assert layer.bias.abs().max().item() <= layer.in_features**-0.5


def test_resnet_starts_with_the_weights_of_the_authors_code():
    """Uniform, of variance 4/(fan in + fan out) in the 3 × 3 convolutions of blocks and half of that elsewhere."""
    torch.manual_seed(0)
    generator = resnet_generator(width=64, max_width=64, latent_size=64)
    critic = resnet_critic(width=64, max_width=64)
    for network in (generator, critic):
        residual = {
            layer for block in network.modules() if isinstance(block, resnet._Block) for layer in block.residual
        }
        layers = [layer for layer in network.modules() if isinstance(layer, WEIGHTED)]
        assert len(layers) > 10
        for layer in layers:
            size = layer.weight[0, 0].numel() if layer.weight.dim() == 4 else 1
            variance = (4 if layer in residual else 2) / (size * sum(layer.weight.shape[:2]))
            assert_uniform(layer.weight.detach(), (3 * variance) ** 0.5)
            assert not layer.bias.any()


@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_gradients_reach_every_parameter_of_resnet(normalization):
    torch.manual_seed(0)
    generator, critic = (
        resnet_generator(64, normalization=normalization),
        resnet_critic(64, normalization=normalization),
    )
    critic(generator(torch.randn(4, 8))).square().sum().backward()
    for network in (generator, critic):
        assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ("generator", "critic"),
    [
        (resnet_generator(32), resnet_critic(32)),
        (resnet_generator(64), resnet_critic(64)),
        (dcgan_generator(64, 3), dcgan_critic(64, 3)),
        (dcgan_generator(28, 3, upsampling="resize"), dcgan_critic(28, 3)),
    ],
)
def test_channels_last_is_kept_through_a_whole_network(generator, critic):
    outputs = []
    for network in (generator, critic):
        network.to(memory_format=torch.channels_last)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d | nn.Upsample | nn.AvgPool2d):
                module.register_forward_hook(lambda module, _, y: outputs.append((module, y)))
    critic(generator(torch.randn(2, 8)))
    assert len(outputs) > 8
    assert [module for module, y in outputs if not y.is_contiguous(memory_format=torch.channels_last)] == []


@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "instance", "spectral"])
def test_each_side_takes_each_normalization(normalization):
    images = dcgan_generator(normalization=normalization)(torch.randn(4, 8))
    assert dcgan_critic(normalization=normalization)(images).isfinite().all()
    images = resnet_generator(normalization=normalization)(torch.randn(4, 8))
    assert resnet_critic(normalization=normalization)(images).isfinite().all()


@pytest.mark.parametrize("make", [dcgan_critic, resnet_critic])
@pytest.mark.parametrize("normalization", ["none", "layer", "instance", "spectral"])
def test_scores_are_independent_of_the_batch_unless_it_is_normalised(normalization, make):
    torch.manual_seed(0)
    critic = make(32, 1, normalization=normalization).eval()
    x = torch.randn(4, 1, 32, 32)
    torch.testing.assert_close(critic(x)[:2], critic(x[:2]))


@pytest.mark.parametrize("make", [dcgan_critic, resnet_critic])
def test_batch_normalization_makes_scores_depend_on_the_batch(make):
    torch.manual_seed(0)
    critic = make(32, 1, normalization="batch")
    x = torch.randn(4, 1, 32, 32)
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


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("relu", lambda x: max(x, 0)),
        ("leaky_relu", lambda x: x if x > 0 else 0.2 * x),
        ("elu", lambda x: x if x > 0 else math.expm1(x)),
        ("silu", lambda x: x / (1 + math.exp(-x))),
        ("softplus", lambda x: math.log1p(math.exp(x))),
        ("tanh", math.tanh),
    ],
)
def test_each_activation_is_its_formula(name, formula):
    x = [-3.0, -0.5, 0.0, 0.7, 2.0]
    assert nonlinearity(name)(torch.tensor(x)).tolist() == pytest.approx([formula(value) for value in x], abs=1e-6)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "silu", "softplus", "tanh"])
def test_mlp_takes_each_activation(activation):
    critic = mlp.Critic((1, 8, 8), hidden=[16], activation=activation, normalization="layer")
    assert critic(torch.randn(5, 1, 8, 8)).shape == (5,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp_generator(latent_size=1, latent="mixture"), "must be at least 2"),
        (lambda: mlp_generator(normalization="instance"), "normalization=instance"),
        (lambda: resnet_generator(width=8, max_width=4), "max_width=4 must be at least width=8"),
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
    mixture = mlp_generator(latent="mixture").sample_latent(4000, torch.Generator().manual_seed(0))
    centre = mixture.argmax(1)
    deviations = mixture - mlp_generator(latent="mixture").centre(mixture)
    assert deviations.std().item() == pytest.approx(1, abs=0.03)
    assert deviations.mean().item() == pytest.approx(0, abs=0.03)
    shares = centre.bincount(minlength=mixture.shape[1]) / 4000
    assert shares.tolist() == pytest.approx([1 / len(shares)] * len(shares), abs=0.04)
    again = mlp_generator(latent="normal").sample_latent(4000, torch.Generator().manual_seed(0))
    assert torch.equal(normal, again)
