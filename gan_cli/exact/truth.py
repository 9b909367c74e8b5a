"""The exact divergences between toy data and a generator, from its density or else from its samples."""

from torch import Tensor

from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence
from gan_cli.exact.densities import Pair
from gan_cli.exact.samples import Estimated, SampledDensity

TRANSPORTED = 1000
"""Samples of either side for a distance by optimal transport, the cost of which grows with their cube."""


class Truth:
    """The exact divergences of a generator whose density is known, or is estimated from samples.

    Raises `ValueError` if the data or the density are too fine for quadrature.
    """

    def __init__(self, data: Density, density: Density | None, fake: Tensor) -> None:
        self._pair = None if density is None else Pair(data, density)
        self._sampled = SampledDensity(data, fake) if density is None else None

    def divergence(self, divergence: Divergence) -> Estimated:
        """The value, with an error of 0 if the density is known. Raises `NotImplementedError` without a closed form."""
        if self._pair is not None:
            return Estimated(self._pair.divergence(divergence), 0.0)
        assert self._sampled is not None
        return self._sampled.divergence(divergence)


def of_samples(divergence: Divergence, real: Tensor, fake: Tensor) -> Estimated:
    """The divergence between samples by optimal transport; its error is what real samples are apart."""
    n = min(TRANSPORTED, len(real) // 2)
    value = divergence.exact_of_samples(real[:n], fake[:n])
    return Estimated(value, divergence.exact_of_samples(real[:n], real[n : 2 * n]))


def truth_of(divergence: Divergence, data: Density, density: Density | None, real: Tensor, fake: Tensor) -> Estimated:
    """One divergence, by quadrature or else by transport of samples; raises as `Truth` does."""
    try:
        return Truth(data, density, fake).divergence(divergence)
    except NotImplementedError:
        return of_samples(divergence, real, fake)
