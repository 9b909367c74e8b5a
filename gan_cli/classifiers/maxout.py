"""The permutation-invariant maxout network with dropout (Goodfellow 2013, arXiv 1302.4389, §5.1).

It is the one that Goodfellow 2015 (arXiv 1412.6572) fools and trains adversarially. The authors bound the norm of each
unit's weights as well, which this does not.
"""

from math import prod

from torch import Tensor, nn

from gan_cli.classifiers.base import Classifier, Dropout, brightness
from gan_cli.ranges import Count


class _Maxout(nn.Linear):
    """The largest of `pieces` linear functions, for each unit."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__(inputs, pieces * units)
        self.pieces = pieces

    def forward(self, input: Tensor) -> Tensor:
        # Pieces come before units in memory, so that the maximum is of whole rows.
        largest: Tensor = super().forward(input).unflatten(1, (self.pieces, -1)).amax(1)
        return largest


class Maxout(Classifier):
    """`depth` layers of maxout units, dropout before each and before the linear layer at the end."""

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        class_count: int,
        units: Count,
        pieces: Count,
        depth: Count,
        input_dropout: Dropout,
        hidden_dropout: Dropout,
    ) -> None:
        super().__init__(class_count)
        layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(input_dropout)]
        inputs = prod(sample_shape)
        for _ in range(depth):
            layers += [_Maxout(inputs, units, pieces), nn.Dropout(hidden_dropout)]
            inputs = units
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, class_count)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(brightness(images))
        return features
