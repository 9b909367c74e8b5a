"""The members of f-GAN's family (Nowozin, Cseke, Tomioka 2016; arXiv 1606.00709, Tables 1–2 and 5–6).

Every activation increases in v, so that a large score always means "from the data" (the paper's Table 2; the appendix
prints decreasing ones for three members). u is a density ratio, t a value of T, v a raw score. `gan-divergence list`
prints the formulas of the docstrings, and a test compares them with the code.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.divergences.strictly_convex import StrictlyConvex
from gan_cli.ranges import Share

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


class Gan(StrictlyConvex):
    """The original GAN: D_f = 2·JSD(P‖Q) − log 4, with D = σ(v).

    f(1) = −2 log 2 and not 0, so the estimate at P = Q is −log 4.

    f: u log u − (u+1) log(u+1)
    g: −log(1+e^−v)
    f*: −log(1−e^t)
    domain: t < 0
    T: log(p/(p+q))
    f′(1): −log 2
    value: 2·JSD − log 4 = ∫ p log(p/(p+q)) + q log(q/(p+q))
    non-saturating: KL(Q‖P) − 2·JSD = ∫ q log(q/p) − p log(2p/(p+q)) − q log(2q/(p+q))
    at P = Q: −log 4
    disjoint: 0
    source: Goodfellow 2014, eq. 1, arXiv 1406.2661
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

    def slope(self, log_u: Tensor) -> Tensor:
        return logsigmoid(log_u)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return softplus(log_u)

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1, power(0)), (-1, JensenShannon(generator_loss="minimax"))]


class KullbackLeibler(StrictlyConvex):
    """KL(P‖Q): a fit under it covers every mode of the data.

    f: u log u
    g: v
    f*: e^(t−1)
    domain: all t
    T: 1 + log(p/q)
    f′(1): 1
    value: ∫ p log(p/q)
    non-saturating: KL(Q‖P) = ∫ q log(q/p)
    at P = Q: 0
    disjoint: ∞
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    unit = "nats"
    f_prime_at_one = 1.0

    def f(self, u: Tensor) -> Tensor:
        return torch.xlogy(u, u)

    def conjugate(self, t: Tensor) -> Tensor:
        return torch.exp(t - 1)

    def paper_activation(self, v: Tensor) -> Tensor:
        return v

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        return torch.exp(v - 1)

    def slope(self, log_u: Tensor) -> Tensor:
        return 1 + log_u

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return log_u.exp()

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1, power(0))]


class ReverseKullbackLeibler(StrictlyConvex):
    """KL(Q‖P): a fit under it stays inside the modes of the data.

    f: −log u
    g: −e^−v
    f*: −1 − log(−t)
    domain: t < 0
    T: −q/p
    f′(1): −1
    value: ∫ q log(q/p)
    non-saturating: half of Neyman χ² = ∫ (p−q)²/(2p)
    at P = Q: 0
    disjoint: ∞
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    unit = "nats"
    f_prime_at_one = -1.0

    def f(self, u: Tensor) -> Tensor:
        return -u.log()

    def conjugate(self, t: Tensor) -> Tensor:
        return -1 - torch.log(-t)

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 0.0)

    def slope(self, log_u: Tensor) -> Tensor:
        return -torch.exp(-log_u)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return log_u - 1

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1, power(-1))]


class JensenShannon(StrictlyConvex):
    """2·JSD(P‖Q) = KL(P‖M) + KL(Q‖M) for M = (P + Q)/2.

    The paper's integral has a factor ½ that its generator function, its conjugate and its numbers do not have;
    this is the generator function as printed.

    f: u log u − (u+1) log((u+1)/2)
    g: log 2 − log(1+e^−v)
    f*: −log(2−e^t)
    domain: t < log 2
    T: log(2p/(p+q))
    f′(1): 0
    value: 2·JSD = ∫ p log(2p/(p+q)) + q log(2q/(p+q))
    non-saturating: KL(Q‖P) − 2·JSD = ∫ q log(q/p) − p log(2p/(p+q)) − q log(2q/(p+q))
    at P = Q: 0
    disjoint: 2 log 2
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    unit = "nats"

    def f(self, u: Tensor) -> Tensor:
        return torch.xlogy(u, u) - (u + 1) * torch.log((1 + u) / 2)

    def conjugate(self, t: Tensor) -> Tensor:
        return -torch.log(2 - torch.exp(t))

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, LOG_2)

    def slope(self, log_u: Tensor) -> Tensor:
        return LOG_2 + logsigmoid(log_u)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return softplus(log_u) - LOG_2

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1, power(0)), (-1, self)]


@dataclass(frozen=True, kw_only=True)
class WeightedJensenShannon(StrictlyConvex):
    """π·KL(P‖M) + (1 − π)·KL(Q‖M) for M = πP + (1 − π)Q, π = `weight`; JSD at π = ½.

    The second term of f carries a minus; one reprint of the table has a plus, for which T would not be f'.

    f: πu log u − (1−π+πu) log(1−π+πu)
    g: −π log π − log(1+e^−v)
    f*: (1−π) log((1−π)/(1−πe^(t/π)))
    domain: t < −π log π
    T: π log(p/((1−π)q+πp))
    f′(1): 0
    value: π·KL(P‖M) + (1−π)·KL(Q‖M) = ∫ πp log(p/m) + (1−π)q log(q/m)
    non-saturating: π·KL(Q‖P) − π/(1−π) times the value = ∫ π(q log(q/p) − πp log(p/m)/(1−π) − q log(q/m))
    at P = Q: 0
    disjoint: −π log π − (1−π) log(1−π)
    where: π = weight, m = πp + (1−π)q
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    unit: ClassVar[str] = "nats"

    weight: Share

    def f(self, u: Tensor) -> Tensor:
        mixed = 1 - self.weight + self.weight * u
        return self.weight * torch.xlogy(u, u) - torch.xlogy(mixed, mixed)

    def conjugate(self, t: Tensor) -> Tensor:
        pi = self.weight
        return (1 - pi) * torch.log((1 - pi) / (1 - pi * torch.exp(t / pi)))

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, -self.weight * math.log(self.weight))

    def paper_activation(self, v: Tensor) -> Tensor:
        return logsigmoid(v) - self.weight * math.log(self.weight)

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        pi = self.weight
        # 1 − σ(v)^(1/π) = 1 − e^(−x) for x = log(1 + e^(−v))/π, which underflows for large v: there it is x itself.
        log_x = log_softplus(-v) - math.log(pi)
        small = log_x < -20
        log_of_difference = torch.log(-torch.expm1(-log_x.masked_fill(small, 0.0).exp()))
        return (1 - pi) * (math.log(1 - pi) - torch.where(small, log_x, log_of_difference))

    def slope(self, log_u: Tensor) -> Tensor:
        return -self.weight * (softplus(self._log_odds - log_u) + math.log(self.weight))

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return (1 - self.weight) * (softplus(log_u - self._log_odds) + math.log(1 - self.weight))

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(self.weight, power(0)), (-self.weight / (1 - self.weight), self)]

    @property
    def _log_odds(self) -> float:
        """The log u at which both parts of the mixture weigh alike."""
        return math.log(1 - self.weight) - math.log(self.weight)


class Jeffreys(StrictlyConvex):
    """KL(P‖Q) + KL(Q‖P).

    f: (u−1) log u
    g: v
    f*: W(e^(1−t)) + 1/W(e^(1−t)) + t − 2
    domain: all t
    T: 1 + log(p/q) − q/p
    f′(1): 0
    value: ∫ (p−q) log(p/q)
    non-saturating: KL(Q‖P) and half of Neyman χ² = ∫ q log(q/p) + (p−q)²/(2p)
    at P = Q: 0
    disjoint: ∞
    where: W is Lambert's function
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    unit = "nats"

    def f(self, u: Tensor) -> Tensor:
        return (u - 1) * u.log()

    def conjugate(self, t: Tensor) -> Tensor:
        # W + 1/W + t − 2 for W = W(e^(1 − t)), in s = log W, because 1/W² would overflow in the derivative;
        # W + s = 1 − t, so that W + t, a difference of large numbers for t far below 0, is 1 − s.
        s = log_lambert_w_of_exp(1 - t)
        return torch.exp(-s) - s - 1

    def paper_activation(self, v: Tensor) -> Tensor:
        return v

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        return self.conjugate(v)

    def slope(self, log_u: Tensor) -> Tensor:
        return 1 + log_u - torch.exp(-log_u)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return torch.expm1(log_u) + log_u

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1, power(0)), (1, power(-1))]


class Pearson(StrictlyConvex):
    """Pearson χ².

    The paper's printed integral belongs to the other convention, ∫ p f(q/p).

    f: (u−1)²
    g: v
    f*: t²/4 + t for t ≥ −2, else −1
    domain: all t
    T: 2(p/q − 1)
    f′(1): 0
    value: ∫ (p−q)²/q
    non-saturating: 2·KL(P‖Q) = ∫ 2p log(p/q)
    at P = Q: 0
    disjoint: ∞
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    def f(self, u: Tensor) -> Tensor:
        return (u - 1).square()

    def conjugate(self, t: Tensor) -> Tensor:
        # Below t = −2 the supremum over u ≥ 0 is reached at u = 0; the paper's formula is that over all u.
        t = t.clamp(min=-2)
        return t.square() / 4 + t

    def paper_activation(self, v: Tensor) -> Tensor:
        return v

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        return self.conjugate(v)

    def slope(self, log_u: Tensor) -> Tensor:
        return 2 * torch.expm1(log_u)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return torch.expm1(2 * log_u)

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(2, power(1))]


class Neyman(StrictlyConvex):
    """Neyman χ².

    The paper's printed integral belongs to the other convention, ∫ p f(q/p).

    f: (1−u)²/u
    g: 1 − e^−v
    f*: 2 − 2√(1−t)
    domain: t < 1
    T: 1 − (q/p)²
    f′(1): 0
    value: ∫ (p−q)²/p
    non-saturating: twice the α-divergence at −2 = ∫ (q^3/p² − q)/3
    at P = Q: 0
    disjoint: ∞
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    def f(self, u: Tensor) -> Tensor:
        return (1 - u).square() / u

    def conjugate(self, t: Tensor) -> Tensor:
        return 2 - 2 * torch.sqrt(1 - t)

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 1.0)

    def paper_activation(self, v: Tensor) -> Tensor:
        return -torch.expm1(-v)

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        return -2 * torch.expm1(-v / 2)

    def slope(self, log_u: Tensor) -> Tensor:
        return -torch.expm1(-2 * log_u)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return -2 * torch.expm1(-log_u)

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(2, power(-2))]


class SquaredHellinger(StrictlyConvex):
    """Squared Hellinger distance, without the factor ½ that some texts have.

    f: (√u−1)²
    g: 1 − e^−v
    f*: t/(1−t)
    domain: t < 1
    T: 1 − √(q/p)
    f′(1): 0
    value: ∫ (√p−√q)²
    non-saturating: half of the α-divergence at −½ = ∫ 2(√(q^3/p) − q)/3
    at P = Q: 0
    disjoint: 2
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    def f(self, u: Tensor) -> Tensor:
        return (u.sqrt() - 1).square()

    def conjugate(self, t: Tensor) -> Tensor:
        return t / (1 - t)

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 1.0)

    def paper_activation(self, v: Tensor) -> Tensor:
        return -torch.expm1(-v)

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        return torch.expm1(v)

    def slope(self, log_u: Tensor) -> Tensor:
        return -torch.expm1(-log_u / 2)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return torch.expm1(log_u / 2)

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1 / 2, power(-1 / 2))]


@dataclass(frozen=True, kw_only=True)
class TotalVariation(FDivergence):
    """Total variation, between 0 and 1; any T in [−½, ½] is optimal where p = q.

    Its f is straight on both sides of 1, so T says nothing of the ratio: `link` can be `paper` only.

    f: ½|u−1|
    g: ½ tanh v
    f*: t for t ≥ −½, else −½
    domain: t ≤ ½
    T: ½ sign(p−q)
    f′(1): 0
    value: ∫ ½|p−q|
    non-saturating: the same = ∫ ½|p−q|
    at P = Q: 0
    disjoint: 1
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    link: Literal["paper"] = "paper"

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

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1, self)]


@dataclass(frozen=True, kw_only=True)
class Alpha(StrictlyConvex):
    """α-divergence: KL as α → 1, reverse KL as α → 0, half of Pearson χ² at 2, of Neyman χ² at −1.

    f: (u^α − 1 − α(u−1))/(α(α−1))
    g: 1/(1−α) − log(1+e^−v) for α < 1, else v
    f*: (max(0, t(α−1)+1)^(α/(α−1)) − 1)/α
    domain: t < 1/(1−α) for α < 1, else all t
    T: ((p/q)^(α−1) − 1)/(α−1)
    f′(1): 0
    value: ∫ (p^α q^(1−α) − αp − (1−α)q)/(α(α−1))
    non-saturating: the α-divergence at α−1 = ∫ (p^(α−1) q^(2−α) − (α−1)p − (2−α)q)/((α−1)(α−2))
    at P = Q: 0
    disjoint: 1/(α(1−α)) for 0 < α < 1, else ∞
    where: α = alpha
    source: f-GAN, Nowozin 2016, arXiv 1606.00709
    """

    alpha: float

    def __post_init__(self) -> None:
        if self.alpha in (0, 1):
            name = "reverse_kl" if self.alpha == 0 else "kl"
            raise ValueError(f"alpha={self.alpha:g} is a limit: use divergence={name}, or any other value")

    def f(self, u: Tensor) -> Tensor:
        return self.integrand(u.log(), torch.zeros_like(u))

    def integrand(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """(p^α q^(1−α) − αp − (1−α)q)/(α(α−1)), which needs no ratio.

        Near α = 0 and 1, f comes close to its power of u only for extreme u.
        """
        a = self.alpha
        is_empty = (log_p == -math.inf) & (log_q == -math.inf)
        mixed = torch.where(is_empty, -math.inf, a * log_p + (1 - a) * log_q).exp()
        p, q, log_u = log_p.exp(), log_q.exp(), torch.where(is_empty, 0.0, log_p - log_q)
        # Where α is near 0 or 1, the mixed term and one of the others have most digits in common.
        if a < 1 / 2:
            return (_difference(mixed, q, a * log_u) / a + q - p) / (a - 1)
        return (_difference(mixed, p, (a - 1) * log_u) / (a - 1) + q - p) / a

    def conjugate(self, t: Tensor) -> Tensor:
        a = self.alpha
        # For α > 1 and t below −1/(α − 1) the supremum is reached at u = 0, where the paper's formula is undefined.
        at_zero = t * (a - 1) <= -1
        # A power of a sum would magnify the rounding of the sum where α is close to 1.
        log_power = a / (a - 1) * torch.log1p((t * (a - 1)).masked_fill(at_zero, 0.0))
        return torch.expm1(log_power).masked_fill(at_zero, math.inf if 0 < a < 1 else -1.0) / a

    @property
    def conjugate_domain(self) -> tuple[float, float]:
        return (-math.inf, 1 / (1 - self.alpha) if self.alpha < 1 else math.inf)

    def paper_activation(self, v: Tensor) -> Tensor:
        if self.alpha > 1:
            return v
        return 1 / (1 - self.alpha) + logsigmoid(v)

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        a = self.alpha
        if a > 1:
            return self.conjugate(v)
        # t(α − 1) + 1 = (1 − α) log(1 + e^(−v)): its power is taken as the exponential of its logarithm.
        return torch.expm1(a / (a - 1) * (math.log(1 - a) + log_softplus(-v))) / a

    def slope(self, log_u: Tensor) -> Tensor:
        return torch.expm1((self.alpha - 1) * log_u) / (self.alpha - 1)

    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        return torch.expm1(self.alpha * log_u) / self.alpha

    def descended(self) -> Sequence[tuple[float, FDivergence]]:
        return [(1, power(self.alpha - 1))]


def _difference(a: Tensor, b: Tensor, log_ratio: Tensor) -> Tensor:
    """a − b for a = b·e^log_ratio, with the digits that a and b have in common."""
    near = log_ratio.abs() < 1
    return torch.where(near, b * torch.expm1(log_ratio.masked_fill(~near, 0.0)), a - b)


def power(alpha: float) -> FDivergence:
    """The α-divergence at any α, its limits included: all with f″(u) = u^(α−2)."""
    if alpha == 0:
        return ReverseKullbackLeibler(generator_loss="minimax")
    if alpha == 1:
        return KullbackLeibler(generator_loss="minimax")
    return Alpha(alpha=alpha, generator_loss="minimax")
