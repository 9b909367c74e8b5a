"""What may stand between a sample and the critic."""

from abc import ABC, abstractmethod

from torch import Tensor

from gan_cli.augmentations.adaptive import Adaptive


class Augmentation(ABC):
    """A differentiable map of samples, real and generated alike, that the critic sees in their place.

    The gradients of penalties and of the generator pass through it. Its random numbers come from torch's own stream,
    which a step seeds, so that a run resumes bit for bit.
    """

    @abstractmethod
    def __call__(self, samples: Tensor) -> Tensor:
        """Samples of shape `(n, *sample_shape)`, changed: the same shape."""

    @property
    def adaptive(self) -> Adaptive | None:
        """The probability among its options that the critic's scores lead, if there is one."""
        return None


class NoAugmentation(Augmentation):
    """The samples as they are."""

    def __call__(self, samples: Tensor) -> Tensor:
        return samples


def check_images(samples: Tensor, name: str) -> None:
    """Raise `ValueError` if samples are no images, which the augmentation of this name takes."""
    if samples.dim() != 4:
        raise ValueError(
            f"the {name} augmentation takes images, not samples of shape {tuple(samples.shape[1:])}: choose"
            " augmentation=none"
        )
