"""What metrics look at: the players at some step, and real samples to compare theirs with."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.base import Batch, Dataset, Density, Endless, Images, InMemory, as_uint8, to_unit_range
from gan_cli.divergences.base import Divergence
from gan_cli.errors import DivergedError
from gan_cli.metrics.extractors.base import Extractor, Features
from gan_cli.models.base import Critic, Generator
from gan_cli.randomness import stream

BATCH_SIZE = 500


class Samples:
    """Samples, and what an extractor says of them, computed when first asked for."""

    def __init__(self, raw: Tensor, extractor: Extractor, labels: Tensor | None = None) -> None:
        self.raw = raw
        """Images as uint8, shape `(n, channels, height, width)`, or points, shape `(n, dimensions)`."""
        self.labels = labels
        """Shape `(n,)`: of real samples their classes, of generated ones those that were asked for; None without."""
        self._extractor = extractor

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def features(self) -> Features:
        """Vectors, and class probabilities if the extractor gives them, on the device of the samples."""
        parts = [self._extractor(part) for part in self.raw.split(BATCH_SIZE)]
        classes = [part.log_probabilities for part in parts if part.log_probabilities is not None]
        return Features(torch.cat([part.vectors for part in parts]), torch.cat(classes) if classes else None)


class RealSamples:
    """Real samples by role: each set is drawn once, and its features are computed once.

    `split` names the part of the published data that is the reference; None is the part that trains the run.
    """

    def __init__(
        self, training: Dataset, extractor: Extractor, seed: int, device: torch.device, split: str | None = None
    ) -> None:
        self.training = training
        self.extractor = extractor
        self.seed = seed
        self.device = device
        self._dataset = training if split is None else training.at_split(split)
        self._drawn: dict[tuple[int, str, int, int], Samples] = {}

    def reference(self, n: int) -> Samples:
        """The samples to compare the generator's with: `n`, or all if there are fewer."""
        return self._draw(self._dataset, "reference", 0, n)

    def pair(self, n: int) -> tuple[Samples, Samples]:
        """Two sets of equal size, `n` or as many as there are, that have no sample in common.

        The second comes from the other split if the data have one; otherwise the two are halves of the reference.
        """
        first, other = self._dataset, self._dataset.other_split()
        if other is None and isinstance(first, InMemory):
            n = min(n, len(first) // 2)
            return self._draw(first, "reference", 0, n), self._draw(first, "reference", n, n)
        second = other or first
        n = min([n, *(len(part) for part in (first, second) if isinstance(part, InMemory))])
        return self._draw(first, "reference", 0, n), self._draw(second, "held out", 0, n)

    def trained_on(self) -> Tensor:
        """Every image that trains the run, as uint8."""
        assert isinstance(self.training, Images)
        return self.training.images.to(self.device)

    def never_seen(self, n: int) -> Samples | None:
        """`n` images that do not train the run, or all if there are fewer; None if there are none."""
        other = self.training.other_split()
        return self._draw(other, "held out", 0, n) if isinstance(other, Images) else None

    def _draw(self, dataset: Dataset, role: str, start: int, n: int) -> Samples:
        """`n` samples from `start` on, in an order drawn for the role; endless data give `n` for the role."""
        key = (id(dataset), role, start, n)
        if key not in self._drawn:
            # Drawn on the CPU, so that every device compares with the same samples.
            source = torch.Generator().manual_seed(stream(self.seed, role))
            if isinstance(dataset, InMemory):
                drawn = dataset.at(torch.randperm(len(dataset), generator=source)[start : start + n])
            else:
                assert isinstance(dataset, Endless)
                drawn = dataset.batch(n, source)
            self._drawn[key] = Samples(as_raw(drawn.samples).to(self.device), self.extractor, drawn.labels)
        return self._drawn[key]


def as_raw(samples: Tensor) -> Tensor:
    """Images as they would be saved, uint8; points as they are."""
    return as_uint8(samples) if samples.dim() == 4 and samples.is_floating_point() else samples


def _finite(samples: Tensor) -> Tensor:
    if not samples.isfinite().all():
        raise DivergedError("diverged: samples of the generator are not finite")
    return samples


@dataclass(frozen=True)
class Subject:
    """The players at some step of a run, and the real samples that metrics compare theirs with.

    Images are handed out as uint8, as files hold them.
    """

    generator: Generator
    """The generator whose exact divergence is measured: in training the raw one, which the critic knows."""

    sampler: Generator
    """The generator that draws the samples: the averaged one, or the raw one if that was asked for."""

    critic: Critic
    divergence: Divergence
    real: RealSamples
    seed: int

    drawn: dict[str, int] = field(default_factory=dict)
    """How many samples of each kind were handed out, for the receipt."""

    _generated: dict[int, Samples] = field(default_factory=dict, repr=False)

    @property
    def dataset(self) -> Dataset:
        """The data that train the run."""
        return self.real.training

    def fake(self, n: int) -> Samples:
        """`n` samples of `sampler`, from the same latents at every step."""
        if n not in self._generated:
            latents = sampling.latents(self.sampler, n, self.seed).split(BATCH_SIZE)
            labels = sampling.labels(self.sampler, self.dataset, n, self.seed)
            given = [None] * len(latents) if labels is None else labels.split(BATCH_SIZE)
            # Made uint8 part by part: the floats of all of them would take four times the memory.
            both = zip(latents, given, strict=True)
            parts = [as_raw(_finite(sampling.generate(self.sampler, *part))) for part in both]
            self._generated[n] = Samples(torch.cat(parts), self.real.extractor, labels)
        self.drawn["generated"] = n
        return self._generated[n]

    def reference(self, n: int) -> Samples:
        """Real samples to compare them with: `n`, or all if there are fewer."""
        samples = self.real.reference(n)
        self.drawn["real"] = len(samples)
        return samples

    def pair(self, n: int) -> tuple[Samples, Samples]:
        """Two sets of real samples with none in common: what two samples of one distribution look like."""
        first, second = self.real.pair(n)
        self.drawn["held_out"] = len(second)
        return first, second

    def fresh_points(self, n: int) -> tuple[Batch, Tensor]:
        """`n` points of the toy data, and `n` of `generator` with the labels of these; none of which a batch held."""
        assert isinstance(self.dataset, Density)
        latents = sampling.latents(self.generator, n, self.seed)
        real = sampling.real_points(self.dataset, n, self.seed, latents.device)
        fake = _finite(sampling.generate(self.generator, latents, real.labels))
        self.drawn.update(generated=n, real=n)
        return real, fake

    def images(self, n: int) -> tuple[Batch, Tensor]:
        """`n` images of the data, or all if there are fewer, and as many of `sampler` with the labels of these.

        In [−1, 1], as the critic is shown them: those of the generator are not rounded to what files hold.
        """
        real = self.reference(n)
        latents = sampling.latents(self.sampler, len(real), self.seed)
        fake = _finite(sampling.generate(self.sampler, latents, real.labels))
        self.drawn["generated"] = len(fake)
        return Batch(to_unit_range(real.raw), real.labels), fake
