"""f-divergences through the Fenchel conjugate: the variational bound of f-GAN (Nowozin, Cseke, Tomioka 2016, eq. 4).

D_f(P‖Q) = ∫ q f(p/q) = sup_T E_P[T] − E_Q[f*(T)], for P = data and Q = model (arXiv 1606.00709). The critic's raw
score v becomes T = g_f(v) by an activation that maps onto the domain of f* and increases in v.

Here u = p/q is a density ratio, t a value of T, v a raw score; all functions act elementwise.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gan_cli.divergences.base import Divergence


@dataclass(frozen=True, kw_only=True)
class FDivergence(Divergence):
    """The variational lower bound of D_f(P‖Q), in nats where f is made of natural logarithms.

    The estimate reaches D_f(P‖Q) at the optimal critic g_f(v) = f'(p/q) and is below it for any other. Two
    objectives for the generator: `minimax` descends the bound itself; `non_saturating` ascends E_Q[g_f(v)]
    (f-GAN §3.2; Goodfellow 2014 §3), which has the same fixed points and larger gradients early on.
    """

    generator_loss: Literal["minimax", "non_saturating"]

    f_prime_at_one: ClassVar[float] = 0.0
    """f'(1): the value of T at the optimum, where P = Q."""

    @abstractmethod
    def f(self, u: Tensor) -> Tensor:
        """The convex generator function of the divergence, for u > 0."""

    @abstractmethod
    def conjugate(self, t: Tensor) -> Tensor:
        """f*(t) = sup_{u ≥ 0} ut − f(u), for t inside `conjugate_domain`."""

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        """The interval on which f* is finite, which is also that of the slopes of f."""
        return (-math.inf, math.inf)

    @abstractmethod
    def activation(self, v: Tensor) -> Tensor:
        """g_f(v): any real score to the domain of f*."""

    @abstractmethod
    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        """f*(g_f(v)) in one numerically stable expression."""

    def integrand(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """q f(p/q) from the logarithms of p and q in float64, either of which may be −∞."""
        log_u = torch.where(log_p == log_q, 0.0, log_p - log_q)
        inside = log_u.clamp(-200, 200)
        is_above = log_u > 0
        value = self._scaled(inside)
        # Where u itself would overflow, f is as good as a power of it; members that are not override this.
        rate = torch.where(is_above, self._growth(200.0), self._growth(-200.0))
        log_value = torch.where(is_above, log_p, log_q) + value.abs().log() + rate * (log_u - inside).abs()
        only_p = mass_times(log_p.exp(), torch.full_like(log_p, self.conjugate_domain[1]))
        only_q = mass_times(log_q.exp(), self.f(torch.zeros_like(log_q)))
        shared = value.sign() * log_value.exp()
        return torch.where(log_q == -math.inf, only_p, torch.where(log_p == -math.inf, only_q, shared))

    def _scaled(self, log_u: Tensor) -> Tensor:
        """f(u)/u for u > 1, and f(u) below: the factor of the larger of p and q."""
        u = log_u.exp()
        return self.f(u) / u.clamp(min=1)

    def _growth(self, log_u: float) -> float:
        """By how much the logarithm of the factor grows with that of u, away from u = 1."""
        near, far = self._scaled(torch.tensor([0.95 * log_u, log_u], dtype=torch.float64)).abs().log().tolist()
        return (far - near) / abs(0.05 * log_u) if math.isfinite(far - near) else 0.0

    def exact(self, log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
        return mass_times(weights, self.integrand(log_p, log_q)).sum()

    @property
    def of_disjoint(self) -> float:
        """D_f(P‖Q) for P and Q without overlap: f(0) + lim f(u)/u, from where only Q and only P lie."""
        return self.f(torch.zeros((), dtype=torch.float64)).item() + self.conjugate_domain[1]

    def estimate(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.activation(real).mean() - self.conjugate_of_activation(fake).mean()

    def generator_objective(self, fake: Tensor, real: Tensor | None) -> Tensor:
        objective: Tensor = getattr(self, self.generator_loss)(fake)
        return objective

    def minimax(self, fake: Tensor) -> Tensor:
        """The part of the bound that depends on the generator."""
        return -self.conjugate_of_activation(fake).mean()

    def non_saturating(self, fake: Tensor) -> Tensor:
        """The generator raises T at its samples instead of lowering the bound."""
        return -self.activation(fake).mean()


def mass_times(mass: Tensor, value: Tensor) -> Tensor:
    """Their product, in which no mass contributes nothing, whatever it is multiplied with."""
    return torch.where(mass == 0, 0.0, mass * value)
