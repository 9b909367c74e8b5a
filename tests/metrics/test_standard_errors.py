"""Standard errors: their intervals hold the truth as often as they say."""

import math

import numpy as np
import pytest
import torch

from gan_cli.metrics.standard_errors import bootstrap, mean_of, share_error, share_of


def wald(share, n):
    return math.sqrt(share * (1 - share) / n)


def covered(error, p, n, draws=4000):
    """How often share ± 1.96 errors holds p."""
    shares = np.random.default_rng(0).binomial(n, p, draws) / n
    return np.mean([abs(share - p) <= 1.96 * error(share, n) for share in shares])


@pytest.mark.parametrize("p", [0.003, 0.005, 0.02, 0.5, 0.98, 0.997])
def test_the_interval_of_a_share_holds_it_as_often_as_it_should(p):
    assert 0.93 < covered(share_error, p, 1000) < 0.985


@pytest.mark.parametrize("p", [0.001, 0.003, 0.997])
def test_an_error_that_vanishes_at_the_ends_would_be_noticed(p):
    assert covered(wald, p, 1000) < 0.85
    assert covered(share_error, p, 1000) > 0.93


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (0, 10_000)])
def test_it_is_that_of_agresti_and_coull(k, n):
    shrunk = (k + 2) / (n + 4)
    found = share_of(k / n, n, 0.3)
    assert (found.value, found.real) == (k / n, 0.3)
    assert found.error == pytest.approx(math.sqrt(shrunk * (1 - shrunk) / (n + 4)))


def test_a_mean_has_the_error_of_the_bootstrap():
    values = torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = mean_of(values)
    assert found.value == pytest.approx(values.mean().item())
    resampled = bootstrap(lambda counts: (counts * values).sum() / 500, (500,), 400, 0, torch.device("cpu"))
    assert found.error == pytest.approx(resampled.item(), rel=0.15)
    assert found.error == pytest.approx(values.std().item() / math.sqrt(500), rel=0.01)
