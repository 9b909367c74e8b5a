"""Softmax regression, the linear classifier: one score a class, on the pixels."""

from math import prod

from torch import Tensor, nn

from gan_cli.classifiers.base import Classifier


class Softmax(Classifier):
    """One linear layer; the features are the pixels."""

    def __init__(self, sample_shape: tuple[int, ...], class_count: int) -> None:
        super().__init__(class_count)
        self.head = nn.Linear(prod(sample_shape), class_count)

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)
