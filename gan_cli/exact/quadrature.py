"""Lattices of Gauss–Legendre nodes, to integrate over boxes and around them, finer where an integrand has a kink."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from numpy.polynomial.legendre import leggauss, legval
from torch import Tensor

NODES = 16_000_000
"""The most nodes that a lattice may have."""

NODES_PER_PANEL = 8
"""Nodes along each side: panels of two deviations give errors near 1e-9 for mixtures of Gaussians and smooth f."""

NODES_PER_PART = 4
"""Nodes along each side of the parts of a panel."""

PARTS = 4
"""Parts of a panel along each side, and of a part."""

LEVELS = 6
"""The most times that a panel is divided."""

KINK = 0.1
"""The largest error for |a − b| in a cell where the two cross, as a share of its integral: on the line 0.07 at most."""

Box = tuple[Tensor, Tensor]
"""Two corners, of shape `(dimensions,)` each."""


def in_float64(box: Box) -> Box:
    """The box in float64 and on the CPU, as lattices take it."""
    return box[0].double().cpu(), box[1].double().cpu()


def union(a: Box, b: Box) -> Box:
    """The smallest box around both."""
    return torch.minimum(a[0], b[0]), torch.maximum(a[1], b[1])


def widened(box: Box, factor: float) -> Box:
    """The box stretched about its middle."""
    middle, half = (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
    return middle - factor * half, middle + factor * half


@dataclass(frozen=True)
class Cells:
    """Boxes, each with a lattice of Gauss–Legendre nodes."""

    corners: Tensor
    """The lower ones, shape `(cells, dimensions)`."""
    sides: Tensor
    """The lengths of the sides, shape `(cells, dimensions)`."""
    nodes_per_side: int

    def nodes(self) -> tuple[Tensor, Tensor]:
        """All nodes and their weights: shapes `(cells, nodes, dimensions)` and `(cells, nodes)`."""
        on_line, weights_on_line = (torch.from_numpy(of) for of in leggauss(self.nodes_per_side))
        nodes, weights = (_power(of, self.corners.shape[1]) for of in ((on_line + 1) / 2, weights_on_line / 2))
        x = self.corners[:, None] + self.sides[:, None] * nodes
        return x, self.sides.prod(1, keepdim=True) * weights.prod(1)

    def split(self) -> Iterator["Cells"]:
        """All cells, a few thousand nodes at a time."""
        cells = max(1, 5_000 // self.nodes_per_side ** self.corners.shape[1])
        for corners, sides in zip(self.corners.split(cells), self.sides.split(cells), strict=True):
            if len(corners):
                yield Cells(corners, sides, self.nodes_per_side)

    def parts(self, chosen: Tensor) -> "Cells":
        """The parts of some of the cells, for a mask of shape `(cells,)`."""
        sides = self.sides[chosen, None] / PARTS
        steps = _power(torch.arange(PARTS), self.corners.shape[1])
        corners = self.corners[chosen, None] + sides * steps
        return Cells(corners.flatten(0, 1), sides.expand_as(corners).flatten(0, 1), NODES_PER_PART)

    @staticmethod
    def joined(cells: "Sequence[Cells]") -> "Cells":
        corners, sides = torch.cat([of.corners for of in cells]), torch.cat([of.sides for of in cells])
        return Cells(corners, sides, cells[0].nodes_per_side)


def _power(values: Tensor, dimensions: int) -> Tensor:
    """All tuples of values, shape `(tuples, dimensions)`."""
    return torch.cartesian_prod(*[values] * dimensions).reshape(-1, dimensions)


@dataclass(frozen=True)
class Lattice:
    """Square panels of Gauss–Legendre nodes that fill a box, less those that fill another in the middle of it."""

    low: Tensor
    """The lower corner, shape `(dimensions,)`, float64."""
    sides: Tensor
    """The sides of a panel, shape `(dimensions,)`."""
    panels: tuple[int, ...]
    """The number of panels along each dimension."""
    hollow: Box | None = None

    @classmethod
    def over(cls, box: Box, side: float) -> "Lattice":
        """Panels of about `side` over all of a box."""
        low, high = box
        panels = ((high - low) / side).ceil().clamp(min=1)
        return cls._of(low, (high - low) / panels, panels, None)

    @classmethod
    def around(cls, inner: "Lattice", box: Box, side: float) -> "Lattice":
        """Panels of about `side` that begin at the border of `inner` and reach at least that of the box."""
        low, high = inner.box
        across = ((high - low) / side).ceil().clamp(min=1)
        sides = (high - low) / across
        below = ((low - box[0]) / sides).ceil().clamp(min=0)
        above = ((box[1] - high) / sides).ceil().clamp(min=0)
        return cls._of(low - below * sides, sides, below + across + above, inner.box)

    @classmethod
    def _of(cls, low: Tensor, sides: Tensor, panels: Tensor, hollow: Box | None) -> "Lattice":
        nodes = (panels * NODES_PER_PANEL).prod()
        if not nodes <= NODES:
            raise ValueError(
                f"{nodes:.1e} nodes are too many to integrate over: take deviations and distances of one size, in one"
                " dimension or two"
            )
        return cls(low, sides, tuple(int(n) for n in panels), hollow)

    @property
    def box(self) -> Box:
        """The two corners of the box."""
        return self.low, self.low + self.sides * torch.tensor(self.panels)

    def cells(self) -> "Cells":
        """The panels, less those in the hollow."""
        starts = [
            low + side * torch.arange(panels)
            for low, side, panels in zip(self.low, self.sides, self.panels, strict=True)
        ]
        corners = torch.cartesian_prod(*starts).reshape(-1, len(starts))
        if self.hollow is not None:
            middles = corners + self.sides / 2
            corners = corners[((middles < self.hollow[0]) | (middles > self.hollow[1])).any(1)]
        return Cells(corners, self.sides.expand_as(corners), NODES_PER_PANEL)

    @property
    def size(self) -> int:
        """The number of nodes that fill the box, the hollow included."""
        return math.prod(panels * NODES_PER_PANEL for panels in self.panels)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All nodes and their weights, part by part: shapes `(n, dimensions)` and `(n,)`."""
        for some in self.cells().split():
            x, weights = some.nodes()
            yield x.flatten(0, 1), weights.flatten()


Nodes = tuple[Tensor, Tensor, Tensor]
"""Values of two functions, and weights, of shape `(nodes,)` each."""


def resolved(
    cells: Cells,
    functions: Callable[[Tensor], tuple[Tensor, Tensor]],
    gap: Callable[[Tensor, Tensor], Tensor],
    *,
    mass: Callable[[Tensor, Tensor], Tensor] | None = None,
    least: float,
    most: float,
) -> tuple[list[Nodes], float]:
    """Both functions a and b at the nodes of all cells, those of finer ones where the two cross or a − b has a kink.

    A cell where they cross is divided as long as the integral of `gap`, which is 0 where they are equal, exceeds
    `least`; any cell as long as that of `mass` does, times the highest term of a − b as a polynomial. Neither is if
    the finer nodes might be more than `most`. The second result is the integral of `gap` over all undivided cells
    where the two cross.
    """
    nodes: list[Nodes] = []
    unresolved = 0.0
    for level in range(LEVELS + 1):
        deeper = level < LEVELS and len(cells.corners) * (PARTS * NODES_PER_PART) ** cells.corners.shape[1] <= most
        finer = []
        for some in cells.split():
            x, weights = some.nodes()
            a, b = (values.reshape(weights.shape) for values in functions(x.flatten(0, 1)))
            held = torch.where(_cross(a, b), (weights * gap(a, b)).sum(1), 0.0)
            divided = held > least
            if mass is not None:
                divided |= (weights * mass(a, b)).sum(1) * _highest_term(a, b, some.nodes_per_side) > least
            divided &= torch.tensor(deeper)
            unresolved += held[~divided].sum().item()
            nodes.append((a[~divided].flatten(), b[~divided].flatten(), weights[~divided].flatten()))
            finer.append(some.parts(divided))
        if not any(len(some.corners) for some in finer):
            break
        cells = Cells.joined(finer)
    return nodes, unresolved


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Whether a − b may change its sign in each cell, its nodes continued to the borders in straight lines."""
    difference = torch.where(a == b, 0.0, a - b).clamp(-1e3, 1e3)
    low, high = difference.amin(1), difference.amax(1)
    margin = (high - low) / 10
    return (low - margin < 0) & (high + margin > 0)


def _highest_term(a: Tensor, b: Tensor, nodes_per_side: int) -> Tensor:
    """The largest of the last two Legendre coefficients of a − b along any side of each cell, over 1 + |a − b|.

    It is 0 for the logarithm of a ratio of two Gaussians, which is quadratic, and large where one mode of a mixture
    gives way to another. It is 0 as well in a cell where either function is infinite.
    """
    difference = torch.where(a == b, 0.0, a - b)
    finite = difference.isfinite().all(1)
    dimensions = round(math.log(a.shape[1], nodes_per_side))
    lattice = difference.where(finite[:, None], 0.0).reshape(-1, *[nodes_per_side] * dimensions)
    nodes, weights = leggauss(nodes_per_side)
    # Four nodes hold the quadratic terms: their last but one coefficient is no sign of a kink.
    degrees = [nodes_per_side - 1, nodes_per_side - 2][: nodes_per_side // 4]
    highest = torch.zeros(len(a), dtype=a.dtype)
    for degree in degrees:
        projection = torch.from_numpy(weights * legval(nodes, [0] * degree + [degree + 0.5]))
        for axis in range(dimensions):
            along = lattice.movedim(axis + 1, -1) @ projection
            highest = torch.maximum(highest, along.abs().reshape(len(a), -1).amax(1))
    return highest / (1 + lattice.abs().reshape(len(a), -1).amax(1))
