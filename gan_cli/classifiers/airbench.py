"""The network that learns CIFAR-10 in few epochs of Jordan 2024 (arXiv 2404.00498, §3.1), narrowed.

Half of its work is done at a quarter of the side and below, by wide layers, which begin as near to the identity as they
can. The author's first layer is fixed to whiten the pixels, and his units are GELU; here the layer learns, and they are
rectified.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_cli.classifiers.base import Classifier, Dropout, check_images
from gan_cli.models.layers import ReLU
from gan_cli.ranges import Count


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 × 3 convolution whose first outputs are its inputs, before training."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[: min(inputs, outputs)])
    return layer


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions; what the first gives is pooled to half of the side."""
    return nn.Sequential(
        *(_convolution(inputs, outputs), nn.MaxPool2d(2), nn.BatchNorm2d(outputs), ReLU()),
        *(_convolution(outputs, outputs), nn.BatchNorm2d(outputs), ReLU()),
    )


class AirBench(Classifier):
    """A first layer of 24 channels, a block for each of `widths`, the maximum over space, one linear layer."""

    def __init__(
        self, sample_shape: tuple[int, ...], class_count: int, widths: Sequence[Count], dropout: Dropout
    ) -> None:
        super().__init__(class_count)
        if not widths:
            raise ValueError("widths=[] is empty: name the channels of a block or more")
        check_images(sample_shape, least=2 ** (len(widths) + 1))  # the last block leaves at least 2 × 2
        channels = [24, *widths]
        self.layers = nn.Sequential(
            *(nn.Conv2d(sample_shape[0], 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), ReLU()),
            *(_block(before, after) for before, after in zip(channels, widths, strict=False)),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], class_count)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.dropout(self.layers(images).amax((2, 3)))
        return features
