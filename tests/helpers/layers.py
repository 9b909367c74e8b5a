"""Layers spelled out."""

from torch import nn

from gan_cli.models.layers import UpsampleConv2d


def unfused(layer: nn.Conv2d) -> nn.Sequential:
    """The two layers that a fused one stands for, with the very same parameters."""
    convolution = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
    convolution.weight, convolution.bias = layer.weight, layer.bias
    if isinstance(layer, UpsampleConv2d):
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), convolution)
    return nn.Sequential(convolution, nn.AvgPool2d(2))
