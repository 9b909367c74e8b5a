"""Which extractors suit which data: their dimensions, their colours, and what they were made for."""

import pytest
import torch
from omegaconf import OmegaConf

from gan_cli.config import parts
from gan_cli.datasets.base import Dataset, Images, resized
from gan_cli.errors import ConfigError
from gan_cli.metrics.base import Metric
from gan_cli.metrics.conditional import ClassFrechet
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.metrics.extractors.inception import Inception
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.frechet import FrechetDistance
from gan_cli.metrics.kernel import KernelDistance
from tests.helpers.subjects import random_images
from tests.metrics.test_extractors import shipped

# Dimensions


@pytest.mark.parametrize("metric", [FrechetDistance, ClassFrechet])
def test_features_of_more_dimensions_than_a_cubic_cost_allows_are_refused(metric: type[Metric]) -> None:
    labels = torch.arange(200) % 2
    small, large = (
        Images(random_images(200, 0, side, channels), labels, classes=["a", "b"])
        for side, channels in ((64, 1), (37, 3))
    )
    node = {"_target_": f"{metric.__module__}.{metric.__name__}", "samples": 200}
    built = parts.metric(OmegaConf.create(node), "metric.frechet", small, Raw(), has_labels=True)  # 4,096
    assert isinstance(built, metric)
    with pytest.raises(ConfigError) as raised:
        parts.metric(OmegaConf.create(node), "metric.frechet", large, Raw(), has_labels=True)
    assert str(raised.value) == (
        "metric.frechet: its cost is cubic in the dimensions of the features, which are 4,107 here and may be 4,096:"
        " choose metric/extractor=cifar10, classifier, fashion_mnist, inception or mnist"
    )
    kernel = OmegaConf.create({"_target_": f"{KernelDistance.__module__}.KernelDistance", "samples": 9})
    assert parts.metric(kernel, "metric.kernel", large, Raw(), has_labels=True)  # whose cost is linear in them


@pytest.mark.parametrize(("name", "dimensions"), [("mnist", 128), ("fashion_mnist", 128)])
def test_the_dimensions_of_shipped_features_are_told(name: str, dimensions: int) -> None:
    assert shipped(name).dimensions((1, 28, 28)) == dimensions
    assert shipped(name).dimensions((3, 28, 28)) == 3 * dimensions
    assert shipped("cifar10").dimensions((3, 32, 32)) == shipped("cifar10").dimensions((3, 64, 64)) == 128
    assert Raw().dimensions((3, 5, 5)) == 75
    assert Raw().dimensions((2,)) == 2
    assert Inception(None).dimensions((3, 32, 32)) == 2048  # without its weights, which are not there


# Photographs


def test_grey_pictures_are_not_for_features_of_colours_and_other_sizes_are_scaled() -> None:
    extractor = shipped("cifar10")
    assert len(extractor.class_names((3, 32, 32))) == 10
    with pytest.raises(
        ConfigError, match=r"in colour, and these images have 1 channel: choose metric/extractor=classifier, f"
    ):
        frechet_of(Images(random_images(9, 0, 28)), extractor)
    frechet_of(Images(random_images(9, 0, 64, 3)), extractor)
    images = random_images(5, 0, 48, 3)
    torch.testing.assert_close(extractor(images).vectors, extractor(resized(images, 32)).vectors)


def frechet_of(data: Dataset, extractor: Extractor) -> None:
    node = OmegaConf.create({"_target_": f"{FrechetDistance.__module__}.FrechetDistance", "samples": 9})
    parts.metric(node, "metric.frechet", data, extractor, has_labels=False)


@pytest.mark.parametrize(
    ("classes", "warned"), [(["cat", "dog"], False), (["cat", "cow"], True), ([], True)], ids=["its", "other", "none"]
)
def test_data_of_an_extractors_own_classes_are_what_it_was_made_for(
    classes: list[str], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    data = Images(random_images(4, 0, 32, 3), torch.arange(4) % 2 if classes else None, classes=classes)
    parts.warn_of_other_data(shipped("cifar10"), data, [FrechetDistance(9)])
    assert ("was made for CIFAR-10's animals and vehicles" in caplog.text) is warned
