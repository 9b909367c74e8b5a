"""The DCGAN of Radford, Metz and Chintala (2016, arXiv 1511.06434), for square images of 8 to 256 pixels.

The side is halved, rounding up, until it is 4 or less: 28 goes 28, 14, 7, 4 and 64 goes 64, 32, 16, 8, 4.
"""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from gan_cli.models import base
from gan_cli.models.conditioning import LabelsIn, Layers, classes_taken, entrances, with_labels
from gan_cli.models.layers import (
    Activation,
    DoublingConv2d,
    HalvingConv2d,
    Normalization,
    UpsampleConv2d,
    feature_normalization,
    nonlinearity,
    normalized,
    projection,
    weights_only,
)
from gan_cli.ranges import Count

Upsampling = Literal["transposed", "resize"]


def _pyramid(sample_shape: tuple[int, ...], width: int) -> list[tuple[int, int]]:
    """Channels and side of each level, from the image down: the channels double from `width` to 8 · `width`."""
    if len(sample_shape) != 3 or sample_shape[1] != sample_shape[2]:
        raise ValueError(f"takes square images, not samples of shape {sample_shape}: choose model=mlp")
    channels, side, _ = sample_shape
    if side % 4 or not 8 <= side <= 256:
        raise ValueError(
            f"takes sides divisible by 4 from 8 to 256, not {side}: choose another dataset.resolution, or model=mlp"
        )
    levels = [(channels, side)]
    while side > 4:
        side = (side + 1) // 2
        levels.append((width * min(8, 2 ** (len(levels) - 1)), side))
    return levels


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
        latent_size: Count,
        latent: base.Latent,
        width: Count,
        activation: Activation,
        normalization: Normalization,
        upsampling: Upsampling,
        conditional: bool = False,
        labels: LabelsIn = "latent",
        class_count: int = 0,
    ) -> None:
        super().__init__(latent_size, latent)
        self.conditional = conditional
        self._beside, within = entrances(class_count, conditional, labels)
        levels = _pyramid(sample_shape, width)[::-1]
        channels, self._side = levels[0]
        projection = nn.Linear(latent_size + self._beside, channels * self._side**2)
        self.projection = nn.Sequential(*normalized(projection, weights_only(normalization), 0))
        layers = feature_normalization(normalization, channels, within)
        for (inputs, _), (outputs, side) in pairwise(levels):
            *resizing, convolution = _doubling(inputs, outputs, side, upsampling)
            is_last = side == sample_shape[1]
            layers += [nonlinearity(activation), *resizing]
            if is_last:
                layers += normalized(convolution, weights_only(normalization), outputs)
            else:
                layers += normalized(convolution, normalization, outputs, within)
        layers.append(nn.Tanh())
        self.layers = Layers(*layers)
        self.apply(_initialize)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        x: Tensor = self.projection(with_labels(latent, labels, self._beside))
        # The projection's channels are its innermost dimension, so channels-last costs no copy.
        image: Tensor = self.layers(x.unflatten(1, (self._side, self._side, -1)).movedim(3, 1), labels)
        return image


class Critic(base.Critic):
    """Strided convolutions down to the smallest side, then one score; `width` counts the channels of the first."""

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        width: Count,
        activation: Activation,
        normalization: Normalization,
        conditional: bool = False,
        class_count: int = 0,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        levels = _pyramid(sample_shape, width)
        layers: list[nn.Module] = []
        for (inputs, side), (outputs, _) in pairwise(levels):
            convolution = HalvingConv2d(inputs, outputs, side)
            is_first = side == sample_shape[1]
            layers += normalized(convolution, weights_only(normalization) if is_first else normalization, outputs)
            layers.append(nonlinearity(activation))
        channels, side = levels[-1]
        self.layers = nn.Sequential(*layers)
        self.score = nn.Sequential(*normalized(nn.Linear(channels * side**2, 1), weights_only(normalization), 1))
        self.class_score = projection(classes_taken(class_count, conditional), channels * side**2, normalization)
        self.apply(_initialize)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        # The features are flattened as they lie in memory, channels innermost.
        features = self.layers(x).movedim(1, 3).flatten(1)
        scores: Tensor = self.score(features).flatten(0)
        return scores if self.class_score is None else scores + self.class_score(features, labels)


def _doubling(inputs: int, outputs: int, side: int, upsampling: Upsampling) -> list[nn.Module]:
    """Layers from half of `side`, rounded up, to `side`; `resize` leaves no chequerboard."""
    if upsampling == "transposed":
        return [DoublingConv2d(inputs, outputs, side)]
    if side % 2 == 0:
        return [UpsampleConv2d(inputs, outputs)]
    # At an odd side the enlargement is cropped: the convolution must see zeros, the fused one would see what was cut.
    return [nn.Upsample(size=(side, side), mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1)]
