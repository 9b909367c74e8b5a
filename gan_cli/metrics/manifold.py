"""Precision and recall, density and coverage: who lies among whose nearest neighbours."""

import math

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.distances import needs_finite, row_blocks, squared_distances
from gan_cli.metrics.needs import needs_samples
from gan_cli.metrics.standard_errors import share_error
from gan_cli.metrics.subject import Subject
from gan_cli.randomness import stream
from gan_cli.ranges import Count

TIE = 1e-12
"""Squared distances that differ by less, in units of the two vectors' squared norms, are equal but for rounding."""

PARTS, DIVISIONS = 4, 8
"""Parts in a division of the samples, and divisions, for the standard errors."""

FEWEST = 4
"""Samples in a part per neighbour: with fewer, balls reach across the part, and parts differ too little."""

STUDENT = 1.053
"""Student's 95 % quantile for DIVISIONS · (PARTS − 1) degrees of freedom over the normal one."""


def squared_radii(x: Tensor, neighbours: int) -> Tensor:
    """The squared distance of each vector to the k-th nearest of the others, shape `(n,)`.

    Raises `ValueError` where there are not so many others.
    """
    if not 1 <= neighbours < len(x):
        raise ValueError(f"neighbours={neighbours} must be at least 1 and less than the number of vectors, {len(x)}")
    # The nearest of all is the vector itself.
    blocks = (squared_distances(block, x) for block in row_blocks(x, len(x)))
    return torch.cat([block.topk(neighbours + 1, largest=False).values[:, -1] for block in blocks])


def neighbourhoods(real: Tensor, fake: Tensor, neighbours: int) -> dict[str, float]:
    """Four numbers about balls around each sample that reach to its k-th nearest of the same set.

    `precision` is the share of generated vectors in some real ball, boundary included, `recall` the share of real ones
    in some generated ball (Kynkäänniemi 2019, arXiv 1904.06991, eq. 1–2). `density` is the number of real balls,
    boundary excluded, about a generated vector, over k; `coverage` is the share of real balls that hold a generated one
    (Naeem 2020, arXiv 2002.09797, eq. 4–5). Shapes `(n, d)`, `(m, d)`. Raises `ValueError` for features that are not
    finite, and where a side has no more than k.
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
    return {
        "precision": torch.cat(in_real_ball).double().mean().item(),
        "recall": in_fake_ball.double().mean().item(),
        "density": torch.cat(balls).double().mean().item() / neighbours,
        "coverage": covered.double().mean().item(),
    }


def precision_recall(real: Tensor, fake: Tensor, neighbours: int, seed: int) -> dict[str, Measured]:
    """`neighbourhoods` with standard errors, which hold for the balls too: they are samples like those counted.

    The standard deviation over quarters of both sides, halved, is the error for all samples; it is pooled over several
    random divisions, and enlarged so that 1.96 of it are Student's interval. A share is at least as uncertain as for
    balls that are known. Samples too few to be divided give the latter alone, and no error of the density. Shapes
    `(n, d)`, `(m, d)`; raises as `neighbourhoods` does.
    """
    values = neighbourhoods(real, fake, neighbours)
    counted = {"precision": len(fake), "recall": len(real), "coverage": len(real)}
    errors = {name: share_error(values[name], n) for name, n in counted.items()}
    if min(len(real), len(fake)) // PARTS >= FEWEST * neighbours:
        for name, error in _spread(real, fake, neighbours, seed).items():
            errors[name] = max(errors.get(name, 0.0), STUDENT * error)
    return {name: Measured(value, errors.get(name) or None) for name, value in values.items()}


def _spread(real: Tensor, fake: Tensor, neighbours: int, seed: int) -> dict[str, float]:
    source = torch.Generator().manual_seed(stream(seed, "parts"))

    def parts(x: Tensor) -> tuple[Tensor, ...]:
        return x[torch.randperm(len(x), generator=source).to(x.device)].tensor_split(PARTS)

    divisions = [
        [neighbourhoods(p, q, neighbours) for p, q in zip(parts(real), parts(fake), strict=True)]
        for _ in range(DIVISIONS)
    ]
    numbers = {
        name: torch.tensor([[part[name] for part in of] for of in divisions], dtype=torch.float64)
        for name in divisions[0][0]
    }
    return {name: math.sqrt(of.var(dim=1).mean().item() / PARTS) for name, of in numbers.items()}


class PrecisionRecall(Metric):
    """`precision`, `recall`, `density` and `coverage` of generated samples among real ones, by their features."""

    looks_at = "features"

    def __init__(self, samples: Count, neighbours: Count) -> None:
        if samples <= neighbours:
            raise ValueError(f"samples={samples} must be more than neighbours={neighbours}")
        self.samples = samples
        self.neighbours = neighbours

    def check(self, dataset: Dataset) -> None:
        needs_samples(dataset, self.neighbours + 1)

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        real, fake = subject.reference(self.samples), subject.fake(self.samples)
        first, second = subject.pair(self.samples)
        numbers = precision_recall(real.features.vectors, fake.features.vectors, self.neighbours, subject.seed)
        of_real = neighbourhoods(first.features.vectors, second.features.vectors, self.neighbours)
        return {name: Measured(of.value, of.error, of_real[name]) for name, of in numbers.items()}
