"""Generators of a few parameters, whose densities are known: the models of theorems."""

import math

import torch
from torch import Tensor, nn

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Gaussian, Mixture, ParallelLines, SwissRoll
from gan_cli.errors import NeedsError
from gan_cli.models import base
from gan_cli.ranges import Positive
from gan_cli.ranks import of_all, own


class GaussianGenerator(base.Generator):
    """g(z) = μ + σz for z ~ N(0, 1): f-GAN's univariate model (arXiv 1606.00709 §2.4), in any number of dimensions."""

    def __init__(self, sample_shape: tuple[int, ...], mean: float, deviation: Positive) -> None:
        """μ begins at `mean` in every dimension, σ at `deviation`."""
        if len(sample_shape) != 1:
            raise NeedsError("a Gaussian models points and no images", "dataset", lambda of: issubclass(of, Density))
        super().__init__(sample_shape[0], "normal")
        self.mean = nn.Parameter(torch.full(sample_shape, float(mean)))
        self.deviation = nn.Parameter(torch.tensor(float(deviation)))

    def forward(self, latent: Tensor) -> Tensor:
        return self.mean + self.deviation * latent

    def density(self) -> Density | None:
        deviation = abs(self.deviation.item())
        return Gaussian(self.mean.tolist(), deviation) if deviation > 0 else None


class LineGenerator(base.Generator):
    """g(z) = (θ, z) for z uniform on [0, 1]: WGAN's Example 1 (arXiv 1701.07875)."""

    def __init__(self, sample_shape: tuple[int, ...], position: float) -> None:
        """θ begins at `position`."""
        if sample_shape != (2,):
            raise ValueError("a line lies in the plane: choose dataset=parallel_lines")
        super().__init__(1, "uniform")
        self.position = nn.Parameter(torch.tensor(float(position)))

    def forward(self, latent: Tensor) -> Tensor:
        height = (latent[:, 0] + 1) / 2
        return torch.stack([self.position.expand_as(height), height], dim=1)

    def density(self) -> Density:
        return ParallelLines(self.position.item())


class NoisyData(base.Generator):
    """g(x, z) = x + σz for x from the data and z ~ N(0, 1): the fixed generator of WGAN-GP's toys (1704.00028 §3)."""

    def __init__(self, sample_shape: tuple[int, ...], data: Density, deviation: Positive) -> None:
        """σ begins at `deviation`."""
        if len(sample_shape) != 1 or data.sample_shape != sample_shape:
            raise ValueError("data must be those of the run, which are points: leave data=${dataset}, choose a toy")
        super().__init__(2 * sample_shape[0], "normal")
        self.data = data
        self.deviation = nn.Parameter(torch.tensor(float(deviation)))

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """A point of the data, and noise beside it."""
        device = self.deviation.device
        if generator is None:
            # The data need a generator of their own; torch's stream seeds it, on the CPU by 32 bits, so that the seed
            # still decides all.
            generator = torch.Generator(device)
            generator.manual_seed(int(torch.randint(2**62, ())))
        points = self.data.sample(of_all(n), generator)
        noise = torch.randn(points.shape, generator=generator, device=generator.device)
        return own(torch.cat([points, noise], dim=1)).to(device)

    def forward(self, latent: Tensor) -> Tensor:
        points, noise = latent.chunk(2, dim=1)
        return points + self.deviation * noise

    def density(self) -> Density | None:
        variance = self.deviation.item() ** 2
        match self.data:
            case Mixture(means=means, deviations=deviations, weights=weights):
                return Mixture(means.tolist(), (deviations.square() + variance).sqrt().tolist(), weights.tolist())
            case SwissRoll(noise=noise, scale=scale):
                return SwissRoll(math.sqrt(noise**2 + variance * scale**2), scale)
            case _:
                return None
