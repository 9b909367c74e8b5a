"""The residual networks of WGAN-GP's CIFAR-10 experiment (Gulrajani 2017, arXiv 1704.00028, appendix F).

Theirs are for 32 pixels; for 16, 64 and 128 there are fewer or more of the blocks that halve or double the side.
Initial weights are those of the authors' code (gan_cifar_resnet.py): uniform, with variance 4/(fan in + fan out), He's
for the mean of the two fans, in the 3 × 3 convolutions of the blocks, and Glorot's 2/(fan in + fan out) elsewhere.
"""

import math

from torch import Tensor, nn

from gan_cli.models import base
from gan_cli.models.conditioning import LabelsIn, Layers, TakesLabels, classes_taken, entrances, with_labels
from gan_cli.models.layers import (
    Activation,
    Normalization,
    PooledConv2d,
    UpsampleConv2d,
    feature_normalization,
    nonlinearity,
    normalized,
    projection,
    weights_only,
)
from gan_cli.models.sides import side_of
from gan_cli.ranges import Count

SIDES = (16, 32, 64, 128)


def _widths(sample_shape: tuple[int, ...], width: int, max_width: int) -> list[int]:
    """Channels of each level, from the image down to a side of 4: `width` doubled at each halving, to `max_width`."""
    side = side_of(sample_shape, SIDES)
    if max_width < width:
        raise ValueError(f"max_width={max_width} must be at least width={width}")
    return [min(width * 2**level, max_width) for level in range(side.bit_length() - 2)]


class _Block(TakesLabels):
    """x ↦ shortcut(x) + residual(x)."""

    def __init__(self, shortcut: nn.Module, residual: list[nn.Module]) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.residual = Layers(*residual)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        y: Tensor = self.shortcut(x) + self.residual(x, labels)
        return y


def _weighted(layer: nn.Linear | nn.Conv2d, normalization: Normalization, gain: float = 1.0) -> nn.Module:
    """`layer` with initial weights of variance 2 · gain²/(fan in + fan out), and its spectral norm if it has one."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    (weighted,) = normalized(layer, weights_only(normalization), 0)
    return weighted


def _residual(
    first: nn.Conv2d, second: nn.Conv2d, activation: Activation, normalization: Normalization, classes: int = 0
) -> list[nn.Module]:
    """Normalisation, one of each class if there are any, and activation before each of two 3 × 3 convolutions."""
    layers: list[nn.Module] = []
    for convolution in (first, second):
        layers += feature_normalization(normalization, convolution.in_channels, classes)
        layers += [nonlinearity(activation), _weighted(convolution, normalization, gain=math.sqrt(2))]
    return layers


class Generator(base.Generator):
    """A projection to 4 × 4, a residual block for each doubling, a convolution; `width` counts the last channels."""

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_size: Count,
        latent: base.Latent,
        width: Count,
        max_width: Count,
        activation: Activation,
        normalization: Normalization,
        conditional: bool = False,
        labels: LabelsIn = "normalization",
        class_count: int = 0,
    ) -> None:
        super().__init__(latent_size, latent)
        self.conditional = conditional
        self._beside, within = entrances(class_count, conditional, labels)
        *widths, inputs = _widths(sample_shape, width, max_width)
        self.projection = _weighted(nn.Linear(latent_size + self._beside, 4 * 4 * inputs), normalization)
        layers: list[nn.Module] = []
        for outputs in reversed(widths):
            first, second = UpsampleConv2d(inputs, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
            # The convolution comes before the upsampling: the same function for a quarter of the work.
            convolution = _weighted(nn.Conv2d(inputs, outputs, 1), normalization)
            shortcut = nn.Sequential(convolution, nn.Upsample(scale_factor=2))
            layers.append(_Block(shortcut, _residual(first, second, activation, normalization, within)))
            inputs = outputs
        layers += [*feature_normalization(normalization, inputs, within), nonlinearity(activation)]
        layers += [_weighted(nn.Conv2d(inputs, sample_shape[0], 3, padding=1), normalization), nn.Tanh()]
        self.layers = Layers(*layers)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        x: Tensor = self.projection(with_labels(latent, labels, self._beside))
        # The projection's channels are its innermost dimension, so channels-last costs no copy.
        image: Tensor = self.layers(x.unflatten(1, (4, 4, -1)).movedim(3, 1), labels)
        return image


def _pooled(inputs: int, outputs: int, normalization: Normalization) -> nn.Module:
    """The shortcut of a block that halves: pooling before the convolution, for a quarter of the work."""
    return nn.Sequential(nn.AvgPool2d(2), _weighted(nn.Conv2d(inputs, outputs, 1), normalization))


class Critic(base.Critic):
    """Residual blocks down to 8 × 8, two more there, then the score of the mean over space.

    `width` counts the channels of the first block.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        width: Count,
        max_width: Count,
        activation: Activation,
        normalization: Normalization,
        conditional: bool = False,
        class_count: int = 0,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        # The levels of 8 and 4 pixels are not halved.
        inputs, *widths = _widths(sample_shape, width, max_width)[:-2]
        first, second = nn.Conv2d(sample_shape[0], inputs, 3, padding=1), PooledConv2d(inputs, inputs)
        # The first block sees the image, not features: nothing is normalised, nothing comes before its convolution.
        _, *residual = _residual(first, second, activation, weights_only(normalization))
        blocks: list[nn.Module] = [_Block(_pooled(sample_shape[0], inputs, normalization), residual)]
        for outputs in widths:
            first, second = nn.Conv2d(inputs, inputs, 3, padding=1), PooledConv2d(inputs, outputs)
            shortcut = _pooled(inputs, outputs, normalization)
            blocks.append(_Block(shortcut, _residual(first, second, activation, normalization)))
            inputs = outputs
        for _ in range(2):
            convolutions = nn.Conv2d(inputs, inputs, 3, padding=1), nn.Conv2d(inputs, inputs, 3, padding=1)
            blocks.append(_Block(nn.Identity(), _residual(*convolutions, activation, normalization)))
        self.layers = nn.Sequential(*blocks, nonlinearity(activation))
        self.score = nn.Sequential(_weighted(nn.Linear(inputs, 1), normalization), nn.Flatten(0))
        self.class_score = projection(classes_taken(class_count, conditional), inputs, normalization)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.layers(x).mean((2, 3))
        scores: Tensor = self.score(features)
        return scores if self.class_score is None else scores + self.class_score(features, labels)
