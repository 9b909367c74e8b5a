"""Pictures turned, scaled, shifted and mirrored at random, as classifiers of few pictures are trained on them."""

import math
from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor
from torch.nn.functional import pad

from gan_cli.augmentations.base import Augmentation, check_images
from gan_cli.ranges import NonNegative
from gan_cli.ranks import of_all, own
from gan_cli.schedules import Schedule, now


class Affine(Augmentation):
    """Each image turned by up to `degrees`, scaled by up to the share `scale` and shifted by up to `shift` pixels.

    Each number is uniform on both sides of no change, the shift along both axes. `mirror` also flips half of the images
    left to right. What comes from outside of an image has the value `background`.
    """

    def __init__(
        self,
        degrees: NonNegative | Schedule,
        scale: Annotated[float, Ge(0), Lt(1)] | Schedule,
        shift: NonNegative | Schedule,
        mirror: bool,
        background: float,
    ) -> None:
        self.degrees, self.scale, self.shift = degrees, scale, shift
        self.mirror = mirror
        self.background = background

    def __call__(self, samples: Tensor) -> Tensor:
        check_images(samples, "affine")
        images = samples.float() if samples.dtype in (torch.bfloat16, torch.float16) else samples
        return interpolated(images, *self._places(images), self.background).to(samples.dtype)

    def _places(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The column and the row that each pixel comes from, shapes `(n, height, width)`.

        They are sums of products and no matrix product, which autocast would round.
        """
        n, _, height, width = images.shape
        device, dtype = images.device, images.dtype
        angle = _either_side(n, 1, device=device) * now(self.degrees) * (math.pi / 180)
        scale = 1 + _either_side(n, 1, device=device) * now(self.scale)
        flip = own(torch.randint(2, (of_all(n), 1, 1), device=device)) * 2 - 1 if self.mirror else 1
        right, down = (_either_side(n, 2, device=device) * now(self.shift)).to(dtype).split(1, 1)
        cosine, sine = (scale * angle.cos()).to(dtype), (scale * angle.sin()).to(dtype)
        middle_column, middle_row = (width - 1) / 2, (height - 1) / 2
        x = (torch.arange(width, device=device, dtype=dtype) - middle_column) * flip
        y = (torch.arange(height, device=device, dtype=dtype) - middle_row)[:, None]
        return cosine * x - sine * y + (right + middle_column), sine * x + cosine * y + (down + middle_row)


def _either_side(n: int, numbers: int, device: torch.device) -> Tensor:
    """Uniform on [−1, 1), shape `(n, numbers, 1)`."""
    return (own(torch.rand(of_all(n), numbers, device=device)) * 2 - 1)[..., None]


def interpolated(images: Tensor, column: Tensor, row: Tensor, background: float) -> Tensor:
    """The bilinear interpolation of images at columns and rows, shapes `(n, height, width)`.

    It is `grid_sample` on images amid a background, as fast and, unlike it, differentiable twice, as gradient penalties
    need, and deterministic on a GPU too if torch is told to be.
    """
    _, channels, height, width = images.shape
    # A border of one pixel stands for all of the background: places farther out are moved onto it.
    framed = pad(images, (1, 1, 1, 1), value=background).flatten(2)
    column, row = (column + 1).clamp(0, width + 1), (row + 1).clamp(0, height + 1)
    left, top = column.floor().clamp_max(width), row.floor().clamp_max(height)
    index = (top * (width + 2) + left).long()[:, None].flatten(2).expand(-1, channels, -1)
    beyond_left, beyond_top = ((place - edge)[:, None].flatten(2) for place, edge in ((column, left), (row, top)))

    def between(first: int) -> Tensor:
        pair = framed.gather(2, index + first), framed.gather(2, index + first + 1)
        return torch.lerp(*pair, beyond_left)

    return torch.lerp(between(0), between(width + 2), beyond_top).view_as(images)
