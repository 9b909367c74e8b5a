"""f-divergences through the Fenchel conjugate: f-GAN (Nowozin, Cseke, Tomioka 2016; arXiv 1606.00709, Tables 1–2, 5–6).

D_f(P‖Q) = ∫ q f(p/q) = sup_T E_P[T] − E_Q[f*(T)], for P = data and Q = model. The critic's raw score v becomes
T = g_f(v) by an activation that maps onto the domain of f* and increases in v, so that a large score always means
"from the data" (the paper's Table 2; the appendix prints decreasing ones for three members).

Here u = p/q is a density ratio, t a value of T, v a raw score; all functions act elementwise.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gan_cli.divergences.base import Divergence

LOG_2 = math.log(2)


def log_softplus(v: Tensor) -> Tensor:
    """log log(1 + e^v) without underflow: v itself where e^v is far below 1."""
    small = v < -20
    return torch.where(small, v, softplus(v.masked_fill(small, 0.0)).log())


def log_lambert_w_of_exp(y: Tensor) -> Tensor:
    """log W(e^y), the s with e^s + s = y, without overflow; its first derivative 1/(1 + e^s) is exact."""
    with torch.no_grad():
        # The equation is convex and increasing in s: Newton converges from either start.
        exact = y.to(torch.promote_types(y.dtype, torch.float32))
        s = torch.where(exact > 1, exact.clamp(min=1).log(), exact)
        for _ in range(8):
            s = s - (s.exp() + s - exact) / (s.exp() + 1)
    # One more Newton step, differentiable in y.
    return (s - (s.exp() + s - y) / (s.exp() + 1)).to(y.dtype)


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


class Gan(FDivergence):
    """The original GAN: D_f = 2·JSD(P‖Q) − log 4, with D = σ(v) (Goodfellow 2014, eq. 1; arXiv 1406.2661).

    f(1) = −2 log 2 and not 0, so the estimate at P = Q is −log 4; for disjoint P and Q it is 0.
    """

    unit = "nats"
    f_prime_at_one = -LOG_2

    def f(self, u: Tensor) -> Tensor:
        return torch.xlogy(u, u) - torch.xlogy(u + 1, u + 1)

    def conjugate(self, t: Tensor) -> Tensor:
        return -torch.log(-torch.expm1(t))

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 0.0)

    def activation(self, v: Tensor) -> Tensor:
        return logsigmoid(v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return softplus(v)


class KullbackLeibler(FDivergence):
    """KL(P‖Q) = ∫ p log(p/q): covers every mode of the data."""

    unit = "nats"
    f_prime_at_one = 1.0

    def f(self, u: Tensor) -> Tensor:
        return torch.xlogy(u, u)

    def conjugate(self, t: Tensor) -> Tensor:
        return torch.exp(t - 1)

    def activation(self, v: Tensor) -> Tensor:
        return v

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return torch.exp(v - 1)


class ReverseKullbackLeibler(FDivergence):
    """KL(Q‖P) = ∫ q log(q/p): stays inside the modes of the data."""

    unit = "nats"
    f_prime_at_one = -1.0

    def f(self, u: Tensor) -> Tensor:
        return -u.log()

    def conjugate(self, t: Tensor) -> Tensor:
        return -1 - torch.log(-t)

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 0.0)

    def activation(self, v: Tensor) -> Tensor:
        return -torch.exp(-v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return v - 1


class JensenShannon(FDivergence):
    """2·JSD(P‖Q) = KL(P‖M) + KL(Q‖M) for M = (P + Q)/2; 2 log 2 for disjoint P and Q.

    The paper's integral has a factor ½ that its generator function, its conjugate and its numbers do not have;
    this is the generator function as printed.
    """

    unit = "nats"

    def f(self, u: Tensor) -> Tensor:
        return torch.xlogy(u, u) - (u + 1) * torch.log((1 + u) / 2)

    def conjugate(self, t: Tensor) -> Tensor:
        return -torch.log(2 - torch.exp(t))

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, LOG_2)

    def activation(self, v: Tensor) -> Tensor:
        return LOG_2 + logsigmoid(v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return softplus(v) - LOG_2


@dataclass(frozen=True, kw_only=True)
class WeightedJensenShannon(FDivergence):
    """π·KL(P‖M) + (1 − π)·KL(Q‖M) for M = πP + (1 − π)Q, with π = `weight`; at π = ½ it is JSD.

    The second term of f carries a minus; one reprint of the table has a plus, for which T would not be f'.
    """

    unit: ClassVar[str] = "nats"

    weight: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.weight < 1:
            raise ValueError(f"weight={self.weight} must lie between 0 and 1")

    def f(self, u: Tensor) -> Tensor:
        mixed = 1 - self.weight + self.weight * u
        return self.weight * torch.xlogy(u, u) - torch.xlogy(mixed, mixed)

    def conjugate(self, t: Tensor) -> Tensor:
        pi = self.weight
        return (1 - pi) * torch.log((1 - pi) / (1 - pi * torch.exp(t / pi)))

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, -self.weight * math.log(self.weight))

    def activation(self, v: Tensor) -> Tensor:
        return logsigmoid(v) - self.weight * math.log(self.weight)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        pi = self.weight
        # 1 − σ(v)^(1/π) = 1 − e^(−x) for x = log(1 + e^(−v))/π, which underflows for large v: there it is x itself.
        small = v > 20
        log_x = log_softplus(-v) - math.log(pi)
        log_of_difference = torch.log(-torch.expm1(-log_x.masked_fill(small, 0.0).exp()))
        return (1 - pi) * (math.log(1 - pi) - torch.where(small, log_x, log_of_difference))


class Jeffreys(FDivergence):
    """KL(P‖Q) + KL(Q‖P) = ∫ (p − q) log(p/q)."""

    unit = "nats"

    def f(self, u: Tensor) -> Tensor:
        return (u - 1) * u.log()

    def conjugate(self, t: Tensor) -> Tensor:
        # W + 1/W + t − 2 for W = W(e^(1 − t)), in the logarithm of W because 1/W² would overflow in the derivative.
        s = log_lambert_w_of_exp(1 - t)
        return s.exp() + torch.exp(-s) + t - 2

    def activation(self, v: Tensor) -> Tensor:
        return v

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return self.conjugate(v)


class Pearson(FDivergence):
    """Pearson χ²: ∫ (p − q)²/q. (The paper's printed integral belongs to the other convention, ∫ p f(q/p).)"""

    def f(self, u: Tensor) -> Tensor:
        return (u - 1).square()

    def conjugate(self, t: Tensor) -> Tensor:
        # Below t = −2 the supremum over u ≥ 0 is reached at u = 0; the paper's formula is that over all u.
        t = t.clamp(min=-2)
        return t.square() / 4 + t

    def activation(self, v: Tensor) -> Tensor:
        return v

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return self.conjugate(v)


class Neyman(FDivergence):
    """Neyman χ²: ∫ (p − q)²/p. (The paper's printed integral belongs to the other convention, ∫ p f(q/p).)"""

    def f(self, u: Tensor) -> Tensor:
        return (1 - u).square() / u

    def conjugate(self, t: Tensor) -> Tensor:
        return 2 - 2 * torch.sqrt(1 - t)

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 1.0)

    def activation(self, v: Tensor) -> Tensor:
        return -torch.expm1(-v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return -2 * torch.expm1(-v / 2)


class SquaredHellinger(FDivergence):
    """∫ (√p − √q)², without the factor ½ that some texts have: 2 for disjoint P and Q."""

    def f(self, u: Tensor) -> Tensor:
        return (u.sqrt() - 1).square()

    def conjugate(self, t: Tensor) -> Tensor:
        return t / (1 - t)

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 1.0)

    def activation(self, v: Tensor) -> Tensor:
        return -torch.expm1(-v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return torch.expm1(v)


class TotalVariation(FDivergence):
    """½∫|p − q|, between 0 and 1; any T in [−½, ½] is optimal where p = q."""

    def f(self, u: Tensor) -> Tensor:
        return (u - 1).abs() / 2

    def conjugate(self, t: Tensor) -> Tensor:
        # Below t = −½ the supremum is reached at u = 0.
        return t.clamp(min=-0.5)

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 0.5)

    def activation(self, v: Tensor) -> Tensor:
        return torch.tanh(v) / 2

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        return torch.tanh(v) / 2


@dataclass(frozen=True, kw_only=True)
class Alpha(FDivergence):
    """∫ q (u^α − 1 − α(u − 1))/(α(α − 1)) for u = p/q: KL as α → 1, reverse KL as α → 0, half Pearson χ² at 2."""

    alpha: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha in (0, 1):
            name = "reverse_kl" if self.alpha == 0 else "kl"
            raise ValueError(f"alpha={self.alpha} is a limit: use divergence={name}, or any other value")

    def f(self, u: Tensor) -> Tensor:
        a = self.alpha
        return (u.pow(a) - 1 - a * (u - 1)) / (a * (a - 1))

    def conjugate(self, t: Tensor) -> Tensor:
        a = self.alpha
        # For α > 1 and t below −1/(α − 1) the supremum is reached at u = 0, where the paper's formula is undefined.
        return ((t * (a - 1) + 1).clamp(min=0).pow(a / (a - 1)) - 1) / a

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 1 / (1 - self.alpha) if self.alpha < 1 else math.inf)

    def activation(self, v: Tensor) -> Tensor:
        if self.alpha > 1:
            return v
        return 1 / (1 - self.alpha) + logsigmoid(v)

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        a = self.alpha
        if a > 1:
            return self.conjugate(v)
        # t(α − 1) + 1 = (1 − α) log(1 + e^(−v)): its power is taken as the exponential of its logarithm.
        return torch.expm1(a / (a - 1) * (math.log(1 - a) + log_softplus(-v))) / a
