"""Exact divergences between toy densities by quadrature, to hold a critic's estimate against."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.exact.quadrature import Lattice, in_float64, union, widened

PANELS = {1: 0.05, 2: 2.0}
"""The side of a panel of nodes, in deviations, by dimensions: on the line a small one can resolve a kink of f."""

SHELLS = 16
"""The most shells; each is half as wide again as the one before."""

TERMS = 4e9
"""The most kernels to evaluate: nodes times terms of the densities."""

Nodes = tuple[Tensor, Tensor, Tensor]
"""log p, log q and weights, of shape `(nodes,)` each, as `Divergence.exact` takes them."""


def between(divergence: Divergence, p: Density, q: Density) -> float:
    """The estimate of the best critic between two densities; `Pair` says when it is infinite and what it raises."""
    return Pair(p, q).divergence(divergence)


class Pair:
    """Two densities, computed once at nodes that serve every divergence between them."""

    def __init__(self, p: Density, q: Density) -> None:
        """Raises `ValueError` if they differ in the number of dimensions."""
        if p.sample_shape != q.sample_shape:
            raise ValueError(
                f"P has points of {p.sample_shape[0]} and Q of {q.sample_shape[0]} dimensions: choose two that agree"
            )
        self._p = p
        self._q = q
        self._shells: list[list[Nodes]] = []
        self._lattices = self._widening()

    def divergence(self, divergence: Divergence) -> float:
        """The estimate of the best critic; `math.inf` if it has no bound, or none that float64 can hold.

        Raises `ValueError` if the densities are too fine for the quadrature or their tails too heavy, and
        `NotImplementedError` if the divergence or a density has no closed form.
        """
        if self._p.support != self._q.support:
            return _of_disjoint(divergence)
        if self._p.support is not None:
            # Known distributions on one support are equal.
            one = torch.zeros(1, dtype=torch.float64)
            return divergence.exact(one, one, one + 1).item()
        total, value = 0.0, math.inf
        for index in range(SHELLS):
            before, value = value, sum(divergence.exact(*nodes).item() for nodes in self._shell(index))
            total += value
            if not math.isfinite(total):
                return math.inf
            if index > 1 and abs(value) <= 1e-12 * max(1.0, abs(total)):
                return total
        # Each shell holds more than the one before if p²/q, say, does not fall as p does.
        if abs(value) > abs(before):
            return math.inf
        raise ValueError(f"the tails are too heavy: {SHELLS} boxes about them do not hold all but a negligible part")

    def _shell(self, index: int) -> list[Nodes]:
        while len(self._shells) <= index:
            lattice = next(self._lattices)
            terms = lattice.size * (self._p.terms + self._q.terms)
            if terms > TERMS:
                raise ValueError(f"{terms:.1e} Gaussians to evaluate are too many: take fewer modes, or wider ones")
            nodes = [(self._p.log_density(x), self._q.log_density(x), weights) for x, weights in lattice]
            self._shells.append(nodes)
        return self._shells[index]

    def _widening(self) -> Iterator[Lattice]:
        """The box of the finer density, then the shell up to the coarser one's, then wider and wider shells."""
        finer, coarser = sorted((self._p, self._q), key=lambda density: density.resolution())
        box = in_float64(finer.box())
        panel = PANELS.get(len(box[0]), 2.0)
        shell = Lattice.over(box, panel * finer.resolution())
        yield shell
        box, side = union(shell.box, in_float64(coarser.box())), panel * coarser.resolution()
        while True:
            shell = Lattice.around(shell, box, side)
            yield shell
            box, side = widened(shell.box, 1.5), side * 1.5


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
