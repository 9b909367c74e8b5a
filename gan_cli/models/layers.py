"""Layers that several models share: activations and normalisations by name, convolutions that resample."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from gan_cli.models.conditioning import ClassNormalization, ClassVectors, Projection

Activation = Literal["relu", "leaky_relu", "elu", "silu", "softplus", "tanh"]
Normalization = Literal["none", "batch", "layer", "instance", "spectral"]
"""`layer` normalises each sample over all its features; `spectral` bounds the weight instead of the features."""


def nonlinearity(name: Activation) -> nn.Module:
    """The activation called `name`; the leaky one has DCGAN's slope of 0.2."""
    match name:
        case "relu":
            return ReLU()
        case "leaky_relu":
            return LeakyReLU(0.2)
        case "elu":
            return nn.ELU()
        case "silu":
            return nn.SiLU()
        case "softplus":
            return nn.Softplus()
        case "tanh":
            return nn.Tanh()


class ReLU(nn.ReLU):
    """max(0, x), compiled for the CPU as `kinked`."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) if _keeps_masks(input) else kinked(input, 0.0)


class LeakyReLU(nn.LeakyReLU):
    """x, or a fraction of it below 0, compiled for the CPU as `kinked`."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) if _keeps_masks(input) else kinked(input, self.negative_slope)


def kinked(x: Tensor, slope: float) -> Tensor:
    """x above 0, `slope` · x elsewhere, by a factor that is a number and no truth value.

    The compiler keeps a truth value of each element for the backward pass, and its code for the CPU writes and reads
    these one at a time, which takes longer than the activation itself.
    """
    is_above = x.detach().sgn().clamp_min(0)
    return x * (slope + (1 - slope) * is_above)


def _keeps_masks(x: Tensor) -> bool:
    return x.is_cuda or not torch.compiler.is_compiling()


def normalized(layer: nn.Module, normalization: Normalization, features: int, classes: int = 0) -> list[nn.Module]:
    """`layer`, whose output has `features` features or channels, with its normalisation: one of each class, if any."""
    if normalization == "spectral" and not classes:
        return [spectral_norm(layer)]
    is_linear = isinstance(layer, nn.Linear)
    return [layer, *feature_normalization(normalization, features, classes, is_linear=is_linear)]


def feature_normalization(
    normalization: Normalization, features: int, classes: int = 0, *, is_linear: bool = False
) -> list[nn.Module]:
    """The layer that normalises features or channels; no layer if `normalization` leaves them alone."""
    common = not classes
    layer: nn.Module
    match normalization:
        case "none" | "spectral":
            if classes:
                raise ValueError(
                    f"labels=normalization needs features that are normalised, and normalization={normalization} leaves"
                    " them alone: choose labels=latent"
                )
            return []
        case "batch":
            layer = nn.BatchNorm1d(features, affine=common) if is_linear else nn.BatchNorm2d(features, affine=common)
        case "layer":
            layer = nn.GroupNorm(1, features, affine=common)
        case "instance":
            if is_linear:
                raise ValueError("normalization=instance needs images; use layer")
            layer = nn.GroupNorm(features, features, affine=common)
    return [layer if common else ClassNormalization(layer, features, classes)]


def projection(classes: int, features: int, normalization: Normalization) -> Projection | None:
    """What labels add to the score of `features` features; None without classes."""
    if not classes:
        return None
    (vectors,) = normalized(ClassVectors(classes, features), weights_only(normalization), 0)
    return Projection(vectors)


def weights_only(normalization: Normalization) -> Normalization:
    """The normalisation next to the image and the score, where features are never normalised."""
    return "spectral" if normalization == "spectral" else "none"


FEW_CHANNELS = 3
"""Channels of an image, next to which oneDNN has no fast kernel for the data's gradient of a strided convolution."""


def halving(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of stride 2 and padding 1: (n, c, 2h, 2w) → (n, d, h, w), with weights (d, c, 4, 4).

    Its gradient to an image takes a CPU longer than that of a 3 × 3 convolution of the image's 2 × 2 blocks, which is
    the same function with 9/4 of the multiplications.
    """
    if x.is_cuda or x.shape[1] > FEW_CHANNELS:
        return functional.conv2d(x, weight, bias, stride=2, padding=1)
    return functional.conv2d(functional.pixel_unshuffle(x, 2), _of_blocks(weight), bias, padding=1)


def doubling(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The transposed convolution of stride 2 and padding 1: (n, c, h, w) → (n, d, 2h, 2w), with weights (c, d, 4, 4).

    To an image it is a 3 × 3 convolution that gives 2 × 2 blocks on the CPU; see `halving`.
    """
    if x.is_cuda or weight.shape[1] > FEW_CHANNELS:
        return functional.conv_transpose2d(x, weight, bias, stride=2, padding=1)
    blocks = functional.conv2d(x, _of_blocks(weight).flip(2, 3).transpose(0, 1), padding=1)
    return _biased(functional.pixel_shuffle(blocks, 2), bias)


def _biased(x: Tensor, bias: Tensor | None) -> Tensor:
    return x if bias is None else x + bias.to(x.dtype).view(-1, 1, 1)


def _of_blocks(weight: Tensor) -> Tensor:
    """Weights (d, c, 4, 4) as those of 2 × 2 blocks of pixels: (d, 4c, 3, 3), a border of zeros included."""
    return functional.pixel_unshuffle(_bordered(weight), 2)


def _bordered(weight: Tensor) -> Tensor:
    """Weights with a border of zeros, one wide.

    On CUDA a pool that pads by itself has a wrong gradient where tensors are channels-last (torch 2.11,
    https://github.com/pytorch/pytorch/issues/188344).
    """
    return functional.pad(weight, (1, 1, 1, 1))


class HalvingConv2d(nn.Conv2d):
    """A convolution of stride 2 that halves the side, rounding up: by 4 × 4 pixels an even one, by 3 × 3 an odd one."""

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__(in_channels, out_channels, 4 - side % 2, stride=2, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return halving(input, self.weight, self.bias) if self.kernel_size == (4, 4) else super().forward(input)


class DoublingConv2d(nn.ConvTranspose2d):
    """The transposed convolution of stride 2 whose output has the side `side`: the mirror of `HalvingConv2d`."""

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__(in_channels, out_channels, 4 - side % 2, stride=2, padding=1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert output_size is None
        if self.kernel_size == (4, 4):
            return doubling(input, self.weight, self.bias)
        if input.is_cuda:
            return super().forward(input)
        # With a bias in it oneDNN takes several times as long for 3 × 3 pixels in bfloat16.
        return _biased(functional.conv_transpose2d(input, self.weight, stride=2, padding=1), self.bias)


class UpsampleConv2d(nn.Conv2d):
    """Nearest upsampling by 2, then a 3 × 3 convolution: (n, c, h, w) → (n, d, 2h, 2w).

    Each output pixel sees only 2 × 2 different input pixels, so the two are one transposed 4 × 4 convolution of stride
    2 whose weights are sums of the 3 × 3 ones: 4/9 of the multiplications, and no enlarged input in memory.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        # A transposed convolution wants (in, out, 4, 4), channels-last as all networks here are: one copy of weights.
        weight = self.weight.transpose(0, 1).contiguous(memory_format=torch.channels_last)
        # Per dimension (a, b, c) → (a, a + b, b + c, c), then reversed because a transposed convolution runs backwards.
        # Autocast rounds only what goes into a convolution, so the sums are those of float32.
        sums = functional.avg_pool2d(_bordered(weight), 2, stride=1, divisor_override=1)
        return doubling(input, sums.flip(2, 3), self.bias)


class PooledConv2d(nn.Conv2d):
    """A 3 × 3 convolution, then 2 × 2 average pooling: (n, c, 2h, 2w) → (n, d, h, w).

    The two are one 4 × 4 convolution of stride 2 whose weights are means of the 3 × 3 ones: 4/9 of the multiplications,
    and no output of full size in memory.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        # Per dimension (a, b, c) → (a, a + b, b + c, c)/2; see `UpsampleConv2d`.
        means = functional.avg_pool2d(_bordered(self.weight), 2, stride=1)
        return functional.conv2d(input, means, self.bias, stride=2, padding=1)
