"""Penalties on the gradient of the critic with respect to its input; each crosses with every divergence."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]


def squared_gradient_norm(critic: Critic, x: Tensor) -> Tensor:
    """‖∇ₓ critic(x)‖² of each sample, shape `(batch,)`, in float32 or wider and differentiable in the critic."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    gradient = gradient.flatten(1)
    return gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square().sum(1)


def gradient_norm(critic: Critic, x: Tensor) -> Tensor:
    """‖∇ₓ critic(x)‖ of each sample, shape `(batch,)`; where it is 0, its own gradient is 0 and not NaN."""
    squared = squared_gradient_norm(critic, x)
    is_zero = squared == 0
    return torch.where(is_zero, 0.0, torch.where(is_zero, 1.0, squared).sqrt())


def between(real: Tensor, fake: Tensor) -> Tensor:
    """One point on the line from each real sample to a fake one, uniform along it."""
    position = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    return torch.lerp(real, fake, position)


class Penalty(ABC):
    """A term added to what the critic minimises."""

    independent_samples: ClassVar[bool] = True
    """Whether the critic's score of a sample must not depend on the rest of the batch."""

    @abstractmethod
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty, a scalar, for real and fake samples of one shape `(batch, *sample_shape)`."""


@dataclass(frozen=True)
class NoPenalty(Penalty):
    """Leaves the critic free."""

    independent_samples = False

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return real.new_zeros(())


@dataclass(frozen=True)
class Weighted(Penalty):
    """A penalty with a weight."""

    weight: float

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"weight={self.weight} must be 0 or more")


class Interpolate(Weighted):
    """weight · E[(‖∇critic‖ − 1)²] between real and fake: WGAN-GP (Gulrajani 2017, eq. 3; arXiv 1704.00028)."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight * (gradient_norm(critic, between(real, fake)) - 1).square().mean()


class InterpolateOneSided(Weighted):
    """weight · E[max(0, ‖∇critic‖ − 1)²] between real and fake: WGAN-LP (Petzka 2018; arXiv 1709.08894)."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight * (gradient_norm(critic, between(real, fake)) - 1).relu().square().mean()


class R1(Weighted):
    """weight/2 · E‖∇critic‖² at real samples (Mescheder 2018, eq. 9; arXiv 1801.04406)."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight / 2 * squared_gradient_norm(critic, real).mean()


class R1R2(Weighted):
    """weight/2 · (E‖∇critic‖² at real + E‖∇critic‖² at fake samples) (R3GAN, Huang 2024; arXiv 2501.05441)."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        # The mean over both halves is half the sum of their means.
        return self.weight * squared_gradient_norm(critic, torch.cat([real, fake])).mean()
