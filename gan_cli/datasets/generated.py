"""Images drawn from the generators of finished runs: anew for every batch, or a fixed number once."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from gan_cli.datasets.base import Batch, Dataset, Endless, Images, as_uint8
from gan_cli.datasets.cache import room
from gan_cli.datasets.part import Part
from gan_cli.errors import ConfigError
from gan_cli.files import shortest
from gan_cli.randomness import stream
from gan_cli.ranges import Count, Seed
from gan_cli.sampling import allotted

PART = 500
"""The number of images that are held as floats at a time."""


class Source(Protocol):
    """What draws images of given classes."""

    @property
    def sample_shape(self) -> tuple[int, ...]: ...

    @property
    def classes(self) -> Mapping[str, float]:
        """The share of each class by its name, in the order of the labels; none if it takes no labels."""

    @property
    def shows(self) -> str | None:
        """As `Dataset.shows`."""

    @property
    def is_stacked(self) -> bool:
        """As `Dataset.is_stacked`."""

    @property
    def identity(self) -> str:
        """What determines the images: equal for the same weights, unlike for any others."""

    @property
    def origin(self) -> Mapping[str, Any]:
        """As `Dataset.origin`."""

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """`n` images in [−1, 1] on the generator's device, of the labels that a source with classes needs."""


OpenRun = Callable[[str, int | None, str], Source]
"""A function from the folder of a run, a step (None: the newest) and `average` or `raw`; it raises `ConfigError`."""


class Generated(Dataset):
    """Images of a conditional run, or of several unconditional ones, of one class each.

    Without `n` they are drawn anew for every batch, and their classes are as frequent as in the data of the run.
    With it, `n` images are drawn once, and their classes come as near to that as whole numbers do.
    """

    def __init__(
        self,
        run: str | Mapping[str, str],
        open_run: OpenRun,
        step: Count | None = None,
        weights: Literal["average", "raw"] = "average",
        n: Count | None = None,
        sample_seed: Seed = 0,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        """`run` is a folder, or the folder of each class by its name."""
        if n is None and per_class is not None:
            raise ValueError(f"per_class={per_class} is for a fixed number of images: set dataset.n=… too")
        source = _opened(run, step, weights, open_run)
        fresh = Fresh(source, classes)
        if n is None:
            self._made: Dataset = fresh
        else:
            self._made = Fixed(fresh, n, sample_seed, Part(None, per_class, subset_seed))

    def made(self) -> Dataset:
        return self._made


class Fresh(Endless):
    """Images of a source that are drawn anew for every batch."""

    def __init__(self, source: Source, classes: Sequence[str | int] | None = None) -> None:
        """`classes` are the names of those to draw; None draws all."""
        names = list(source.classes)
        taken, labels, chosen = Part(classes).of(torch.arange(len(names)), names)
        self._source = source
        self._at_source = taken[labels.argsort()]  # the label there of each label here
        shares = torch.tensor([source.classes[name] for name in chosen], dtype=torch.float64)
        if not shares.sum() > 0:
            raise ValueError(f"classes={chosen}: the run saw none of them: choose others")
        self._shares = shares / shares.sum()
        self.classes = chosen
        self.sample_shape = source.sample_shape
        self.shows, self.is_stacked, self.origin = source.shows, source.is_stacked, source.origin

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.batch(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        labels = torch.multinomial(self._shares.to(generator.device), n, replacement=True, generator=generator)
        return Batch(self.of(labels, generator), labels)

    def of(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """An image of each of the labels."""
        return self._source.draw(len(labels), self._at_source.to(labels.device)[labels], generator)

    def class_shares(self) -> Tensor:
        return self._shares

    def fingerprint(self) -> str:
        return _digest(self._source.identity, *self.classes)


class Fixed(Images):
    """Images that were drawn once, one class after the other."""

    def __init__(self, fresh: Fresh, n: int, seed: int, part: Part) -> None:
        counts = torch.tensor(allotted(n, fresh.class_shares().tolist()))
        labels = torch.arange(len(counts)).repeat_interleave(counts)
        generator = torch.Generator().manual_seed(stream(seed, "generated data"))
        # A terminal shows a bar if there is more than a moment to wait.
        parts = tqdm(labels.split(PART), desc="drawing images", leave=False, delay=0.5, disable=None)
        images = room((n, *fresh.sample_shape))
        for start, of_part in zip(range(0, n, PART), parts, strict=True):
            images[start : start + PART] = as_uint8(fresh.of(of_part, generator))
        super().__init__(images, labels, classes=fresh.classes, part=part)
        self.shows, self.is_stacked = fresh.shows, fresh.is_stacked
        self.origin = {**(fresh.origin or {}), "images": n, "seed": seed}
        self._fingerprint = _digest(fresh.fingerprint(), n, seed, part)

    def fingerprint(self) -> str:
        # Of what determines the images: another processor may round a pixel in a thousand the other way.
        return self._fingerprint


class OneAClass:
    """Several sources without labels, which draw a class each, all as often."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        """The sources by the names of their classes, all of one shape."""
        self._sources = list(sources.values())
        first, *others = self._sources
        self.sample_shape = first.sample_shape
        self.classes = dict.fromkeys(sources, 1 / len(sources))
        self.shows = first.shows if all(other.shows == first.shows for other in others) else None
        self.is_stacked = all(source.is_stacked for source in self._sources)
        self.identity = _digest(*(source.identity for source in self._sources))
        self.origin = {"runs": {name: source.origin for name, source in sources.items()}}

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        assert labels is not None
        images = torch.empty(n, *self.sample_shape, device=generator.device)
        for label, source in enumerate(self._sources):
            places = (labels == label).nonzero()[:, 0]
            if len(places):
                images[places] = source.draw(len(places), None, generator)
        return images


def _opened(run: str | Mapping[str, str], step: int | None, weights: str, open_run: OpenRun) -> Source:
    """The source of a run, or of one a class. Raises `ValueError` for runs that draw no images of known classes."""
    if isinstance(run, str):
        run = str(shortest(run))
        source = _images(f"run={run}", run, step, weights, open_run)
        if not source.classes:
            raise ValueError(
                f"run={run} takes no labels: train it with model.conditional=true, or name one run a class,"
                " as dataset.run={cat:…,dog:…}"
            )
        return source
    if not run:
        raise ValueError("run={} names no run: name one a class, or a conditional one")
    run = {name: str(shortest(path)) for name, path in run.items()}
    sources = {name: _images(f"run.{name}={path}", path, step, weights, open_run) for name, path in run.items()}
    first = next(iter(run))
    for name, source in sources.items():
        if source.classes:
            raise ValueError(f"run.{name}={run[name]} draws several classes: give it alone, as dataset.run={run[name]}")
        if source.sample_shape != sources[first].sample_shape:
            shapes = f"{source.sample_shape}, and run.{first} of {sources[first].sample_shape}"
            raise ValueError(f"run.{name}={run[name]} draws images of shape {shapes}: choose runs of one shape")
    return OneAClass(sources)


def _images(key: str, path: str, step: int | None, weights: str, open_run: OpenRun) -> Source:
    try:
        source = open_run(path, step, weights)
    except ConfigError as error:
        raise ValueError(f"{key} cannot be drawn from: {error}") from error
    if len(source.sample_shape) != 3:
        raise ValueError(f"{key} draws points: choose a run of images")
    return source


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
