"""Batches as a function of (seed, index): the order of the data outlives an interruption without saved state."""

from typing import Protocol

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset, Endless, Images, to_unit_range
from gan_cli.randomness import stream


class Batches(Protocol):
    """The real data of a run: `batches(index)` is the same tensor whenever it is asked for."""

    def __call__(self, index: int) -> Tensor: ...


class EndlessBatches:
    """Fresh samples for every index."""

    def __init__(self, dataset: Endless, batch_size: int, seed: int, device: torch.device) -> None:
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._generator = torch.Generator(device)

    def __call__(self, index: int) -> Tensor:
        self._generator.manual_seed(stream(self._seed, "data", index))
        return self._dataset.sample(self._batch_size, self._generator)


class ImageBatches:
    """Epoch after epoch, each in an order of its own; the images stay on the device as uint8.

    The remainder of an epoch that does not fill a batch is left out: each epoch leaves out others.
    """

    def __init__(self, dataset: Images, batch_size: int, seed: int, device: torch.device) -> None:
        if batch_size > len(dataset):
            raise ValueError(
                f"batch_size={batch_size} is larger than the data set of {len(dataset)} images: choose a smaller one"
            )
        self._images = dataset.images.to(device)
        self._mirror = dataset.mirror
        self._batch_size = batch_size
        self._seed = seed
        self._generator = torch.Generator(device)
        self._epoch = -1

    def __call__(self, index: int) -> Tensor:
        epoch, position = divmod(index, len(self._images) // self._batch_size)
        if epoch != self._epoch:
            self._generator.manual_seed(stream(self._seed, "epoch", epoch))
            self._order = torch.randperm(len(self._images), generator=self._generator, device=self._images.device)
            self._epoch = epoch
        start = position * self._batch_size
        images = to_unit_range(self._images[self._order[start : start + self._batch_size]])
        if self._mirror:
            self._generator.manual_seed(stream(self._seed, "mirror", index))
            flipped = torch.rand(len(images), 1, 1, 1, generator=self._generator, device=images.device) < 0.5
            images = torch.where(flipped, images.flip(-1), images)
        return images


def batches(dataset: Dataset, batch_size: int, seed: int, device: torch.device) -> Batches:
    """The batches of a run on `device`. Raises `ValueError` when the data do not fill one."""
    match dataset:
        case Endless():
            return EndlessBatches(dataset, batch_size, seed, device)
        case Images():
            return ImageBatches(dataset, batch_size, seed, device)
        case _:
            raise TypeError(f"{type(dataset).__name__} is neither Endless nor Images")
