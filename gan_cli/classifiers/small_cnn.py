"""A small convolutional classifier, whose pooled features are what metrics compare on small grey pictures."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from gan_cli.classifiers.base import Classifier, Dropout, check_images
from gan_cli.models.layers import ReLU
from gan_cli.ranges import Count


class SmallCNN(Classifier):
    """Six 3 × 3 convolutions at three scales, an average over the last map, one linear layer.

    The channels are `width`, then 2 · `width`, then 4 · `width`, which is the number of features.
    """

    def __init__(self, sample_shape: tuple[int, ...], class_count: int, width: Count, dropout: Dropout) -> None:
        super().__init__(class_count)
        check_images(sample_shape, least=4)
        channels = [sample_shape[0], width, width, 2 * width, 2 * width, 4 * width, 4 * width]
        # The weights in gan_cli/metrics/extractors/weights go by these names.
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), ReLU())
            for before, after in pairwise(channels)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels[-1], class_count)

    def features(self, images: Tensor) -> Tensor:
        x = images
        for index, layer in enumerate(self.layers):
            if index in (2, 4):
                x = max_pool2d(x, 2)
            x = layer(x)
        features: Tensor = self.dropout(x.mean((2, 3)))
        return features
