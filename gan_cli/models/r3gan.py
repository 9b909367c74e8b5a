"""The residual networks of R3GAN (Huang 2024, arXiv 2501.05441, configuration E), for square images of 8 to 256 pixels.

Each side from 4 up to the image's is a stage of blocks x + f(x), in which f widens the channels by a 1 × 1 convolution,
looks at the neighbours by a grouped 3 × 3 one, and narrows them by a last 1 × 1 one. Nothing is normalised: f begins as
0, and its other weights are He's, shrunk with the depth (Fixup, Zhang 2019, arXiv 1901.09321). From side to side images
are filtered by [1, 2, 1] along both axes. All stages up to `widest_side` pixels have `width` channels; beyond, these
halve with each doubling. The authors' generator has no bounds; this one ends in tanh, as the images of
all generators here lie in [−1, 1].
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan_cli.models import base
from gan_cli.models.conditioning import ClassVectors, classes_taken
from gan_cli.models.layers import LeakyReLU
from gan_cli.models.sides import side_of
from gan_cli.ranges import Count

SIDES = (8, 16, 32, 64, 128, 256)

SLOPE = 0.2
"""Of the rectifiers below 0."""

HE = math.sqrt(2 / (1 + SLOPE**2))
"""The gain that makes up for a rectifier."""


class Generator(base.Generator):
    """A 4 × 4 basis of images weighted by the latent, the stages up to the image, a 1 × 1 convolution.

    A conditional one takes a vector of the class beside the latent.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_size: Count,
        latent: base.Latent,
        width: Count,
        widest_side: Count,
        blocks: Count,
        expansion: Count,
        group_size: Count,
        conditional: bool = False,
        class_count: int = 0,
    ) -> None:
        super().__init__(latent_size, latent)
        self.conditional = conditional
        classes = classes_taken(class_count, conditional)
        stages = _widths(sample_shape, width, widest_side, group_size // expansion)[::-1]
        self.vectors = ClassVectors(classes, latent_size, 1.0) if classes else None
        inputs = latent_size * (2 if classes else 1)
        self.weights = nn.Linear(inputs, stages[0], bias=False)
        nn.init.normal_(self.weights.weight, std=inputs**-0.5)
        self.basis = nn.Parameter(torch.randn(4, 4, stages[0]))
        layers = _blocks(stages[0], blocks, expansion, group_size, stages)
        for before, channels in pairwise(stages):
            # The change of channels comes before the doubling: the same function for a quarter of the work.
            layers += [*_change(before, channels), Doubling()]
            layers += _blocks(channels, blocks, expansion, group_size, stages)
        self.layers = nn.Sequential(*layers, _convolution(stages[-1], sample_shape[0]), nn.Tanh())

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.vectors is not None:
            assert labels is not None
            latent = torch.cat([latent, self.vectors(labels)], 1)
        weights = self.weights(latent)
        # The channels are the innermost dimension, so channels-last costs no copy.
        x = (weights[:, None, None] * self.basis.to(weights.dtype)).movedim(3, 1)
        image: Tensor = self.layers(x)
        return image


class Critic(base.Critic):
    """A 1 × 1 convolution, the stages down to 4 × 4, there a weighted sum over space for each channel, a linear score.

    The score of a conditional one is ⟨vector of the class, linear function of the features⟩.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        width: Count,
        widest_side: Count,
        blocks: Count,
        expansion: Count,
        group_size: Count,
        conditional: bool = False,
        class_count: int = 0,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        classes = classes_taken(class_count, conditional)
        stages = _widths(sample_shape, width, widest_side, group_size // expansion)
        layers: list[nn.Module] = [_convolution(sample_shape[0], stages[0])]
        layers += _blocks(stages[0], blocks, expansion, group_size, stages)
        for before, channels in pairwise(stages):
            layers += [Halving(), *_change(before, channels)]
            layers += _blocks(channels, blocks, expansion, group_size, stages)
        self.layers = nn.Sequential(*layers)
        features = stages[-1]
        self.basis = nn.Parameter(torch.randn(features, 4, 4) / 4)
        self.score = nn.Linear(features, features if classes else 1, bias=False)
        nn.init.normal_(self.score.weight, std=features**-0.5)
        self.vectors = ClassVectors(classes, features, features**-0.5) if classes else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        scores: Tensor = self.score((self.layers(x) * self.basis).sum((2, 3)))
        return scores.flatten(0) if self.vectors is None else (scores * self.vectors(labels)).sum(1)


class Block(nn.Module):
    """x ↦ x + f(x); f is `expansion` times as wide inside."""

    def __init__(self, channels: int, expansion: int, group_size: int, depth: int) -> None:
        """`depth` is the number of blocks of the network."""
        super().__init__()
        inner = channels * expansion
        if inner % group_size:
            raise ValueError(
                f"group_size={group_size} does not divide the {inner} channels within a block, width · expansion:"
                f" choose a divisor of them, such as {math.gcd(inner, group_size)}"
            )
        gain = HE * depth**-0.25
        self.residual = nn.Sequential(
            *(_convolution(channels, inner, gain=gain, bias=True), LeakyReLU(SLOPE)),
            *(_convolution(inner, inner, 3, groups=inner // group_size, gain=gain, bias=True), LeakyReLU(SLOPE)),
            _convolution(inner, channels, gain=0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.residual(x)
        return y


class Doubling(nn.Module):
    """Linear interpolation, (n, c, h, w) → (n, c, 2h, 2w): zeros between the pixels, filtered by [1, 2, 1]/2.

    The even pixels are those of the input, the odd ones means of their neighbours. A nearest enlargement is the filter
    [1, 1], and the mean of two is the rest. Beyond the border are zeros, as for the convolutions.
    """

    def forward(self, x: Tensor) -> Tensor:
        enlarged = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return functional.avg_pool2d(functional.pad(enlarged, (0, 1, 0, 1)), 2, stride=1)


class Halving(nn.Module):
    """The even pixels of what the filter [1, 2, 1]/4, a mean of two twice, gives: (n, c, 2h, 2w) → (n, c, h, w).

    It is a quarter of the transpose of `Doubling`.
    """

    def forward(self, x: Tensor) -> Tensor:
        # Padded by itself: on CUDA a pool that pads has a wrong gradient where tensors are channels-last (torch 2.11,
        # https://github.com/pytorch/pytorch/issues/188344).
        means = functional.avg_pool2d(functional.pad(x, (1, 0, 1, 0)), 2, stride=1)
        return functional.avg_pool2d(means, 2)


def _widths(sample_shape: tuple[int, ...], width: int, widest_side: int, least: int) -> list[int]:
    """Channels of each stage, from the image's side down to 4, at least so many."""
    sides = [side_of(sample_shape, SIDES)]
    while sides[-1] > 4:
        sides.append(sides[-1] // 2)
    return [max(width * widest_side // max(side, widest_side), least, 1) for side in sides]


def _blocks(channels: int, blocks: int, expansion: int, group_size: int, stages: list[int]) -> list[nn.Module]:
    """The blocks of one of the network's stages."""
    return [Block(channels, expansion, group_size, depth=blocks * len(stages)) for _ in range(blocks)]


def _change(inputs: int, outputs: int) -> list[nn.Module]:
    """What changes the number of channels between stages, if that is needed."""
    return [] if inputs == outputs else [_convolution(inputs, outputs)]


def _convolution(
    inputs: int, outputs: int, size: int = 1, *, groups: int = 1, gain: float = 1.0, bias: bool = False
) -> nn.Conv2d:
    """A convolution whose outputs have the power of its inputs, times gain², before training."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=bias)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
