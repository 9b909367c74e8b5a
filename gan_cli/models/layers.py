"""Layers that several models choose by name."""

from typing import Literal

from torch import nn
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
    is_linear = isinstance(layer, nn.Linear)
    match normalization:
        case "none":
            return [layer]
        case "batch":
            return [layer, nn.BatchNorm1d(features) if is_linear else nn.BatchNorm2d(features)]
        case "layer":
            return [layer, nn.GroupNorm(1, features)]
        case "instance":
            if is_linear:
                raise ValueError("normalization=instance needs images; use layer")
            return [layer, nn.GroupNorm(features, features)]
        case "spectral":
            return [spectral_norm(layer)]
