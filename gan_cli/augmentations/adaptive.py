"""A probability that follows how far the critic has learned its images by heart (Karras 2020, arXiv 2006.06676)."""

from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from gan_cli.ranges import Count


class Adaptive(nn.Module):
    """A probability, 0 at first, that rises while the critic tells real images too surely and falls otherwise (§3.2).

    How surely is r, the `real_sign` of a batch. After each update of the critic the probability moves up if
    r > `target`, and down if r < `target`, as far as would take it from 0 to 1 over `images` real samples, and stays
    between these. The paper has 0.6 and 500,000, and decides by the mean of r over four minibatches; here every update
    decides by its own.
    """

    value: Tensor
    """The probability, a scalar on the device that checkpoints hold and captured steps read."""

    def __init__(self, target: Annotated[float, Gt(-1), Lt(1)], images: Count) -> None:
        super().__init__()
        self.target, self.images = target, images
        self.register_buffer("value", torch.zeros(()))

    @torch.no_grad()
    def follow(self, sign: Tensor, images: int) -> Tensor:
        """Move by the `real_sign` of so many real samples; the probability from now on, a scalar of its own."""
        self.value.add_((sign - self.target).sign(), alpha=images / self.images).clamp_(0, 1)
        return self.value.clone()


def real_sign(real: Tensor, fake: Tensor) -> Tensor:
    """r = E[sign(v − m)] over the scores v of real samples: 1 if all lie above m, about 0 if m is amid them.

    m is the middle between the mean scores of the real and of the generated samples, both of shape `(batch,)`. Where
    scores are symmetric about 0 it is 0, and r the paper's r_t (eq. 1); under a divergence that only compares scores,
    such as Wasserstein or relativistic ones, 0 means nothing and the middle still does.
    """
    real, fake = real.detach(), fake.detach()
    return (real - (real.mean() + fake.mean()) / 2).sign().mean()
