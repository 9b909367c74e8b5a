"""What metrics look at: generated samples beside real ones, and the players at some step of a run."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.base import Batch, Dataset, Density, to_unit_range
from gan_cli.divergences.base import Divergence
from gan_cli.errors import DivergedError
from gan_cli.metrics.samples import RealSamples, Samples, as_raw
from gan_cli.models.base import Critic, Generator


@dataclass(frozen=True)
class Subject(ABC):
    """Generated samples, and the real ones that metrics compare them with.

    Images are handed out as uint8, as files hold them.
    """

    real: RealSamples
    seed: int
    drawn: dict[str, int] = field(default_factory=dict, kw_only=True)
    """How many samples of each kind were handed out, for the receipt."""

    @property
    def dataset(self) -> Dataset:
        """The data that are the model: those that train a run."""
        return self.real.training

    @abstractmethod
    def fake(self, n: int) -> Samples:
        """`n` generated samples, the same whenever they are asked for; all of them where there are fewer."""

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


@dataclass(frozen=True)
class Collected(Subject):
    """Samples that somebody collected, in the place of a generator's."""

    samples: Dataset
    labels: Tensor | None = None
    """The label in the data of each class of the samples, shape `(classes,)`; None if the data know no such classes."""

    _asked: dict[int, Samples] = field(default_factory=dict, repr=False)

    def fake(self, n: int) -> Samples:
        if n not in self._asked:
            samples = self.real.of(self.samples, "generated", 0, n)
            if samples.labels is not None:
                samples.labels = None if self.labels is None else self.labels[samples.labels]
            self._asked[n] = samples
        self.drawn["generated"] = len(self._asked[n])
        return self._asked[n]


@dataclass(frozen=True)
class Players(Subject):
    """The players at some step of a run."""

    generator: Generator
    """The generator whose exact divergence is measured: in training the raw one, which the critic knows."""

    sampler: Generator
    """The generator that draws the samples: the averaged one, or the raw one if that was asked for."""

    critic: Critic
    divergence: Divergence

    _generated: dict[int, Samples] = field(default_factory=dict, repr=False)

    def fake(self, n: int) -> Samples:
        """`n` samples of `sampler`, from the same latents at every step."""
        if n not in self._generated:
            latents = sampling.latents(self.sampler, n, self.seed)
            labels = sampling.labels(self.sampler, self.dataset, n, self.seed)

            def take(places: slice | Tensor) -> Tensor:
                given = None if labels is None else labels[places]
                # Made uint8 part by part: the floats of all of them would take four times the memory.
                return as_raw(_finite(sampling.generate(self.sampler, latents[places], given, self.real.batch_size)))

            shape, of = tuple(self.dataset.sample_shape), self.real
            self._generated[n] = Samples(take, n, shape, of.extractor, labels, of.batch_size)
        self.drawn["generated"] = n
        return self._generated[n]

    def fresh_points(self, n: int) -> tuple[Batch, Tensor]:
        """`n` points of the toy data, and `n` of `generator` with the labels of these; none of which a batch held."""
        assert isinstance(self.dataset, Density)
        latents = sampling.latents(self.generator, n, self.seed)
        real = sampling.real_points(self.dataset, n, self.seed, latents.device)
        fake = _finite(sampling.generate(self.generator, latents, real.labels, self.real.batch_size))
        self.drawn.update(generated=n, real=n)
        return real, fake

    def images(self, n: int) -> tuple[Batch, Tensor]:
        """`n` images of the data, or all if there are fewer, and as many of `sampler` with the labels of these.

        In [−1, 1], as the critic is shown them: those of the generator are not rounded to what files hold.
        """
        real = self.reference(n)
        latents = sampling.latents(self.sampler, len(real), self.seed)
        fake = _finite(sampling.generate(self.sampler, latents, real.labels, self.real.batch_size))
        self.drawn["generated"] = len(fake)
        return Batch(to_unit_range(real.raw), real.labels), fake


def _finite(samples: Tensor) -> Tensor:
    if not samples.isfinite().all():
        raise DivergedError("diverged: samples of the generator are not finite")
    return samples
