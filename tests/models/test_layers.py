"""The convolutions that resample are exact: the function of two layers, by one convolution of fewer multiplications."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, vjp
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, pad
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.flop_counter import FlopCounterMode

from gan_cli.models.layers import DoublingConv2d, HalvingConv2d, PooledConv2d, UpsampleConv2d
from tests.helpers.layers import unfused

Fused = type[UpsampleConv2d] | type[PooledConv2d]
FUSED: list[Fused] = [UpsampleConv2d, PooledConv2d]
SHAPES = [(2, 3, 5, 4, 4), (1, 4, 2, 2, 6), (3, 1, 1, 8, 2), (2, 5, 3, 10, 14)]
"""Samples, channels in and out, height, width."""


def example(kind: Fused, shape: tuple[int, ...]) -> tuple[nn.Conv2d, Tensor]:
    torch.manual_seed(0)
    n, inputs, outputs, height, width = shape
    return kind(inputs, outputs).double(), torch.randn(n, inputs, height, width, dtype=torch.float64)


def derivatives(network: nn.Module, layer: nn.Conv2d, x: Tensor) -> list[Tensor]:
    """The output; the gradients of a score of it, and of a gradient penalty of that score, to x, weight and bias."""
    x = x.clone().requires_grad_()
    y = network(x)
    score = y.square().sin().sum()
    (slope,) = torch.autograd.grad(score, x, create_graph=True)
    first = torch.autograd.grad(score, [x, layer.weight, layer.bias], retain_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return [y, *first, *torch.autograd.grad(penalty, [x, layer.weight, layer.bias])]


DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def assert_exact(ours: list[Tensor], theirs: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", FUSED)
def test_a_fused_layer_is_the_two_layers_with_all_their_derivatives(kind, shape, memory_format, device):
    layer, x = example(kind, shape)
    layer, x = layer.to(device).to(memory_format=memory_format), x.to(device).to(memory_format=memory_format)
    assert_exact(derivatives(layer, layer, x), derivatives(unfused(layer), layer, x))


class Unreversed(UpsampleConv2d):
    """A planted mistake: the sums in the order of a convolution that is not transposed."""

    def forward(self, input: Tensor) -> Tensor:
        sums = 4 * avg_pool2d(pad(self.weight, (1, 1, 1, 1)), 2, stride=1)
        return conv_transpose2d(input, sums.transpose(0, 1), self.bias, stride=2, padding=1)


class Summed(PooledConv2d):
    """A planted mistake: sums where means are due."""

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, 4 * avg_pool2d(pad(self.weight, (1, 1, 1, 1)), 2, stride=1), self.bias, 2, 1)


@pytest.mark.parametrize("kind", [Unreversed, Summed])
def test_the_comparison_finds_wrong_weights(kind):
    layer, x = example(kind, SHAPES[0])
    with pytest.raises(AssertionError, match="not close"):
        assert_exact(derivatives(layer, layer, x), derivatives(unfused(layer), layer, x))


@pytest.mark.parametrize("kind", FUSED)
def test_first_and_second_derivatives_are_those_of_finite_differences(kind):
    layer, x = example(kind, (1, 2, 1, 2, 4))

    def call(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional_call(layer, {"weight": weight, "bias": bias}, (x,)).square()

    inputs = tuple(t.detach().requires_grad_() for t in (x, layer.weight, layer.bias))
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.parametrize("kind", FUSED)
def test_a_penalty_made_by_vjp_reaches_the_parameters(kind):
    layer, x = example(kind, SHAPES[0])

    def gradients(network: nn.Module) -> list[Tensor]:
        scores, pull, *_ = vjp(lambda x: network(x).square().sum((1, 2, 3)), x)
        (slope,) = pull(torch.ones_like(scores))
        return list(torch.autograd.grad(slope.square().sum(), [layer.weight, layer.bias]))

    assert_exact(gradients(layer), gradients(unfused(layer)))


@pytest.mark.parametrize("kind", FUSED)
def test_four_ninths_of_the_multiplications_are_left(kind):
    layer, x = example(kind, (2, 8, 16, 8, 8))

    def multiplications(network: nn.Module) -> int:
        counter = FlopCounterMode(display=False)
        with counter:
            network(x.clone().requires_grad_()).sum().backward()
        return counter.get_total_flops()

    assert 9 * multiplications(layer) == 4 * multiplications(unfused(layer)) > 0


@pytest.mark.parametrize("kind", FUSED)
def test_parameters_are_those_of_a_convolution(kind):
    torch.manual_seed(0)
    layer: Any = kind(4, 6)
    torch.manual_seed(0)
    convolution: Any = nn.Conv2d(4, 6, 3, padding=1)
    torch.testing.assert_close(layer.state_dict(), convolution.state_dict(), rtol=0, atol=0)
    # The norm that is bounded is that of the 3 × 3 weights.
    torch.manual_seed(0)
    layer = spectral_norm(layer).eval()
    torch.manual_seed(0)
    convolution = spectral_norm(convolution).eval()
    assert torch.equal(layer.weight, convolution.weight)
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(layer(x), unfused_of_weights(kind, layer.weight, layer.bias)(x), rtol=1e-4, atol=1e-5)


def unfused_of_weights(kind: Fused, weight: Tensor, bias: Tensor) -> nn.Sequential:
    layer = kind(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return unfused(layer)


@pytest.mark.parametrize("kind", FUSED)
def test_under_autocast_weights_are_summed_before_they_are_rounded(kind):
    layer, x = example(kind, (2, 8, 8, 8, 8))
    layer, x = layer.float(), x.float()
    rounded = deepcopy(layer).bfloat16()

    def kernel(weight: Tensor) -> Tensor:
        means = avg_pool2d(pad(weight, (1, 1, 1, 1)), 2, stride=1)
        weights = (4 * means.flip(2, 3).transpose(0, 1) if kind is UpsampleConv2d else means).bfloat16()
        # As the layer's lie in memory, on which the order of the convolution's sums depends.
        return weights.contiguous(memory_format=torch.channels_last)

    convolve = conv_transpose2d if kind is UpsampleConv2d else conv2d
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    with torch.no_grad():
        expected = convolve(x.bfloat16(), kernel(layer.weight), rounded.bias, stride=2, padding=1)
        coarse = convolve(x.bfloat16(), kernel(rounded.weight), rounded.bias, stride=2, padding=1)
    assert y.dtype == torch.bfloat16
    assert (y - expected).abs().mean() < 0.01 * (y - coarse).abs().mean()


@pytest.mark.parametrize("kind", FUSED)
def test_channels_last_comes_in_and_goes_out_in_both_directions(kind):
    layer = kind(4, 6).to(memory_format=torch.channels_last)
    x = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    y = layer(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", FUSED)
def test_a_fused_layer_compiles_into_one_graph(kind):
    layer, x = example(kind, SHAPES[0])
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x.requires_grad_()
    ours, theirs = (torch.autograd.grad(f(x).square().sum(), [x, *layer.parameters()]) for f in (compiled, layer))
    assert_exact(list(ours), list(theirs))


STRIDED = [
    (kind, side, inputs, outputs)
    for kind in (HalvingConv2d, DoublingConv2d)
    for side in (8, 7)
    for inputs, outputs in ((1, 5), (3, 4), (5, 1), (4, 3), (5, 4))
]


def strided(kind, side, inputs, outputs):
    """A layer next to an image, or between others, and the plain convolution of its weights."""
    torch.manual_seed(0)
    layer = kind(inputs, outputs, side).double()
    plain_kind = nn.Conv2d if kind is HalvingConv2d else nn.ConvTranspose2d
    plain = plain_kind(inputs, outputs, 4 - side % 2, stride=2, padding=1).double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, inputs, *2 * [side if kind is HalvingConv2d else (side + 1) // 2], dtype=torch.float64)
    return layer, plain, x.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(("kind", "side", "inputs", "outputs"), STRIDED)
def test_a_strided_layer_is_the_plain_convolution_with_all_its_derivatives(kind, side, inputs, outputs):
    layer, plain, x = strided(kind, side, inputs, outputs)
    assert_exact(derivatives(layer, layer, x), derivatives(plain, plain, x))
    assert layer(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "side", "inputs", "outputs"), STRIDED)
def test_a_strided_layer_has_the_dtype_of_the_plain_one_under_autocast_and_compiles(kind, side, inputs, outputs):
    layer, plain, x = (part.float() for part in strided(kind, side, inputs, outputs))
    with torch.autocast("cpu", torch.bfloat16):
        y, expected = layer(x), plain(x)
    assert y.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(y, expected, rtol=0.02, atol=0.02)
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x))
