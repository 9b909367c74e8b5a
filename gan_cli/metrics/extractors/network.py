"""A small convolutional classifier of 28 × 28 pictures, whose pooled features are what metrics compare."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import max_pool2d


class SmallClassifier(nn.Module):
    """Six 3 × 3 convolutions at three scales, an average over the last map, one linear layer: 289,000 weights."""

    def __init__(self, classes: int = 10, width: int = 32) -> None:
        super().__init__()
        channels = [1, width, width, 2 * width, 2 * width, 4 * width, 4 * width]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
            for before, after in pairwise(channels)
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(channels[-1], classes)

    def features(self, x: Tensor) -> Tensor:
        """The features of pictures in [−1, 1], shape `(n, 1, 28, 28)`: shape `(n, 4 · width)`."""
        for index, layer in enumerate(self.layers):
            if index in (2, 4):
                x = max_pool2d(x, 2)
            x = layer(x)
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """The logits of the classes, shape `(n, classes)`."""
        logits: Tensor = self.head(self.dropout(self.features(x)))
        return logits
