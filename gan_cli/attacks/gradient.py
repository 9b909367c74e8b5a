"""Attacks along the gradient: one step (Goodfellow 2015, arXiv 1412.6572), or many (Madry 2018, arXiv 1706.06083).

The gradient is that at the image as it is, before it is cut to the range, so that black and white pixels move too; the
change is projected about the original and not about the last step.
"""

import torch
from torch import Tensor

from gan_cli.attacks.ball import projected, steepest, uniform
from gan_cli.attacks.base import WIDTH, Attack, Budget, Norm, Objective, inside
from gan_cli.ranges import Count, NonNegative


class ProjectedGradient(Attack):
    """Steps along the gradient, each followed by a projection onto the ball about the original."""

    def __init__(
        self,
        epsilon: Budget,
        norm: Norm,
        steps: Count,
        step_size: NonNegative | None,
        restarts: Count,
        clip: bool,
        target: str | int | None,
        random_start: bool = True,
    ) -> None:
        """`step_size` is in the units of `epsilon`; None: 2.5 · epsilon / steps."""
        if restarts > 1 and not random_start:
            raise ValueError(f"restarts={restarts} would all be the same: set random_start=true, or leave it out")
        self.epsilon, self.norm, self.steps, self.restarts = epsilon, norm, steps, restarts
        self.target = None if target is None else str(target)
        self.step_size = step_size if step_size is not None else 2.5 * epsilon / steps
        self.clip, self.random_start = clip, random_start

    def __call__(self, images: Tensor, objective: Objective) -> Tensor:
        images = images.detach()
        radius = WIDTH * self.epsilon
        start = uniform(images, radius, self.norm) if self.random_start else torch.zeros_like(images)
        changed = self._ranged(images + start)
        for _ in range(self.steps):
            step = WIDTH * self.step_size * steepest(gradient(objective, changed), self.norm)
            changed = self._ranged(images + projected(changed + step - images, radius, self.norm))
        return changed

    def _ranged(self, images: Tensor) -> Tensor:
        return inside(images) if self.clip else images


class FastGradient(ProjectedGradient):
    """One step of the size ε along the sign of the gradient; from a random start if asked for (Wong 2020).

    Wong, Rice and Kolter (arXiv 2001.03994) step 1.25 · ε from there, for cheap adversarial training.
    """

    def __init__(
        self,
        epsilon: Budget,
        norm: Norm,
        step_size: NonNegative | None,
        random_start: bool,
        restarts: Count,
        clip: bool,
        target: str | int | None,
    ) -> None:
        """`step_size` is in the units of `epsilon`; None: epsilon."""
        super().__init__(
            epsilon, norm, 1, epsilon if step_size is None else step_size, restarts, clip, target, random_start
        )


def gradient(objective: Objective, images: Tensor) -> Tensor:
    """The gradient of each image's objective with respect to the image, of the images' shape."""
    with torch.enable_grad():
        x = images.detach().requires_grad_()
        (slope,) = torch.autograd.grad(objective(x).sum(), x)
    return slope
