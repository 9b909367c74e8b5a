"""Pictures moved by whole pixels, mirrored and partly hidden at random, as classifiers of photographs see them."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import pad

from gan_cli.augmentations.base import Augmentation, check_images
from gan_cli.ranks import of_all, own


class Crop(Augmentation):
    """A window of each image's own size out of that image amid a frame (He 2016a, arXiv 1512.03385, §4.2).

    The frame is `shift` pixels wide and has the value `background`; all places of the window are equally likely.
    `mirror` also flips half of the images left to right. No value is changed, unlike by `Affine`, which interpolates.
    `hole` is the side in pixels of a square of `background` that hides a part of each image (DeVries and Taylor 2017,
    arXiv 1708.04552, §3.2): its middle is a pixel of the image, all of them equally likely, so it may reach outside.
    """

    def __init__(self, shift: Annotated[int, Ge(0)], mirror: bool, background: float, hole: Annotated[int, Ge(0)] = 0):
        self.shift = shift
        self.mirror = mirror
        self.background = background
        self.hole = hole

    def __call__(self, samples: Tensor) -> Tensor:
        check_images(samples, "crop")
        n, _, height, width = samples.shape
        device = samples.device
        top, left = own(torch.randint(2 * self.shift + 1, (2, of_all(n), 1), device=device), dim=1)
        rows = top + torch.arange(height, device=device)
        columns = left + torch.arange(width, device=device)
        if self.mirror:
            flipped = own(torch.randint(2, (of_all(n), 1), device=device)).bool()
            columns = torch.where(flipped, columns.flip(1), columns)
        # Indexed around the channels, which then come last: in memory too.
        framed = pad(samples, [self.shift] * 4, value=self.background).permute(0, 2, 3, 1)
        image = torch.arange(n, device=device)
        crops = framed[image[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        if not self.hole:
            return crops
        above, left = (self._hidden(n, side, device) for side in (height, width))
        return crops.masked_fill((above[:, :, None] & left[:, None, :])[:, None], self.background)

    def _hidden(self, n: int, side: int, device: torch.device) -> Tensor:
        """Which pixels of an axis the hole of each image covers, bools of shape (n, side)."""
        first = own(torch.randint(side, (of_all(n), 1), device=device)) - self.hole // 2
        pixels = torch.arange(side, device=device)
        return (first <= pixels) & (pixels < first + self.hole)
