"""Toy data whose densities are known, so that what a generator learned can be compared with the truth."""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Le, MinLen
from torch import Tensor

from gan_cli.datasets.base import Batch, Density
from gan_cli.ranges import Count, Positive

REACH = 8.0
"""Standard deviations beyond which a Gaussian's mass, 1e-15, is negligible in float64."""

MODES = 1_000_000


class Mixture(Density):
    """Isotropic Gaussians with a weight each: the modes that a generator should find, a class each."""

    def __init__(self, means: Sequence[Sequence[float]], deviations: Sequence[float], weights: Sequence[float]) -> None:
        self.means = torch.tensor(means, dtype=torch.float64)
        """Shape `(modes, dimensions)`."""
        self.deviations = torch.tensor(deviations, dtype=torch.float64)
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.sample_shape = (self.means.shape[1],)
        self.terms = len(self.means)
        self.classes = [str(mode) for mode in range(self.terms)]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self._draw(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        return self._draw(n, generator)

    def _draw(self, n: int, generator: torch.Generator) -> Batch:
        device = generator.device
        means, deviations, weights = (of.float().to(device) for of in (self.means, self.deviations, self.weights))
        mode = torch.multinomial(weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, *self.sample_shape, generator=generator, device=device)
        return Batch(means[mode] + deviations[mode, None] * noise, mode)

    def class_shares(self) -> Tensor:
        return self.weights

    def of_class(self, label: int) -> Density:
        return Gaussian(self.means[label].tolist(), self.deviations[label].item())

    def log_density(self, x: Tensor) -> Tensor:
        means, deviations, weights = (t.to(x) for t in (self.means, self.deviations, self.weights))
        scaled = (x[:, None] - means).square().sum(-1) / deviations.square()
        normaliser = means.shape[1] * (deviations.log() + math.log(2 * math.pi) / 2)
        return torch.logsumexp(weights.log() - normaliser - scaled / 2, dim=1)

    def cdf(self, x: Tensor) -> Tensor:
        if self.sample_shape != (1,):
            raise NotImplementedError("points of several dimensions have no CDF")
        means, deviations, weights = (t.to(x) for t in (self.means[:, 0], self.deviations, self.weights))
        below: Tensor = torch.special.ndtr((x - means) / deviations) @ weights
        return below

    def box(self) -> tuple[Tensor, Tensor]:
        reach = REACH * self.deviations[:, None]
        return (self.means - reach).amin(0), (self.means + reach).amax(0)

    def resolution(self) -> float:
        return self.deviations.min().item()


class Ring(Mixture):
    """`modes` Gaussians evenly on a circle (Metz 2017, arXiv 1611.02163, whose demo counts one mode twice)."""

    def __init__(self, modes: Annotated[Count, Le(MODES)], radius: Positive, deviation: Positive) -> None:
        angles = [2 * math.pi * mode / modes for mode in range(modes)]
        means = [[radius * math.cos(angle), radius * math.sin(angle)] for angle in angles]
        super().__init__(means, [deviation] * modes, [1 / modes] * modes)


class Grid(Mixture):
    """`side` × `side` Gaussians on a square lattice about the origin (PacGAN, arXiv 1712.04086 §4.1)."""

    def __init__(self, side: Annotated[Count, Le(math.isqrt(MODES))], spacing: Positive, deviation: Positive) -> None:
        line = [spacing * (index - (side - 1) / 2) for index in range(side)]
        means = [[x, y] for x in line for y in line]
        super().__init__(means, [deviation] * side**2, [1 / side**2] * side**2)


class Gaussian(Mixture):
    """N(mean, deviation²) in each coordinate."""

    def __init__(self, mean: Annotated[Sequence[float], MinLen(1)], deviation: Positive) -> None:
        super().__init__([mean], [deviation], [1.0])


class Mixture1d(Mixture):
    """A mixture of Gaussians on the line.

    The defaults stand for the data of f-GAN's Table 3 (arXiv 1606.00709): they are fitted to its exact divergences and
    optima, which they reproduce to 1e-3.
    """

    def __init__(self, means: Sequence[float], deviations: Sequence[Positive], weights: Sequence[Positive]) -> None:
        if not len(means) == len(deviations) == len(weights) > 0:
            raise ValueError("means, deviations and weights must have one entry for each mode")
        if not math.isclose(sum(weights), 1, abs_tol=1e-6):
            raise ValueError(f"weights={list(weights)} must add up to 1")
        super().__init__([[mean] for mean in means], deviations, weights)


class SwissRoll(Density):
    """A spiral with Gaussian noise, as the WGAN-GP toys draw it (arXiv 1704.00028 §5.3).

    The angle t is uniform on [1.5π, 4.5π], the point (t cos t, t sin t) plus noise, all divided by `scale`.
    """

    sample_shape = (2,)

    def __init__(self, noise: Positive, scale: Positive) -> None:
        self.noise = noise
        self.scale = scale
        # The Gaussians along the curve lie closer together than their deviation: the error is near 1e-8.
        self.terms = max(500, math.ceil(4.5 * math.pi * 3 * math.pi / noise))

    def _curve(self, t: Tensor) -> Tensor:
        return torch.stack([t * t.cos(), t * t.sin()], dim=-1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(n, generator=generator, device=generator.device)
        noise = torch.randn(n, 2, generator=generator, device=generator.device)
        return (self._curve(1.5 * math.pi * (1 + 2 * uniform)) + self.noise * noise) / self.scale

    def log_density(self, x: Tensor) -> Tensor:
        uniform = (torch.arange(self.terms, device=x.device, dtype=x.dtype) + 0.5) / self.terms
        curve = self._curve(1.5 * math.pi * (1 + 2 * uniform))
        scaled = torch.cdist(x * self.scale, curve).square() / self.noise**2
        normaliser = 2 * math.log(self.noise / self.scale) + math.log(2 * math.pi) + math.log(self.terms)
        return torch.logsumexp(-scaled / 2, dim=1) - normaliser

    def box(self) -> tuple[Tensor, Tensor]:
        reach = (4.5 * math.pi + REACH * self.noise) / self.scale
        return torch.full((2,), -reach), torch.full((2,), reach)

    def resolution(self) -> float:
        return self.noise / self.scale


class ParallelLines(Density):
    """The points (θ, z), z uniform on [0, 1], for θ = `position`: WGAN's Example 1 (arXiv 1701.07875).

    Between two such lines W₁ is their distance, while JS stays log 2 and KL is infinite.
    """

    sample_shape = (2,)

    def __init__(self, position: float) -> None:
        self.position = position
        self.support = ("the line x₁ =", position)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        z = torch.rand(n, generator=generator, device=generator.device)
        return torch.stack([torch.full_like(z, self.position), z], dim=1)

    def log_density(self, x: Tensor) -> Tensor:
        raise NotImplementedError("points on a line have no density in the plane")


class AffineGaussian(Density):
    """The distribution of Wz + b for z ~ N(0, 1), for W of full row rank."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """W has shape `(dimensions, latent_size)`, b `(dimensions,)`. Raises `ValueError` for a low rank."""
        self._weight, self._bias = weight.double(), bias.double()
        deviations = torch.linalg.svdvals(self._weight)
        if len(deviations) < len(bias) or deviations.min() <= 1e-6 * deviations.max():
            raise ValueError("the rank of W is below the number of dimensions")
        self._deviations = deviations
        self.sample_shape = tuple(bias.shape)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        z = torch.randn(n, self._weight.shape[1], generator=generator, device=generator.device, dtype=torch.float64)
        return (z @ self._weight.T.to(z.device) + self._bias.to(z.device)).float()

    def log_density(self, x: Tensor) -> Tensor:
        mean, covariance = self._bias.to(x), (self._weight @ self._weight.T).to(x)
        log_density: Tensor = torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)
        return log_density

    def cdf(self, x: Tensor) -> Tensor:
        if self.sample_shape != (1,):
            raise NotImplementedError("points of several dimensions have no CDF")
        below: Tensor = torch.special.ndtr((x[:, 0] - self._bias.to(x)) / self._weight.norm().to(x))
        return below

    def box(self) -> tuple[Tensor, Tensor]:
        reach = REACH * self._weight.square().sum(1).sqrt()
        return self._bias - reach, self._bias + reach

    def resolution(self) -> float:
        return float(self._deviations.min())
