"""Colours, places and a part of images changed at random, so that a critic of few images cannot learn them by heart."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_cli.augmentations.adaptive import Adaptive
from gan_cli.augmentations.base import Augmentation, check_images
from gan_cli.ranges import Probability
from gan_cli.schedules import Schedule, now

REACH = 1 / 8
"""The farthest move, as a share of the side."""

HOLE = 1 / 2
"""The side of the square that is hidden, as a share of that of the image."""


class DiffAugment(Augmentation):
    """Each image undergoes each change with a probability, whatever the others undergo (Zhao 2020, arXiv 2006.10738).

    The changes are those of the paper's code. `colour` is three: a brightness up to 0.5 higher or lower, where images
    lie in [−1, 1]; a saturation of 0 to 2 times and a contrast of 0.5 to 1.5 times what it was. A grey image has no
    saturation and keeps it. `translation` moves by whole pixels, up to an eighth of the side along both axes; `cutout`
    hides a square of half the side, whose middle lies anywhere in the image. What is uncovered or hidden has the value
    `background`. The paper changes every image; a smaller probability is that of Karras (2020, arXiv 2006.06676).
    """

    def __init__(
        self,
        probability: Probability | Schedule | Adaptive,
        colour: bool,
        translation: bool,
        cutout: bool,
        background: float,
    ) -> None:
        self.probability = probability
        self.colour, self.translation, self.cutout = colour, translation, cutout
        self.background = background

    @property
    def adaptive(self) -> Adaptive | None:
        return self.probability if isinstance(self.probability, Adaptive) else None

    def __call__(self, samples: Tensor) -> Tensor:
        check_images(samples, "diffaugment")
        probability = self.probability.value if isinstance(self.probability, Adaptive) else now(self.probability)
        images = samples.float() if samples.dtype in (torch.bfloat16, torch.float16) else samples
        for changed in self._changes():
            # Chosen and not mixed: an image that is left alone keeps its bits.
            is_changed = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
            images = torch.where(is_changed, changed(images), images)
        return images.to(samples.dtype)

    def _changes(self) -> list[Callable[[Tensor], Tensor]]:
        changes: list[Callable[[Tensor], Tensor]] = []
        if self.colour:
            changes += [brightened, saturated, contrasted]
        if self.translation:
            changes.append(self._moved)
        if self.cutout:
            changes.append(self._with_hole)
        return changes

    def _moved(self, images: Tensor) -> Tensor:
        n, _, height, width = images.shape
        rows, columns = (_places(n, side, images.device) for side in (height, width))
        # Read around the borders: each pixel is read once, so that no order of sums can change a gradient.
        around = images.gather(2, (rows % height)[:, None, :, None].expand_as(images))
        around = around.gather(3, (columns % width)[:, None, None, :].expand_as(images))
        is_inside = _within(rows, 0, height)[:, :, None] & _within(columns, 0, width)[:, None, :]
        return around.masked_fill(~is_inside[:, None], self.background)

    def _with_hole(self, images: Tensor) -> Tensor:
        n, _, height, width = images.shape
        in_row, in_column = (_hidden(n, side, images.device) for side in (height, width))
        return images.masked_fill((in_row[:, :, None] & in_column[:, None, :])[:, None], self.background)


def brightened(images: Tensor) -> Tensor:
    """Each image with a number on [−0.5, 0.5) added to it."""
    return images + _uniform(images, -0.5, 0.5)


def saturated(images: Tensor) -> Tensor:
    """Each image with its differences from the mean of its channels, pixel by pixel, 0 to 2 times as large."""
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * _uniform(images, 0, 2)


def contrasted(images: Tensor) -> Tensor:
    """Each image with its differences from its mean 0.5 to 1.5 times as large."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * _uniform(images, 0.5, 1.5)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """A number for each image, drawn in float32 so that other precisions take the same."""
    return (torch.rand(len(images), 1, 1, 1, device=images.device) * (high - low) + low).to(images.dtype)


def _places(n: int, side: int, device: torch.device) -> Tensor:
    """Where along an axis each pixel comes from, shape `(n, side)`; below 0 or from `side` on it is outside."""
    reach = _share_of(side, REACH)
    return torch.randint(-reach, reach + 1, (n, 1), device=device) + torch.arange(side, device=device)


def _hidden(n: int, side: int, device: torch.device) -> Tensor:
    """Which pixels of an axis the hole of each image covers, bools of shape `(n, side)`."""
    hole = _share_of(side, HOLE)
    # The middle of an even number of pixels lies between two of them, or at a border.
    first = torch.randint(side + 1 - hole % 2, (n, 1), device=device) - hole // 2
    return _within(torch.arange(side, device=device), first, first + hole)


def _within(places: Tensor, first: int | Tensor, end: int | Tensor) -> Tensor:
    return (first <= places) & (places < end)


def _share_of(side: int, share: float) -> int:
    """So many pixels, the nearest whole number; halves are rounded up."""
    return int(side * share + 0.5)
