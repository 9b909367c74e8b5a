"""The classes of the metrics: what they ask of a subject, which data they refuse, and the names of their numbers."""

import dataclasses
import math

import pytest
import torch

from gan_cli.datasets.base import Endless, Images, as_uint8
from gan_cli.datasets.mixtures import Gaussian, Ring
from gan_cli.errors import ConfigError
from gan_cli.metrics.base import Measured, flat
from gan_cli.metrics.classes import ClassHistogram, ClassifierScore, StackedModes
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.frechet import FrechetDistance
from gan_cli.metrics.kernel import KernelDistance
from gan_cli.metrics.manifold import PrecisionRecall
from gan_cli.metrics.modes import ModeCoverage
from gan_cli.metrics.neighbours import Neighbours
from gan_cli.metrics.parzen import (
    FGAN_BANDWIDTHS,
    GOODFELLOW_BANDWIDTHS,
    FganLogLikelihood,
    GoodfellowLogLikelihood,
    best_of_folds,
)
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.sliced import SlicedWasserstein
from tests.helpers.configs import compose
from tests.helpers.subjects import Sorts, Stacked, TwoParts, random_images, subject

RING = Ring(8, 2.0, 0.02)
DIGITS = TwoParts(random_images(300, 0), random_images(200, 1))
METRICS = {
    "frechet": FrechetDistance(samples=100),
    "kernel": KernelDistance(samples=100),
    "precision_recall": PrecisionRecall(samples=100, neighbours=5),
    "classifier_score": ClassifierScore(samples=100),
    "class_histogram": ClassHistogram(samples=100),
    "stacked_modes": StackedModes(samples=100),
    "parzen_goodfellow": GoodfellowLogLikelihood(samples=100),
    "parzen_fgan": FganLogLikelihood(samples=99),
    "neighbours": Neighbours(samples=100, quantile=0.05),
    "sliced_wasserstein": SlicedWasserstein(samples=100, projections=10),
    "modes": ModeCoverage(samples=100, radius=3.0),
}
FINE = [name for name in METRICS if name not in ("parzen_goodfellow", "stacked_modes", "sliced_wasserstein", "modes")]


@pytest.mark.parametrize("name", FINE)
def test_fresh_real_images_measure_as_the_held_out_ones_do(name):
    METRICS[name].check(DIGITS)
    measured = METRICS[name](subject(DIGITS, random_images(100, 2), Sorts(10)))
    for number, of in measured.items():
        assert math.isfinite(of.value), number
        if of.error is not None:
            assert of.error > 0, number
            if of.real is not None:
                assert abs(of.value - of.real) < 6 * of.error + 0.02, (number, of)


@pytest.mark.parametrize("name", ["frechet", "kernel", "precision_recall", "sliced_wasserstein", "modes"])
def test_fresh_points_measure_as_the_held_out_ones_do(name):
    METRICS[name].check(RING)
    measured = METRICS[name](subject(RING, RING.sample(100, torch.Generator().manual_seed(7))))
    for number, of in measured.items():
        expected = 0 if of.real is None else of.real
        assert abs(of.value - expected) <= 4 * (of.error or 0) + 0.05, (number, of)


@pytest.mark.parametrize(
    ("name", "numbers"),
    {
        "frechet": ["frechet_distance", "frechet_unbiased"],
        "kernel": ["kernel_distance"],
        "precision_recall": ["precision", "recall", "density", "coverage"],
        "classifier_score": ["classifier_score", "confident_share"],
        "class_histogram": ["class_kl", "class_share_difference", "classes_seen", "class_share_0", "class_share_1"],
        "parzen_fgan": ["log_likelihood_fgan", "bandwidth_fgan"],
        "neighbours": ["memorised_share", "closer_than_held_out"],
    }.items(),
)
def test_the_numbers_of_images_have_names(name, numbers):
    assert [*METRICS[name](subject(DIGITS, random_images(100, 2), Sorts(2)))] == numbers


def test_the_numbers_of_points_have_names():
    ring = subject(RING, RING.sample(100, torch.Generator().manual_seed(7)))
    assert {"modes", "high_quality_share"} <= flat(METRICS["modes"](ring)).keys()
    assert [*METRICS["sliced_wasserstein"](ring)] == ["sliced_wasserstein"]


@pytest.mark.parametrize("name", [*FINE, "sliced_wasserstein"])
def test_the_same_subject_measures_the_same_twice(name):
    def measured():
        if name == "sliced_wasserstein":
            return METRICS[name](subject(RING, RING.sample(100, torch.Generator().manual_seed(7))))
        return METRICS[name](subject(DIGITS, random_images(100, 2), Sorts(10)))

    assert measured() == measured()


@pytest.mark.parametrize(
    ("name", "refused", "why"),
    [
        ("frechet", Images(random_images(7, 0)), "needs 8 images or more, and there are 7"),
        ("kernel", Images(random_images(3, 0)), "needs 4 images or more"),
        ("precision_recall", Images(random_images(11, 0)), "needs 12 images or more"),
        ("classifier_score", RING, "needs images, whose classes"),
        ("class_histogram", RING, "needs images, whose classes"),
        ("stacked_modes", DIGITS, "dataset=stacked_mnist"),
        ("parzen_goodfellow", RING, "needs images in memory"),
        ("parzen_goodfellow", Images(random_images(300, 0)), "with a test split"),
        ("parzen_goodfellow", DIGITS, "needs 60,000 training images, and there are 300: choose metric=parzen_fgan"),
        ("parzen_fgan", Images(random_images(300, 0)), "with a test split"),
        ("neighbours", RING, "needs images in memory"),
        ("sliced_wasserstein", DIGITS, "needs points"),
        ("modes", DIGITS, "needs a mixture"),
        ("class_histogram", Stacked(torch.arange(1000)), "samples=100 must be at least 15000, 15 of each class, or "),
    ],
)
def test_what_does_not_apply_is_refused(name, refused, why):
    with pytest.raises(ValueError, match=why):
        METRICS[name].check(refused)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: PrecisionRecall(samples=5, neighbours=5), "samples=5 must be more than neighbours=5"),
    ],
)
def test_arguments_are_checked(make, why):
    with pytest.raises(ValueError, match=f"^{why}"):
        make()


@pytest.mark.parametrize(("samples", "offered"), [(32, False), (34, True)])
def test_the_distance_without_bias_needs_halves_of_more_samples_than_features(samples, offered):
    numbers = FrechetDistance(samples=samples)(subject(DIGITS, random_images(samples, 2)))
    assert ("frechet_unbiased" in numbers) is offered


@pytest.mark.parametrize("name", ["classifier_score", "class_histogram"])
def test_an_extractor_that_does_not_classify_is_an_error_of_the_config(name):
    with pytest.raises(ConfigError, match=r"metric\.extractor does not classify: choose another"):
        METRICS[name](subject(DIGITS, random_images(100, 2), Raw()))


def test_a_thousand_classes_seen_once_each():
    labels = torch.arange(2000) % 1000
    data = Stacked(labels)
    once = as_uint8(data.sample(1000, torch.Generator()))
    StackedModes(samples=2000).check(data)
    numbers = StackedModes(samples=1000)(subject(data, once, Sorts(1000)))
    assert (numbers["modes"].value, numbers["modes"].real) == (1000, 1000)
    assert numbers["mode_kl"].value == pytest.approx(0, abs=1e-12)
    half = StackedModes(samples=1000)(subject(data, once[:500], Sorts(1000)))
    assert half["modes"].value == 500
    assert half["mode_kl"].value == pytest.approx(math.log(2), abs=1e-12)
    with pytest.raises(ConfigError, match="tells 10 classes: choose metric/extractor=mnist"):
        StackedModes(samples=1000)(subject(data, once, Sorts(10)))


def test_the_goodfellow_protocol_validates_on_what_follows_the_first_50_000_images():
    images = torch.zeros(60_000, 1, 2, 2, dtype=torch.uint8)
    images[50_000:51_000] = 100
    data = TwoParts(images, torch.full((50, 1, 2, 2), 100, dtype=torch.uint8))
    GoodfellowLogLikelihood(samples=100).check(data)
    of = subject(data, torch.full((10, 1, 2, 2), 100, dtype=torch.uint8))
    numbers = GoodfellowLogLikelihood(samples=100)(of)
    number = numbers["log_likelihood_goodfellow"]
    # Exactly where the samples are, the smallest bandwidth is best.
    assert number.value == pytest.approx(-4 * (math.log(0.1) + math.log(2 * math.pi) / 2))
    assert number.error == pytest.approx(0, abs=1e-9)
    # None of the images that choose the bandwidth stands in the place of a sample, to choose itself.
    apart = (100 / 255) ** 2
    h = max(GOODFELLOW_BANDWIDTHS, key=lambda h: -math.log(h) - apart / (2 * h**2))
    assert numbers["bandwidth_goodfellow"] == Measured(GOODFELLOW_BANDWIDTHS[0], real=h)
    assert number.real == pytest.approx(-4 * (math.log(h) + math.log(2 * math.pi) / 2 + apart / (2 * h**2)))
    assert of.drawn == {"generated": 100, "real": 100, "held_out": 50}


def told(caplog):
    return [r.getMessage() for r in caplog.records if (r.name, r.levelname) == ("gan_cli.metrics.parzen", "WARNING")]


@pytest.mark.parametrize("spread", [0, 80])
def test_a_bandwidth_at_the_lower_end_of_its_grid_is_told(spread, caplog):
    samples = 100 + (spread * torch.rand(99, 1, 4, 4, generator=torch.Generator().manual_seed(0))).byte()
    numbers = FganLogLikelihood(samples=99)(subject(TwoParts(samples, samples), samples))
    assert (numbers["bandwidth_fgan"].value == FGAN_BANDWIDTHS[0]) == (spread == 0)
    assert numbers["bandwidth_fgan"].value == best_of_folds(samples)
    ends = ["log_likelihood_fgan: the bandwidth is 0.01, at an end of its grid: one beyond may be better"]
    assert told(caplog) == (ends if spread == 0 else [])


@pytest.mark.parametrize("level", [255, 128])
def test_a_bandwidth_at_the_upper_end_of_its_grid_is_told(level, caplog):
    data = TwoParts(torch.full((60_000, 1, 2, 2), level, dtype=torch.uint8), random_images(50, 0, side=2))
    numbers = GoodfellowLogLikelihood(samples=100)(subject(data, torch.zeros(10, 1, 2, 2, dtype=torch.uint8)))
    ends = ["log_likelihood_goodfellow: the bandwidth is 1, at an end of its grid: one beyond may be better"]
    assert (numbers["bandwidth_goodfellow"].value == GOODFELLOW_BANDWIDTHS[-1]) == (level == 255)
    assert told(caplog) == (ends if level == 255 else [])


def test_a_split_matters_to_those_metrics_that_say_so():
    """The reference is another one; the run's own data are not."""
    trained_on, test = random_images(300, 0), random_images(200, 1) // 2

    class Split(TwoParts):
        def at_split(self, split):
            return TwoParts(test, trained_on)

    data = Split(trained_on, test)
    for name in FINE:
        numbers = []
        for split in (None, "test"):
            of = subject(data, random_images(100, 2), Sorts(10))
            real = RealSamples(data, Sorts(10), 0, torch.device("cpu"), split)
            numbers.append(METRICS[name](dataclasses.replace(of, real=real, drawn={}, _generated={})))
        assert (numbers[0] != numbers[1]) == METRICS[name].uses_split, name
    assert {name for name in FINE if not METRICS[name].uses_split} == {"neighbours", "parzen_fgan"}
    assert not METRICS["parzen_goodfellow"].uses_split


def test_every_metric_of_the_configs_takes_its_options_from_there():
    for name in METRICS:
        node = compose(f"metric={name}", "dataset=ring").metric[name]
        assert isinstance(node.samples, int)
        assert node._target_.endswith(type(METRICS[name]).__name__)


def test_what_is_drawn_is_told():
    of = subject(DIGITS, random_images(100, 2))
    METRICS["kernel"](of)
    assert of.drawn == {"generated": 100, "real": 100, "held_out": 100}


def test_points_of_one_dimension_have_one_direction():
    line = Gaussian([0.0], 1.0)
    of = subject(line, line.sample(2000, torch.Generator().manual_seed(5)) + 1)
    number = SlicedWasserstein(samples=2000, projections=1000)(of)["sliced_wasserstein"]
    assert number.value == pytest.approx(1, abs=4 * number.error)
    assert 0.01 < number.error < 0.1


def test_an_endless_set_of_images_is_compared_too():
    class Noise(Endless):
        sample_shape = (1, 4, 4)

        def sample(self, n, generator):
            return 2 * torch.rand(n, 1, 4, 4, generator=generator) - 1

    measured = METRICS["kernel"](subject(Noise(), random_images(100, 2)))["kernel_distance"]
    assert abs(measured.value) < 4 * measured.error
