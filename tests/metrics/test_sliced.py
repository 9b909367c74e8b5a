"""The sliced Wasserstein distance, against scipy and a closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from gan_cli.metrics.sliced import directions, potentials, projected_distances, sliced_wasserstein


def pair(n, d, seed=0, shift=0.5):
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=source, dtype=torch.float64)
    return x, torch.randn(n, d, generator=source, dtype=torch.float64) + shift


def test_along_each_direction_it_is_that_of_scipy():
    (x, y), onto = pair(100, 3), directions(20, 3, seed=0)
    known = [wasserstein_distance((x @ along).numpy(), (y @ along).numpy()) for along in onto]
    np.testing.assert_allclose(projected_distances(x, y, onto).numpy(), known, rtol=1e-10)
    assert sliced_wasserstein(x, y, onto).value == pytest.approx(np.mean(known))


def test_scipy_would_notice_points_in_no_order():
    (x, y), onto = pair(100, 3), directions(20, 3, seed=0)
    unsorted = ((x - y) @ onto.T).abs().mean().item()
    assert unsorted != pytest.approx(sliced_wasserstein(x, y, onto).value, rel=0.2)


def test_directions_are_uniform_unit_vectors_of_the_seed():
    onto = directions(10_000, 3, seed=0)
    torch.testing.assert_close(onto.norm(dim=1), torch.ones(10_000).double())
    torch.testing.assert_close(onto.T @ onto / 10_000, torch.eye(3).double() / 3, rtol=0, atol=0.02)
    assert onto.mean(0).abs().max() < 0.03
    assert torch.equal(onto, directions(10_000, 3, seed=0))
    assert not torch.equal(onto, directions(10_000, 3, seed=1))


def test_on_the_line_there_is_one():
    x, y = pair(100, 1)
    onto = directions(1000, 1, seed=0)
    assert onto.tolist() == [[1.0]]
    assert sliced_wasserstein(x, y, onto).value == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]))


def test_of_a_translation_it_is_the_mean_of_the_cosine():
    x, _ = pair(200, 2)
    found = sliced_wasserstein(x, x + torch.tensor([3.0, 4.0]), directions(1000, 2, seed=0))
    assert found.value == pytest.approx(5 * 2 / math.pi, abs=4 * found.error)
    assert 0.01 < found.error < 0.1


def test_blocks_do_not_change_it(monkeypatch):
    (x, y), onto = pair(100, 3), directions(20, 3, seed=0)
    whole = sliced_wasserstein(x, y, onto)
    monkeypatch.setattr("gan_cli.metrics.distances.ENTRIES", 300)
    assert sliced_wasserstein(x, y, onto).value == pytest.approx(whole.value, rel=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize(("shift", "most"), [(0.0, 1.8), (0.5, 1.35)], ids=["P = Q, too wide", "P ≠ Q"])
def test_its_error_is_how_much_it_varies(shift, most):
    onto = directions(200, 2, seed=0)  # so many that their part of the error is small
    pairs = [pair(400, 2, seed, shift) for seed in range(80)]
    found = [sliced_wasserstein(x, y, onto) for x, y in pairs]
    values = torch.tensor([each.value for each in found])
    errors = torch.tensor([each.error for each in found]).square().mean().sqrt()
    assert 0.75 < (errors / values.std()).item() < most


def test_a_potential_is_the_derivative_of_the_distance():
    """A sample of little more weight moves the distance by its potential, less the mean, over n."""
    (x, y), onto = pair(200, 2), directions(20, 2, seed=0)
    of_x, of_y = potentials(x, y, onto)
    whole = projected_distances(x, y, onto).mean().item()

    def with_one_more(x, y, i, side):
        weights = [np.ones(200), np.ones(200)]
        weights[side][i] += 0.01
        return np.mean([wasserstein_distance((x @ a).numpy(), (y @ a).numpy(), *weights) for a in onto])

    for side, moved in ((0, of_x), (1, of_y)):
        for i in range(10):
            expected = (moved[i] - moved.mean()).item() * 0.01 / 200
            assert with_one_more(x, y, i, side) - whole == pytest.approx(expected, rel=0.05, abs=2e-7)
