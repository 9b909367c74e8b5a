"""Residual networks for images of 16 pixels and up.

The stages are those of He 2016a (arXiv 1512.03385, §4.2) for CIFAR-10, the blocks those of He 2016b (arXiv 1603.05027,
fig. 4e), with normalisation and activation before each convolution. With `width=16`, `blocks=3` and `stages=3` it has
the 20 layers of the former's smallest.
"""

from torch import Tensor, nn

from gan_cli.classifiers.base import Classifier, check_images
from gan_cli.models.layers import ReLU
from gan_cli.ranges import Count


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution with He's initial weights, of variance 2/(fan out)."""
    layer = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class _Block(nn.Module):
    """x ↦ shortcut(x) + residual(x); what changes the shape has a convolution of the activated input for shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.activated = nn.Sequential(nn.BatchNorm2d(inputs), ReLU())
        self.residual = nn.Sequential(
            *(_convolution(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), ReLU()),
            _convolution(outputs, outputs, 3),
        )
        self.shortcut = None if inputs == outputs and stride == 1 else _convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activated(x)
        y: Tensor = self.residual(activated) + (x if self.shortcut is None else self.shortcut(activated))
        return y


class ResNet(Classifier):
    """`stages` of `blocks` residual blocks each, the average over space, one linear layer.

    The first stage has `width` channels; each of the others halves the side and doubles the channels.
    """

    def __init__(
        self, sample_shape: tuple[int, ...], class_count: int, width: Count, blocks: Count, stages: Count
    ) -> None:
        super().__init__(class_count)
        check_images(sample_shape, least=max(16, 2 ** (stages + 1)))  # the last stage sees at least 4 × 4
        layers: list[nn.Module] = [_convolution(sample_shape[0], width, 3)]
        inputs = width
        for stage in range(stages):
            outputs = width * 2**stage
            for block in range(blocks):
                layers.append(_Block(inputs, outputs, stride=2 if stage and not block else 1))
                inputs = outputs
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(inputs), ReLU())
        self.head = nn.Linear(inputs, class_count)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images).mean((2, 3))
        return features
