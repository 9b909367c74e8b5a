"""Subjects of metrics: small data sets, a generator that gives what it is told, an extractor that is obvious."""

import torch
from torch import Tensor, nn

from gan_cli.datasets.base import Batch, Dataset, Images, to_unit_range
from gan_cli.datasets.stacked import StackedMnist
from gan_cli.metrics.extractors.base import Extractor, Features
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Players
from gan_cli.models.base import Generator
from gan_cli.models.mlp import Critic
from tests.helpers.configs import divergence


class Replay(Generator):
    """Generates the samples that it is given, one after the other, again and again."""

    def __init__(self, samples: Tensor) -> None:
        super().__init__(latent_size=1, latent="normal")
        self.samples = samples
        self.nothing = nn.Parameter(torch.zeros(()))

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.arange(n)[:, None]

    def forward(self, latent: Tensor) -> Tensor:
        samples = self.samples[latent[:, 0] % len(self.samples)]
        return to_unit_range(samples) if samples.dtype == torch.uint8 else samples


class Sorts(Extractor):
    """Takes the first pixels for the log-odds of as many classes, ten for each of them."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def digest(self) -> None:
        return None

    def __call__(self, samples: Tensor) -> Features:
        vectors = samples.flatten(1).float() / 255
        return Features(vectors, (10 * vectors[:, : self.classes]).log_softmax(1))


class TwoParts(Images):
    """Images with a test split."""

    def __init__(self, images: Tensor, test: Tensor) -> None:
        super().__init__(images)
        self.test = test

    def other_split(self) -> Images:
        return Images(self.test)


class Stacked(StackedMnist):
    """A thousand classes, the first thousand pixels being the odds."""

    def __init__(self, labels: Tensor) -> None:
        self.sample_shape = (1, 25, 40)
        self.labels = labels

    def other_split(self) -> "Stacked":
        return self

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.batch(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        labels = self.labels[:n]
        return Batch(2.0 * nn.functional.one_hot(labels, 1000).reshape(n, *self.sample_shape) - 1, labels)


def random_images(n: int, seed: int, side: int = 4, channels: int = 1) -> Tensor:
    """Pixels as good as any other, uint8."""
    source = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, channels, side, side), dtype=torch.uint8, generator=source)


def subject(dataset: Dataset, samples: Tensor, extractor: Extractor | None = None) -> Players:
    """Players whose generator gives these samples."""
    critic = Critic(dataset.sample_shape, hidden=[4], activation="tanh", normalization="none")
    generator = Replay(samples)
    real = RealSamples(dataset, extractor or Raw(), 0, torch.device("cpu"))
    return Players(real, 0, generator, generator, critic, divergence("gan"))
