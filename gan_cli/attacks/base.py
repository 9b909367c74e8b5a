"""What attacks are to the rest of the program: changes of an image, within a budget, that raise a number.

Images are in [−1, 1] and budgets in units of the data range, [0, 1], as in the literature: ε = 0.25 is a quarter of the
way from black to white, here 0.5.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from gan_cli.errors import did_you_mean

Objective = Callable[[Tensor], Tensor]
"""What an attack raises: a differentiable map of images `(n, channels, height, width)` to one number each, `(n,)`."""

Norm = Literal["linf", "l2"]
"""How the size of a change is measured: its largest pixel, or the root of the sum of squares."""

Budget = Annotated[float, Ge(0), Le(1000)]
"""A size of changes in units of the data range, [0, 1]; beyond it, float32 has no digits left for the images."""

WIDTH = 2.0
"""The width of the range of images."""


class Attack(ABC):
    """Changes images so that an objective rises. Random numbers come from torch's own stream."""

    keeps_images: ClassVar[bool] = True
    """Whether its images still show what the originals do."""

    is_for_training: ClassVar[bool] = True
    """Whether it is quick enough to be made anew for every batch of a training."""

    needs_logits: ClassVar[bool] = False
    """Whether it asks the network under attack for logits, beside the objective."""

    library: ClassVar[str | None] = None
    """The distribution that carries it out, whose version receipts name; None for code of a class's own."""

    clip: bool = True
    """Whether pixels beyond black and white are cut to these."""

    restarts: int = 1
    """How often a random attack is tried; the strongest of each image counts."""

    target: str | None = None
    """The class that images are to be taken for; None: any but their own."""

    surrogate: torch.nn.Module | None = None
    """The classifier whose objective is raised; None: that under attack."""

    @abstractmethod
    def __call__(self, images: Tensor, objective: Objective) -> Tensor:
        """Changed images of the same shape."""

    def check(self, classes: Sequence[str], sample_shape: tuple[int, ...]) -> None:
        """Raise `ValueError` unless images of this shape and these classes can be attacked."""
        if self.target is not None and self.target not in classes:
            raise ValueError(f"target={self.target} is not a class: {did_you_mean(self.target, classes)}")

    def succeeds(self, log_probabilities: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
        """Whether each image, by a classifier's log probabilities `(n, classes)`, is what the attack wants of it."""
        chosen = log_probabilities.argmax(1)
        return chosen != labels if target is None else chosen == target


class NoAttack(Attack):
    """The images as they are."""

    def __call__(self, images: Tensor, objective: Objective) -> Tensor:
        return images.detach()


def inside(images: Tensor) -> Tensor:
    """Images whose pixels beyond black and white are black and white."""
    return images.clamp(-1, 1)
