"""The MMD GAN: the kernel distance between the scores of real and of generated samples."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import MinLen
from torch import Tensor

from gan_cli.divergences.base import Divergence
from gan_cli.ranges import Positive

Scales = Annotated[Sequence[Positive], MinLen(1)]


class Kernel(ABC):
    """A positive definite kernel on the line: 1 for equal scores, towards 0 for scores that are far apart."""

    @abstractmethod
    def gap(self, squared: Tensor) -> Tensor:
        """1 − k(a, b) from (a − b)², elementwise; scores that are close cost it no digits."""


@dataclass(frozen=True)
class Gaussian(Kernel):
    """k(a, b): the mean over bandwidths σ of exp(−(a − b)²/2σ²) (Li 2017; arXiv 1705.08584)."""

    bandwidths: Scales

    def gap(self, squared: Tensor) -> Tensor:
        return torch.stack([-torch.expm1(squared / (-2 * sigma**2)) for sigma in self.bandwidths]).mean(0)


@dataclass(frozen=True)
class RationalQuadratic(Kernel):
    """k(a, b): the mean over α of (1 + (a − b)²/2αℓ²)^−α (Bińkowski 2018; arXiv 1801.01401).

    Each term is a mixture of Gaussians of all bandwidths. It falls like a power of the distance, the slower the smaller
    α, so that scores far apart still pull.
    """

    alphas: Scales
    length: Positive
    """ℓ, in units of the score."""

    def gap(self, squared: Tensor) -> Tensor:
        terms = [-torch.expm1(-alpha * torch.log1p(squared / (2 * alpha * self.length**2))) for alpha in self.alphas]
        return torch.stack(terms).mean(0)


@dataclass(frozen=True, kw_only=True)
class MaximumMeanDiscrepancy(Divergence):
    """The squared maximum mean discrepancy between the scores of real and of generated samples.

    The estimate is unbiased and may be negative. Only distances between scores count: a high score need not mean "from
    the data".

    The best critic takes two values far apart: with μ = P − Q the estimate tends to ∫∫k dμdμ, and for 0 ≤ k ≤ 1 that is
    at most ∫∫k dμ⁺dμ⁺ + ∫∫k dμ⁻dμ⁻ ≤ 2·TV², where TV = ½∫|p−q| is the mass of μ⁺ and of μ⁻.

    critic: E[k(v_real, v_real′) + k(v_fake, v_fake′) − 2k(v_real, v_fake)]
    generator: E[k(v_real, v_real′) + k(v_fake, v_fake′) − 2k(v_real, v_fake)]
    best: c·sign(p−q), c → ∞
    value: 2·TV(P, Q)²
    where: k = divergence/kernel, 1 for equal scores and 0 far apart; v, v′ are scores of two samples
    source: Li 2017, arXiv 1705.08584; Bińkowski 2018, arXiv 1801.01401
    """

    pairs_samples: ClassVar[bool] = True
    power: ClassVar[int] = 2

    kernel: Kernel

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return 2 * self._gaps(real, fake).mean() - self._mean_gap(real) - self._mean_gap(fake)

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None
        return self.estimate(real, fake)

    def exact(self, log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
        variation = (weights * (log_p.exp() - log_q.exp()).abs()).sum() / 2
        return 2 * variation.square()

    def _gaps(self, a: Tensor, b: Tensor) -> Tensor:
        """1 − k of every score of `a` with every one of `b`, shape `(n, m)`."""
        return self.kernel.gap((a[:, None] - b).square())

    def _mean_gap(self, scores: Tensor) -> Tensor:
        """The mean of 1 − k over pairs of two samples; that of a sample with itself is 0."""
        n = len(scores)
        if n < 2:
            raise ValueError(f"pairs are made of two scores, a batch has {n}: raise train.batch_size")
        return self._gaps(scores, scores).sum() / (n * (n - 1))
