"""The Gaussians that fit known data on the line best, by any objective: a search for all global optima."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.optimize import minimize

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Gaussian

MEANS = (16, 128)
"""The fewest and the most means of the grid; between the two, one for every two deviations of the finest mode."""

RATIO = 1.5
"""One deviation of the grid over the one before."""

STARTS = 8
"""The most optima of the grid to polish, the best first."""

TIE = 1e-5
"""Values count as equal within this, as a share of those above 1: the quadrature's error differs between optima."""

SAME = 0.01
"""Two fits are one if mean and deviation differ by less, in deviations."""


@dataclass(frozen=True)
class Fit:
    """N(mean, deviation²) and the objective there."""

    mean: float
    deviation: float
    value: float


def best_gaussians(objective: Callable[[Gaussian], float], data: Density) -> list[Fit]:
    """All Gaussians at which the objective is least, by their means: several where optima tie.

    The grid covers the box of the data, with deviations from that of the finest mode to a quarter of the box. Its local
    optima are polished by Nelder–Mead. The objective may be infinite, but not everywhere: then raises `ValueError`.
    """
    low, high = (corner.item() for corner in data.box())
    finest = data.resolution()

    def fit(point: np.ndarray) -> Fit:
        """The fit at a mean and the logarithm of a deviation, both in terms of the finest mode."""
        mean, deviation = low + finest * float(point[0]), finest * math.exp(float(point[1]))
        return Fit(mean, deviation, objective(Gaussian([mean], deviation)))

    def polished(start: np.ndarray) -> Fit:
        simplex = start + np.array([[0, 0], [1, 0], [0, 1]]) * steps / 2
        options = {"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-10}
        return fit(minimize(lambda point: fit(point).value, start, method="Nelder-Mead", options=options).x)

    width = (high - low) / finest
    grid, steps = _grid(width)
    fits = [polished(start) for start in _local_optima(grid, lambda point: fit(point).value)]
    least = min(found.value for found in fits)
    best: list[Fit] = []
    for found in fits:
        if found.value - least <= TIE * max(1.0, abs(least)) and all(_differ(found, other) for other in best):
            best.append(found)
    return sorted(best, key=lambda found: found.mean)


def _grid(width: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (mean, log deviation) of shape `(means, deviations, 2)`, and the steps along both."""
    fewest, most = MEANS
    means = np.linspace(0, width, min(max(math.ceil(width / 2), fewest), most))
    widest = math.log(max(width / 4, RATIO))
    deviations = np.linspace(0, widest, 1 + math.ceil(widest / math.log(RATIO)))
    grid = np.stack(np.meshgrid(means, deviations, indexing="ij"), axis=-1)
    return grid, grid[1, 1] - grid[0, 0]


def _local_optima(grid: np.ndarray, objective: Callable[[np.ndarray], float]) -> np.ndarray:
    """The points of the grid that none of their neighbours beats, the best first."""
    values = np.array([[objective(point) for point in row] for row in grid])
    if not np.isfinite(values).any():
        raise ValueError("the objective is infinite for every Gaussian")
    optima = (values == minimum_filter(values, size=3, mode="nearest")) & np.isfinite(values)
    best: np.ndarray = grid[optima][np.argsort(values[optima])][:STARTS]
    return best


def _differ(a: Fit, b: Fit) -> bool:
    apart = max(abs(a.mean - b.mean), abs(a.deviation - b.deviation))
    return apart > SAME * min(a.deviation, b.deviation)
