"""f-divergences through the Fenchel conjugate: the variational bound of f-GAN (Nowozin, Cseke, Tomioka 2016, eq. 4).

D_f(P‖Q) = ∫ q f(p/q) = sup_T E_P[T] − E_Q[f*(T)], for P = data and Q = model (arXiv 1606.00709). The critic's raw
score v becomes T = g_f(v) by an activation that maps onto the domain of f* and increases in v.

Here u = p/q is a density ratio, t a value of T, v a raw score; all functions act elementwise.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gan_cli.divergences.base import Divergence

FAR = 200.0
"""The largest |log u| at which f is computed."""


@dataclass(frozen=True, kw_only=True)
class FDivergence(Divergence):
    """The variational lower bound of D_f(P‖Q), in nats if f is made of natural logarithms.

    The estimate reaches D_f(P‖Q) at the optimal critic g_f(v) = f'(p/q) and is below it for any other. Two
    objectives for the generator: `minimax` descends the bound itself; `non_saturating` ascends E_Q[g_f(v)]
    (f-GAN §3.2; Goodfellow 2014 §3), which has larger gradients early on and rests where P = Q as well, but descends
    another divergence on the way: `descended`.
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
        """The interval on which f* is finite, which is also the interval of the slopes of f."""
        return (-math.inf, math.inf)

    @abstractmethod
    def activation(self, v: Tensor) -> Tensor:
        """g_f(v): any real score to the domain of f*."""

    @abstractmethod
    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        """f*(g_f(v)) in one numerically stable expression."""

    def descended(self) -> "Sequence[tuple[float, FDivergence]]":
        """What `non_saturating` descends while the critic is optimal: a sum of f-divergences with weights.

        The sum has a generator function h with h″(u) = f″(u)/u, because −E_Q[f′(p/q)], with p/q held still, has the
        gradient of ∫ q h(p/q) if f′ is uh′ − h up to a constant (Poole 2016, arXiv 1612.02780; Shannon 2020, arXiv
        2010.08029). Raises `NotImplementedError` if it is not stated.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what its non-saturating form descends")

    def integrand(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """q f(p/q) from the logarithms of p and q in float64, either of which may be −∞."""
        log_u = torch.where(log_p == log_q, 0.0, log_p - log_q)
        is_above = log_u > 0
        inside = log_u.clamp(-FAR, FAR)
        beyond = (log_u - inside).abs()
        (slope, rate), (slope_below, rate_below) = self._continuation(FAR), self._continuation(-FAR)
        value = self._scaled(inside) + torch.where(is_above, slope, slope_below) * beyond
        log_value = torch.maximum(log_p, log_q) + value.abs().log() + torch.where(is_above, rate, rate_below) * beyond
        only_p = mass_times(log_p.exp(), torch.full_like(log_p, self.conjugate_domain[1]))
        # Where P has mass, Q's is masked before and not after f(0) = ∞, whose gradient would be 0 · ∞.
        only_q = mass_times(torch.where(log_p == -math.inf, log_q, -math.inf).exp(), self.f(torch.zeros_like(log_q)))
        shared = value.sign() * log_value.exp()
        return torch.where(log_q == -math.inf, only_p, torch.where(log_p == -math.inf, only_q, shared))

    def _scaled(self, log_u: Tensor) -> Tensor:
        """f(u)/u for u > 1, and f(u) below: the factor of the larger of p and q."""
        u = log_u.exp()
        return self.f(u) / u.clamp(min=1)

    def _continuation(self, log_u: float) -> tuple[float, float]:
        """How the factor continues beyond `log_u`, where u overflows: its slope in log u, or the rate of a power of u.

        At least one of the two is 0: a factor that grows more slowly than u^0.02 counts as a logarithm or a constant.
        """
        near, far = self._scaled(torch.tensor([0.95 * log_u, log_u], dtype=torch.float64))
        distance = abs(0.05 * log_u)
        rate = ((far.abs().log() - near.abs().log()) / distance).item()
        return (0.0, rate) if rate > 0.02 else (((far - near) / distance).item(), 0.0)

    def exact(self, log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
        return mass_times(weights, self.integrand(log_p, log_q)).sum()

    @property
    def of_disjoint(self) -> float:
        """D_f(P‖Q) for P and Q without overlap: f(0), where only Q lies, plus lim f(u)/u, where only P does."""
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
        """The objective that raises T at generated samples instead of lowering the bound."""
        return -self.activation(fake).mean()


def mass_times(mass: Tensor, value: Tensor) -> Tensor:
    """The product of both, in which a mass of 0 contributes nothing, even times infinity."""
    return mass * torch.where(mass == 0, 0.0, value)
