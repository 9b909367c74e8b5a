"""What classifiers are to the rest of the program."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

from annotated_types import Ge, Lt
from torch import Tensor, nn

Dropout = Annotated[float, Ge(0), Lt(1)]
"""The probability that a unit is left out of a training step."""


class Classifier(nn.Module, ABC):
    """Maps images in [−1, 1], shape `(n, channels, height, width)`, to logits of shape `(n, classes)`, no softmax."""

    head: nn.Module
    """The last layer: features to logits."""

    def __init__(self, class_count: int) -> None:
        """Raises `ValueError` if there are fewer than two classes, and so nothing to tell apart."""
        super().__init__()
        if class_count < 2:
            raise ValueError(
                f"needs data of at least two classes, not {class_count}: choose data with labels, such as dataset=mnist"
                " or one sub-folder a class with dataset=folder"
            )

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """The last hidden layer, shape `(n, features)`: what metrics compare. In training, dropout has acted on it."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


class TrainedNetwork(Protocol):
    """A classifier that is done with training."""

    @property
    def network(self) -> Classifier: ...

    @property
    def sample_shape(self) -> tuple[int, ...]: ...

    @property
    def classes(self) -> Sequence[str]:
        """Their names, in the order of the logits."""

    @property
    def sha256(self) -> str:
        """That of the checkpoint."""


OpenClassifier = Callable[[str], TrainedNetwork]
"""A function from the folder of a run; it raises `ConfigError`."""


def check_images(sample_shape: tuple[int, ...], least: int) -> None:
    """Raise `ValueError` unless samples are images whose sides have at least `least` pixels."""
    if len(sample_shape) != 3:
        raise ValueError(f"takes images, not samples of shape {sample_shape}: choose classifier=softmax")
    side = min(sample_shape[1:])
    if side < least:
        raise ValueError(f"takes sides of at least {least}, not {side}: choose dataset.resolution={least}")


def brightness(images: Tensor) -> Tensor:
    """Images in [−1, 1] as [0, 1], where a pixel that dropout or padding sets to zero is black and not grey."""
    return (images + 1) / 2
