"""Mode coverage of mixtures, by the definitions of VEEGAN (arXiv 1705.07761 §4)."""

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.datasets.mixtures import Mixture
from gan_cli.errors import NeedsError
from gan_cli.metrics.agreement import agreement
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


def nearest_mode(points: Tensor, means: Tensor) -> Tensor:
    """The nearest mode of each point, shapes `(n, d)` and `(modes, d)`: shape `(n,)`."""
    return torch.cdist(points, means).argmin(dim=1)


class ModeCoverage(Metric):
    """`modes` captured and `high_quality_share` for data that are a mixture of Gaussians.

    A conditional generator has a `class_agreement` too: the share of samples whose nearest mode is the one that was
    asked for; `class_agreement/<class>` is that of each mode, if there are at most 20.
    """

    def __init__(self, samples: Count, radius: Positive) -> None:
        self.samples = samples
        self.radius = radius

    def check(self, dataset: Dataset) -> None:
        if not isinstance(dataset, Mixture):
            raise NeedsError("needs a mixture of Gaussians", "dataset", lambda of: issubclass(of, Mixture))

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        fake, (_, held_out) = subject.fake(self.samples), subject.pair(self.samples)
        modes, share = self._of(subject, fake.raw)
        modes_of_real, share_of_real = self._of(subject, held_out.raw)
        numbers = {
            "modes": Measured(modes, real=modes_of_real),
            "high_quality_share": share_of(share, len(fake), share_of_real),
        }
        if fake.labels is None:
            return numbers
        mixture = _mixture(subject)
        nearest, of_real = (nearest_mode(of.raw, mixture.means.to(of.raw)) for of in (fake, held_out))
        return numbers | agreement(nearest, fake, of_real, held_out, mixture.classes)

    def _of(self, subject: Subject, points: Tensor) -> tuple[int, float]:
        mixture = _mixture(subject)
        return mode_coverage(points, mixture.means.to(points), mixture.deviations.to(points), self.radius)


def _mixture(subject: Subject) -> Mixture:
    assert isinstance(subject.dataset, Mixture)
    return subject.dataset
