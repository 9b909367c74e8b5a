"""The sliced Wasserstein distance between points (Bonneel 2015, doi 10.1007/s10851-014-0506-3, definition 8)."""

import math
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from gan_cli.datasets.base import Dataset, Density, Endless
from gan_cli.divergences.base import Divergence
from gan_cli.errors import NeedsError
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.distances import row_blocks
from gan_cli.metrics.subject import Subject
from gan_cli.randomness import stream
from gan_cli.ranges import Count

PARTS = 20
"""Parts of the samples, whose spread gives the standard error."""


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


def sliced_wasserstein(x: Tensor, y: Tensor, onto: Tensor) -> Measured:
    """The mean of the distances along directions, in the points' unit, and its standard error.

    The error covers the samples, by the spread of the same distance between parts of them, and the directions.
    """
    x, y = x.double(), y.double()
    along = projected_distances(x, y, onto)
    parts = zip(x.tensor_split(PARTS), y.tensor_split(PARTS), strict=True)
    spread = torch.stack([projected_distances(p, q, onto).mean() for p, q in parts]).var() / PARTS
    of_directions = along.var(correction=0) / len(along)
    return Measured(along.mean().item(), math.sqrt(spread.item() + of_directions.item()))


class SlicedWasserstein(Metric):
    """`sliced_wasserstein`: the mean W₁ along random directions between equally many generated and real points."""

    def __init__(self, samples: Annotated[int, Ge(2 * PARTS)], projections: Count) -> None:
        self.samples = samples
        self.projections = projections

    def check(self, dataset: Dataset, divergence: Divergence) -> None:
        if not isinstance(dataset, Endless) or len(dataset.sample_shape) != 1:
            raise NeedsError("needs points", "dataset", lambda of: issubclass(of, Density))

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        onto = directions(self.projections, subject.dataset.sample_shape[0], subject.seed)
        distance = sliced_wasserstein(subject.reference(self.samples).raw, subject.fake(self.samples).raw, onto)
        first, second = subject.pair(self.samples)
        floor = projected_distances(first.raw.double(), second.raw.double(), onto).mean().item()
        return {"sliced_wasserstein": Measured(distance.value, distance.error, floor)}
