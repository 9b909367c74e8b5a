"""The exact divergences between toy data and a generator, from its density or else from its samples."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence
from gan_cli.exact import transport
from gan_cli.exact.densities import Pair
from gan_cli.exact.estimated import Estimated
from gan_cli.exact.samples import SampledDensity


class Truth:
    """The exact divergences of a generator whose density is known, or is estimated from samples.

    Raises `ValueError` if the data or the density are too fine for quadrature.
    """

    def __init__(self, data: Density, density: Density | None, fake: Tensor) -> None:
        self._pair = None if density is None else Pair(data, density)
        self._sampled = SampledDensity(data, fake) if density is None else None

    def divergence(self, divergence: Divergence) -> Estimated:
        """The value and its error. Raises `NotImplementedError` without a closed form."""
        if self._pair is not None:
            return self._pair.divergence(divergence)
        assert self._sampled is not None
        return self._sampled.divergence(divergence)


def truth_of(divergence: Divergence, data: Density, density: Density | None, real: Tensor, fake: Tensor) -> Estimated:
    """One divergence, from W₁ or else by quadrature; raises as `Truth` does."""
    return either(
        divergence,
        lambda: transport.between(data, density, real, fake),
        lambda: Truth(data, density, fake).divergence(divergence),
    )


def either(divergence: Divergence, distance: Callable[[], Estimated], other: Callable[[], Estimated]) -> Estimated:
    """The divergence from W₁ if that determines it, else by the other way."""
    try:
        divergence.exact_of_distance(0.0)
    except NotImplementedError:
        return other()
    found = distance()
    return replace(found, value=divergence.exact_of_distance(found.value))
