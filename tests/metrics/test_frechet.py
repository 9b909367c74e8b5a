"""The Fréchet distance, against an independent matrix root and closed forms."""

import numpy as np
import pytest
import scipy.linalg
import torch

from gan_cli.metrics.frechet import (
    Moments,
    frechet_distance,
    moments,
    standard_error,
    transports,
    unbiased_frechet_distance,
)


def vectors(n, d, seed, scale=1.0):
    source = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=source, dtype=torch.float64)
    return scale * torch.randn(n, d, generator=source, dtype=torch.float64) @ mixing + seed


def by_matrix_root(x, y):
    x, y = x.numpy(), y.numpy()
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second)
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(first + second - 2 * root.real)


@pytest.mark.parametrize(("n", "d"), [(500, 2), (500, 16), (300, 64)])
def test_it_is_that_of_a_matrix_root(n, d):
    x, y = vectors(n, d, 0), vectors(n, d, 1, scale=1.3)
    assert frechet_distance(moments(x), moments(y)).item() == pytest.approx(by_matrix_root(x, y), rel=1e-6)


def test_commuting_covariances_of_low_rank_have_a_closed_form():
    first, second = torch.zeros(50, dtype=torch.float64), torch.zeros(50, dtype=torch.float64)
    first[:20], second[10:40] = 4, 9
    basis = torch.linalg.qr(vectors(50, 50, 3)).Q
    fitted = [Moments(torch.full((50,), m).double(), basis * v @ basis.T) for m, v in ((0.0, first), (1.0, second))]
    expected = 50 + (first.sqrt() - second.sqrt()).square().sum().item()
    assert frechet_distance(*fitted).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [2, 10, 63])
def test_fewer_samples_than_dimensions_are_no_trouble(n):
    x, y = vectors(n, 64, 0), vectors(n, 64, 1)
    # The root of Σ₁Σ₂ has the trace of that of XᵀYYᵀX, whose size is the number of samples.
    centred = [part - part.mean(0) for part in (x, y)]
    roots = torch.linalg.svdvals(centred[0] @ centred[1].T / (n - 1)).sum()
    traces = sum(part.square().sum() / (n - 1) for part in centred)
    expected = (x.mean(0) - y.mean(0)).square().sum() + traces - 2 * roots
    torch.testing.assert_close(frechet_distance(moments(x), moments(y)), expected, rtol=1e-10, atol=0.0)


def test_features_that_are_always_zero_change_nothing():
    x, y = vectors(200, 8, 0), vectors(200, 8, 1)
    dead = torch.zeros(200, 8, dtype=torch.float64)
    wider = [moments(torch.cat([part, dead], 1)) for part in (x, y)]
    torch.testing.assert_close(frechet_distance(*wider), frechet_distance(moments(x), moments(y)), rtol=1e-12, atol=0.0)


def test_samples_that_are_all_one_point_are_no_trouble():
    one = torch.ones(10, 3)
    assert frechet_distance(moments(one), moments(one)).item() == 0
    assert frechet_distance(moments(one), moments(one + 2)).item() == pytest.approx(12)


@pytest.mark.parametrize("n", [10, 200])
def test_of_a_set_and_itself_it_is_zero_but_for_rounding(n):
    x = vectors(n, 32, 5)
    scale = x.var(0).sum().item()
    assert frechet_distance(moments(x), moments(x.flip(0))).item() == pytest.approx(0, abs=1e-12 * scale)


def test_the_transport_takes_one_gaussian_to_the_other():
    first, second = moments(vectors(500, 16, 0)), moments(vectors(500, 16, 1, scale=1.3))
    for matrix, own, other in zip(transports(first, second), (first, second), (second, first), strict=True):
        torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-9)
        assert torch.linalg.eigvalsh(matrix).min() > 0
        torch.testing.assert_close(matrix @ own.covariance @ matrix, other.covariance, rtol=1e-8, atol=1e-8)


def test_the_transport_leaves_out_directions_in_which_nothing_varies():
    x, dead = vectors(200, 8, 0), torch.zeros(200, 3, dtype=torch.float64)
    first, second = (moments(torch.cat([part, dead], 1)) for part in (x, vectors(200, 8, 1)))
    matrix, _ = transports(first, second)
    assert matrix[8:].abs().max() == 0
    torch.testing.assert_close(matrix @ first.covariance @ matrix, second.covariance, rtol=1e-8, atol=1e-8)


def jackknife(x, y):
    """The standard error by leaving out one sample after another (Efron & Stein 1981)."""

    def variance(own, other):
        n = len(own)
        values = [frechet_distance(moments(own[torch.arange(n) != i]), moments(other)) for i in range(n)]
        return (n - 1) * torch.stack(values).var(correction=0).item()

    return (variance(x, y) + variance(y, x)) ** 0.5


def error_of(x, y):
    return standard_error(x, y, moments(x), moments(y))


@pytest.mark.parametrize("sizes", [(400, 400), (400, 1600)])
def test_the_error_is_that_of_the_jackknife(sizes):
    x, y = vectors(sizes[0], 6, 0), vectors(sizes[1], 6, 1, scale=1.3)
    assert error_of(x, y) == pytest.approx(jackknife(x, y), rel=0.01)
    assert error_of(y, x) == pytest.approx(error_of(x, y))


@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["P = Q", "P ≠ Q"])
def test_its_error_is_how_much_it_varies_and_without_bias_it_is_the_true_distance(shift):
    source = torch.Generator().manual_seed(0)
    pairs = [(torch.randn(300, 4, generator=source), torch.randn(300, 4, generator=source) + shift) for _ in range(100)]
    plain = torch.stack([frechet_distance(moments(x), moments(y)) for x, y in pairs])
    unbiased = torch.tensor(
        [unbiased_frechet_distance(x, y, of.item()) for (x, y), of in zip(pairs, plain, strict=True)]
    )
    error = np.sqrt(np.mean([error_of(x, y) ** 2 for x, y in pairs]))
    for values in (plain, unbiased) if shift else (unbiased,):
        assert 0.75 < error / values.std().item() < 1.35
    away = 0.3 * error  # three errors of the mean of 100
    assert unbiased.mean().item() == pytest.approx(4 * shift**2, abs=away)
    assert plain.mean().item() > unbiased.mean().item() + away


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, b: (a.mean - b.mean).square().sum() + (a.covariance + b.covariance).trace(),
        lambda a, b: frechet_distance(a, b) - (a.mean - b.mean).square().sum() + (a.mean - b.mean).norm(),
        lambda a, b: frechet_distance(Moments(a.mean, a.covariance.diag().diag()), b),
    ],
    ids=["no cross term", "the mean unsquared", "the diagonal only"],
)
def test_the_reference_would_notice(wrong):
    x, y = vectors(500, 16, 0), vectors(500, 16, 1, scale=1.3)
    assert wrong(moments(x), moments(y)).item() != pytest.approx(by_matrix_root(x, y), rel=1e-3)
