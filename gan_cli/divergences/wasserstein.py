"""The Wasserstein-1 distance in its Kantorovich–Rubinstein dual (Arjovsky 2017, eq. 2; arXiv 1701.07875)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gan_cli.divergences.base import Divergence
from gan_cli.ranges import Positive


@dataclass(frozen=True, kw_only=True)
class Wasserstein(Divergence):
    """W₁(P, Q) at the best critic of slope 1, in units of the data.

    The slope is kept near 1 by the penalty: `interpolate` (WGAN-GP) or `interpolate_one_sided` (WGAN-LP). It gives way
    to the distance: between two parallel lines, θ apart, the best slope under the weight λ is 1 + |θ|/2λ.

    critic: E_P[v] − E_Q[v]
    generator: −E_Q[v]
    best: a Kantorovich potential, of slope at most 1
    value: W₁(P, Q) nearly: (1 + |θ|/2λ)·W₁ between parallel lines
    source: Arjovsky 2017, eq. 2, arXiv 1701.07875
    """

    unit: ClassVar[str] = "units of the data"

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return real.mean() - fake.mean()

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()

    def exact_of_distance(self, distance: float) -> float:
        return distance


@dataclass(frozen=True, kw_only=True)
class WeightClippedWasserstein(Wasserstein):
    """The first WGAN: every critic weight stays in [−clip, clip].

    The estimate is W₁ times an unknown slope that depends on the critic's architecture.

    critic: E_P[v] − E_Q[v], weights in ±clip
    generator: −E_Q[v]
    best: a Kantorovich potential, of slope K
    value: K·W₁(P, Q), K unknown
    source: Arjovsky 2017, Algorithm 1, arXiv 1701.07875
    """

    unit: ClassVar[str] = "units of the data × unknown slope"

    clip: Positive

    @torch.no_grad()
    def constrain(self, critic: nn.Module) -> None:
        for parameter in critic.parameters():
            parameter.clamp_(-self.clip, self.clip)

    def exact(self, log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
        raise NotImplementedError("the slope of the best clipped critic is unknown")

    def exact_of_distance(self, distance: float) -> float:
        raise NotImplementedError("the slope of the best clipped critic is unknown")
