"""Anybody's images in an array, in a file of NumPy's, with or without a class each."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gan_cli.datasets import arrays, table
from gan_cli.datasets.arrays import classes_of
from gan_cli.datasets.base import PART, Images
from gan_cli.datasets.images import allocate, squares
from gan_cli.datasets.part import Part
from gan_cli.files import shortest
from gan_cli.ranges import Count, Seed

CHANNELS = (1, 3)

LAYOUTS = "(n, side, side), (n, side, side, channels) or (n, channels, side, side)"


class Array(Images):
    """The square images of a file, which stay as they are unless `resolution` scales them.

    Their values are whole numbers of 8 bits or floats from 0 to 1. An array of uint8 is mapped into memory, not read.
    """

    def __init__(
        self,
        path: str,
        array: str | None = None,
        labels: str | None = None,
        resolution: Count | None = None,
        mirror: bool = False,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        """Raises `ValueError` for a file that holds no images."""
        file = shortest(path)
        path = str(file)
        if file.suffix.lower() in table.TABLES and file.is_file():
            raise ValueError(f"path={path} is a table of points: choose dataset=points dataset.path={path}")
        values, given = arrays.read(file, array, labels)
        laid_out = _channels_first(values, path)
        known, names = classes_of(given, len(values), f"labels={labels}")
        images = _as_uint8(laid_out, path)
        if resolution is not None:
            images = squares(images, resolution)
        part = Part(classes, per_class, subset_seed)
        super().__init__(images, known, mirror=mirror, classes=names, part=part)

    def fingerprint(self) -> str:
        return arrays.with_labels(super().fingerprint(), self.labels, self.classes)


def _channels_first(values: arrays.Array, path: str) -> arrays.Array:
    """The array with the shape `(n, channels, side, side)`. Raises `ValueError` if its shape says no layout, or two."""
    shape, found = values.shape, f"path={path} has shape {values.shape}"
    if len(shape) == 2:
        points = f"choose dataset=points dataset.path={path}"
        raise ValueError(f"{found}, as points have: {points}, or reshape the rows of images to (n, side, side)")
    if not shape or not shape[0]:
        raise ValueError(f"{found} and holds no images: save images as {LAYOUTS}")
    match shape:
        case (_, height, width) if height == width:
            return values[:, None]
        case (_, channels, _, last) if channels in CHANNELS and last in CHANNELS:
            raise ValueError(f"{found}, whose channels may be first or last: save images of more pixels")
        case (_, height, width, channels) if height == width and channels in CHANNELS:
            return np.moveaxis(values, 3, 1)
        case (_, channels, height, width) if height == width and channels in CHANNELS:
            return values
        case _:
            raise ValueError(f"{found}: save square images as {LAYOUTS}, with 1 or 3 channels")


def _as_uint8(values: arrays.Array, path: str) -> Tensor:
    """The values from 0 to 255. Raises `ValueError` for values whose range cannot be told."""
    found = f"path={path} holds"
    if values.dtype == np.uint8:
        images = torch.from_numpy(values)
        if max(int(part.max()) for part in images.split(PART)) <= 1:
            raise ValueError(f"{found} 0 and 1 alone, which are nearly black among 0 to 255: multiply them by 255")
        return images
    if values.dtype.kind != "f":
        remedy = "save 0 to 255 with astype(numpy.uint8), or floats from 0 to 1"
        raise ValueError(f"{found} values of type {values.dtype}: {remedy}")
    n, channels, side, _ = values.shape
    images = torch.from_numpy(allocate(n, channels, side))
    for start in range(0, n, PART):
        part = values[start : start + PART].astype(np.float32)
        low, high = float(part.min()), float(part.max())
        if not np.isfinite(part).all():
            raise ValueError(f"{found} values that are not finite: leave such images out")
        if low < 0 or high > 1:
            remedy = "save (x + 1) / 2 if x is from −1 to 1, or x.astype(numpy.uint8) if it is from 0 to 255"
            raise ValueError(f"{found} floats from {low:g} to {high:g}, and images take 0 to 1: {remedy}")
        images[start : start + PART] = torch.from_numpy((part * 255).round().astype(np.uint8))
    return images
