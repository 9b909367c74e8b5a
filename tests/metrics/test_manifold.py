"""Precision, recall, density and coverage, against an implementation of scikit-learn's parts and published values."""

import numpy as np
import pytest
import torch

from gan_cli.metrics.manifold import neighbourhoods, precision_recall, squared_radii
from gan_cli.metrics.standard_errors import share_error

NAMES = ("precision", "recall", "density", "coverage")


def pair(n, m, d, seed=0, scale=0.8):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=source), scale * torch.randn(m, d, generator=source) + 0.3


def explicit(real, fake, k):
    real, fake = real.double().numpy(), fake.double().numpy()

    def distances(a, b):
        return np.linalg.norm(a[:, None] - b[None], axis=2)

    real_radius = np.sort(distances(real, real), axis=1)[:, k]
    fake_radius = np.sort(distances(fake, fake), axis=1)[:, k]
    between = distances(real, fake)
    return {
        "precision": (between <= real_radius[:, None]).any(0).mean(),
        "recall": (between <= fake_radius[None]).any(1).mean(),
        "density": (between < real_radius[:, None]).sum(0).mean() / k,
        "coverage": (between.min(1) < real_radius).mean(),
    }


@pytest.mark.parametrize(("n", "m", "d", "k"), [(60, 60, 2, 1), (80, 50, 5, 3), (200, 230, 16, 5)])
def test_it_is_that_of_an_explicit_implementation(n, m, d, k):
    real, fake = pair(n, m, d)
    expected = pytest.approx(explicit(real, fake, k))
    assert neighbourhoods(real, fake, k) == expected
    assert {name: number.value for name, number in precision_recall(real, fake, k, 0).items()} == expected


@pytest.mark.parametrize(("n", "m", "k", "fewest"), [(5, 9, 5, 5), (9, 3, 5, 3), (1, 1, 1, 1), (9, 9, 0, 9)])
def test_a_side_without_so_many_neighbours_is_refused(n, m, k, fewest):
    real, fake = pair(n, m, 2)
    with pytest.raises(ValueError, match=rf"neighbours={k} must be at least 1 and less than .*, {fewest}$"):
        precision_recall(real, fake, k, 0)


def test_as_many_others_as_neighbours_are_enough():
    real, fake = pair(6, 6, 2)
    assert neighbourhoods(real, fake, 5) == pytest.approx(explicit(real, fake, 5))


def test_radii_are_those_of_scikit_learn():
    neighbors = pytest.importorskip("sklearn.neighbors")
    x, _ = pair(100, 100, 4)
    known, _ = neighbors.NearestNeighbors(n_neighbors=5).fit(x.numpy()).kneighbors()  # without the points themselves
    torch.testing.assert_close(
        squared_radii(x.double(), 5).sqrt(), torch.from_numpy(known[:, -1]).double(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_two_sides_must_not_be_exchanged(name):
    real, fake = pair(200, 230, 16)
    exchanged = neighbourhoods(fake, real, 5)
    assert exchanged[name] != pytest.approx(explicit(real, fake, 5)[name], abs=0.02)


def test_copies_lie_in_every_ball_but_on_no_boundary():
    real, _ = pair(100, 1, 3)
    # A real one's own copy and those of four neighbours are inside, that of the fifth is on the boundary.
    found = neighbourhoods(real, real[torch.randperm(100, generator=torch.Generator().manual_seed(0))], 5)
    assert [found[name] for name in NAMES] == [1, 1, 1, 1]


def test_a_tie_is_one_in_blocks_of_any_size(monkeypatch):
    real = torch.randint(3, (200, 4), generator=torch.Generator().manual_seed(0)) / 3 + 100
    fake = torch.randint(3, (150, 4), generator=torch.Generator().manual_seed(1)) / 3 + 100
    whole = neighbourhoods(real, fake, 3)
    monkeypatch.setattr("gan_cli.metrics.distances.ENTRIES", 1000)
    assert neighbourhoods(real, fake, 3) == whole


@pytest.mark.thorough
@pytest.mark.parametrize(("n", "m", "d", "scale"), [(400, 400, 8, 0.9), (800, 400, 16, 1.0)])
def test_an_error_is_how_much_the_number_varies(n, m, d, scale):
    pairs = [pair(n, m, d, seed, scale) for seed in range(60)]
    found = [precision_recall(real, fake, 5, seed) for seed, (real, fake) in enumerate(pairs)]
    for name in NAMES:
        values = torch.tensor([numbers[name].value for numbers in found])
        error = torch.tensor([numbers[name].error for numbers in found]).square().mean().sqrt()
        assert 0.75 < (error / values.std()).item() < 1.4, name


def test_a_share_is_as_uncertain_as_one_of_known_balls_or_more():
    real, fake = pair(300, 200, 8)
    found = precision_recall(real, fake, 5, 0)
    for name, n in (("precision", 200), ("recall", 300), ("coverage", 300)):
        assert found[name].error >= share_error(found[name].value, n)


def test_samples_too_few_to_be_divided_have_the_errors_of_shares():
    real, fake = pair(79, 90, 8)
    found = precision_recall(real, fake, 5, 0)
    for name, n in (("precision", 90), ("recall", 79), ("coverage", 79)):
        assert found[name].error == pytest.approx(share_error(found[name].value, n))
    assert found["density"].error is None
    real, fake = pair(80, 90, 8)
    assert precision_recall(real, fake, 5, 0)["density"].error > 0


def test_the_seed_chooses_the_divisions():
    real, fake = pair(300, 200, 8)
    assert precision_recall(real, fake, 5, 1) == precision_recall(real, fake, 5, 1)
    assert precision_recall(real, fake, 5, 1)["density"].error != precision_recall(real, fake, 5, 2)["density"].error


def test_nothing_that_counts_has_no_error_of_zero():
    real, fake = pair(300, 200, 8)
    found = precision_recall(real, fake + 100, 5, 0)
    assert [found[name].value for name in NAMES] == [0, 0, 0, 0]
    assert [found[name].error for name in ("precision", "recall", "coverage")] == pytest.approx(
        [share_error(0, 200), share_error(0, 300), share_error(0, 300)]
    )
    assert found["density"].error is None


def test_one_sample_far_away_leaves_the_others_where_they_are():
    real, fake = pair(300, 200, 8, scale=1.5)
    fake[0] += 100
    near = neighbourhoods(real, fake, 5)
    assert near["precision"] < 0.9
    fake[0] *= 1e7
    assert neighbourhoods(real, fake, 5) == near


@pytest.mark.slow
def test_two_samples_of_one_gaussian_measure_as_published():
    """The README of Naeem's prdc: 10,000 each of N(0, 1) in 1,000 dimensions."""
    source = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(10_000, 1000, generator=source) for _ in range(2))
    found = neighbourhoods(real, fake, 5)
    published = {"precision": 0.477, "recall": 0.471, "coverage": 0.974}
    assert {name: found[name] for name in published} == pytest.approx(published, abs=0.02)
    # A few real samples have balls that hold very many: between draws it varies by 0.05.
    assert found["density"] == pytest.approx(1.056, abs=0.1)
