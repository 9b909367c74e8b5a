"""Matrices of squared distances, in blocks that fit into memory."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

ENTRIES = 2_000_000
"""Entries of a block: 16 MB in float64."""

EXACT = 1024
"""The products of this many pairs of integers up to 2⁷ add up to 2²⁴ at most, and float32 holds every integer there."""


def needs_finite(*vectors: Tensor) -> None:
    """Raise `ValueError` if any value is not finite."""
    if not all(part.isfinite().all() for part in vectors):
        raise ValueError("features are not finite")


def row_blocks(x: Tensor, columns: int) -> Iterator[Tensor]:
    """Consecutive rows of x, as many at a time as make a block with `columns` columns."""
    return iter(x.split(max(1, ENTRIES // max(1, columns))))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """‖xᵢ − yⱼ‖² of vectors in float64, shapes `(n, d)` and `(m, d)`: shape `(n, m)`."""
    products = torch.addmm(y.square().sum(1), x, y.T, alpha=-2)
    return products.add_(x.square().sum(1, keepdim=True)).clamp_(min=0)


class Pixels(NamedTuple):
    """Flat images, ready to be compared."""

    values: Tensor
    """Integers from −128 to 127 in float32, shape `(n, d)`."""

    squares: Tensor
    """The sum of the squares of each, in float64, shape `(n,)`."""


def centred_pixels(images: Tensor) -> Pixels:
    """The `Pixels` of uint8 images, shape `(n, channels, height, width)`."""
    values = images.flatten(1).float().sub_(128)
    return Pixels(values, values.square().sum(1, dtype=torch.float64))


def squared_pixel_distances(x: Pixels, y: Pixels) -> Tensor:
    """‖xᵢ − yⱼ‖² with pixels in [0, 1], in float64 with no rounding but that of the division: shape `(n, m)`."""
    squares = x.squares[:, None] + y.squares
    for part_of_x, part_of_y in zip(x.values.split(EXACT, dim=1), y.values.split(EXACT, dim=1), strict=True):
        squares.sub_(part_of_x @ part_of_y.T, alpha=2)
    return squares.div_(255**2)
