"""Least-squares and hinge objectives: the critic regresses on, or separates by, fixed margins."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.divergences.base import Divergence


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Divergence):
    """Least squares: the critic regresses to the labels below.

    For labels 1 and −1 the value is half the triangular discrimination ∫(p − q)²/(p + q), less 1.

    critic: −½E_P[(v−b)²] − ½E_Q[(v−a)²]
    generator: ½E_Q[(v−c)²]
    best: (bp+aq)/(p+q)
    value: −½(b−a)² ∫ pq/(p+q)
    where: a, b, c = fake_label, real_label, generator_label
    source: Mao 2017, eq. 2, arXiv 1611.04076
    """

    real_label: float
    fake_label: float
    generator_label: float
    """The score that the generator wants for its samples."""

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return -((real - self.real_label).square().mean() + (fake - self.fake_label).square().mean()) / 2

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return (fake - self.generator_label).square().mean() / 2

    def exact(self, log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
        # pq/(p + q), without the 0/0 where both underflow.
        harmonic = torch.exp(log_p + log_q - torch.logaddexp(log_p, log_q)).nan_to_num(0.0)
        return -((self.real_label - self.fake_label) ** 2) / 2 * (weights * harmonic).sum()


@dataclass(frozen=True, kw_only=True)
class Hinge(Divergence):
    """The hinge objective: the critic separates real from generated samples by a margin.

    critic: −E_P[max(0, 1−v)] − E_Q[max(0, 1+v)]
    generator: −E_Q[v]
    best: sign(p−q)
    value: −2 ∫ min(p, q) = 2·TV − 2
    source: Lim & Ye 2017, arXiv 1705.02894; Miyato 2018, eq. 16–17, arXiv 1802.05957
    """

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return -(1 - real).relu().mean() - (1 + fake).relu().mean()

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()

    def exact(self, log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
        return -2 * (weights * torch.minimum(log_p, log_q).exp()).sum()
