"""The Fréchet distance between Gaussians fitted to features (Heusel 2017, arXiv 1706.08500, eq. 6)."""

from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge
from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.divergences.base import Divergence
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.distances import needs_finite
from gan_cli.metrics.needs import needs_samples
from gan_cli.metrics.standard_errors import bootstrap
from gan_cli.metrics.subject import Subject


class Moments(NamedTuple):
    """The Gaussian that fits some vectors, in float64."""

    mean: Tensor
    """Shape `(d,)`."""

    covariance: Tensor
    """Shape `(d, d)`."""


def moments(x: Tensor, counts: Tensor | None = None) -> Moments:
    """The mean and the unbiased covariance of vectors, shape `(n, d)`, each taken `counts` times, shape `(n,)`."""
    x = x.double()
    origin = x.mean(0)
    x = x - origin  # so that the squares do not cancel
    if counts is None:
        return Moments(origin, x.T @ x / (len(x) - 1))
    n = counts.sum()
    mean = counts.to(x) @ x / n
    covariance = (x.T @ (x * counts[:, None]) - n * mean.outer(mean)) / (n - 1)
    return Moments(origin + mean, covariance)


def frechet_distance(first: Moments, second: Moments) -> Tensor:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), in the features' unit squared (Dowson & Landau 1982, eq. 4).

    The last trace is the sum of the singular values of F₁ᵀF₂ for any factors FFᵀ = Σ; singular matrices have some too.
    Raises `ValueError` for moments of features that are not finite.
    """
    needs_finite(*first, *second)
    roots = torch.linalg.svdvals(_factor(first.covariance).T @ _factor(second.covariance))
    traces = first.covariance.trace() + second.covariance.trace()
    squared: Tensor = (first.mean - second.mean).square().sum() + traces - 2 * roots.sum()
    return squared.clamp(min=0)


def _factor(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    # An eigenvalue that is 0 but for rounding has a root that is far from 0.
    smallest = len(values) * torch.finfo(values.dtype).eps * values[-1]
    factor: Tensor = vectors * torch.where(values > smallest, values, 0).sqrt()
    return factor


class FrechetDistance(Metric):
    """`frechet_distance` between the features of generated and of real samples.

    The error is the standard deviation over `bootstraps` resamples of both sets; `bootstraps=0` leaves it out. The
    interval, value ± 1.96 errors, covers what this many samples give on average. Near 0 it is up to twice too wide,
    because two sets of one distribution are resampled as if of two. Quantiles of the resamples would lie too high:
    finite samples bias the distance upwards, and resampling does so once more. `real` has the same bias only if as
    many real samples were held out. A resample takes as long as three decompositions of a matrix as wide as the
    features: hundredths of a second for 128 of them, a second for 1,000, ten for Inception's 2,048.
    """

    looks_at = "features"

    def __init__(self, samples: Annotated[int, Ge(2)], bootstraps: Annotated[int, Ge(0)]) -> None:
        if bootstraps == 1:
            raise ValueError(f"bootstraps={bootstraps} must be 0 or at least 2")
        self.samples = samples
        self.bootstraps = bootstraps

    def check(self, dataset: Dataset, divergence: Divergence) -> None:
        needs_samples(dataset, 2)

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        real = subject.reference(self.samples).features.vectors
        fake = subject.fake(self.samples).features.vectors
        first, second = (moments(part.features.vectors) for part in subject.pair(self.samples))
        distance = frechet_distance(moments(real), moments(fake)).item()
        return {
            "frechet_distance": Measured(
                distance, self._error(real, fake, subject.seed), frechet_distance(first, second).item()
            )
        }

    def _error(self, real: Tensor, fake: Tensor, seed: int) -> float | None:
        if not self.bootstraps:
            return None

        def resampled(real_counts: Tensor, fake_counts: Tensor) -> Tensor:
            return frechet_distance(moments(real, real_counts), moments(fake, fake_counts))

        return bootstrap(resampled, (len(real), len(fake)), self.bootstraps, seed, real.device).item()
