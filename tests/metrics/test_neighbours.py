"""Nearest training images: copies are found, fresh real images are not taken for them."""

import math

import numpy as np
import pytest
import torch

from gan_cli.datasets.base import Images
from gan_cli.metrics.distances import centred_pixels, squared_pixel_distances
from gan_cli.metrics.neighbours import Neighbours, closer, memorised, nearest, nearness, standard_errors
from gan_cli.metrics.standard_errors import share_error
from gan_cli.randomness import stream
from tests.helpers.subjects import TwoParts, random_images, subject

TRAINING, HELD_OUT = random_images(1000, 0, side=3), random_images(1000, 1, side=3)
DATA = TwoParts(TRAINING, HELD_OUT)
METRIC = Neighbours(samples=500, quantile=0.05)


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 24)])
def test_distances_of_pixels_are_exact(channels, side):
    x, y = random_images(20, 0, side, channels), random_images(30, 1, side, channels)
    y[0] = x[0]
    found = squared_pixel_distances(centred_pixels(x), centred_pixels(y))
    integers = (x.flatten(1)[:, None].long() - y.flatten(1)[None].long()).square().sum(2)
    assert torch.equal(found, integers.double() / 255**2)
    assert found[0, 0] == 0


@pytest.mark.parametrize("entries", [4_000_000, 500])
def test_the_nearest_are_those_of_a_full_sort(entries, monkeypatch):
    monkeypatch.setattr("gan_cli.metrics.distances.ENTRIES", entries)
    x = random_images(50, 2, side=3)
    distances, at = nearest(x, TRAINING, 3)
    full = (x.flatten(1)[:, None].double() - TRAINING.flatten(1)[None].double()).div(255).square().sum(2).sqrt().sort()
    torch.testing.assert_close(distances, full.values[:, :3])
    torch.testing.assert_close(
        (x - TRAINING[at[:, 2]].float()).div(255).flatten(1).norm(dim=1).double(), distances[:, 2]
    )


def test_more_neighbours_than_images_are_all_of_them():
    distances, at = nearest(TRAINING[:4], TRAINING[:2], 3)
    assert distances.shape == at.shape == (4, 2)


def test_copies_of_training_images_are_found():
    found = METRIC(subject(DATA, TRAINING[:100]))
    assert found["memorised_share"].value == 1
    assert found["closer_than_held_out"].value == pytest.approx(1, abs=1e-3)


def test_neither_copies_nor_what_is_far_away_have_errors_of_zero():
    source = torch.Generator().manual_seed(0)
    held_out = 1 + torch.rand(400, generator=source, dtype=torch.float64)
    for fake in (torch.zeros(300).double(), torch.full((300,), 9).double()):
        share, closeness = standard_errors(fake, held_out, METRIC.quantile, seed=0)
        assert share == pytest.approx(share_error(0, 300), rel=0.2)
        assert closeness == pytest.approx(math.hypot(share_error(0, 300), share_error(0, 400)), rel=0.3)


def test_real_images_measure_one_half_of_those_held_out_by_the_other():
    """In both directions together it would be ½ of any images."""
    found = METRIC(subject(DATA, random_images(500, 2, side=3)))
    distances = nearest(HELD_OUT, TRAINING, 1)[0][:, 0]
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(stream(0, "held out")))
    halves = distances[order[:250]], distances[order[250:500]]
    assert found["closer_than_held_out"].real == pytest.approx(closer(*halves).item())
    assert found["memorised_share"].real == pytest.approx(memorised(*halves, 0.05).item())
    assert abs(found["closer_than_held_out"].real - 0.5) > 1e-4


@pytest.mark.parametrize(
    ("data", "samples", "why"),
    [
        (DATA, 199, "samples=199 of 1000 images held out: quantile=0.01 needs 200"),
        (TwoParts(TRAINING, HELD_OUT[:150]), 500, "samples=500 of 150 images held out: quantile=0.01 needs 200"),
        (Images(TRAINING[:199]), 500, "samples=500 of 199 images held out"),
    ],
    ids=["few samples", "few held out", "few to stand in"],
)
def test_fewer_images_than_the_quantile_needs_are_refused(data, samples, why):
    with pytest.raises(ValueError, match=f"^{why}"):
        Neighbours(samples, quantile=0.01).check(data)
    Neighbours(samples, quantile=0.02).check(data)
    Neighbours(200, quantile=0.01).check(DATA)


def test_the_training_images_are_counted():
    of = subject(DATA, TRAINING[:100])
    METRIC(of)
    assert of.drawn == {"generated": 500, "held_out": 500, "training": 1000}


def test_fresh_real_images_are_not_taken_for_copies():
    found = METRIC(subject(DATA, random_images(500, 2, side=3)))
    for name, ideal in (("memorised_share", 0.05), ("closer_than_held_out", 0.5)):
        assert found[name].value == pytest.approx(ideal, abs=3 * found[name].error)
        assert found[name].real == pytest.approx(ideal, abs=3 * found[name].error)
        assert 0.005 < found[name].error < 0.05


def test_a_few_copies_are_counted():
    some = torch.cat([TRAINING[:100], random_images(400, 2, side=3)])
    share = METRIC(subject(DATA, some))["memorised_share"]
    assert share.value == pytest.approx(0.2 + 0.8 * 0.05, abs=0.03)


def test_noise_is_farther_away_than_held_out_images():
    smooth = torch.full((1000, 1, 3, 3), 100, dtype=torch.uint8) + random_images(1000, 0, side=3) // 8
    data = TwoParts(smooth[:600], smooth[600:])
    found = METRIC(subject(data, random_images(500, 2, side=3)))
    assert found["memorised_share"].value == 0
    assert found["closer_than_held_out"].value < 0.01


def test_where_nothing_is_held_out_training_images_stand_in():
    found = METRIC(subject(Images(TRAINING), random_images(500, 2, side=3)))
    assert found["memorised_share"].value == pytest.approx(0.05, abs=0.04)
    assert found["closer_than_held_out"].value == pytest.approx(0.5, abs=0.1)
    assert METRIC(subject(Images(TRAINING), TRAINING[:100]))["memorised_share"].value == 1


def test_duplicates_among_the_real_images_show_in_the_number_for_real_ones():
    held_out = HELD_OUT.clone()
    held_out[:300] = TRAINING[:300]
    found = METRIC(subject(TwoParts(TRAINING, held_out), TRAINING[:100]))
    assert found["memorised_share"].value == 1
    assert found["memorised_share"].real == pytest.approx(0.3, abs=0.05)
    assert found["closer_than_held_out"].value == pytest.approx(0.85, abs=0.05)
    fresh = METRIC(subject(TwoParts(TRAINING, held_out), random_images(500, 2, side=3)))
    assert fresh["memorised_share"].value < 0.02


def test_the_probability_is_that_of_mann_and_whitney():
    stats = pytest.importorskip("scipy.stats")
    source = np.random.default_rng(0)
    fake, held_out = source.integers(0, 20, 70) / 10, source.integers(5, 25, 90) / 10
    known = stats.mannwhitneyu(held_out, fake).statistic / (70 * 90)
    assert closer(torch.from_numpy(fake), torch.from_numpy(held_out)).item() == pytest.approx(known)


def test_the_errors_are_how_much_the_numbers_vary():
    source, found = torch.Generator().manual_seed(0), []
    for _ in range(300):
        fake, held_out = torch.randn(400, generator=source) - 0.2, torch.randn(400, generator=source)
        found.append(nearness(fake, held_out, METRIC.quantile))
    spread = torch.tensor(found).std(0)
    errors = torch.tensor(standard_errors(fake, held_out, METRIC.quantile, seed=0))
    assert 0.6 < (errors / spread)[0] < 1.6
    assert 0.85 < (errors / spread)[1] < 1.15


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_shows_the_nearest_samples_over_training_images(channels):
    data = TwoParts(random_images(60, 0, 3, channels), random_images(60, 1, 3, channels))
    copy, other = data.images[:1], random_images(59, 2, 3, channels)
    metric = Neighbours(samples=60, quantile=0.05)
    shown = metric.picture(subject(data, torch.cat([other, copy])))
    sample, *beside = shown.rows
    assert (sample, beside) == ("sample", ["nearest", "2.", "3."])
    assert all(images.shape == (16, channels, *data.sample_shape[1:]) for images in shown.rows.values())
    assert torch.equal(shown.rows["sample"][0], copy[0])
    assert torch.equal(shown.rows["nearest"][0], copy[0])
    assert shown.captions["nearest"][0] == "0.00"
    differences = [(shown.rows["sample"].double() - shown.rows[row]) / 255 for row in beside]
    distances = torch.stack([difference.flatten(1).norm(dim=1) for difference in differences])
    assert [[float(caption) for caption in shown.captions[row]] for row in beside] == [
        pytest.approx(row, abs=0.0051) for row in distances.tolist()
    ]
    assert (distances.diff(dim=0) >= 0).all()


def test_distances_of_held_out_images_are_computed_once(monkeypatch):
    asked = []

    def counting(x, training, k):
        asked.append(len(x))
        return nearest(x, training, k)

    monkeypatch.setattr("gan_cli.metrics.neighbours.nearest", counting)
    metric, first = Neighbours(samples=100, quantile=0.05), subject(DATA, TRAINING)
    metric(first)
    assert asked == [100, 100]
    metric.picture(first)
    assert asked == [100, 100, 16]
