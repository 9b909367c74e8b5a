"""Scores and histograms of classes, against scipy and torch-fidelity."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from gan_cli.datasets.base import Images
from gan_cli.datasets.mixtures import Ring
from gan_cli.metrics import classes as classes_module
from gan_cli.metrics.classes import (
    ClassifierScore,
    classifier_score,
    confident_share,
    histogram_divergence,
    largest_share_difference,
)


def judged(n, classes, seed=0, sharpness=3.0):
    source = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(n, classes, generator=source)).log_softmax(1)


def test_the_score_is_that_of_scipy():
    logs = judged(500, 10)
    shares = logs.double().exp().numpy()
    expected = math.exp(np.mean([entropy(p, shares.mean(0)) for p in shares]))
    assert classifier_score(logs).value == pytest.approx(expected, rel=1e-6)


def test_the_score_is_that_of_torch_fidelity():
    reference = pytest.importorskip("torch_fidelity.metric_isc")
    logits = 3 * torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    known = reference.isc_features_to_metric(logits, splits=1)["inception_score_mean"]
    assert classifier_score(logits.log_softmax(1)).value == pytest.approx(known, rel=1e-6)


def test_the_score_lies_between_one_and_the_number_of_classes():
    sure = torch.eye(10).repeat(5, 1).log()  # with −∞ for what is impossible
    assert classifier_score(sure).value == pytest.approx(10)
    unsure = torch.full((50, 10), 0.1).log()
    assert classifier_score(unsure).value == pytest.approx(1)
    assert classifier_score(sure[:1].repeat(50, 1)).value == pytest.approx(1)


def test_the_error_of_the_score_is_how_much_it_varies():
    found = [classifier_score(judged(400, 10, seed)) for seed in range(200)]
    spread = torch.tensor([each.value for each in found]).std().item()
    assert 0.85 < np.mean([each.error for each in found]) / spread < 1.15


def test_the_confident_share_counts_samples_with_a_class_of_nine_tenths():
    shares = torch.tensor([[0.95, 0.05, 0.0], [0.04, 0.05, 0.91], [0.89, 0.11, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert confident_share(shares.double().log()) == 0.5
    assert confident_share(torch.eye(3).log()) == 1


@pytest.mark.parametrize("wrong", [lambda p: entropy(p.mean(0)), lambda p: entropy(p.mean(0)) - entropy(p[0])])
def test_scipy_would_notice_a_score_without_the_entropies_of_the_samples(wrong):
    logs = judged(500, 10)
    assert math.exp(wrong(logs.exp().numpy())) != pytest.approx(classifier_score(logs).value, rel=0.05)


def test_the_divergence_of_histograms_is_that_of_scipy():
    counts, reference = torch.tensor([5.0, 0.0, 20.0, 75.0]), torch.tensor([30.0, 10.0, 30.0, 30.0])
    found = histogram_divergence(counts, reference / 100, 100)
    assert found.value == pytest.approx(entropy(counts.numpy(), reference.numpy()))
    assert found.value != pytest.approx(entropy(reference.numpy() + 1, counts.numpy() + 1), rel=0.05)


def test_a_class_that_is_never_real_makes_it_infinite():
    found = histogram_divergence(torch.tensor([5.0, 5.0]), torch.tensor([1.0, 0.0]), 10)
    assert (found.value, found.error) == (math.inf, None)
    assert histogram_divergence(torch.tensor([5.0, 0.0]), torch.tensor([0.5, 0.5]), 10).value == pytest.approx(
        math.log(2)
    )


@pytest.mark.parametrize("p", [[0.1] * 10, [0.19] * 5 + [0.01] * 5], ids=["equal", "different"])
@pytest.mark.parametrize("n", [400, math.inf])
def test_its_error_is_how_much_it_varies(p, n):
    source, found = torch.Generator().manual_seed(0), []
    for _ in range(300):
        counts = torch.bincount(torch.multinomial(torch.tensor(p), 600, True, generator=source), minlength=10)
        shares = torch.full((10,), 0.1, dtype=torch.float64)
        if n < math.inf:
            shares = torch.bincount(torch.randint(10, (n,), generator=source), minlength=10).double() / n
        found.append(histogram_divergence(counts, shares, n))
    spread = torch.tensor([each.value for each in found]).std().item()
    assert 0.8 < np.mean([each.error for each in found]) / spread < 1.3


def test_a_thousand_classes_have_the_floor_of_the_literature():
    """26,000 draws of 1,000 equally frequent classes: 0.0196 ± 0.0008."""
    source, uniform = torch.Generator().manual_seed(0), torch.full((1000,), 1e-3)
    found = [
        histogram_divergence(torch.bincount(torch.randint(1000, (26_000,), generator=source), minlength=1000), uniform)
        for _ in range(200)
    ]
    values = torch.tensor([each.value for each in found])
    assert values.mean().item() == pytest.approx(0.0196, abs=0.0002)
    assert values.std().item() == pytest.approx(0.00086, abs=0.00015)
    assert found[0].error == pytest.approx(0.00086, abs=0.00015)


def test_the_largest_difference_of_shares_is_of_any_class():
    found = largest_share_difference(torch.tensor([50.0, 30.0, 20.0]), torch.tensor([100.0, 90.0, 10.0]), 0)
    assert found.value == pytest.approx(0.15)
    alone = largest_share_difference(torch.tensor([50.0, 0.0]), torch.tensor([100.0, 0.0]), 0)
    assert alone.value == 0
    assert 0.003 < alone.error < 0.03


@pytest.mark.thorough
@pytest.mark.parametrize(
    "shares",
    [[0.2, *[0.8 / 9] * 9], [0.1] * 10, [0.12] * 5 + [0.08] * 5, [1.0, *[0.0] * 199]],
    ids=["one", "none", "all", "collapsed"],
)
def test_the_error_of_the_largest_difference_is_how_much_it_varies(shares):
    """However many classes differ: the largest of ten equal differences varies less than each of them."""
    source = np.random.default_rng(0)
    found = [
        largest_share_difference(
            torch.from_numpy(source.multinomial(4000, shares)),
            torch.from_numpy(source.multinomial(2000, np.full(len(shares), 1 / len(shares)))),
            i,
        )
        for i in range(200)
    ]
    values, errors = (np.array([getattr(each, name) for each in found]) for name in ("value", "error"))
    assert 0.8 < np.sqrt(np.square(errors).mean()) / values.std() < 1.3


def test_between_equal_histograms_the_error_is_of_second_order():
    """√((K − 1)/2)·(1/N + 1/n): the divergence of two samples of K classes is half a χ² of K − 1 degrees of freedom."""
    counts = torch.tensor([40.0, 40.0, 40.0, 40.0])
    found = histogram_divergence(counts, counts / 160, 80)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.error == pytest.approx(math.sqrt(3 / 2) * (1 / 160 + 1 / 80), rel=1e-6)


@pytest.mark.parametrize(("classes", "named"), [(3, True), (20, True), (21, False)])
def test_up_to_twenty_classes_have_a_share_each(classes, named):
    counts = torch.arange(1.0, classes + 1)
    numbers = classes_module._compared(counts, counts.flip(0), 0)
    shares = {
        name: number.value
        for name, number in numbers.items()
        if name.startswith("class_share_") and name[12:].isdecimal()
    }
    expected = {f"class_share_{i}": (i + 1) / counts.sum().item() for i in range(classes)}
    assert shares == (pytest.approx(expected) if named else {})
    assert numbers["classes_seen"].value == classes


def test_a_score_needs_two_images_and_as_many_to_hold_out():
    metric = ClassifierScore(samples=10)
    with pytest.raises(ValueError, match="needs 4 images or more, and there are 3"):
        metric.check(Images(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)))
    metric.check(Images(torch.zeros(4, 1, 8, 8, dtype=torch.uint8)))
    with pytest.raises(ValueError, match="needs images, whose classes an extractor tells"):
        metric.check(Ring(8, 2.0, 0.02))
    assert metric.looks_at == "classes"
