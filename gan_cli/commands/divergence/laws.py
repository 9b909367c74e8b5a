"""Properties that follow from the mathematics of a divergence, each measured as the largest error in float64.

An f-divergence is right if its conjugate, its activation and their composition are those of its f (f-GAN, Nowozin 2016,
arXiv 1606.00709, eq. 4–6): everything here is derived from f alone and compared with what the class says.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from gan_cli.commands.divergence.calculus import Function, largest, maximiser, share, slope
from gan_cli.commands.divergence.law import LAWS as LAWS
from gan_cli.commands.divergence.law import law
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.divergences.strictly_convex import StrictlyConvex

Form = Literal["minimax", "non_saturating"]

RATIOS = torch.logspace(-3, 3, 60, dtype=torch.float64)
"""Values of u = p/q; their number is even to leave out u = 1, where most f are 0 and no relative error is defined."""

SCORES = torch.linspace(-12, 12, 241, dtype=torch.float64)

REACH = 150.0
"""Scores are searched as v = sinh(s) for |s| up to this, which is |v| up to 7e64."""


@law("identity", FDivergence, 1e-6)
def identity(divergence: FDivergence) -> float:
    """The largest u·g_f(v) − f*(g_f(v)) over v is f(u), for u from 1e-3 to 1e3, relative to f(u)."""
    u = RATIOS[:, None]

    def bound(s: Tensor) -> Tensor:
        v = s.sinh()
        return u * divergence.activation(v) - divergence.conjugate_of_activation(v)

    f = divergence.f(RATIOS)
    best = maximiser(bound, -REACH, REACH, len(RATIOS))
    return largest((bound(best[:, None])[:, 0] - f) / f)


@law("conjugate", FDivergence, 1e-6)
def conjugate(divergence: FDivergence) -> float:
    """f*(t) is the largest ut − f(u) over u ≥ 0, for t = g_f(v) and |v| ≤ 12, relative to 1 + |f*|."""
    t = divergence.activation(SCORES)[:, None]

    def gain(log_u: Tensor) -> Tensor:
        return log_u.exp() * t - divergence.f(log_u.exp())

    log_u = maximiser(gain, -345, 345, len(SCORES))
    attained = gain(log_u[:, None])[:, 0]
    stated = divergence.conjugate(t[:, 0])
    # Where the best u is out of reach, f* is above what was found.
    passed = (log_u > 344) & (attained <= stated)
    return largest(torch.where(passed, 0.0, attained - stated) / (1 + stated.abs()))


@law("domain", FDivergence, 1e-6)
def domain(divergence: FDivergence) -> float:
    """g_f stays inside the domain of f*, which ends at the slope of f at infinity."""
    low, high = divergence.conjugate_domain
    t = divergence.activation(torch.cat([SCORES, torch.linspace(-REACH, REACH, 301, dtype=torch.float64).sinh()]))
    outside = largest(torch.where((t < low) | (t > high), t - t.clamp(low, high), 0.0))
    true_end = slope_at_infinity(divergence)
    beside = 0.0 if true_end == high else abs(true_end - high) / (1 + abs(high))
    return max(outside, math.inf if math.isnan(beside) else beside)


@law("slopes", FDivergence, 1e-6)
def slopes(divergence: FDivergence) -> float:
    """g_f takes every value of f′(u), for u from 1e-3 to 1e3, relative to 1 + |f′|."""
    t = slope(divergence.f, RATIOS)
    return largest((divergence.activation(score_of(divergence, t)) - t) / (1 + t.abs()))


@law("increases", FDivergence, 0.0)
def increases(divergence: FDivergence) -> float:
    """g_f increases: the share of steps between −12 and 12 over which it does not."""
    return share(divergence.activation(SCORES).diff() > 0)


@law("convex", FDivergence, 1e-12)
def convex(divergence: FDivergence) -> float:
    """f lies below its chords, relative to their height."""
    generator = torch.Generator().manual_seed(0)
    u, w = torch.rand(2, 1000, generator=generator, dtype=torch.float64).mul(6).sub(3).exp()
    chord = (divergence.f(u) + divergence.f(w)) / 2
    return largest(((divergence.f((u + w) / 2) - chord) / (1 + chord.abs())).relu())


@law("f′(1)", FDivergence, 1e-9)
def slope_at_one(divergence: FDivergence) -> float:
    """The derivative of f at 1 is the stated one; at a kink, the middle of its subgradients."""
    return largest(slope(divergence.f, torch.ones(1, dtype=torch.float64)) - divergence.f_prime_at_one)


@law("inverse", FDivergence, 1e-6)
def inverse(divergence: FDivergence) -> float | None:
    """The derivative of f* at f′(u) is u, relative to u, where f is not nearly straight."""
    u = _where_f_bends(divergence)
    if not len(u):
        return None
    return largest((slope(divergence.conjugate, slope(divergence.f, u)) - u) / u)


@law("best v", FDivergence, 1e-6)
def best_score(divergence: FDivergence) -> float | None:
    """u·g_f(v) − f*(g_f(v)) is stationary where g_f(v) = f′(u), relative to the slopes of its terms."""
    u = _where_f_bends(divergence)
    if not len(u):
        return None
    v = score_of(divergence, slope(divergence.f, u))
    return _difference(u * slope(divergence.activation, v), slope(divergence.conjugate_of_activation, v))


@law("stable", FDivergence, 1e-6)
def stable_form(divergence: FDivergence) -> float:
    """The composition f*∘g_f is that of its parts, for |v| ≤ 12, relative to 1 + |f*|."""
    composed = divergence.conjugate(divergence.activation(SCORES))
    stated = divergence.conjugate_of_activation(SCORES)
    return largest(torch.where(stated == composed, 0.0, (stated - composed) / (1 + composed.abs())))


@law("generator", FDivergence, 1e-9)
def generator(divergence: FDivergence) -> float:
    """The gradient of minimax is that of the estimate; of non_saturating, that of E_Q[−g_f(v)]."""
    v, other = SCORES[::10], torch.zeros(1, dtype=torch.float64)
    by_fake = slope(partial(divergence.estimate, other), v)
    by_real = slope(lambda real: divergence.estimate(real, other), v)
    descended: dict[Form, Tensor] = {"minimax": by_fake, "non_saturating": -by_real}
    errors = [
        _difference(slope(partial(_with(divergence, form).generator_objective, real=None), v), gradient)
        for form, gradient in descended.items()
    ]
    return max(errors)


@law("descended", FDivergence, 1e-9)
def descended(divergence: FDivergence) -> float | None:
    """f′ is uh′ − h up to a constant, for the sum h that non_saturating is said to descend, relative to their sizes."""
    try:
        terms = divergence.descended()
    except NotImplementedError:
        return None
    u = torch.cat([torch.ones(1, dtype=torch.float64), RATIOS])
    conjugates = [weight * (u * slope(term.f, u) - term.f(u)) for weight, term in terms]
    # Its second derivative is that of the divergence: f′ is what the generator ascends, uh′ − h what h would have it.
    excess = sum(conjugates) - slope(divergence.f, u)
    size = sum(part.abs() for part in conjugates) + slope(divergence.f, u).abs()
    return largest((excess - excess[0]) / (1 + size))


@law("ratio", StrictlyConvex, 1e-12)
def ratio(divergence: StrictlyConvex) -> float:
    """Under link=ratio g_f(v) is f′(u) for the u > 0 with u − 1/u = v, so that a score of 0 stands for P = Q."""
    larger = (SCORES.abs() + (SCORES.square() + 4).sqrt()) / 2
    u = torch.where(SCORES < 0, 1 / larger, larger)
    t = slope(divergence.f, u)
    return largest((replace(divergence, link="ratio").activation(SCORES) - t) / (1 + t.abs()))


@law("direction", Divergence, 0.0)
def direction(divergence: Divergence) -> float:
    """Where fake scores are below real ones, higher real and lower fake ones pay for the critic, and higher fake ones
    for the generator: the share that do not."""
    fake, real = torch.combinations(torch.linspace(0.1, 0.9, 9, dtype=torch.float64)).unbind(1)
    forms = [_with(divergence, "minimax"), _with(divergence, "non_saturating")]
    gains = [
        slope(partial(_of_alike, divergence.estimate, b=fake), real),
        -slope(partial(_of_alike, divergence.estimate, real), fake),
        *(-slope(partial(_of_alike, form.generator_objective, b=real), -fake) for form in forms),
    ]
    return share(torch.stack([(gain >= 0) & (gain > 0).any() for gain in gains]))


@law("optimum", Divergence, 1e-6)
def optimum(divergence: Divergence) -> float | None:
    """The largest estimate, for P = (4, 2, 1, 1)/8 and Q = (1, 1, 2, 4)/8, is the stated exact value."""
    if divergence.pairs_samples:
        return None  # its estimate is no sum over points, which are searched one at a time
    p, q = torch.tensor([[4, 2, 1, 1], [1, 1, 2, 4]])
    try:
        log_p, log_q = (counts.double().div(8).log() for counts in (p, q))
        stated = divergence.exact(log_p, log_q, torch.ones_like(log_p))
    except NotImplementedError:
        return None

    def estimate(v: Tensor) -> Tensor:
        return divergence.estimate(v.repeat_interleave(p), v.repeat_interleave(q))

    def improved(best: Tensor, changed: Tensor) -> Tensor:
        def by_score(s: Tensor) -> Tensor:
            return torch.stack([estimate(torch.where(changed, v, best)) for v in s.sinh()[0]])[None]

        return torch.where(changed, maximiser(by_score, -15, 15, rows=1, points=65, rounds=5).sinh(), best)

    # The best constant first; then, since the estimate is a sum over points, the best score of each by itself.
    best = torch.zeros_like(log_p)
    for changed in (torch.ones(4), *torch.eye(4)):
        best = improved(best, changed > 0)
    return largest((estimate(best) - stated) / (1 + stated.abs()))


@law("float32", Divergence, 16.0)
def float32(divergence: Divergence) -> float:
    """Values F and gradients in float32, for |v| ≤ 80 where they fit it, in units of eps·(1 + |F| + |v F′(v)|)."""
    return rounding(divergence, torch.float32)


@law("bfloat16", Divergence, 16.0)
def bfloat16(divergence: Divergence) -> float:
    """The same in bfloat16."""
    return rounding(divergence, torch.bfloat16)


def rounding(divergence: Divergence, dtype: torch.dtype) -> float:
    """The largest error of what training computes from a score; infinite if that is infinite without a reason."""
    limits = torch.finfo(dtype)
    v = torch.linspace(-80, 80, 81).to(dtype)
    exact_v = v.double()
    step = 1e-4 * (1 + exact_v.abs())
    errors = []
    for term in _terms(divergence):
        value, gradient = term(exact_v), slope(term, exact_v)
        curvature = (slope(term, exact_v + step) - slope(term, exact_v - step)) / (2 * step)
        for computed, exact, derivative in ((term(v), value, gradient), (slope(term, v), gradient, curvature)):
            unit = limits.eps * (1 + exact.abs() + (exact_v * derivative).abs())
            too_large = (value.abs() > 1e-3 * limits.max) | (gradient.abs() > 1e-3 * limits.max)
            errors.append(torch.where(too_large, 0.0, (computed.double() - exact) / unit))
    return largest(torch.cat(errors))


def _terms(divergence: Divergence) -> list[Function]:
    """What a sample's score contributes to the estimate and to the generator's objective, elementwise."""
    if isinstance(divergence, FDivergence):
        return [divergence.activation, divergence.conjugate_of_activation]

    return [
        lambda v: _of_alike(divergence.estimate, v, torch.zeros_like(v)),
        lambda v: _of_alike(divergence.estimate, torch.zeros_like(v), v),
        lambda v: _of_alike(divergence.generator_objective, v, torch.zeros_like(v)),
    ]


def _of_alike(function: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """The function of two samples of each side with the scores a and b, elementwise: one would make no pair."""
    return torch.stack([function(one.expand(2), other.expand(2)) for one, other in zip(a, b, strict=True)])


def _with(divergence: Divergence, form: Form) -> Divergence:
    """The divergence with another objective of the generator, if it has several."""
    return replace(divergence, generator_loss=form) if isinstance(divergence, FDivergence) else divergence


def _where_f_bends(divergence: FDivergence) -> Tensor:
    """The ratios u at which f bends: a straight f gives f* a corner without a derivative, and a slope without a u."""
    low, high = slope(divergence.f, RATIOS), slope(divergence.f, 1.01 * RATIOS)
    return RATIOS[high - low > 1e-9 * (1 + low.abs())]


def _difference(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to the sum of both sizes."""
    size = a.abs() + b.abs()
    return largest(torch.where(a == b, 0.0, (a - b) / size))


def slope_at_infinity(divergence: FDivergence) -> float:
    """The limit of f′(u), from its values up to u = 1e150 by Aitken's extrapolation, which is exact for powers."""
    x, y, z = slope(divergence.f, torch.tensor([1e100, 1e125, 1e150], dtype=torch.float64)).tolist()
    first, second = y - x, z - y
    if abs(second) <= 1e-9 * (1 + abs(z)):
        return float(z)
    if z == math.inf or abs(second) >= abs(first) * (1 - 1e-9):
        return math.inf if z == math.inf else math.copysign(math.inf, second)
    return float(z + second**2 / (first - second))


def score_of(divergence: FDivergence, t: Tensor) -> Tensor:
    """The raw score v with g_f(v) = t, by bisection."""
    low, high = torch.full_like(t, -REACH), torch.full_like(t, REACH)
    for _ in range(80):
        middle = (low + high) / 2
        below = divergence.activation(middle.sinh()) < t
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return ((low + high) / 2).sinh()
