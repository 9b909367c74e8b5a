"""Lattices of Gauss–Legendre nodes, to integrate over boxes and around them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

NODES = 16_000_000
"""The most nodes that a lattice may have."""

NODES_PER_PANEL = 8
"""Nodes along each side: panels of two deviations give errors near 1e-9 for mixtures of Gaussians and smooth f."""

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

    @property
    def size(self) -> int:
        """The number of nodes that fill the box, the hollow included."""
        return math.prod(panels * NODES_PER_PANEL for panels in self.panels)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All nodes and their weights, part by part: shapes `(n, dimensions)` and `(n,)`."""
        nodes, weights = (torch.from_numpy(of) for of in leggauss(NODES_PER_PANEL))
        axes, axis_weights = [], []
        for low, side, panels in zip(self.low, self.sides, self.panels, strict=True):
            axes.append((low + side * (torch.arange(panels)[:, None] + (nodes + 1) / 2)).flatten())
            axis_weights.append((side / 2 * weights).repeat(panels))
        shape = [len(axis) for axis in axes]
        for flat in torch.arange(math.prod(shape)).split(5_000):
            indices = torch.unravel_index(flat, shape)
            x = torch.stack([axis[index] for axis, index in zip(axes, indices, strict=True)], dim=1)
            weight = math.prod(of[index] for of, index in zip(axis_weights, indices, strict=True))
            if self.hollow is not None:
                outside = ((x < self.hollow[0]) | (x > self.hollow[1])).any(1)
                x, weight = x[outside], weight[outside]
            if len(x):
                yield x, weight
