"""Parzen-window log-likelihoods, against scikit-learn and scipy."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from gan_cli.metrics import parzen as parzen_module
from gan_cli.metrics.parzen import (
    FGAN_BANDWIDTHS,
    GOODFELLOW_BANDWIDTHS,
    FganLogLikelihood,
    best_of_folds,
    best_of_validation,
    cross_validated,
    parzen,
)
from tests.helpers.subjects import TwoParts, subject


def images(n, seed, side=6, channels=1, spread=40):
    source = torch.Generator().manual_seed(seed)
    means = 255 * torch.rand(3, channels, side, side, generator=torch.Generator().manual_seed(9))
    which = torch.randint(3, (n,), generator=source)
    return (means[which] + spread * torch.randn(n, channels, side, side, generator=source)).clamp(0, 255).byte()


def flat(x):
    return x.flatten(1).double().numpy() / 255


def kernel_density(bandwidth):
    neighbors = pytest.importorskip("sklearn.neighbors")
    # In one leaf: with more of them, bounds that are too wide cost it several nats in many dimensions.
    return neighbors.KernelDensity(bandwidth=bandwidth, leaf_size=1000)


def test_it_is_that_of_scikit_learn():
    x, centres = images(40, 0), images(150, 1)
    found = parzen(x, centres, [0.1, 0.3, 1.0])
    for column, bandwidth in enumerate([0.1, 0.3, 1.0]):
        known = kernel_density(bandwidth).fit(flat(centres)).score_samples(flat(x))
        np.testing.assert_allclose(found[:, column].numpy(), known, rtol=1e-6, atol=1e-5)


def test_about_one_centre_it_is_a_gaussian():
    x, centre = images(20, 0), images(1, 1)
    known = multivariate_normal(flat(centre)[0], 0.2**2 * np.eye(36)).logpdf(flat(x))
    np.testing.assert_allclose(parzen(x, centre, [0.2])[:, 0].numpy(), known, rtol=1e-9)


@pytest.mark.parametrize("constant", [math.log(150), 36 * math.log(0.3), 18 * math.log(255)])
def test_scikit_learn_would_notice_a_constant_left_out(constant):
    x, centres = images(40, 0), images(150, 1)
    known = kernel_density(0.3).fit(flat(centres)).score_samples(flat(x))
    assert (parzen(x, centres, [0.3])[:, 0] + constant).numpy() != pytest.approx(known, rel=1e-3)


def test_far_from_every_centre_it_stays_finite():
    black, white = torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.full((4, 3, 32, 32), 255, dtype=torch.uint8)
    expected = -3072 / (2 * 0.01**2) - 3072 * (math.log(0.01) + math.log(2 * math.pi) / 2)
    assert parzen(black, white, [0.01]).item() == pytest.approx(expected, rel=1e-12)


def test_blocks_do_not_change_it(monkeypatch):
    x, centres = images(40, 0), images(150, 1)
    whole = parzen(x, centres, GOODFELLOW_BANDWIDTHS)
    monkeypatch.setattr("gan_cli.metrics.distances.ENTRIES", 1000)
    torch.testing.assert_close(parzen(x, centres, GOODFELLOW_BANDWIDTHS), whole, rtol=0, atol=0)


def test_the_grids_are_those_of_the_protocols():
    assert pytest.approx(np.logspace(-1, 0, 10).tolist()) == GOODFELLOW_BANDWIDTHS
    steps = [wider / narrower for narrower, wider in pairwise(FGAN_BANDWIDTHS)]
    assert 1.04 < min(steps) <= max(steps) < 1.05
    assert pytest.approx((0.01, 1)) == (FGAN_BANDWIDTHS[0], FGAN_BANDWIDTHS[-1])


def test_no_bandwidth_above_that_of_f_gans_grid_is_better():
    """Not even for the images that are farthest apart."""
    black, white = torch.zeros(1, 1, 6, 6, dtype=torch.uint8), torch.full((4, 1, 6, 6), 255, dtype=torch.uint8)
    found = parzen(black, white, [0.99, FGAN_BANDWIDTHS[-1], 1.01])[0]
    assert found.argmax() == 1


def test_the_validation_images_choose_the_bandwidth():
    centres = images(200, 0, spread=60)
    for spread in (10, 60):
        validation = images(50, 1, spread=spread)
        known = [kernel_density(h).fit(flat(centres)).score(flat(validation)) for h in GOODFELLOW_BANDWIDTHS]
        assert best_of_validation(validation, centres) == GOODFELLOW_BANDWIDTHS[int(np.argmax(known))]


def by_scikit_learn(centres, bandwidths, folds=3):
    """The mean log-likelihoods in validation by bandwidth, and the best bandwidth."""
    selection = pytest.importorskip("sklearn.model_selection")
    search = selection.GridSearchCV(kernel_density(1.0), {"bandwidth": bandwidths}, cv=folds).fit(flat(centres))
    return search.cv_results_["mean_test_score"] * folds / len(centres), search.best_params_["bandwidth"]


def test_the_folds_choose_the_bandwidth_as_scikit_learn_does():
    found = set()
    for n, spread in ((76, 10), (76, 60), (77, 120)):  # the folds are not of one size
        centres = images(n, 0, spread=spread)
        known, best = by_scikit_learn(centres, FGAN_BANDWIDTHS)
        np.testing.assert_allclose(cross_validated(centres).numpy(), known, rtol=1e-6, atol=1e-5)
        found.add(best_of_folds(centres))
        assert best_of_folds(centres) == best
    assert len(found) == 3


@pytest.mark.parametrize("folds", [2, 4])
def test_scikit_learn_would_notice_another_number_of_folds(folds, monkeypatch):
    centres = images(76, 0, spread=60)
    bandwidths = [0.1, 0.3, 0.9]
    monkeypatch.setattr(parzen_module, "FGAN_BANDWIDTHS", bandwidths)
    monkeypatch.setattr(parzen_module, "FOLDS", folds)
    found = cross_validated(centres).numpy()
    assert found != pytest.approx(by_scikit_learn(centres, bandwidths)[0], rel=1e-3)
    np.testing.assert_allclose(found, by_scikit_learn(centres, bandwidths, folds)[0], rtol=1e-6)


def test_scikit_learn_would_notice_that_the_nearest_centre_stood_for_all():
    x, centres = images(40, 0), images(150, 1)
    known = kernel_density(0.3).fit(flat(centres)).score_samples(flat(x))
    nearest = torch.cat([parzen(x, centre[None], [0.3]) for centre in centres], dim=1).max(1).values - math.log(150)
    assert nearest.numpy() != pytest.approx(known, rel=1e-3)


def test_a_sample_that_validated_itself_would_choose_the_smallest():
    centres = images(150, 0, spread=60)
    itself = parzen(centres, centres, FGAN_BANDWIDTHS).mean(0)
    assert FGAN_BANDWIDTHS[int(itself.argmax())] == FGAN_BANDWIDTHS[0] < best_of_folds(centres)


def test_the_error_is_that_of_a_mean():
    x, centres = images(40, 0), images(150, 1)
    found = FganLogLikelihood(samples=150)(subject(TwoParts(images(50, 2), x), centres))
    each = parzen(x, centres, [found["bandwidth_fgan"].value])[:, 0]
    assert found["log_likelihood_fgan"].value == pytest.approx(each.mean().item())
    assert found["log_likelihood_fgan"].error == pytest.approx(each.std().item() / math.sqrt(40), rel=0.02)


def test_real_images_are_measured_as_samples_are():
    training, x, centres = images(150, 2), images(40, 0), images(150, 1, spread=60)
    metric = FganLogLikelihood(samples=150)
    found = metric(of := subject(TwoParts(training, x), centres))
    number, bandwidth = found["log_likelihood_fgan"], found["bandwidth_fgan"]
    assert number.real == pytest.approx(parzen(x, training, [bandwidth.real]).mean().item())
    assert bandwidth.real < bandwidth.value
    assert number.real > number.value
    assert of.drawn == {"generated": 150, "real": 150, "held_out": 40}
    again = metric(replace(subject(TwoParts(training, x), images(150, 3, spread=60)), real=of.real))
    assert again["log_likelihood_fgan"].value != number.value
    assert (again["log_likelihood_fgan"].real, again["bandwidth_fgan"].real) == (number.real, bandwidth.real)


@pytest.mark.parametrize(("training", "drawn"), [(60, 50), (30, 30)])
def test_there_are_as_many_real_images_as_samples_if_there_can_be(training, drawn):
    of = subject(TwoParts(images(training, 2), images(40, 0)), images(50, 1))
    found = FganLogLikelihood(samples=50)(of)
    assert of.drawn == {"generated": 50, "real": drawn, "held_out": 40}
    chosen = parzen(images(40, 0), images(training, 2), [found["bandwidth_fgan"].real]).mean().item()
    assert (found["log_likelihood_fgan"].real == pytest.approx(chosen)) == (training == drawn)


def test_goodfellows_protocol_is_that_of_his_images():
    """Validated on 1,000 of the last 10,000 training images, measured on 10,000 test images."""
    assert (slice(0, 50_000), slice(50_000, 51_000)) == (parzen_module.TRAINING, parzen_module.VALIDATION)
    assert parzen_module.TEST == 10_000
    assert parzen_module.FOLDS == 3
