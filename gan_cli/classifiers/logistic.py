"""Logistic regression, on which adversarial training has a closed form (Goodfellow 2015, arXiv 1412.6572, §5)."""

from math import prod

import torch
from torch import Tensor, nn

from gan_cli.classifiers.base import Classifier


class _Opposed(nn.Module):
    """z ↦ (−z/2, z/2), whose softmax is (σ(−z), σ(z)): shape `(n, 1)` to `(n, 2)`."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.cat([-z / 2, z / 2], 1)


class Logistic(Classifier):
    """One linear score z of the pixels, which are the features; the second of the two classes has probability σ(z)."""

    def __init__(self, sample_shape: tuple[int, ...], class_count: int) -> None:
        super().__init__(class_count)
        if class_count != 2:
            raise ValueError(
                f"takes two classes, and the data have {class_count}: choose two, such as dataset.classes=[3,7], or"
                " classifier=softmax"
            )
        self.head = nn.Sequential(nn.Linear(prod(sample_shape), 1), _Opposed())

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)
