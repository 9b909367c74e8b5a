"""What every classifier of the config group keeps to."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gan_cli.classifiers.base import Classifier, brightness
from gan_cli.config.build import build
from gan_cli.config.options import CONFIGS, option
from gan_cli.errors import ConfigError

NAMES = sorted(Path(path).stem for path in CONFIGS.glob("classifier/*.yaml"))
PICTURES = [((1, 28, 28), 10), ((3, 32, 32), 2), ((1, 64, 64), 2), ((2, 20, 32), 3)]


def classifier(text: str, sample_shape=(1, 28, 28), class_count=10) -> Classifier:
    """The option of the group, changed as in `madry:width=4`."""
    built: Classifier = build(
        option("classifier", text), Classifier, "classifier", sample_shape=sample_shape, class_count=class_count
    )
    return built


def fitting(name: str) -> tuple[tuple[int, ...], int]:
    """The first pictures and classes that the network takes."""
    for shape, classes in PICTURES:
        try:
            classifier(name, shape, classes)
        except ConfigError:
            continue
        return shape, classes
    pytest.fail(f"{name} takes none of {PICTURES}")


def made(name: str, n=4) -> tuple[Classifier, torch.Tensor]:
    """A network from seed 0, in evaluation, and pictures for it."""
    shape, classes = fitting(name)
    torch.manual_seed(0)
    return classifier(name, shape, classes).eval(), torch.rand(n, *shape) * 2 - 1


@pytest.mark.parametrize(("shape", "classes"), PICTURES)
@pytest.mark.parametrize("name", NAMES)
def test_pictures_become_features_and_these_the_logits(name, shape, classes):
    if name == "logistic" and classes != 2:
        with pytest.raises(ConfigError, match=r"classifier: takes two classes"):
            classifier(name, shape, classes)
        return
    network = classifier(name, shape, classes)
    images = torch.rand(5, *shape) * 2 - 1
    for training in (True, False):
        network.train(training)
        logits = network(images)
        assert logits.shape == (5, classes)
        assert logits.isfinite().all()
    features = network.features(images)
    assert features.shape[0] == 5
    assert features.dim() == 2
    torch.testing.assert_close(network.head(features), logits, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_depend_on_the_seed_alone(name):
    shape, classes = fitting(name)

    def weights(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return list(classifier(name, shape, classes).state_dict().values())

    first, again, other = weights(0), weights(0), weights(1)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


@pytest.mark.parametrize("name", NAMES)
def test_in_evaluation_logits_are_the_same_each_time_and_whatever_the_batch(name):
    network, images = made(name)
    logits = network(images)
    torch.testing.assert_close(network(images), logits, rtol=0, atol=0)
    torch.testing.assert_close(network(images[1:2]), logits[1:2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_weight_and_the_pictures(name):
    network, images = made(name, n=16)
    images.requires_grad_()
    network.train()
    logits = network(images)
    nn.functional.cross_entropy(logits, torch.arange(16) % logits.shape[1]).backward()
    assert [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()] == []
    assert images.grad.isfinite().all()
    assert images.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_channels_last_is_kept_from_layer_to_layer(name):
    network, images = made(name)
    network.to(memory_format=torch.channels_last)
    seen = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.MaxPool2d):
            module.register_forward_hook(lambda module, _, y: seen.append((module, y)))
    network(images.contiguous(memory_format=torch.channels_last))
    assert len(seen) >= sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert [module for module, y in seen if not y.is_contiguous(memory_format=torch.channels_last)] == []


@pytest.mark.parametrize("classes", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_data_without_two_classes_are_refused_with_a_remedy(name, classes):
    with pytest.raises(
        ConfigError, match=f"needs data of at least two classes, not {classes}: choose data with labels"
    ):
        classifier(name, class_count=classes)


def test_shapes_that_do_not_fit_are_refused_with_a_remedy():
    for name in ("small_cnn", "madry", "resnet"):
        with pytest.raises(ConfigError, match=r"takes images, not samples of shape \(2,\): choose classifier=softmax"):
            classifier(name, (2,))
    for name, side in (("small_cnn", 4), ("madry", 4), ("resnet", 16)):
        classifier(name, (1, side, side))
        remedy = f"takes sides of at least {side}, not {side - 1}: choose dataset.resolution={side}"
        with pytest.raises(ConfigError, match=remedy):
            classifier(name, (1, side, side - 1))


def test_black_has_brightness_0_and_white_1():
    expected = torch.tensor([0, 0.5, 1])
    torch.testing.assert_close(brightness(torch.tensor([-1.0, 0, 1])), expected, rtol=0, atol=0)
