"""The sliced Wasserstein distance between points (Bonneel 2015, doi 10.1007/s10851-014-0506-3, definition 8)."""

import math
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from gan_cli.datasets.base import Dataset, Density, Endless
from gan_cli.datasets.points import Points
from gan_cli.errors import NeedsError
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.distances import row_blocks
from gan_cli.metrics.needs import needs_samples
from gan_cli.metrics.subject import Subject
from gan_cli.randomness import stream
from gan_cli.ranges import Count


def directions(n: int, dimensions: int, seed: int) -> Tensor:
    """Unit vectors, uniform on the sphere, shape `(n, dimensions)`; on the line a single one."""
    if dimensions == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    source = torch.Generator().manual_seed(stream(seed, "directions"))
    return torch.nn.functional.normalize(torch.randn(n, dimensions, generator=source, dtype=torch.float64))


def projected_distances(x: Tensor, y: Tensor, onto: Tensor) -> Tensor:
    """W₁ between points x and y, both `(n, d)`, along each of the directions, `(m, d)`: shape `(m,)`.

    On a line the best transport keeps the order.
    """
    blocks = row_blocks(onto.to(x), len(x))
    return torch.cat([((b @ x.T).sort().values - (b @ y.T).sort().values).abs().mean(1) for b in blocks])


def potentials(x: Tensor, y: Tensor, onto: Tensor) -> tuple[Tensor, Tensor]:
    """How much each point moves the mean distance along the directions, times the number of points on its side.

    On a line W₁ = ∫|F − G|, so a point at x adds −∫ sign(F − G) up to x, a Kantorovich potential, and a point of y the
    opposite. Shapes `(n, d)`, `(m, d)` and `(directions, d)`; returns `(n,)` and `(m,)`.
    """
    points, n = torch.cat([x, y]), len(x)
    steps = torch.cat([torch.full((n,), 1 / n), torch.full((len(y),), -1 / len(y))]).to(x)
    moved = torch.zeros_like(steps)
    for block in row_blocks(onto.to(x), len(points)):
        along, order = (block @ points.T).sort()
        above = steps[order].cumsum(1)[:, :-1]  # F − G between neighbours
        potential = torch.nn.functional.pad(-(above.sign() * along.diff()).cumsum(1), (1, 0))
        moved += torch.empty_like(along).scatter_(1, order, potential).sum(0)
    moved /= len(onto)
    return moved[:n], -moved[n:]


def sliced_wasserstein(x: Tensor, y: Tensor, onto: Tensor) -> Measured:
    """The mean of the distances along directions, in the points' unit, and its standard error.

    The error covers the samples, by the delta method, and the directions.
    """
    x, y = x.double(), y.double()
    along = projected_distances(x, y, onto)
    of_samples = sum(moved.var(correction=0).item() / len(moved) for moved in potentials(x, y, onto))
    of_directions = along.var(correction=0).item() / len(along)
    return Measured(along.mean().item(), math.sqrt(of_samples + of_directions))


class SlicedWasserstein(Metric):
    """`sliced_wasserstein`: the mean W₁ along random directions between equally many generated and real points."""

    def __init__(self, samples: Annotated[int, Ge(2)], projections: Count) -> None:
        self.samples = samples
        self.projections = projections

    def check(self, dataset: Dataset) -> None:
        if not isinstance(dataset, Endless) or len(dataset.sample_shape) != 1:
            raise NeedsError("needs points", "dataset", lambda of: issubclass(of, Density | Points))
        needs_samples(dataset, 1)

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        onto = directions(self.projections, subject.dataset.sample_shape[0], subject.seed)
        fake = subject.fake(len(subject.reference(self.samples))).raw
        distance = sliced_wasserstein(subject.reference(len(fake)).raw, fake, onto)
        first, second = subject.pair(self.samples)
        floor = projected_distances(first.raw.double(), second.raw.double(), onto).mean().item()
        return {"sliced_wasserstein": Measured(distance.value, distance.error, floor)}
