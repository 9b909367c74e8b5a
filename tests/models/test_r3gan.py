"""R3GAN's networks: the paper's counts, resampling and first weights; shapes, labels, gradients and refusals."""

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import conv2d, conv_transpose2d

from gan_cli.datasets.base import Batch
from gan_cli.divergences.penalties import R1R2
from gan_cli.divergences.relativistic import Relativistic
from gan_cli.models.r3gan import SIDES, Block, Critic, Doubling, Generator, Halving
from gan_cli.training.loop import Game

Knobs = dict[str, Any]

SMALL: Knobs = {"width": 16, "widest_side": 8, "blocks": 1, "expansion": 2, "group_size": 8}


def players(side: int = 32, channels: int = 3, latent_size: int = 8, **changes: Any) -> tuple[Generator, Critic]:
    shape, knobs = (channels, side, side), SMALL | changes
    return Generator(shape, latent_size, "normal", **knobs), Critic(shape, **knobs)


def alive(*networks: nn.Module) -> None:
    """Have blocks do something: their last convolutions begin at 0."""
    for network in networks:
        for block in network.modules():
            if isinstance(block, Block):
                last: Any = block.residual[-1]
                nn.init.normal_(last.weight, std=0.3 / last.in_channels**0.5)


@pytest.mark.parametrize(
    ("side", "channels", "classes", "width", "widest_side", "group_size", "expected"),
    [
        (32, 3, 0, 768, 32, 16, (20.73, 20.68)),  # Stacked MNIST
        (32, 3, 10, 768, 32, 16, (20.78, 21.28)),  # CIFAR-10
        (64, 3, 0, 768, 32, 16, (22.43, 22.38)),  # FFHQ
        (256, 3, 0, 768, 32, 16, (23.06, 23.01)),
        (32, 3, 1000, 1536, 32, 32, (82.9, 86.6)),  # ImageNet
    ],
)
def test_the_papers_presets_have_the_parameters_of_its_table_9(
    side, channels, classes, width, widest_side, group_size, expected
):
    knobs = {"width": width, "widest_side": widest_side, "blocks": 2, "expansion": 2, "group_size": group_size}
    with torch.device("meta"):
        networks = players(side, channels, 64, **knobs, conditional=classes > 0, class_count=classes)
    counts = [sum(parameter.numel() for parameter in network.parameters()) / 1e6 for network in networks]
    tolerance = 0.006 if classes < 1000 else 0.4  # its digits, and what is not told of a thousand classes
    assert counts == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", SIDES)
def test_every_promised_side_is_taken(side, channels):
    generator, critic = players(side, channels, width=8)
    images = generator(torch.randn(2, 8))
    assert images.shape == (2, channels, side, side)
    assert images.abs().max() <= 1
    assert critic(images).shape == (2,)
    assert sum(isinstance(module, Doubling) for module in generator.modules()) == side.bit_length() - 3


@pytest.mark.parametrize(
    ("side", "widest_side", "expected"),
    [
        (32, 32, [64, 64, 64, 64]),
        (32, 8, [64, 64, 32, 16]),
        (64, 4, [64, 32, 16, 8, 4]),
        (256, 4, [64, 32, 16, 8, 4, 4, 4]),  # a group of 8 channels within a block twice as wide
    ],
)
def test_channels_halve_with_each_doubling_beyond_the_widest_side(side, widest_side, expected):
    for network, ascending in zip(players(side, width=64, widest_side=widest_side), (1, -1), strict=True):
        blocks = [module for module in network.modules() if isinstance(module, Block)]
        assert [block.residual[-1].out_channels for block in blocks][::ascending] == expected


FILTER = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)


def filtered(weight: Tensor, channels: int) -> Tensor:
    return weight.outer(weight).expand(channels, 1, 3, 3)


@pytest.mark.parametrize("size", [(4, 4), (6, 10)])
def test_resampling_is_the_convolution_with_the_papers_filter(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    doubled = conv_transpose2d(x, filtered(FILTER / 2, 3), stride=2, padding=1, output_padding=1, groups=3)
    torch.testing.assert_close(Doubling()(x), doubled, rtol=0, atol=1e-14)
    halved = conv2d(x, filtered(FILTER / 4, 3), stride=2, padding=1, groups=3)
    torch.testing.assert_close(Halving()(x), halved, rtol=0, atol=1e-14)


def test_a_halving_is_a_quarter_of_the_transpose_of_a_doubling():
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 4, 6, dtype=torch.float64), torch.randn(2, 3, 8, 12, dtype=torch.float64)
    assert (Doubling()(x) * y).sum().item() == pytest.approx(4 * (x * Halving()(y)).sum().item(), rel=1e-12)


@pytest.mark.parametrize("layer", [Doubling(), Halving()])
def test_resampling_is_differentiable_twice(layer):
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(layer, x)
    assert gradgradcheck(layer, x)


def test_a_block_begins_as_the_identity():
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(Block(8, 2, 8, depth=4)(x), x)


def test_within_a_block_the_power_falls_with_the_depth_as_fixup_has_it():
    """Each of the two convolutions before the last gives depth^(−1/2) of the power of its input, rectified."""
    torch.manual_seed(0)
    x = torch.randn(64, 256, 8, 8)
    first, rectifier, grouped, *_ = Block(256, 2, 16, depth=16).residual
    for layer in (first, grouped):
        before, x = x, rectifier(layer(x))
        inner = x[:, :, 1:-1, 1:-1]  # beyond the border are zeros
        assert inner.square().mean().item() == pytest.approx(before.square().mean().item() / 4, rel=0.1)


def variances_of_stages(network: nn.Module, samples: Tensor) -> list[float]:
    """Of the inputs, and of what each block gives."""
    variances = [samples.var().item()]
    for module in network.modules():
        if isinstance(module, Block):
            module.register_forward_hook(lambda _, __, y: variances.append(y.var().item()))
    network(samples)
    return variances


@pytest.mark.parametrize(("side", "n"), [(32, 64), (128, 8)])
def test_the_variance_stays_within_a_factor_of_two_from_stage_to_stage(side, n):
    """The critic's is that of smooth pictures: what its filter takes from white noise is not meant to stay."""
    torch.manual_seed(0)
    generator, critic = players(side, latent_size=64, width=64)
    smooth = torch.randn(n, 3, 4, 4)
    while smooth.shape[-1] < side:
        smooth = Doubling()(smooth)
    for network, samples in ((generator, torch.randn(n, 64)), (critic, smooth / smooth.std())):
        variances = variances_of_stages(network, samples)
        assert len(variances) == side.bit_length() - 1
        ratios = [after / before for before, after in pairwise(variances)]
        assert all(0.5 < ratio < 2 for ratio in ratios), ratios


def test_scores_begin_with_a_spread_of_about_one():
    torch.manual_seed(0)
    critic = Critic((3, 8, 8), **SMALL | {"width": 256})
    features = torch.randn(400, 3, 1, 1).expand(-1, -1, 8, 8)
    assert critic(features).std().item() == pytest.approx(1, rel=0.5)


@pytest.mark.parametrize("conditional", [False, True])
def test_gradients_reach_every_parameter(conditional):
    torch.manual_seed(0)
    generator, critic = players(conditional=conditional, class_count=3)
    alive(generator, critic)
    labels = torch.arange(6) % 3
    given = (labels,) if conditional else ()
    critic(generator(torch.randn(6, 8), *given), *given).square().sum().backward()
    for network in (generator, critic):
        assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_first_step_moves_what_ends_the_blocks():
    """A block whose end is 0 has a gradient there, and only there, at the start."""
    torch.manual_seed(0)
    block = Block(8, 2, 8, depth=4)
    block(torch.randn(2, 8, 4, 4)).square().sum().backward()
    first, last = (next(block.residual[index].parameters()).grad for index in (0, -1))
    assert first is not None
    assert last is not None
    assert last.any()
    assert not first.any()


def test_labels_change_what_is_drawn_and_how_it_is_judged():
    torch.manual_seed(0)
    generator, critic = players(conditional=True, class_count=3)
    latent, zeros, ones = torch.randn(4, 8), torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    images = generator(latent, zeros)
    assert not torch.allclose(images, generator(latent, ones))
    assert not torch.allclose(critic(images, zeros), critic(images, ones))
    weights = nn.functional.one_hot(ones, 3).float()
    torch.testing.assert_close(generator(latent, weights), generator(latent, ones))


def test_a_score_does_not_depend_on_the_rest_of_the_batch():
    torch.manual_seed(0)
    _, critic = players()
    alive(critic)
    x = torch.randn(4, 3, 32, 32)
    assert critic.judges_alone
    torch.testing.assert_close(critic(x)[:2], critic(x[:2]))


def test_channels_last_is_kept_through_a_whole_network():
    generator, critic = players()
    outputs: list[tuple[nn.Module, Tensor]] = []
    for network in (generator, critic):
        network.to(memory_format=torch.channels_last)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | Doubling | Halving | Block):
                module.register_forward_hook(lambda module, _, y: outputs.append((module, y)))
    critic(generator(torch.randn(2, 8)))
    assert len(outputs) > 20
    assert [module for module, y in outputs if not y.is_contiguous(memory_format=torch.channels_last)] == []


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        ((2,), {}, "takes square images, not samples of shape .*: choose model=mlp"),
        ((1, 28, 28), {}, "takes sides of 8, 16, 32, 64, 128 or 256, not 28: choose dataset.resolution=32"),
        ((3, 120, 120), {}, "not 120: choose dataset.resolution=128"),
        ((1, 4, 4), {}, "not 4: choose"),
        ((1, 512, 512), {}, "not 512: choose"),
        ((3, 32, 32), {"group_size": 12}, "group_size=12 does not divide the (16|32) channels .*, such as 4$"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(shape, changes, message):
    knobs = SMALL | changes
    with pytest.raises(ValueError, match=message):
        Critic(shape, **knobs)
    with pytest.raises(ValueError, match=message):
        Generator(shape, 8, "normal", **knobs)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_step_in_float32_is_that_of_float64(conditional):
    """By the gradients of both players, the exact gradient of the paper's penalty among them."""
    torch.manual_seed(0)
    networks = players(8, conditional=conditional, class_count=3)
    alive(*networks)
    latent, samples, labels = torch.randn(6, 8), torch.rand(6, 3, 8, 8) * 2 - 1, torch.arange(6) % 3
    divergence = Relativistic(penalty=R1R2(1.0))

    def gradients(dtype: torch.dtype) -> Tensor:
        generator, critic = copy.deepcopy(networks)
        generator, critic = generator.to(dtype), critic.to(dtype)
        game = Game(generator, critic, divergence)
        real = Batch(samples.to(dtype), labels if conditional else None)
        fake = game.fake(latent.to(dtype), real.labels)
        game.critic_loss(real, fake.detach())[0].backward()
        found = [p.grad.double().flatten() for p in critic.parameters()]
        critic.requires_grad_(False)
        game.generator_loss(real, fake).backward()
        return torch.cat([*found, *(p.grad.double().flatten() for p in generator.parameters())])

    exact = gradients(torch.float64)
    assert exact.norm() > 0.1
    assert 0 < (gradients(torch.float32) - exact).norm() / exact.norm() < 1e-5
