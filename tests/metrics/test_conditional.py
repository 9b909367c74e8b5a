"""Metrics of the classes that a generator was asked for."""

import pytest
import torch
from torch import Tensor, nn

from gan_cli.config import parts
from gan_cli.datasets.base import Dataset, Images, to_unit_range
from gan_cli.datasets.mixtures import Ring
from gan_cli.errors import ConfigError
from gan_cli.metrics.base import Measured, flat
from gan_cli.metrics.conditional import ClassAgreement, ClassFrechet
from gan_cli.metrics.extractors.base import Features
from gan_cli.metrics.modes import ModeCoverage
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Players
from gan_cli.models.base import Generator
from gan_cli.models.mlp import Critic
from tests.helpers.configs import compose, divergence
from tests.helpers.subjects import Sorts

NAMES = ["cat", "dog", "eel"]
CPU = torch.device("cpu")


def pictures(labels: Tensor, seed: int) -> Tensor:
    """Pictures whose brightest pixel among the first three is the class, the rest being noise: uint8."""
    source = torch.Generator().manual_seed(seed)
    images = torch.randint(40, (len(labels), 1, 2, 4), dtype=torch.uint8, generator=source)
    images.flatten(1)[torch.arange(len(labels)), labels] = 255
    return images


def animals(n: int = 600, names: list[str] = NAMES) -> Images:
    labels = torch.arange(n) % len(names)
    data = Images(pictures(labels, 0), labels)
    data.classes = names
    return data


class Named(Sorts):
    """Tells the three classes, which it knows by name in an order of its own."""

    classifies = True

    def __init__(self, order: list[str]) -> None:
        super().__init__(len(order))
        self.order = order

    def class_names(self, sample_shape: tuple[int, ...]) -> list[str]:
        return self.order

    def __call__(self, samples: Tensor) -> Features:
        vectors, logs = super().__call__(samples)
        assert logs is not None
        return Features(vectors, logs[:, [NAMES.index(name) for name in self.order]])


class Draws(Generator):
    """A picture of the class, or of the one after it where the latent says so."""

    conditional = True

    def __init__(self, wrong: dict[int, float]) -> None:
        super().__init__(1, "normal")
        self.wrong = wrong
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        shares = torch.tensor([self.wrong.get(label, 0.0) for label in range(3)])[labels]
        is_wrong = torch.special.ndtr(latent[:, 0]) < shares
        return to_unit_range(pictures((labels + is_wrong) % 3, int(1e6 * latent[0, 0].abs())))


def subject(data: Dataset, generator: Generator, order: list[str] = NAMES) -> Players:
    critic = Critic(data.sample_shape, [4], "tanh", "none")
    real = RealSamples(data, Named(order), 0, CPU)
    return Players(real, 0, generator, generator, critic, divergence("gan"))


def within(found: Measured, expected: float) -> bool:
    assert found.error is not None
    return abs(found.value - expected) < 4 * found.error


def test_agreement_is_the_share_of_samples_of_the_class_that_was_asked_for():
    found = ClassAgreement(3000)(subject(animals(), Draws({1: 0.3})))
    assert within(found["class_agreement"], 0.9)
    assert within(found["class_agreement/dog"], 0.7)
    assert found["class_agreement/cat"].value == found["class_agreement/eel"].value == 1
    assert all(of.real == 1 for of in found.values())
    assert list(found) == ["class_agreement", *(f"class_agreement/{name}" for name in NAMES)]


def test_classes_are_known_by_name_so_that_another_order_permutes_results_and_nothing_else():
    plain = ClassAgreement(1000)(subject(animals(), Draws({1: 0.3})))
    assert ClassAgreement(1000)(subject(animals(), Draws({1: 0.3}), ["eel", "cat", "dog"])) == plain
    renamed = animals(names=["dog", "eel", "cat"])
    crossed = ClassAgreement(1000)(subject(renamed, Draws({})))
    assert crossed["class_agreement"].value == 0


def test_the_distance_within_a_class_is_about_that_class_alone():
    exact, crossed = (ClassFrechet(600)(subject(animals(), Draws(wrong))) for wrong in ({}, {1: 1.0}))
    for name in NAMES:
        assert exact[f"class_frechet/{name}"].value < 0.05
        assert exact[f"class_frechet/{name}"].real is not None
    # The features of a dog and of an eel differ by about 0.9 in two pixels.
    assert crossed["class_frechet/dog"].value == pytest.approx(2 * 0.92**2, abs=0.1)
    assert crossed["class_frechet/cat"].value < 0.05
    mean = sum(crossed[f"class_frechet/{name}"].value for name in NAMES) / 3
    assert crossed["class_frechet"].value == pytest.approx(mean)
    assert crossed["class_frechet"].error == pytest.approx(
        sum((crossed[f"class_frechet/{name}"].error or 0) ** 2 for name in NAMES) ** 0.5 / 3
    )


def test_a_mixtures_generator_is_asked_for_modes():
    ring = Ring(8, 2.0, 0.02)

    class Turned(Generator):
        """Each mode where it is, but for the last, which lies on the first."""

        conditional = True

        def __init__(self) -> None:
            super().__init__(2, "normal")
            self.deviation = nn.Parameter(torch.tensor(0.02))

        def forward(self, latent: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
            return ring.means[labels % 7].float() + self.deviation * latent

    found = ModeCoverage(4000, 3.0)(subject(ring, Turned()))
    assert within(found["class_agreement"], 7 / 8)
    assert found["class_agreement/7"].value == 0
    assert found["class_agreement/2"].value == 1
    assert found["modes"].value == 7


# Refusals


def refused(name: str, data: Dataset, order: list[str] = NAMES, *, is_conditional: bool = True) -> str:
    node = compose("dataset=mnist5k", f"metric=[{name}]").metric[name]
    with pytest.raises(ConfigError) as raised:
        parts.metric(node, f"metric.{name}", data, Named(order), has_labels=is_conditional)
    return str(raised.value)


@pytest.mark.parametrize("name", ["class_agreement", "class_frechet"])
def test_a_generator_that_draws_no_classes_is_refused(name):
    message = refused(name, animals(), is_conditional=False)
    assert message == (
        f"metric.{name}: needs a conditional generator: train with model.conditional=true, or leave the metric out"
    )


def test_an_extractor_of_other_classes_is_refused():
    assert refused("class_agreement", animals(), ["cat", "cow"]) == (
        "metric.class_agreement: the extractor tells cat, cow, and the data have dog, eel: choose a metric/extractor"
        " made for them, or metric=[]"
    )


def test_a_class_of_too_few_images_is_refused():
    assert refused("class_frechet", animals(270)) == (
        "metric.class_frechet: needs 100 images of each class, and there are 90 of cat: add some, or leave the"
        " metric out"
    )


def test_too_few_samples_for_a_class_are_refused_before_the_first_step():
    with pytest.raises(ValueError, match=r"^samples=149 leave about 50 of class cat: choose 150 or more$"):
        ClassFrechet(149).check(animals())
    ClassFrechet(150).check(animals())


def test_a_class_may_be_called_error():
    data = animals(names=["error", "dog", "eel"])
    found = flat(ClassFrechet(600)(subject(data, Draws({}))))
    assert 0 < found["class_frechet_error"] != found["class_frechet/error"] < 0.05
