"""Labels within networks: beside the latent, in normalisations, and in the score.

Labels are whole numbers of shape `(n,)`, or weights of the classes of shape `(n, classes)`: mixtures of them.
"""

from typing import Literal

import torch
from torch import Tensor, nn

LabelsIn = Literal["latent", "normalization"]
"""Where labels enter a generator: beside the latent (Mirza & Osindero 2014, arXiv 1411.1784), or as the scale and the
shift of each normalisation (Dumoulin 2017, arXiv 1610.07629; de Vries 2017, arXiv 1707.00683)."""


def classes_taken(class_count: int, conditional: bool) -> int:
    """The number of classes that a network takes labels of: 0 unless it is conditional.

    Raises `ValueError` where the data have no classes.
    """
    if conditional and not class_count:
        raise ValueError(
            "conditional=true needs data with labels, such as dataset=mnist5k or one sub-folder a class with"
            " dataset=folder: choose those, or model.conditional=false"
        )
    return class_count if conditional else 0


def entrances(class_count: int, conditional: bool, labels: LabelsIn) -> tuple[int, int]:
    """The number of classes whose labels enter a generator beside the latent, and in its normalisations.

    Raises `ValueError` as `classes_taken` does.
    """
    classes = classes_taken(class_count, conditional)
    return (classes, 0) if labels == "latent" else (0, classes)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """The weight of each class, shape `(n, classes)`: whether it is that of the label, or the weights as they are."""
    return labels if labels.is_floating_point() else labels[:, None] == torch.arange(classes, device=labels.device)


def with_labels(latent: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """Latents of shape `(n, size)` with the weights of `classes` beside them; as they are if there are none."""
    if labels is None or not classes:
        return latent
    return torch.cat([latent, class_weights(labels, classes).to(latent.dtype)], 1)


class ClassVectors(nn.Module):
    """A vector for each class: labels to shape `(n, features)`."""

    def __init__(self, classes: int, features: int, deviation: float = 0.02) -> None:
        """They begin as N(0, deviation²)."""
        super().__init__()
        self.weight = nn.Parameter(deviation * torch.randn(classes, features))

    def forward(self, labels: Tensor) -> Tensor:
        weight = self.weight  # read once: under a spectral norm each reading is another step of its iteration
        vectors: Tensor = class_weights(labels, len(weight)).to(weight.dtype) @ weight
        return vectors


class Projection(nn.Module):
    """⟨vector of the class, features⟩, which a conditional critic adds to its score (Miyato & Koyama, 1802.05637)."""

    def __init__(self, vectors: nn.Module) -> None:
        super().__init__()
        self.vectors = vectors

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Scores of shape `(n,)` for features of shape `(n, features)`."""
        scores: Tensor = (self.vectors(labels) * features).sum(1)
        return scores


class TakesLabels(nn.Module):
    """A layer whose `forward` takes labels after its input."""


class ClassNormalization(TakesLabels):
    """A normalisation of features or channels, with a scale and a shift for each class in place of common ones."""

    def __init__(self, normalization: nn.Module, features: int, classes: int) -> None:
        """`normalization` has neither; both begin as if there were none."""
        super().__init__()
        self.normalization = normalization
        self.scale = ClassVectors(classes, features, 0.0)
        self.shift = ClassVectors(classes, features, 0.0)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        scale, shift = (of(labels).reshape(*x.shape[:2], *[1] * (x.dim() - 2)) for of in (self.scale, self.shift))
        normal = self.normalization(x)
        changed: Tensor = normal + scale * normal + shift
        return changed


class Layers(nn.Sequential, TakesLabels):
    """Layers one after the other; those that take labels are given them."""

    def forward(self, input: Tensor, labels: Tensor | None = None) -> Tensor:
        for layer in self:
            input = layer(input, labels) if isinstance(layer, TakesLabels) else layer(input)
        return input
