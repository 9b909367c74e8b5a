"""What metrics look at: the players at some step, and real samples to hold against theirs."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.base import Dataset, Density, Endless, Images, as_uint8
from gan_cli.divergences.base import Divergence
from gan_cli.errors import DivergedError
from gan_cli.metrics.extractors.base import Extractor, Features
from gan_cli.models.base import Critic, Generator
from gan_cli.randomness import stream

BATCH_SIZE = 500


class Samples:
    """Samples, and what an extractor says of them once it is asked."""

    def __init__(self, raw: Tensor, extractor: Extractor) -> None:
        self.raw = raw
        """Images as uint8, shape `(n, channels, height, width)`, or points, shape `(n, dimensions)`."""
        self._extractor = extractor

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def features(self) -> Features:
        """Vectors, and class probabilities where the extractor gives them, on the device of the samples."""
        parts = [self._extractor(part) for part in self.raw.split(BATCH_SIZE)]
        classes = [part.log_probabilities for part in parts if part.log_probabilities is not None]
        return Features(torch.cat([part.vectors for part in parts]), torch.cat(classes) if classes else None)


class RealSamples:
    """Real samples by role, each drawn once and its features computed once, however often they are compared.

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
        """What the generator's samples are compared with: `n`, or all where there are fewer."""
        return self._draw(self._dataset, "reference", 0, n)

    def pair(self, n: int) -> tuple[Samples, Samples]:
        """Two sets of equal size, `n` or as many as there are, that have no sample in common.

        The second comes from the other split where the data have one; otherwise the two are halves of the reference.
        """
        first, other = self._dataset, self._dataset.other_split()
        if other is None and isinstance(first, Images):
            n = min(n, len(first) // 2)
            return self._draw(first, "reference", 0, n), self._draw(first, "reference", n, n)
        second = other or first
        n = min([n, *(len(part) for part in (first, second) if isinstance(part, Images))])
        return self._draw(first, "reference", 0, n), self._draw(second, "held out", 0, n)

    def trained_on(self) -> Tensor:
        """Every image that trains the run, as uint8."""
        assert isinstance(self.training, Images)
        return self.training.images.to(self.device)

    def never_seen(self, n: int) -> Samples | None:
        """`n` images that do not train the run, or all where there are fewer; None where there are none."""
        other = self.training.other_split()
        return self._draw(other, "held out", 0, n) if isinstance(other, Images) else None

    def _draw(self, dataset: Dataset, role: str, start: int, n: int) -> Samples:
        """`n` of the samples in an order of their own, from `start` on; of endless data, `n` for a role."""
        key = (id(dataset), role, start, n)
        if key not in self._drawn:
            # Drawn on the CPU, so that every device compares with the same samples.
            source = torch.Generator().manual_seed(stream(self.seed, role))
            if isinstance(dataset, Images):
                drawn = dataset.images[torch.randperm(len(dataset), generator=source)[start : start + n]]
            else:
                assert isinstance(dataset, Endless)
                drawn = as_raw(dataset.sample(n, source))
            self._drawn[key] = Samples(drawn.to(self.device), self.extractor)
        return self._drawn[key]


def as_raw(samples: Tensor) -> Tensor:
    """Images as they would be saved, uint8; points as they are."""
    return as_uint8(samples) if samples.dim() == 4 else samples


def _finite(samples: Tensor) -> Tensor:
    if not samples.isfinite().all():
        raise DivergedError("diverged: samples of the generator are not finite")
    return samples


@dataclass(frozen=True)
class Subject:
    """The players at some step of a run, and the real samples that metrics hold against them.

    Images are handed out as uint8, as files hold them.
    """

    generator: Generator
    """The one whose divergence from toy data is wanted: in training the raw one, whom the critic knows."""

    sampler: Generator
    """The generator whose samples are measured: the averaged one, or the raw one where that was asked for."""

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
        """`n` of the sampler: the same latents at every step."""
        if n not in self._generated:
            latents = sampling.latents(self.sampler, n, self.seed)
            # As uint8 part by part: the floats of all of them would take four times the memory.
            parts = [as_raw(_finite(sampling.generate(self.sampler, part))) for part in latents.split(BATCH_SIZE)]
            self._generated[n] = Samples(torch.cat(parts), self.real.extractor)
        self.drawn["generated"] = n
        return self._generated[n]

    def reference(self, n: int) -> Samples:
        """Real ones to compare them with: `n`, or all where there are fewer."""
        samples = self.real.reference(n)
        self.drawn["real"] = len(samples)
        return samples

    def pair(self, n: int) -> tuple[Samples, Samples]:
        """Two sets of real ones with none in common: what two samples of one distribution look like."""
        first, second = self.real.pair(n)
        self.drawn["held_out"] = len(second)
        return first, second

    def fresh_points(self, n: int) -> tuple[Tensor, Tensor]:
        """Of toy data and of `generator`, `n` each: none that a batch held."""
        assert isinstance(self.dataset, Density)
        fake = _finite(sampling.generate(self.generator, sampling.latents(self.generator, n, self.seed)))
        self.drawn.update(generated=n, real=n)
        return sampling.real_points(self.dataset, n, self.seed, fake.device), fake
