"""Layers that several models share: activations and normalisations by name, convolutions that resample."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

Activation = Literal["relu", "leaky_relu", "elu", "silu", "softplus", "tanh"]
Normalization = Literal["none", "batch", "layer", "instance", "spectral"]
"""`layer` normalises each sample over all its features; `spectral` bounds the weight instead of the features."""


def nonlinearity(name: Activation) -> nn.Module:
    """The activation called `name`; the leaky one has DCGAN's slope of 0.2."""
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(0.2)
        case "elu":
            return nn.ELU()
        case "silu":
            return nn.SiLU()
        case "softplus":
            return nn.Softplus()
        case "tanh":
            return nn.Tanh()


def normalized(layer: nn.Module, normalization: Normalization, features: int) -> list[nn.Module]:
    """`layer`, whose output has `features` features or channels, with its normalisation."""
    if normalization == "spectral":
        return [spectral_norm(layer)]
    return [layer, *feature_normalization(normalization, features, is_linear=isinstance(layer, nn.Linear))]


def feature_normalization(normalization: Normalization, features: int, is_linear: bool = False) -> list[nn.Module]:
    """The layer that normalises features or channels; no layer if `normalization` leaves them alone."""
    match normalization:
        case "none" | "spectral":
            return []
        case "batch":
            return [nn.BatchNorm1d(features) if is_linear else nn.BatchNorm2d(features)]
        case "layer":
            return [nn.GroupNorm(1, features)]
        case "instance":
            if is_linear:
                raise ValueError("normalization=instance needs images; use layer")
            return [nn.GroupNorm(features, features)]


def weights_only(normalization: Normalization) -> Normalization:
    """The normalisation next to the image and the score, where features are never normalised."""
    return "spectral" if normalization == "spectral" else "none"


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
        sums = functional.avg_pool2d(weight, 2, stride=1, padding=1, divisor_override=1)
        return functional.conv_transpose2d(input, sums.flip(2, 3), self.bias, stride=2, padding=1)


class PooledConv2d(nn.Conv2d):
    """A 3 × 3 convolution, then 2 × 2 average pooling: (n, c, 2h, 2w) → (n, d, h, w).

    The two are one 4 × 4 convolution of stride 2 whose weights are means of the 3 × 3 ones: 4/9 of the multiplications,
    and no output of full size in memory.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        # Per dimension (a, b, c) → (a, a + b, b + c, c)/2; see `UpsampleConv2d`.
        means = functional.avg_pool2d(self.weight, 2, stride=1, padding=1)
        return functional.conv2d(input, means, self.bias, stride=2, padding=1)
