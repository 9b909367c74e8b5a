"""Least-squares and hinge objectives: the critic regresses on, or separates by, fixed margins."""

from dataclasses import dataclass

from torch import Tensor

from gan_cli.divergences.base import Divergence


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Divergence):
    """LSGAN (Mao 2017, eq. 2; arXiv 1611.04076): the critic regresses to the labels below.

    The critic maximises −½E_P[(v − real_label)²] − ½E_Q[(v − fake_label)²]. Its optimum is
    v = (real_label·p + fake_label·q)/(p + q), worth −½(real_label − fake_label)² ∫pq/(p + q): for labels 1
    and −1 that is half the triangular discrimination ∫(p − q)²/(p + q), less 1.
    """

    real_label: float
    fake_label: float
    generator_label: float
    """The score that the generator wants for its samples."""

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return -((real - self.real_label).square().mean() + (fake - self.fake_label).square().mean()) / 2

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return (fake - self.generator_label).square().mean() / 2


@dataclass(frozen=True, kw_only=True)
class Hinge(Divergence):
    """The hinge objective (Lim & Ye 2017, arXiv 1705.02894; Miyato 2018, eq. 16–17, arXiv 1802.05957).

    The critic maximises −E_P[max(0, 1 − v)] − E_Q[max(0, 1 + v)]. Its optimum is v = sign(p − q), worth
    −2∫min(p, q) = 2·TV − 2 for TV = ½∫|p − q|.
    """

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return -(1 - real).relu().mean() - (1 + fake).relu().mean()

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()
