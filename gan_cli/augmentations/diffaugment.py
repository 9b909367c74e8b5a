"""Colours, places and a part of images changed at random, so that a critic of few images cannot learn them by heart."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from gan_cli.augmentations.adaptive import Adaptive
from gan_cli.augmentations.base import Augmentation, check_images
from gan_cli.ranges import Probability
from gan_cli.ranks import of_all, own
from gan_cli.schedules import Schedule, now

REACH = 1 / 8
"""The farthest move, as a share of the side."""

HOLE = 1 / 2
"""The side of the square that is hidden, as a share of that of the image."""

Draw = Callable[[int, Sequence[int], torch.device], tuple[Tensor, ...]]
"""The random numbers of so many images of given sides, each tensor with an entry an image."""

Change = Callable[..., Tensor]
"""Images and their numbers ↦ images."""


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
        n, _, *sides = images.shape
        for draw, change in self._changes():
            is_changed = own(torch.rand(of_all(n), device=images.device)) < probability
            images = changed(change, images, draw(n, sides, images.device), is_changed)
        return images.to(samples.dtype)

    def _changes(self) -> list[tuple[Draw, Change]]:
        changes: list[tuple[Draw, Change]] = []
        if self.colour:
            changes += [
                (_uniform(-0.5, 0.5), brightened),
                (_uniform(0, 2), saturated),
                (_uniform(0.5, 1.5), contrasted),
            ]
        if self.translation:
            changes.append((_places, partial(moved, background=self.background)))
        if self.cutout:
            changes.append((_hidden, partial(with_hole, background=self.background)))
        return changes


def changed(change: Change, images: Tensor, numbers: Sequence[Tensor], which: Tensor) -> Tensor:
    """The images, those changed that are chosen; the others keep their bits. `which` are bools, shape `(n,)`."""
    if images.device.type != "cpu" or torch.compiler.is_compiling():
        return torch.where(which[:, None, None, None], change(images, *numbers), images)
    # Where a number can be asked for without waiting, only what is chosen is computed.
    (chosen,) = which.nonzero(as_tuple=True)
    if not len(chosen):
        return images
    return images.index_copy(0, chosen, change(images[chosen], *(each[chosen] for each in numbers)))


def brightened(images: Tensor, by: Tensor) -> Tensor:
    """Each image with a number added to it; numbers have the shape `(n,)`, here and below."""
    return images + _each(by, images)


def saturated(images: Tensor, factor: Tensor) -> Tensor:
    """Each image with its differences from the mean of its channels, pixel by pixel, so many times as large."""
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * _each(factor, images)


def contrasted(images: Tensor, factor: Tensor) -> Tensor:
    """Each image with its differences from its mean so many times as large."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * _each(factor, images)


def moved(images: Tensor, rows: Tensor, columns: Tensor, background: float) -> Tensor:
    """Each pixel from the row and the column that are told for its place, shape `(n, side)`, or from outside."""
    _, _, height, width = images.shape
    # Read around the borders: each pixel is read once, so that no order of sums can change a gradient.
    around = images.gather(2, (rows % height)[:, None, :, None].expand_as(images))
    around = around.gather(3, (columns % width)[:, None, None, :].expand_as(images))
    is_inside = _within(rows, 0, height)[:, :, None] & _within(columns, 0, width)[:, None, :]
    return around.masked_fill(~is_inside[:, None], background)


def with_hole(images: Tensor, in_row: Tensor, in_column: Tensor, background: float) -> Tensor:
    """Each image without the pixels that lie in the rows and the columns of its hole, bools of shape `(n, side)`."""
    return images.masked_fill((in_row[:, :, None] & in_column[:, None, :])[:, None], background)


def _each(numbers: Tensor, images: Tensor) -> Tensor:
    return numbers.to(images.dtype)[:, None, None, None]


def _uniform(low: float, high: float) -> Draw:
    """A number for each image, drawn in float32 so that other precisions take the same."""

    def draw(n: int, sides: Sequence[int], device: torch.device) -> tuple[Tensor]:
        return (own(torch.rand(of_all(n), device=device)) * (high - low) + low,)

    return draw


def _places(n: int, sides: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
    """Where along each axis the pixels come from, shape `(n, side)`; below 0 or from `side` on it is outside."""
    places = []
    for side in sides:
        reach = _share_of(side, REACH)
        first = own(torch.randint(-reach, reach + 1, (of_all(n), 1), device=device))
        places.append(first + torch.arange(side, device=device))
    return tuple(places)


def _hidden(n: int, sides: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
    """Which pixels of each axis the hole of an image covers, bools of shape `(n, side)`."""
    hidden = []
    for side in sides:
        hole = _share_of(side, HOLE)
        # The middle of an even number of pixels lies between two of them, or at a border.
        first = own(torch.randint(side + 1 - hole % 2, (of_all(n), 1), device=device)) - hole // 2
        hidden.append(_within(torch.arange(side, device=device), first, first + hole))
    return tuple(hidden)


def _within(places: Tensor, first: int | Tensor, end: int | Tensor) -> Tensor:
    return (first <= places) & (places < end)


def _share_of(side: int, share: float) -> int:
    """So many pixels, the nearest whole number; halves are rounded up."""
    return int(side * share + 0.5)
