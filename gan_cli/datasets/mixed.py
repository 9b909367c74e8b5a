"""Two data sets as one, such as real and generated images."""

import hashlib
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from gan_cli.datasets.base import Batch, Dataset, Endless, Images, to_unit_range
from gan_cli.randomness import stream
from gan_cli.ranges import Seed


class Mixed(Dataset):
    """Images of two data sets of the same shape and the same classes, a `share` of them of the second.

    Two sets in memory are one set in memory: all of one, and as many of the other, drawn by `subset_seed`, as give the
    share. If either is endless, so is the mixture: of a batch of n images share · n are of the second, rounded up or
    down at random so that the share is exact on average, in random order. A member in memory is then drawn with
    replacement, and batches come on without epochs. Labels are those of the first: the second's are matched by name.
    """

    def __init__(
        self, first: Dataset, second: Dataset, share: Annotated[float, Ge(0), Le(1)], subset_seed: Seed = 0
    ) -> None:
        """At a share of 0 or 1, the ends of a sweep, one data set is left."""
        one, other = first.made(), second.made()
        _check(one, other)
        if isinstance(one, Images) and isinstance(other, Images):
            self._made: Dataset = Joined(one, other, share, subset_seed)
        else:
            self._made = Stream(one, other, share)

    def made(self) -> Dataset:
        return self._made


class Joined(Images):
    """Two sets of images as one."""

    def __init__(self, first: Images, second: Images, share: float, seed: int) -> None:
        if first.mirror != second.mirror:
            raise ValueError("first.mirror and second.mirror must be equal: set both to true or both to false")
        counts = _counts(len(first), len(second), share)
        taken = [_subset(len(of), count, seed) for of, count in zip((first, second), counts, strict=True)]
        images = torch.cat([of.images[chosen] for of, chosen in zip((first, second), taken, strict=True)])
        labels = None
        if first.classes and first.labels is not None and second.labels is not None:
            labels = torch.cat([first.labels[taken[0]], _matched(first, second)[second.labels[taken[1]]]])
        super().__init__(images, labels, mirror=first.mirror, classes=first.classes)
        _describe(self, first, second)
        self._fingerprint = _digest(first, second, share, seed)

    def fingerprint(self) -> str:
        return self._fingerprint


class Stream(Endless):
    """Images of two data sets, drawn anew for every batch."""

    def __init__(self, first: Dataset, second: Dataset, share: float) -> None:
        self._first, self._second, self._share = _endless(first), _endless(second), share
        self._labels = _matched(first, second)
        self.sample_shape, self.classes = first.sample_shape, first.classes
        self._shares = (1 - share) * first.class_shares()
        self._shares += share * torch.zeros_like(self._shares).index_add(0, self._labels, second.class_shares())
        _describe(self, first, second)
        self._fingerprint = _digest(first, second, share)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.batch(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        device = generator.device
        of_second = self._of_second(n, generator)
        parts = []
        if of_second < n:
            parts.append(self._first.batch(n - of_second, generator))
        if of_second:
            parts.append(self._renamed(self._second.batch(of_second, generator)))
        order = torch.randperm(n, generator=generator, device=device)
        labels = [part.labels for part in parts if part.labels is not None]
        samples = torch.cat([part.samples for part in parts])
        return Batch(samples[order], torch.cat(labels)[order] if self.classes else None)

    def _of_second(self, n: int, generator: torch.Generator) -> int:
        whole, fraction = divmod(round(self._share * n, 9), 1)
        if not fraction:  # then a CUDA device need not be waited for
            return int(whole)
        return int(whole) + int(torch.rand((), generator=generator, device=generator.device).item() < fraction)

    def _renamed(self, batch: Batch) -> Batch:
        """A batch of the second with the labels of the first."""
        if batch.labels is None:
            return batch
        return Batch(batch.samples, self._labels.to(batch.labels.device)[batch.labels])

    def class_shares(self) -> Tensor:
        return self._shares

    def fingerprint(self) -> str:
        return self._fingerprint


class Resampled(Endless):
    """Images in memory, drawn with replacement."""

    def __init__(self, of: Images) -> None:
        self.sample_shape, self.classes = of.sample_shape, of.classes
        self._images, self._mirror = of.images, of.mirror
        self._labels = of.labels if of.classes else None

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.batch(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        device = generator.device
        self._images = self._images.to(device)
        chosen = torch.randint(len(self._images), (n,), generator=generator, device=device)
        images = to_unit_range(self._images[chosen])
        if self._mirror:
            flipped = torch.rand(n, 1, 1, 1, generator=generator, device=device) < 0.5
            images = torch.where(flipped, images.flip(3), images)
        if self._labels is None:
            return Batch(images)
        self._labels = self._labels.to(device)
        return Batch(images, self._labels[chosen])


def _check(first: Dataset, second: Dataset) -> None:
    """Raise `ValueError` for two data sets that do not go together."""
    for name, of in (("first", first), ("second", second)):
        if len(of.sample_shape) != 3:
            raise ValueError(f"{name}=… has points of shape {of.sample_shape}: choose images")
    if first.sample_shape != second.sample_shape:
        raise ValueError(
            f"second=… has images of shape {second.sample_shape}, and first=… of {first.sample_shape}: choose the same"
            " resolution and channels"
        )
    if set(first.classes) != set(second.classes):
        raise ValueError(
            f"second=… has {_classes(second)}, and first=… {_classes(first)}: choose the same with classes=[…]"
        )


def _classes(of: Dataset) -> str:
    names = list(of.classes)
    return f"the classes {', '.join(names[:10])}{', …' if len(names) > 10 else ''}" if names else "no classes"


def _endless(of: Dataset) -> Endless:
    if isinstance(of, Images):
        return Resampled(of)
    assert isinstance(of, Endless)
    return of


def _matched(first: Dataset, second: Dataset) -> Tensor:
    """The label in the first of each label in the second, by its name."""
    label = {name: index for index, name in enumerate(first.classes)}
    return torch.tensor([label[name] for name in second.classes], dtype=torch.int64)


def _counts(of_first: int, of_second: int, share: float) -> tuple[int, int]:
    """How many images of each make the largest set of which a share is of the second."""
    if share * of_first <= (1 - share) * of_second:
        return of_first, round(of_first * share / (1 - share))
    return round(of_second * (1 - share) / share), of_second


def _subset(n: int, count: int, seed: int) -> Tensor:
    """The indices of `count` of `n` images, in order."""
    source = torch.Generator().manual_seed(stream(seed, "part of a mixture"))
    return torch.randperm(n, generator=source)[:count].sort().values


def _describe(mixed: Dataset, first: Dataset, second: Dataset) -> None:
    mixed.shows = first.shows if first.shows == second.shows else None
    mixed.is_stacked = first.is_stacked and second.is_stacked
    origins = {name: of.origin for name, of in (("first", first), ("second", second)) if of.origin is not None}
    mixed.origin = origins or None


def _digest(first: Dataset, second: Dataset, *options: float) -> str:
    return hashlib.sha256(repr((first.fingerprint(), second.fingerprint(), *options)).encode()).hexdigest()
