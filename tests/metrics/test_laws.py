"""What every distance between samples owes to its name."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch

from gan_cli.metrics.base import Measured
from gan_cli.metrics.frechet import frechet_distance, moments, standard_error
from gan_cli.metrics.kernel import kernel_distance, polynomial_kernel
from gan_cli.metrics.manifold import neighbourhoods, precision_recall
from gan_cli.metrics.sliced import directions, sliced_wasserstein

N, D = 600, 4


def frechet(real, fake):
    fitted = moments(real), moments(fake)
    return Measured(frechet_distance(*fitted).item(), standard_error(real, fake, *fitted))


def sliced(real, fake):
    return sliced_wasserstein(real, fake, directions(50, D, seed=0))


def lacking(name, real, fake):
    """A share, turned into a distance."""
    found = precision_recall(real, fake, 5, 0)[name]
    return Measured(1 - found.value, found.error)


DISTANCES: dict[str, Callable[[torch.Tensor, torch.Tensor], Measured]] = {
    "frechet": frechet,
    "kernel": kernel_distance,
    "sliced_wasserstein": sliced,
    "precision": partial(lacking, "precision"),
    "density": partial(lacking, "density"),
    "coverage": partial(lacking, "coverage"),
}


def samples(seed, n=N, classes=range(8)):
    """Samples of eight classes around points as far from 0 as from one another."""
    source = torch.Generator().manual_seed(seed)
    means = 4 * torch.cat([torch.eye(D), -torch.eye(D)])[[*classes]]
    which = torch.randint(len(means), (n,), generator=source)
    return means[which] + 0.5 * torch.randn(n, D, generator=source)


@pytest.mark.parametrize("name", [name for name in DISTANCES if name != "kernel"])
def test_a_set_is_at_no_distance_from_itself(name):
    assert DISTANCES[name](samples(0), samples(0).flip(0)).value == pytest.approx(0, abs=1e-10)


def test_a_biased_kernel_distance_would_be_zero_of_a_set_and_itself():
    """Without bias it is as far below 0 as the diagonal lies above the mean."""
    x = samples(0).double()
    kernel = polynomial_kernel(x, x)
    others = (kernel.sum() - kernel.trace()) / (N * (N - 1))
    expected = 2 / N * (others - kernel.trace() / N)
    assert expected < 0
    assert kernel_distance(x, x.flip(0)).value == pytest.approx(expected.item())


def test_independent_halves_are_at_no_kernel_distance_but_for_the_error():
    found = [kernel_distance(samples(2 * seed), samples(2 * seed + 1)) for seed in range(10)]
    assert sum(abs(each.value) <= 2 * each.error for each in found) >= 8
    assert min(each.value for each in found) < 0 < max(each.value for each in found)


@pytest.mark.parametrize("name", ["frechet", "kernel", "precision", "coverage"])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("side", [0, 1], ids=["real", "generated"])
def test_features_that_are_not_finite_are_refused(name, number, side):
    both = [samples(0), samples(1)]
    both[side][3, 1] = number
    with pytest.raises(ValueError, match=r"^features are not finite$"):
        DISTANCES[name](*both)


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_noise_makes_it_worse_the_more_there_is(distance):
    noise = torch.randn(N, D, generator=torch.Generator().manual_seed(2))
    levels = (0.0, 0.5, 1.0, 2.0, 4.0)
    found = [distance(samples(0), samples(1) + level * noise) for level in levels]
    for less, more in pairwise(found):
        assert more.value > less.value


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_neither_the_order_nor_the_size_of_a_block_matters(distance, monkeypatch):
    real, fake = samples(0), samples(1) + 0.3
    whole = distance(real, fake).value
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    assert distance(real, fake[order]).value == pytest.approx(whole, rel=1e-9)
    assert distance(real[order], fake).value == pytest.approx(whole, rel=1e-9)
    monkeypatch.setattr("gan_cli.metrics.distances.ENTRIES", 5000)
    assert distance(real, fake).value == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("name", ["recall", "coverage"])
@pytest.mark.parametrize("left", [7, 4, 1])
def test_classes_that_are_missing_are_missed(name, left):
    found = neighbourhoods(samples(0), samples(1, classes=range(left)), 5)
    assert found[name] < left / 8 + 0.04
    assert found[name] > 0.8 * left / 8 - 0.02 * (8 - left)


def test_classes_that_are_missing_leave_precision_as_it_is():
    assert neighbourhoods(samples(0), samples(1, classes=range(4)), 5)["precision"] > 0.9


@pytest.mark.parametrize("distance", [frechet, kernel_distance, sliced], ids=["frechet", "kernel", "sliced"])
def test_classes_that_are_missing_make_it_worse(distance):
    found = [distance(samples(0), samples(1, classes=range(left))).value for left in (8, 6, 4, 2)]
    assert found == sorted(found)
    assert found[0] < 0.5 * found[1]
