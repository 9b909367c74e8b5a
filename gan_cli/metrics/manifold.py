"""Precision and recall, density and coverage: who lies among whose nearest neighbours."""

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.divergences.base import Divergence
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.distances import needs_finite, row_blocks, squared_distances
from gan_cli.metrics.needs import needs_samples
from gan_cli.metrics.standard_errors import mean_of, share_of
from gan_cli.metrics.subject import Subject
from gan_cli.ranges import Count

TIE = 1e-12
"""Squared distances that differ by less, in units of the two vectors' squared norms, are equal but for rounding."""


def squared_radii(x: Tensor, neighbours: int) -> Tensor:
    """The squared distance of each vector to the k-th nearest of the others, shape `(n,)`.

    Raises `ValueError` where there are not so many others.
    """
    if not 1 <= neighbours < len(x):
        raise ValueError(f"neighbours={neighbours} must be at least 1 and less than the number of vectors, {len(x)}")
    # The nearest of all is the vector itself.
    blocks = (squared_distances(block, x) for block in row_blocks(x, len(x)))
    return torch.cat([block.topk(neighbours + 1, largest=False).values[:, -1] for block in blocks])


def precision_recall(real: Tensor, fake: Tensor, neighbours: int) -> dict[str, Measured]:
    """Four numbers about balls around each sample that reach to its k-th nearest of the same set.

    `precision` is the share of generated vectors in some real ball, boundary included, `recall` the share of real ones
    in some generated ball (Kynkäänniemi 2019, arXiv 1904.06991, eq. 1–2). `density` is the number of real balls,
    boundary excluded, about a generated vector, over k; `coverage` is the share of real balls that hold a generated one
    (Naeem 2020, arXiv 2002.09797, eq. 4–5). Shapes `(n, d)`, `(m, d)`. The standard errors are those of a mean over
    the samples counted, with the other side's balls held fixed; a density that is the same everywhere has none.
    Raises `ValueError` for features that are not finite, and where a side has no more than k.
    """
    needs_finite(real, fake)
    origin = real.double().mean(0)
    real, fake = real.double() - origin, fake.double() - origin
    real_radii, fake_radii = squared_radii(real, neighbours), squared_radii(fake, neighbours)
    real_tie = TIE * real.square().sum(1)
    in_real_ball, balls = [], []
    in_fake_ball, covered = torch.zeros_like(real_radii).bool(), torch.zeros_like(real_radii).bool()
    for block, radii in zip(row_blocks(fake, len(real)), row_blocks(fake_radii, len(real)), strict=True):
        distances = squared_distances(block, real)
        tie = real_tie + TIE * block.square().sum(1, keepdim=True)
        in_real_ball.append((distances <= real_radii + tie).any(1))
        in_fake_ball |= (distances <= radii[:, None] + tie).any(0)
        inside = distances < real_radii - tie
        balls.append(inside.sum(1))
        covered |= inside.any(0)
    number = mean_of(torch.cat(balls))
    density = Measured(number.value / neighbours, number.error / neighbours if number.error else None)
    return {
        "precision": _share(torch.cat(in_real_ball)),
        "recall": _share(in_fake_ball),
        "density": density,
        "coverage": _share(covered),
    }


def _share(counted: Tensor) -> Measured:
    return share_of(counted.double().mean().item(), len(counted))


class PrecisionRecall(Metric):
    """`precision`, `recall`, `density` and `coverage` of generated samples among real ones, by their features."""

    looks_at = "features"

    def __init__(self, samples: Count, neighbours: Count) -> None:
        if samples <= neighbours:
            raise ValueError(f"samples={samples} must be more than neighbours={neighbours}")
        self.samples = samples
        self.neighbours = neighbours

    def check(self, dataset: Dataset, divergence: Divergence) -> None:
        needs_samples(dataset, self.neighbours + 1)

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        real, fake = subject.reference(self.samples), subject.fake(self.samples)
        first, second = subject.pair(self.samples)
        numbers = precision_recall(real.features.vectors, fake.features.vectors, self.neighbours)
        of_real = precision_recall(first.features.vectors, second.features.vectors, self.neighbours)
        return {name: Measured(of.value, of.error, of_real[name].value) for name, of in numbers.items()}
