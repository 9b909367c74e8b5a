"""Exact divergences between toy densities by quadrature, to hold a critic's estimate against."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.exact.estimated import Estimated
from gan_cli.exact.quadrature import KINK, Lattice, Nodes, in_float64, resolved, union, widened

PANELS = {1: 0.25, 2: 2.0}
"""The side of a panel of nodes, in deviations, by dimensions."""

COARSER = 1.5
"""The side of a panel over that of the panels that give the value, where an error is asked for."""

ASIDE = 0.382
"""How far the panels are from being symmetric, as a share of a panel."""

SHELLS = 16
"""The most shells; each is half as wide again as the one before."""

TERMS = 4e9
"""The most kernels to evaluate: nodes times terms of the densities."""

RESOLVED = 1e-8
"""The integral of |p − q| up to which a cell where p and q cross is not divided, and that of p + q times a kink."""

REFINED = 5e7
"""The most nodes to divide cells into at a time."""


def between(divergence: Divergence, p: Density, q: Density) -> float:
    """The estimate of the best critic between two densities; `Pair` says when it is infinite and what it raises."""
    return Pair(p, q).value(divergence)


class Pair:
    """Two densities, computed once at nodes that serve every divergence between them."""

    def __init__(self, p: Density, q: Density, coarseness: float = 1.0) -> None:
        """`coarseness` stretches all panels. Raises `ValueError` if they differ in the number of dimensions."""
        if p.sample_shape != q.sample_shape:
            raise ValueError(
                f"P has points of {p.sample_shape[0]} and Q of {q.sample_shape[0]} dimensions: choose two that agree"
            )
        self._p = p
        self._q = q
        self._coarseness = coarseness
        self._shells: list[tuple[list[Nodes], float]] = []
        self._lattices = self._widening()

    @cached_property
    def _coarser(self) -> "Pair":
        return Pair(self._p, self._q, COARSER * self._coarseness)

    def divergence(self, divergence: Divergence) -> Estimated:
        """The value within what coarser panels change, and a bound of what a kink of f costs, at u = 1.

        Raises as `value` does.
        """
        found = self._integrated(divergence)
        if math.isinf(found.value):
            return found
        coarser = self._coarser.value(divergence)
        return Estimated.within(found.value, found.half_width + abs(found.value - coarser))

    def value(self, divergence: Divergence) -> float:
        """The estimate of the best critic; `math.inf` if it has no bound, or none that float64 can hold.

        Raises `ValueError` if the densities are too fine for the quadrature or their tails too heavy, and
        `NotImplementedError` if the divergence or a density has no closed form.
        """
        return self._integrated(divergence).value

    def _integrated(self, divergence: Divergence) -> Estimated:
        """The value, with the bound of what a kink of f costs, as that of total variation does."""
        if self._p.support != self._q.support:
            return Estimated(_of_disjoint(divergence), 0.0)
        if self._p.support is not None:
            # Known distributions on one support are equal.
            one = torch.zeros(1, dtype=torch.float64)
            return Estimated(divergence.exact(one, one, one + 1).item(), 0.0)
        kink = _kink(divergence)
        total, bound, value = 0.0, 0.0, math.inf
        for index in range(SHELLS):
            shell, unresolved = self._shell(index)
            before, value = value, sum(_integral(divergence, nodes) for nodes in shell)
            total += value
            bound += KINK * kink / 2 * unresolved
            if not math.isfinite(total):
                return Estimated(math.inf, 0.0)
            if index > 1 and abs(value) <= 1e-12 * max(1.0, abs(total)):
                return Estimated.within(total, bound).raised(divergence.power)
        # Each shell holds more than the one before if p²/q, say, does not fall as p does.
        if abs(value) > abs(before):
            return Estimated(math.inf, 0.0)
        raise ValueError(f"the tails are too heavy: {SHELLS} boxes about them do not hold all but a negligible part")

    def _shell(self, index: int) -> tuple[list[Nodes], float]:
        """log p, log q and weights, as `Divergence.exact` takes them, and the integral of |p − q| left unresolved."""
        while len(self._shells) <= index:
            lattice = next(self._lattices)
            each = self._p.terms + self._q.terms
            terms = lattice.size * each
            if terms > TERMS:
                raise ValueError(f"{terms:.1e} Gaussians to evaluate are too many: take fewer modes, or wider ones")
            most = min(REFINED, TERMS / each)
            shell = resolved(lattice.cells(), self._log_densities, _gap, mass=_mass, least=RESOLVED, most=most)
            self._shells.append(shell)
        return self._shells[index]

    def _log_densities(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._p.log_density(x), self._q.log_density(x)

    def _widening(self) -> Iterator[Lattice]:
        """The box of the finer density, then the shell up to the coarser one's, then wider and wider shells."""
        finer, coarser = sorted((self._p, self._q), key=lambda density: density.resolution())
        low, high = in_float64(finer.box())
        panel = self._coarseness * PANELS.get(len(low), 2.0)
        side = panel * finer.resolution()
        # Off the middle, since nodes at both sides of an axis of symmetry would miss a narrow kink that lies on it.
        shell = Lattice.over((low - ASIDE * side, high), side)
        yield shell
        box, side = union(shell.box, in_float64(coarser.box())), panel * coarser.resolution()
        while True:
            shell = Lattice.around(shell, box, side)
            yield shell
            box, side = widened(shell.box, 1.5), side * 1.5


def _mass(log_p: Tensor, log_q: Tensor) -> Tensor:
    return log_p.exp() + log_q.exp()


def _gap(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() - log_q.exp()).abs()


def _integral(divergence: Divergence, nodes: Nodes) -> float:
    """What adds up over nodes: the exact value, or its root."""
    integral: float = divergence.exact(*nodes).item() ** (1 / divergence.power)
    return integral


def _kink(divergence: Divergence) -> float:
    """The jump of the slope of f at u = 1; 0 for smooth f."""
    step = 1e-6
    u = torch.tensor([1 + step, 1 - step, 1.0], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    above, below, at_one = (_integral(divergence, (log_u, one.log(), one)) for log_u in u.log().split(1))
    jump = abs(above + below - 2 * at_one) / step
    # The curvature of a smooth f makes a jump of f″(1)·step.
    return jump if jump > 1e3 * step else 0.0


def _of_disjoint(divergence: Divergence) -> float:
    if isinstance(divergence, FDivergence):
        return divergence.of_disjoint
    apart = torch.tensor([0.0, -math.inf], dtype=torch.float64)
    return divergence.exact(apart, apart.flip(0), torch.ones_like(apart)).item()


def bound(divergence: FDivergence, critic: Callable[[Tensor], Tensor], p: Density, q: Density) -> float:
    """A critic's estimate with integrals instead of means: at most the exact divergence."""
    lattice = Lattice.over(union(in_float64(p.box()), in_float64(q.box())), min(p.resolution(), q.resolution()))
    total = 0.0
    for x, weights in lattice:
        scores = critic(x.float()).double()
        data = p.log_density(x).exp() * divergence.activation(scores)
        model = q.log_density(x).exp() * divergence.conjugate_of_activation(scores)
        total += (weights * (data - model)).sum().item()
    return total
