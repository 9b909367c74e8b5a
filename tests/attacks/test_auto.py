"""AutoAttack through its library: our range and our stream, the network as it was, and what is refused."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gan_cli.assembly.classifiers import assemble
from gan_cli.attacks.base import Attack
from gan_cli.attacks.examples import examples
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.errors import ConfigError
from tests.commands.test_classify import train
from tests.helpers.configs import compose_classifier
from tests.helpers.runs import tree

NORMS = ["linf", "l2"]


def attack(text: str) -> Attack:
    built: Attack = build(options.option("attack", text), Attack, "attack")
    return built


@pytest.fixture
def auto():
    """`auto("epsilon=0.1")`: the attack, where its library is installed."""
    pytest.importorskip("pyautoattack", reason="pyautoattack is not installed: pip install -e '.[dev]'")
    return lambda text: attack(f"auto:{text}")


def coloured(side: int = 6, classes: int = 5) -> nn.Sequential:
    """In the order of memory that classifiers are opened in, with what behaves otherwise in training."""
    torch.manual_seed(2)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Tanh(), nn.Flatten(), nn.Dropout(0.5)]
    network = nn.Sequential(*layers, nn.Linear(8 * side**2, classes))
    return network.to(memory_format=torch.channels_last)


def data(network: nn.Module) -> tuple[Tensor, Tensor]:
    """Images with black and white pixels among them, and labels of which the first four are wrong."""
    torch.manual_seed(0)
    images = torch.randn(16, 3, 6, 6).clamp(-1, 1).contiguous(memory_format=torch.channels_last)
    right = network.eval()(images).argmax(1)
    return images, torch.cat([(right[:4] + 1) % 5, right[4:]])


def sizes(change: Tensor, norm: str) -> Tensor:
    """In units of the data range."""
    flat = change.flatten(1) / 2
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def wrong(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return network.eval()(images).argmax(1) != labels


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.3), ("l2", 3.0)])
def test_a_large_budget_fools_all_and_changes_only_what_was_right(norm, epsilon, auto):
    network = coloured()
    images, labels = data(network)
    changed = examples(auto(f"epsilon={epsilon}:norm={norm}"), network, images, labels)
    assert changed.shape == images.shape
    assert torch.equal(changed[:4], images[:4])
    assert wrong(network, changed, labels).all()
    size = sizes(changed - images, norm)
    assert (size[4:] > 0).all()
    assert 0.6 * epsilon < size.amax() <= epsilon * (1 + 1e-5)
    assert changed.abs().amax() <= 1


def test_no_budget_changes_nothing(auto):
    network = coloured()
    images, labels = data(network)
    assert torch.equal(examples(auto("epsilon=0"), network, images, labels), images)


def test_images_that_are_all_wrong_are_left_as_they_are(auto):
    network = coloured()
    images, labels = data(network)
    assert torch.equal(examples(auto("epsilon=0.3"), network, images[:4], labels[:4]), images[:4])


def test_the_result_is_a_function_of_torchs_stream(auto):
    network = coloured()
    images, labels = data(network)
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append((examples(auto("epsilon=0.3"), network, images, labels), torch.rand(())))
    assert all(map(torch.equal, found[0], found[1]))
    assert not any(map(torch.equal, found[0], found[2]))


def test_the_network_and_the_tracing_are_left_as_they_were(auto):
    network = coloured()
    images, labels = data(network)
    network.train()
    network[3].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    tracing = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        examples(auto("epsilon=0.3"), network, images, labels)
        assert sys.gettrace() is not None
    finally:
        sys.settrace(tracing)
    assert [module.training for module in network.children()] == [True, True, True, False, True, True]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.02), ("l2", 0.2)])
def test_the_whole_ensemble_is_no_weaker_than_projected_gradients(norm, epsilon, auto):
    """At sizes that some images withstand, so that all four attacks are carried out."""
    network = coloured()
    images, labels = data(network)
    of_size = f"epsilon={epsilon}:norm={norm}"
    torch.manual_seed(5)
    found, gradients = (
        wrong(network, examples(each, network, images, labels), labels)
        for each in (auto(of_size), attack(f"pgd:{of_size}:restarts=5"))
    )
    assert 4 < found.sum() < 16
    assert (found | ~gradients).all()


# What is refused


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("attacked") / "run", "dataset.classes=['0','3','7']", "train.steps=1")


def test_without_the_library_one_line_says_how_to_install_it(inside, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    before = tree(trained)
    finished = inside("gan-attack", str(trained), "--attack=fgsm", "--attack=auto")
    assert (finished.code, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert line.endswith("--attack auto: needs pyautoattack: pip install 'gan-cli[attack]'")
    assert tree(trained) == before


@pytest.mark.usefixtures("auto")
def test_fewer_classes_than_it_compares_are_refused(inside, trained):
    before = tree(trained)
    finished = inside("gan-attack", str(trained), "--attack=fgsm", "--attack=auto")
    assert (finished.code, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert "--attack auto: compares the 4 largest logits, and there are 3 classes: choose pgd" in line
    assert tree(trained) == before


@pytest.mark.usefixtures("auto")
def test_training_against_it_is_refused():
    with pytest.raises(ConfigError, match="attack: takes minutes a batch and is for gan-attack: choose fgsm"):
        assemble(compose_classifier("dataset=mnist5k", "dataset.resolution=8", "classifier=softmax", "attack=auto"))


def test_an_objective_without_logits_is_refused(auto):
    with pytest.raises(ValueError, match="attacks classifiers"):
        auto("epsilon=0.1")(torch.zeros(2, 1, 4, 4), lambda images: images.sum((1, 2, 3)))
