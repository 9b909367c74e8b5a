"""Penalties on the gradient of the critic with respect to its input; each crosses with every divergence."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gan_cli.models.base import Scoring
from gan_cli.ranges import NonNegative, Portion
from gan_cli.ranks import of_all, own, place
from gan_cli.schedules import Schedule, now

Score = Callable[[Tensor], Tensor]
"""A critic, or anything else that maps samples to scores."""

Place = Literal["real", "generated", "between"]
"""Where a critic's gradient is looked at: real samples, generated ones, or points on the lines between these."""


@dataclass(frozen=True)
class Promise:
    """The norm of the critic's gradient at which a penalty is least, and where it looks."""

    slope: float
    at: tuple[Place, ...]
    is_bound: bool = False
    """Whether smaller norms are as good."""


def with_squared_gradient_norm(critic: Score, x: Tensor) -> tuple[Tensor, Tensor]:
    """critic(x) and ‖∇ₓ critic(x)‖² of each sample, both of shape `(batch,)` and differentiable in the critic.

    The norm is in float32 or wider; the gradient is exact, and both come from one forward pass.
    """
    x = x.detach()
    if torch.compiler.is_compiling():  # the compiler traces torch.func, but not autograd.grad
        scores, pullback, *_ = torch.func.vjp(critic, x)
        (gradient,) = pullback(torch.ones_like(scores))
    else:
        x.requires_grad_(True)
        scores = critic(x)
        (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    gradient = gradient.flatten(1)
    return scores, gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square().sum(1)


def gradient_norm(critic: Score, x: Tensor) -> Tensor:
    """‖∇ₓ critic(x)‖ of each sample, shape `(batch,)`; where it is 0, its own gradient is 0 and not NaN."""
    _, squared = with_squared_gradient_norm(critic, x)
    is_zero = squared == 0
    return torch.where(is_zero, 0.0, torch.where(is_zero, 1.0, squared).sqrt())


def between(real: Tensor, fake: Tensor) -> Tensor:
    """One point on the line from each real sample to a fake one, uniform along it."""
    # Drawn in float32, so that other precisions take the same points.
    shape = (of_all(len(real)), *[1] * (real.dim() - 1))
    position = own(torch.rand(shape, device=real.device, dtype=torch.float32), in_packs=True)
    return torch.lerp(real, fake, position.to(real.dtype))


class Penalty(ABC):
    """A term added to what the critic minimises."""

    independent_samples: ClassVar[bool] = True
    """Whether the critic's score of a sample must not depend on the rest of the batch."""

    promise: ClassVar[Promise | None] = None
    """The slope that it pulls the critic to; None: it is about none."""

    @abstractmethod
    def __call__(self, critic: Score, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty, a scalar, for real and fake samples of one shape `(batch, *sample_shape)`."""

    def number_of(self, real: Tensor) -> int:
        """How many of the real samples, and of the fake ones, it is taken at; of this rank's part of a batch."""
        return len(real)

    def with_scores(self, critic: Scoring, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The scores of the real and of the fake samples, and the penalty.

        A penalty at these very samples can take the gradients of this forward pass instead of one of its own.
        """
        return *critic.both(real, fake), self(critic, real, fake)


@dataclass(frozen=True)
class NoPenalty(Penalty):
    """Leaves the critic free."""

    independent_samples = False

    def __call__(self, critic: Score, real: Tensor, fake: Tensor) -> Tensor:
        return real.new_zeros(())


@dataclass(frozen=True)
class Weighted(Penalty):
    """A penalty with a weight, at the samples of a batch or at the first of them."""

    weight: NonNegative | Schedule
    share: Portion = 1.0
    """Of a batch, at least one sample. A part gives the same penalty on average, with more noise, in less time."""

    def with_scores(self, critic: Scoring, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = self.number_of(real)
        return *critic.both(real, fake), self(critic.of_first(n), real[:n], fake[:n])

    def number_of(self, real: Tensor) -> int:
        ranks = place().size
        n = max(1, round(self.share * len(real) * ranks))
        if n % ranks:
            raise ValueError(
                f"share={self.share} takes {n} of {len(real) * ranks} samples, which {ranks} processes cannot share"
                " evenly: choose another share or train.batch_size"
            )
        return n // ranks


class Interpolate(Weighted):
    """weight · E[(‖∇critic‖ − 1)²] between real and fake: WGAN-GP (Gulrajani 2017, eq. 3; arXiv 1704.00028)."""

    promise = Promise(1.0, ("between",))

    def __call__(self, critic: Score, real: Tensor, fake: Tensor) -> Tensor:
        return now(self.weight) * (gradient_norm(critic, between(real, fake)) - 1).square().mean()


class InterpolateOneSided(Weighted):
    """weight · E[max(0, ‖∇critic‖ − 1)²] between real and fake: WGAN-LP (Petzka 2018; arXiv 1709.08894)."""

    promise = Promise(1.0, ("between",), is_bound=True)

    def __call__(self, critic: Score, real: Tensor, fake: Tensor) -> Tensor:
        return now(self.weight) * (gradient_norm(critic, between(real, fake)) - 1).relu().square().mean()


class R1(Weighted):
    """weight/2 · E‖∇critic‖² at real samples (Mescheder 2018, eq. 9; arXiv 1801.04406)."""

    promise = Promise(0.0, ("real",))

    def __call__(self, critic: Score, real: Tensor, fake: Tensor) -> Tensor:
        return now(self.weight) / 2 * with_squared_gradient_norm(critic, real)[1].mean()

    def with_scores(self, critic: Scoring, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = self.number_of(real)
        first, squared_norms = with_squared_gradient_norm(critic.of_first(n), real[:n])
        rest, fake_scores = critic.of_rest(n)(torch.cat([real[n:], fake])).split([len(real) - n, len(fake)])
        return torch.cat([first, rest]), fake_scores, now(self.weight) / 2 * squared_norms.mean()


class R1R2(Weighted):
    """weight/2 · (E‖∇critic‖² at real + E‖∇critic‖² at fake samples) (R3GAN, Huang 2024; arXiv 2501.05441)."""

    promise = Promise(0.0, ("real", "generated"))

    def __call__(self, critic: Score, real: Tensor, fake: Tensor) -> Tensor:
        return self._in_one_pass(critic, real, fake)[2]

    def with_scores(self, critic: Scoring, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.share < 1:
            return super().with_scores(critic, real, fake)
        return self._in_one_pass(critic, real, fake)

    def _in_one_pass(self, critic: Score, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sizes = [len(real), len(fake)]
        scores, squared_norms = with_squared_gradient_norm(critic, torch.cat([real, fake]))
        real_scores, fake_scores = scores.split(sizes)
        at_real, at_fake = squared_norms.split(sizes)
        return real_scores, fake_scores, now(self.weight) / 2 * (at_real.mean() + at_fake.mean())
