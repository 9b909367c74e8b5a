"""The earth mover's distance W₁: exact on the line and between parallel lines, else by optimal transport of samples."""

import math
from contextlib import suppress

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import ParallelLines
from gan_cli.exact.estimated import Estimated
from gan_cli.exact.quadrature import KINK, NODES_PER_PANEL, Cells, Lattice, in_float64, resolved

TRANSPORTED = 1000
"""The most samples of either side, because the cost of optimal transport grows with their cube."""

PANEL = 0.5
"""The side of a panel of nodes, in deviations."""

RESOLVED = 1e-12
"""The part of W₁ up to which a cell where the two CDFs cross is not divided, as a share of the box."""


def between(p: Density, q: Density | None, of_p: Tensor, of_q: Tensor) -> Estimated:
    """W₁ between P and Q by `exactly`, or where Q is unknown or there is no closed form by `of_samples`."""
    if q is not None:
        with suppress(NotImplementedError):
            return exactly(p, q)
    return of_samples(of_p, of_q)


def exactly(p: Density, q: Density) -> Estimated:
    """W₁ in closed form, or by quadrature with a bound of its error.

    Raises `NotImplementedError` if there is neither, and `ValueError` if the densities are too fine for quadrature.
    """
    match p, q:
        case ParallelLines(position=left), ParallelLines(position=right):
            return Estimated(abs(left - right), 0.0)
        case _ if p.sample_shape == q.sample_shape == (1,):
            return _on_the_line(p, q)
        case _:
            raise NotImplementedError("W₁ has a closed form on the line and between parallel lines only")


def _on_the_line(p: Density, q: Density) -> Estimated:
    """∫|F_P − F_Q|, over panels that are fine where either density is."""
    edges = torch.cat([_edges(p), _edges(q)]).unique()
    cells = Cells(edges[:-1, None], edges.diff()[:, None], NODES_PER_PANEL)
    least = RESOLVED * (edges[-1] - edges[0]).item()
    nodes, unresolved = resolved(cells, lambda x: (p.cdf(x), q.cdf(x)), _gap, least=least, most=math.inf)
    value = sum((weights * _gap(of_p, of_q)).sum().item() for of_p, of_q, weights in nodes)
    return Estimated.within(value, KINK * unresolved)


def _edges(density: Density) -> Tensor:
    lattice = Lattice.over(in_float64(density.box()), PANEL * density.resolution())
    return lattice.low + lattice.sides * torch.arange(lattice.panels[0] + 1)


def _gap(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs()


def of_samples(of_p: Tensor, of_q: Tensor) -> Estimated:
    """W₁ between equally many samples, half of those given or 1,000: on average it is above the exact value.

    The interval reaches as far as two such samples of P are apart, and two of Q, added up: the mean excess is less, by
    the triangle inequality.
    """
    n = min(TRANSPORTED, len(of_p) // 2, len(of_q) // 2)
    bound = sum(_transport(of[:n], of[n : 2 * n]) for of in (of_p, of_q))
    return Estimated.within(_transport(of_p[:n], of_q[:n]), bound)


def _transport(a: Tensor, b: Tensor) -> float:
    # Between samples of equal size the best transport moves each point whole (Birkhoff).
    cost = torch.cdist(a.double().cpu(), b.double().cpu()).numpy()
    return float(cost[linear_sum_assignment(cost)].mean())
