"""What every metric is to the rest of the program."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.base import Dataset, Density
from gan_cli.divergences.base import Divergence
from gan_cli.models.base import Critic, Generator


@dataclass(frozen=True)
class Subject:
    """The players at some step of a run, to be measured."""

    generator: Generator
    average: Generator
    critic: Critic
    divergence: Divergence
    dataset: Dataset
    seed: int

    def samples(self, n: int) -> Tensor:
        """Of the averaged generator, shape `(n, *sample_shape)`: the same latents at every step."""
        return sampling.generate(self.average, sampling.latents(self.average, n, self.seed))

    def fresh_points(self, n: int) -> tuple[Tensor, Tensor]:
        """Of toy data and of the generator as it stands, `n` each: none that a batch held."""
        assert isinstance(self.dataset, Density)
        fake = sampling.generate(self.generator, sampling.latents(self.generator, n, self.seed))
        return sampling.real_points(self.dataset, n, self.seed, fake.device), fake


class Metric(ABC):
    """Named numbers about the players."""

    def check(self, dataset: Dataset, divergence: Divergence) -> None:  # noqa: B027 - most take any
        """Raise `ValueError` where the metric does not apply."""

    @abstractmethod
    def __call__(self, subject: Subject) -> dict[str, float]:
        """The numbers; `math.inf` is one."""
