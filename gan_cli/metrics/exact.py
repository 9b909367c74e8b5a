"""The truth beside the estimate: what the best of all critics would estimate for the generator as it stands."""

import logging
import math
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.base import Batch, Dataset, Density
from gan_cli.errors import NeedsError
from gan_cli.exact.estimated import Estimated
from gan_cli.exact.truth import truth_of
from gan_cli.metrics.base import NAMED, Measured, Metric
from gan_cli.metrics.subject import Players, Subject
from gan_cli.models.base import Scoring

logger = logging.getLogger(__name__)

CHUNKS = 100
"""Parts of the samples, whose spread gives the standard error."""


class ExactDivergence(Metric):
    """The exact value of what the critic estimates, between a toy density and the generator that is being trained.

    `exact`: by quadrature if the generator's density is known, with the error of that, which is small; else
    from `samples` of it. W₁ is exact if the density is known on the line or is one of parallel lines, else it is the
    cost of optimal transport between 1,000 samples of each side, with an error.
    `held_out_estimate`: the critic's estimate for as many fresh samples, with its standard error; for an f-divergence
    it is a lower bound of `exact`. It stands alone if the best critic has no closed form, if no quadrature is fine
    enough, or if the critic judges packs of samples, whose divergence is another than that of samples.

    A conditional critic estimates the mean divergence within the classes, by their shares: `exact` is that mean (under
    `mmd` that of the roots, squared), and `exact/<class>` the divergence within each, if there are at most 20.
    """

    needs_players = True

    def __init__(self, samples: Annotated[int, Ge(1000)]) -> None:
        self.samples = samples

    def check(self, dataset: Dataset) -> None:
        if not isinstance(dataset, Density):
            raise NeedsError("needs data with a known density", "dataset", lambda of: issubclass(of, Density))
        if dataset.support is None and len(dataset.box()[0]) > 2:
            raise ValueError("needs data of one or two dimensions: choose metric=[]")

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        assert isinstance(subject, Players)
        real, fake = subject.fresh_points(self.samples)
        numbers = {"held_out_estimate": held_out_estimate(subject, real, fake)}
        if subject.critic.packing > 1:
            return numbers
        try:
            return _exact(subject, real, fake) | numbers
        except NotImplementedError:
            return numbers
        except ValueError as error:  # data or a generator that no quadrature resolves
            logger.warning("no exact divergence: %s", error)
            return numbers


def _exact(subject: Players, real: Batch, fake: Tensor) -> dict[str, Measured]:
    dataset, of = subject.dataset, subject.divergence
    assert isinstance(dataset, Density)
    density = None if subject.generator.conditional else subject.generator.density()
    if not subject.critic.conditional:
        truth = truth_of(of, dataset, density, real.samples, fake)
        return {"exact": Measured(truth.value, truth.error)}
    assert real.labels is not None
    shares = dict(zip(dataset.classes, dataset.class_shares().tolist(), strict=True))
    within = {
        name: truth_of(of, dataset.of_class(label), density, *(x[real.labels == label] for x in (real.samples, fake)))
        for label, name in enumerate(shares)
    }
    roots = {name: truth.raised(1 / of.power) for name, truth in within.items()}
    # Most of an error is a bias of one sign, so that errors add up.
    mean = Estimated(
        sum(shares[name] * root.value for name, root in roots.items()),
        sum(shares[name] * root.error for name, root in roots.items()),
    ).raised(of.power)
    each = {f"exact/{name}": Measured(truth.value, truth.error) for name, truth in within.items()}
    return {"exact": Measured(mean.value, mean.error)} | (each if len(each) <= NAMED else {})


def held_out_estimate(subject: Players, real: Batch, fake: Tensor) -> Measured:
    """The critic's estimate for samples that it did not learn from, and its standard error."""
    critic = subject.critic
    whole = len(fake) - len(fake) % critic.packing
    count = min(CHUNKS, whole // critic.packing // 2)  # two scores at least, for estimates from pairs
    chunks = [Scoring(critic).packs(points[:whole]).tensor_split(count) for points in (real.samples, fake)]
    labels = real.labels.tensor_split(count) if critic.conditional and real.labels is not None else [None] * count
    values = []
    with sampling.evaluating(critic):
        for p, q, given in zip(*chunks, labels, strict=True):
            scoring = Scoring(critic, given)
            values.append(subject.divergence.estimate(scoring(p), scoring(q)).item())
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Measured(mean, math.sqrt(variance / len(values)))
