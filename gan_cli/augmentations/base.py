"""What may stand between a sample and the critic."""

from abc import ABC, abstractmethod

from torch import Tensor


class Augmentation(ABC):
    """A differentiable map of samples, real and generated alike, that the critic sees in their place.

    The gradients of penalties and of the generator pass through it. Its random numbers come from torch's own stream,
    which a step seeds, so that a run resumes bit for bit.
    """

    @abstractmethod
    def __call__(self, samples: Tensor) -> Tensor:
        """Samples of shape `(n, *sample_shape)`, changed: the same shape."""


class NoAugmentation(Augmentation):
    """The samples as they are."""

    def __call__(self, samples: Tensor) -> Tensor:
        return samples
