"""Mode coverage of mixtures, by the definitions of VEEGAN (arXiv 1705.07761 §4)."""

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.datasets.mixtures import Mixture
from gan_cli.divergences.base import Divergence
from gan_cli.errors import NeedsError
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.standard_errors import share_of
from gan_cli.metrics.subject import Subject
from gan_cli.ranges import Count, Positive


def mode_coverage(points: Tensor, means: Tensor, deviations: Tensor, radius: float) -> tuple[int, float]:
    """The number of modes captured, and the share of points of high quality.

    A point is of high quality when it lies within `radius` standard deviations of the nearest mode; a mode is
    captured when it is the nearest one of at least one such point. Shapes `(n, d)`, `(modes, d)` and `(modes,)`.
    """
    distance, nearest = torch.cdist(points, means).min(dim=1)
    is_good = distance <= radius * deviations[nearest]
    return len(nearest[is_good].unique()), is_good.double().mean().item()


class ModeCoverage(Metric):
    """`modes` captured and `high_quality_share` for data that are a mixture of Gaussians."""

    def __init__(self, samples: Count, radius: Positive) -> None:
        self.samples = samples
        self.radius = radius

    def check(self, dataset: Dataset, divergence: Divergence) -> None:
        if not isinstance(dataset, Mixture):
            raise NeedsError("needs a mixture of Gaussians", "dataset", lambda of: issubclass(of, Mixture))

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        modes, share = self._of(subject, subject.fake(self.samples).raw)
        _, held_out = subject.pair(self.samples)
        modes_of_real, share_of_real = self._of(subject, held_out.raw)
        return {
            "modes": Measured(modes, real=modes_of_real),
            "high_quality_share": share_of(share, self.samples, share_of_real),
        }

    def _of(self, subject: Subject, points: Tensor) -> tuple[int, float]:
        mixture = subject.dataset
        assert isinstance(mixture, Mixture)
        return mode_coverage(points, mixture.means.to(points), mixture.deviations.to(points), self.radius)
