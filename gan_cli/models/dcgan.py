"""The DCGAN of Radford, Metz and Chintala (2016, arXiv 1511.06434), for square images of 8 to 128 pixels.

The side is halved as long as it stays even and at least 4, so 28 goes 28, 14, 7 and 64 goes 64, 32, 16, 8, 4.
"""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from gan_cli.models import base
from gan_cli.models.layers import Activation, Normalization, nonlinearity, normalized

Upsampling = Literal["transposed", "resize"]


def _pyramid(sample_shape: tuple[int, ...], width: int) -> tuple[int, list[int]]:
    """The smallest side, and the channels at each side from the smallest to half the image's."""
    if len(sample_shape) != 3 or sample_shape[1] != sample_shape[2]:
        raise ValueError(f"takes square images, not samples of shape {sample_shape}: choose model=mlp")
    side = sample_shape[1]
    if side % 4 or not 8 <= side <= 128:
        raise ValueError(
            f"takes sides divisible by 4 from 8 to 128, not {side}: choose another dataset.resolution, or model=mlp"
        )
    if width < 1:
        raise ValueError(f"width={width} must be at least 1")
    channels: list[int] = []
    while side % 2 == 0 and side >= 8:
        side //= 2
        channels.append(width * min(8, 2 ** len(channels)))
    return side, channels[::-1]


def _initialize(module: nn.Module) -> None:
    """DCGAN's initial weights: N(0, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Generator(base.Generator):
    """A projection to the smallest side, then one doubling a level; `width` counts the channels of the last."""

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_size: int,
        latent: base.Latent,
        width: int,
        activation: Activation,
        normalization: Normalization,
        upsampling: Upsampling,
    ) -> None:
        super().__init__(latent_size, latent)
        side, channels = _pyramid(sample_shape, width)
        projection = nn.ConvTranspose2d(latent_size, channels[0], side)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent_size, 1, 1)),
            *normalized(projection, normalization, channels[0]),
            nonlinearity(activation),
        ]
        for inputs, outputs in pairwise(channels):
            *resizing, convolution = _doubling(inputs, outputs, upsampling)
            layers += [
                *resizing,
                *normalized(convolution, normalization, outputs),
                nonlinearity(activation),
            ]
        layers += [*_doubling(channels[-1], sample_shape[0], upsampling), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialize)

    def forward(self, latent: Tensor) -> Tensor:
        x: Tensor = self.layers(latent)
        return x


class Critic(base.Critic):
    """Strided convolutions down to the smallest side, then one score; `width` counts the channels of the first."""

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        width: int,
        activation: Activation,
        normalization: Normalization,
    ) -> None:
        super().__init__()
        side, channels = _pyramid(sample_shape, width)
        channels = channels[::-1]
        layers: list[nn.Module] = [nn.Conv2d(sample_shape[0], channels[0], 4, 2, 1), nonlinearity(activation)]
        for inputs, outputs in pairwise(channels):
            convolution = nn.Conv2d(inputs, outputs, 4, 2, 1)
            layers += [*normalized(convolution, normalization, outputs), nonlinearity(activation)]
        layers += [nn.Flatten(), nn.Linear(channels[-1] * side * side, 1), nn.Flatten(0)]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = self.layers(x)
        return score


def _doubling(inputs: int, outputs: int, upsampling: Upsampling) -> list[nn.Module]:
    """Layers that double the side; `resize` avoids the chequerboard of transposed convolutions."""
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, 1, 1)]
