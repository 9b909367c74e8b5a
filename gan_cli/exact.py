"""Exact divergences between toy densities by quadrature: what a critic's estimate can be held against."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.quadrature import Lattice, in_float64, union, widened

PANELS = {1: 0.05, 2: 2.0}
"""The side of a panel of nodes by dimensions, in deviations: on the line there is room to resolve a kink of f."""

LogDensity = Callable[[Tensor], Tensor]


def between(divergence: Divergence, p: Density, q: Density) -> float:
    """The estimate of the best critic between two densities, `math.inf` where it has no bound.

    Raises `ValueError` where they cannot be compared, or are too fine for the quadrature, and `NotImplementedError`
    where the divergence or a density has no closed form.
    """
    if p.sample_shape != q.sample_shape:
        raise ValueError(
            f"P has points of {p.sample_shape[0]} and Q of {q.sample_shape[0]} dimensions: choose two that agree"
        )
    if p.support != q.support:
        return _of_disjoint(divergence)
    if p.support is not None:
        # On one support only distributions that are equal are known.
        one = torch.zeros(1, dtype=torch.float64)
        return divergence.exact(one, one, one + 1).item()
    finer, coarser = sorted((p, q), key=lambda density: density.resolution())
    return _integral(divergence, p.log_density, q.log_density, finer, coarser)


def _of_disjoint(divergence: Divergence) -> float:
    if isinstance(divergence, FDivergence):
        return divergence.of_disjoint
    apart = torch.tensor([0.0, -math.inf], dtype=torch.float64)
    return divergence.exact(apart, apart.flip(0), torch.ones_like(apart)).item()


def _integral(divergence: Divergence, log_p: LogDensity, log_q: LogDensity, finer: Density, coarser: Density) -> float:
    """First where the finer density lies, then around it, then in wider and wider shells until they are negligible.

    Where p²/q, say, falls more slowly than p, the shells matter; where it does not fall, the integral is infinite.
    """
    box = in_float64(finer.box())
    panel = PANELS.get(len(box[0]), 2.0)
    inner = Lattice.over(box, panel * finer.resolution())
    total = _sum(divergence, log_p, log_q, inner)
    box, side = union(inner.box, in_float64(coarser.box())), panel * coarser.resolution()
    value = math.inf
    for _ in range(16):
        before = value
        shell = Lattice.around(inner, box, side)
        value = _sum(divergence, log_p, log_q, shell)
        total += value
        if not math.isfinite(total):
            return total
        if abs(value) <= 1e-12 * max(1.0, abs(total)) and before < math.inf:
            return total
        inner, box, side = shell, widened(shell.box, 1.5), side * 1.5
    return math.inf


def _sum(divergence: Divergence, log_p: LogDensity, log_q: LogDensity, lattice: Lattice) -> float:
    return sum(divergence.exact(log_p(x), log_q(x), weights).item() for x, weights in lattice)
