"""Samples in parts, so that metrics may look at more of them than memory holds."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset, Endless, Images, InMemory, as_uint8
from gan_cli.metrics.extractors.base import Extractor, Features
from gan_cli.randomness import stream
from gan_cli.sampling import BATCH_SIZE

KEPT = 2**30
"""Bytes up to which samples are kept once they are made; more are made anew whenever they are looked at."""

Take = Callable[[slice | Tensor], Tensor]
"""A function from the places of samples, a slice or indices, to these samples: always the same ones."""


class Samples:
    """So many samples, and what an extractor says of them, computed when first asked for."""

    def __init__(
        self,
        take: Take,
        n: int,
        sample_shape: tuple[int, ...],
        extractor: Extractor,
        labels: Tensor | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.labels = labels
        """Shape `(n,)`: of real samples their classes, of generated ones those that were asked for; None without."""
        self._take = take
        self._n = n
        self._extractor = extractor
        self._batch_size = batch_size
        bytes_each = math.prod(sample_shape) * (1 if len(sample_shape) == 3 else 4)
        self._is_kept = n * bytes_each <= KEPT

    def __len__(self) -> int:
        return self._n

    def at(self, chosen: slice | Tensor) -> Tensor:
        """The samples at these places."""
        return self._all[chosen] if self._is_kept else self._take(chosen)

    def parts(self) -> Iterator[Tensor]:
        """All samples, a batch at a time."""
        if self._is_kept:
            yield from self._all.split(self._batch_size)
            return
        for start in range(0, self._n, self._batch_size):
            yield self._take(slice(start, start + self._batch_size))

    @property
    def raw(self) -> Tensor:
        """Images as uint8, shape `(n, channels, height, width)`, or points, shape `(n, dimensions)`: all at once."""
        return self._all if self._is_kept else torch.cat(list(self.parts()))

    @cached_property
    def _all(self) -> Tensor:
        slices = (slice(start, start + self._batch_size) for start in range(0, self._n, self._batch_size))
        return torch.cat([self._take(part) for part in slices])

    @cached_property
    def features(self) -> Features:
        """Vectors, and class probabilities if the extractor gives them, on the device of the samples."""
        parts = [self._extractor(part) for part in self.parts()]
        classes = [part.log_probabilities for part in parts if part.log_probabilities is not None]
        return Features(torch.cat([part.vectors for part in parts]), torch.cat(classes) if classes else None)


class RealSamples:
    """Real samples by role: each set is drawn once, and its features are computed once.

    `split` names the part of the published data that is the reference; None is the part that trains the run.
    """

    def __init__(
        self,
        training: Dataset,
        extractor: Extractor,
        seed: int,
        device: torch.device,
        split: str | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.training = training
        self.extractor = extractor
        self.seed = seed
        self.device = device
        self.batch_size = batch_size
        self._dataset = training if split is None else training.at_split(split)
        self._drawn: dict[tuple[int, str, int, int], Samples] = {}

    def reference(self, n: int) -> Samples:
        """The samples to compare the generator's with: `n`, or all if there are fewer."""
        return self.of(self._dataset, "reference", 0, n)

    def pair(self, n: int) -> tuple[Samples, Samples]:
        """Two sets of equal size, `n` or as many as there are, that have no sample in common.

        The second comes from the other split if the data have one; otherwise the two are halves of the reference.
        """
        first, other = self._dataset, self._dataset.other_split()
        if other is None and isinstance(first, InMemory):
            n = min(n, len(first) // 2)
            return self.of(first, "reference", 0, n), self.of(first, "reference", n, n)
        second = other or first
        n = min([n, *(len(part) for part in (first, second) if isinstance(part, InMemory))])
        return self.of(first, "reference", 0, n), self.of(second, "held out", 0, n)

    def trained_on(self) -> Tensor:
        """Every image that trains the run, as uint8."""
        assert isinstance(self.training, Images)
        return self.training.images.to(self.device)

    def never_seen(self, n: int) -> Samples | None:
        """`n` images that do not train the run, or all if there are fewer; None if there are none."""
        other = self.training.other_split()
        return self.of(other, "held out", 0, n) if isinstance(other, Images) else None

    def of(self, dataset: Dataset, role: str, start: int, n: int) -> Samples:
        """`n` samples of data from `start` on, in an order drawn for the role; endless data give `n` for the role."""
        key = (id(dataset), role, start, n)
        if key not in self._drawn:
            self._drawn[key] = self._draw(dataset, role, start, n)
        return self._drawn[key]

    def _draw(self, dataset: Dataset, role: str, start: int, n: int) -> Samples:
        # Drawn on the CPU, so that every device compares with the same samples.
        source = torch.Generator().manual_seed(stream(self.seed, role))
        if isinstance(dataset, InMemory):
            chosen = torch.randperm(len(dataset), generator=source)[start : start + n]
            labels = None if dataset.labels is None else dataset.labels[chosen]
            n = len(chosen)

            def take(places: slice | Tensor) -> Tensor:
                return dataset.at(chosen[places]).samples.to(self.device)
        else:
            assert isinstance(dataset, Endless)
            drawn = dataset.batch(n, source)
            raw, labels = as_raw(drawn.samples).to(self.device), drawn.labels

            def take(places: slice | Tensor) -> Tensor:
                return raw[places]

        return Samples(take, n, tuple(dataset.sample_shape), self.extractor, labels, self.batch_size)


def as_raw(samples: Tensor) -> Tensor:
    """Images as they would be saved, uint8; points as they are."""
    return as_uint8(samples) if samples.dim() == 4 and samples.is_floating_point() else samples
