"""Our attacks beside foolbox's and ART's, from the same starts: one step pixel by pixel, forty by their accuracy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan_cli.assembly.classifiers import known_test_images
from gan_cli.attacks.ball import uniform
from gan_cli.attacks.base import Attack, Norm
from gan_cli.attacks.examples import examples
from gan_cli.classifiers.small_cnn import SmallCNN
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import to_unit_range
from gan_cli.datasets.images import Mnist5k
from gan_cli.runs import read
from gan_cli.runs.classifiers import open_classifier
from tests.commands.test_classify import train

STEPS = 40
CHUNK = 250

NORMS: list[Norm] = ["linf", "l2"]

Victim = tuple[nn.Module, Tensor, Tensor]
"""A network of images in [0, 1], such images and their labels."""


class OfUnitRange(nn.Module):
    """A classifier of images in [0, 1], which is where the references have them."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(2 * images - 1)
        return logits


def random_change(like: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """The random start of our own attack where torch's stream is at its beginning."""
    torch.manual_seed(0)
    return uniform(like, epsilon, norm)


# The attacks, each from images of one chunk to changed ones. That of `steps=1` starts at the images.


def ours(victim: Victim, epsilon: float, norm: Norm, steps: int) -> Tensor:
    network, images, labels = victim
    text = f"fgsm:epsilon={epsilon}:norm={norm}" if steps == 1 else f"pgd:epsilon={epsilon}:norm={norm}:steps={steps}"
    attack: Attack = build(options.option("attack", text), Attack, "attack")
    torch.manual_seed(0)
    assert isinstance(network, OfUnitRange)
    return (examples(attack, network.inner, 2 * images - 1, labels) + 1) / 2


def foolbox(victim: Victim, epsilon: float, norm: Norm, steps: int) -> Tensor:
    library = pytest.importorskip("foolbox", reason="foolbox is not installed: pip install -e '.[dev]'")
    eagerpy = pytest.importorskip("eagerpy")
    network, images, labels = victim
    one = {"linf": library.attacks.LinfFastGradientAttack, "l2": library.attacks.L2FastGradientAttack}[norm]
    many = {"linf": library.attacks.LinfPGD, "l2": library.attacks.L2PGD}[norm]
    attack = one(random_start=False) if steps == 1 else many(steps=steps, abs_stepsize=2.5 * epsilon / steps)
    attack.get_random_start = lambda x, size: x + eagerpy.astensor(random_change(x.raw, size, norm))
    _, changed, _ = attack(library.PyTorchModel(network, bounds=(0, 1), device="cpu"), images, labels, epsilons=epsilon)
    assert isinstance(changed, Tensor)
    return changed


def art(victim: Victim, epsilon: float, norm: Norm, steps: int) -> Tensor:
    evasion = pytest.importorskip("art.attacks.evasion", reason="ART is not installed: pip install -e '.[dev]'")
    estimators = pytest.importorskip("art.estimators.classification")
    network, images, labels = victim
    shape, classes = tuple(images.shape[1:]), 10
    estimator = estimators.PyTorchClassifier(
        network, nn.CrossEntropyLoss(), shape, classes, clip_values=(0.0, 1.0), device_type="cpu"
    )
    given: dict[str, Any] = {"norm": {"linf": np.inf, "l2": 2}[norm], "eps": epsilon, "batch_size": CHUNK}
    if steps == 1:
        attack = evasion.FastGradientMethod(estimator, **given)
    else:
        attack = evasion.ProjectedGradientDescentPyTorch(
            estimator, **given, eps_step=2.5 * epsilon / steps, max_iter=steps, num_random_init=1, verbose=False
        )

    def drawn(n: int, pixels: int, size: float, norm_number: float) -> np.ndarray:
        return random_change(images[:n], size, norm).reshape(n, pixels).numpy()

    with pytest.MonkeyPatch.context() as patch:
        module = "art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch"
        patch.setattr(f"{module}.random_sphere", drawn)
        return torch.from_numpy(attack.generate(images.numpy(), np.eye(classes)[labels.numpy()]))


REFERENCES = [foolbox, art]


# One step


@pytest.fixture(scope="module")
def untrained() -> Victim:
    data = Mnist5k(resolution=14, per_class=10)
    torch.manual_seed(1)
    network = OfUnitRange(SmallCNN((1, 14, 14), 10, width=8, dropout=0.0)).eval()
    assert data.labels is not None
    return network, (to_unit_range(data.images) + 1) / 2, data.labels


@pytest.mark.thorough
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("reference", REFERENCES)
def test_the_fast_gradient_is_that_of_the_reference_pixel_by_pixel(reference, norm, untrained):
    _, images, _ = untrained
    epsilon = {"linf": 0.25, "l2": 1.5}[norm]
    changed, theirs = ours(untrained, epsilon, norm, 1), reference(untrained, epsilon, norm, 1)
    assert (changed - images).abs().amax() > 0.1
    # Where a gradient is 0 but for rounding, its sign is anybody's.
    apart = ((changed - theirs).abs() > 1e-4).double().mean().item()
    assert apart < 1e-3


# Forty steps

EPSILON: dict[Norm, float] = {"linf": 0.12, "l2": 0.8}
"""Half of the images withstand these."""


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """Trained against the fast gradient, and a thousand test images."""
    digits = ["dataset.per_class=null", "dataset.resolution=14", "test.share=0.2", "classifier=small_cnn"]
    against = ["attack=fgsm", "attack.epsilon=0.1", "train.clean_weight=0"]
    steps = ["train.steps=400", "train.batch_size=64", "optimizer.classifier.lr=0.005"]
    run: Path = train(tmp_path_factory.mktemp("hardened") / "run", *digits, *against, *steps)
    test = known_test_images(run, read.config_of_run(run))
    assert test.labels is not None
    assert len(test) == 1000
    return OfUnitRange(open_classifier(run).network).eval(), (to_unit_range(test.images) + 1) / 2, test.labels


def accuracy(attack: Callable[..., Tensor], victim: Victim, epsilon: float, norm: Norm, steps: int = STEPS) -> float:
    """In per cent."""
    network, images, labels = victim
    right = []
    for chunk, truth in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
        changed = attack((network, chunk, truth), epsilon, norm, steps)
        with torch.no_grad():
            right.append(network(changed).argmax(1) == truth)
    return 100 * torch.cat(right).double().mean().item()


def assert_as_strong(one: float, other: float) -> None:
    """Accuracies under two attacks are within half a point."""
    assert 20 < other < 80  # beyond these, attacks that differ agree as well
    assert one == pytest.approx(other, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("reference", REFERENCES)
def test_forty_steps_are_as_strong_as_those_of_the_reference(reference, norm, hardened):
    assert_as_strong(*(accuracy(attack, hardened, EPSILON[norm], norm) for attack in (ours, reference)))


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_an_attack_of_fewer_steps_would_be_noticed(norm, hardened):
    weak, strong = (accuracy(ours, hardened, EPSILON[norm], norm, steps) for steps in (3, STEPS))
    with pytest.raises(AssertionError):
        assert_as_strong(weak, strong)
