"""What a config may build, and from which values."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
import torch
from annotated_types import Ge
from omegaconf import OmegaConf
from torch import nn

from gan_cli.config.build import build
from gan_cli.datasets.base import Dataset
from gan_cli.datasets.mixtures import Gaussian, Ring
from gan_cli.errors import ConfigError
from gan_cli.models import mlp
from gan_cli.models.base import Generator
from gan_cli.ranges import Count, NonNegative, Positive
from gan_cli.training.loop import update_average
from gan_cli.training.state import TrainState, averaged_copy

STARTED: list[str] = []
"""The classes that were called, in this order."""


class Sample(Dataset):
    """A data set with a knob of every kind."""

    def __init__(
        self,
        whole: int = 0,
        real: float = 0.0,
        word: Literal["a", "b"] = "a",
        some: Sequence[float] = (),
        maybe: int | None = None,
        anything: Any = None,
        bare=None,
        pair: tuple[float, float] = (0.0, 0.0),
        lists: Mapping[str, Sequence[str]] | None = None,
        count: Count | None = None,
        sizes: Sequence[Count] = (),
    ) -> None:
        if real < 0:
            raise ValueError(f"real={real} must be 0 or more")
        if whole < 0:
            raise RuntimeError("out of memory\nwith details")
        self.knobs = (whole, real, word, some, maybe, anything, bare)
        self.pair, self.lists, self.count, self.sizes = pair, lists, count, sizes


class Rate(ABC):
    """A kind of part that is not of this project."""

    @abstractmethod
    def at(self, share: float) -> float: ...


class Constant(Rate):
    def __init__(self, value: Positive) -> None:
        STARTED.append("Constant")
        if value == 13:
            raise ValueError(f"value={value} is unlucky: choose another")
        self.value = value

    def at(self, share: float) -> float:
        return self.value


class Product(Rate):
    def __init__(self, factors: Sequence[Rate]) -> None:
        STARTED.append("Product")
        self.factors = factors

    def at(self, share: float) -> float:
        return self.factors[0].at(share)


class Noise(ABC):
    @abstractmethod
    def draw(self) -> float: ...


class White(Noise):
    def draw(self) -> float:
        return 0.0


class Holder(Dataset):
    """A data set with a place for parts of every form."""

    def __init__(
        self,
        maybe: Rate | None = None,
        several: Sequence[Rate] = (),
        named: Mapping[str, Rate] | None = None,
        number: NonNegative | Rate = 0.0,
        either: Rate | Noise | None = None,
        ours: Gaussian | None = None,
        nested: Mapping[str, Sequence[Rate | None]] | None = None,
        last: Annotated[int, Ge(3)] = 3,
    ) -> None:
        STARTED.append("Holder")
        self.maybe, self.several, self.named, self.number = maybe, several, named, number
        self.either, self.ours, self.nested, self.last = either, ours, nested, last


def part(kind, **values):
    return {"_target_": f"{__name__}.{kind}", **values}


def sample(**values):
    return build(OmegaConf.create(part("Sample", **values)), Dataset, "dataset")


def holder(**values):
    return build(OmegaConf.create(part("Holder", **values)), Dataset, "dataset")


def test_fitting_values_are_passed_on():
    built = sample(whole=2, real=3, word="b", some=[1, 2.5], maybe=None, anything="x", bare=1)
    assert built.knobs == (2, 3, "b", [1, 2.5], None, "x", 1)
    built = sample(pair=[0.5, 1], lists={"a": ["x", "y"], "b": []}, count=1, sizes=[3, 1])
    assert (built.pair, built.lists) == ((0.5, 1.0), {"a": ["x", "y"], "b": []})
    assert (built.count, built.sizes) == (1, [3, 1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"whole": 1.5}, "dataset.whole=1.5 must be a whole number"),
        ({"whole": 1.0}, "dataset.whole=1.0 must be a whole number"),
        ({"whole": "3"}, "dataset.whole=3 must be a whole number"),
        ({"whole": True}, "dataset.whole=True must be a whole number"),
        ({"whole": None}, "dataset.whole=null must be a whole number"),
        ({"real": "1e-3"}, "dataset.real=1e-3 must be a finite number"),
        ({"real": False}, "dataset.real=False must be a finite number"),
        ({"real": float("nan")}, "dataset.real=nan must be a finite number"),
        ({"real": float("inf")}, "dataset.real=inf must be a finite number"),
        ({"real": 10**400}, f"dataset.real={10**400} must be a finite number"),
        ({"word": "c"}, "dataset.word=c must be one of a, b"),
        ({"some": [1, "x"]}, "dataset.some[1]=x must be a finite number"),
        ({"some": 3}, "dataset.some=3 must be a list, such as [3]"),
        ({"some": "x"}, "dataset.some=x must be a list"),
        ({"some": {"a": 1}}, "dataset.some={'a': 1} must be a list"),
        ({"maybe": "x"}, "dataset.maybe=x must be a whole number or null"),
        ({"pair": [0.5]}, "dataset.pair=[0.5] must be a list of 2"),
        ({"pair": [1, 2, 3]}, "dataset.pair=[1, 2, 3] must be a list of 2"),
        ({"lists": {"a": "x"}}, "dataset.lists.a=x must be a list"),
        ({"lists": {"a": ["x", 3]}}, "dataset.lists.a[1]=3 must be text"),
        ({"lists": [1]}, "dataset.lists=[1] must be a mapping or null"),
        ({"count": 0}, "dataset.count=0 must be at least 1 or null"),
        ({"sizes": [1, 0]}, "dataset.sizes[1]=0 must be at least 1"),
        ({"wohle": 1}, "dataset.wohle is not an option of Sample: did you mean whole?"),
        ({"real": -1.0}, "dataset.real=-1.0 must be 0 or more"),
        ({"whole": -1}, "dataset: out of memory"),
        (
            {"some": {"_target_": "tempfile.TemporaryDirectory"}},
            "dataset.some must be a plain value, and not a node with a _target_",
        ),
        (
            {"anything": {"_target_": "tempfile.TemporaryDirectory"}},
            "dataset.anything must be a plain value, and not a node with a _target_",
        ),
    ],
    ids=str,
)
def test_other_values_are_refused_by_key_in_one_line(values, message):
    with pytest.raises(ConfigError) as caught:
        sample(**values)
    assert str(caught.value) == message


def test_a_part_or_null():
    assert holder(maybe=None).maybe is None
    assert holder(maybe=part("Constant", value=2)).maybe.value == 2


def test_a_list_of_parts():
    assert holder(several=[]).several == []
    built = holder(several=[part("Constant", value=2), part("Product", factors=[part("Constant", value=5)])])
    assert [rate.at(0) for rate in built.several] == [2, 5]


def test_a_mapping_of_parts():
    built = holder(named={"critic": part("Constant", value=2), "generator": part("Constant", value=3)})
    assert {name: rate.value for name, rate in built.named.items()} == {"critic": 2, "generator": 3}


def test_a_part_in_the_place_of_a_number():
    assert holder(number=2).number == 2
    assert isinstance(holder(number=part("Constant", value=2)).number, Constant)


def test_a_part_of_either_of_two_kinds():
    assert isinstance(holder(either=part("White")).either, White)
    assert isinstance(holder(either=part("Constant", value=1)).either, Constant)


def test_a_part_that_is_annotated_by_a_class_of_this_project():
    node = {"_target_": "gan_cli.datasets.mixtures.Gaussian", "mean": [0], "deviation": 1}
    assert isinstance(holder(ours=node).ours, Gaussian)


def test_parts_and_nulls_in_lists_in_a_mapping():
    built = holder(nested={"a": [part("Constant", value=2), None], "b": []})
    assert (built.nested["a"][0].value, built.nested["a"][1], built.nested["b"]) == (2, None, [])


KIND = "choose an option of the group with"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"maybe": 3}, "dataset.maybe=3 must be a node with a _target_ (Rate) or null"),
        ({"maybe": part("White")}, f"_target_={__name__}.White is not a concrete Rate: {KIND} dataset.maybe=…"),
        ({"maybe": part("Rate")}, f"_target_={__name__}.Rate is not a concrete Rate: {KIND} dataset.maybe=…"),
        ({"maybe": part("Constant", value=0)}, "dataset.maybe.value=0 must be above 0"),
        ({"maybe": part("Constant", value=13)}, "dataset.maybe.value=13.0 is unlucky: choose another"),
        ({"maybe": part("Constant")}, "dataset.maybe.value is missing: Constant needs it"),
        ({"maybe": part("Constant", value="???")}, "dataset.maybe.value has no value: set dataset.maybe.value=…"),
        ({"maybe": part("Constant", valve=1)}, "dataset.maybe.valve is not an option of Constant: did you mean value?"),
        ({"several": 3}, "dataset.several=3 must be a list of nodes with a _target_"),
        ({"several": None}, "dataset.several=null must be a list of nodes with a _target_"),
        (
            {"several": part("Constant", value=1)},
            "dataset.several must be a list of nodes with a _target_",
        ),
        ({"several": [1]}, "dataset.several[0]=1 must be a node with a _target_ (Rate)"),
        ({"several": [part("Constant", value=1), part("Constant", value=-1)]}, "several[1].value=-1 must be above 0"),
        ({"several": [part("Constant", value=13)]}, "dataset.several[0].value=13.0 is unlucky: choose another"),
        ({"several": [part("White")]}, f"dataset.several[0]._target_={__name__}.White is not a concrete Rate: {KIND}"),
        ({"named": 3}, "dataset.named=3 must be a mapping of nodes with a _target_ or null"),
        ({"named": {"critic": 3}}, "dataset.named.critic=3 must be a node with a _target_ (Rate)"),
        ({"named": {"critic": part("Constant", value=0)}}, "dataset.named.critic.value=0 must be above 0"),
        ({"number": -1}, "dataset.number=-1 must be at least 0 or a node with a _target_ (Rate)"),
        ({"number": "x"}, "dataset.number=x must be a finite number or a node with a _target_ (Rate)"),
        ({"number": part("White")}, f"dataset.number._target_={__name__}.White is not a concrete Rate: {KIND}"),
        ({"number": part("Constant", value=-1)}, "dataset.number.value=-1 must be above 0"),
        ({"either": part("Sample")}, f"{__name__}.Sample is not a concrete Rate or Noise: {KIND} dataset.either=…"),
        (
            {"either": 1},
            "dataset.either=1 must be a node with a _target_ (Rate or Noise) or null",
        ),
        (
            {"ours": {"_target_": "gan_cli.datasets.mixtures.Ring"}},
            f"dataset.ours._target_=gan_cli.datasets.mixtures.Ring is not a concrete Gaussian: {KIND}",
        ),
        ({"nested": {"a": [1]}}, "dataset.nested.a[0]=1 must be a node with a _target_ (Rate) or null"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused_by_key_in_one_line(values, message):
    with pytest.raises(ConfigError) as caught:
        holder(**values)
    assert message in str(caught.value)
    assert str(caught.value).startswith("dataset.")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"last": 2}, {"lats": 3}, {"nested": {"a": [part("Product", factors=[part("Constant", value=0)])]}}],
    ids=str,
)
def test_nothing_is_called_before_all_of_the_tree_is_checked(wrong):
    STARTED.clear()
    good = {"maybe": part("Product", factors=[part("Constant", value=1)]), "several": [part("Constant", value=1)]}
    with pytest.raises(ConfigError):
        holder(**good, **wrong)
    assert STARTED == []
    holder(**good)
    assert STARTED == ["Constant", "Product", "Constant", "Holder"]


@pytest.mark.parametrize(
    "target",
    [
        "gan_cli.show.pictures.Figure",
        "gan_cli.commands.train.Path",
        "gan_cli.cli.os.system",
        "gan_cli.config.build.Any",
        "gan_cli.datasets.mixtures",
    ],
)
def test_a_path_through_our_modules_leads_to_our_classes_only(target):
    with pytest.raises(ConfigError, match=r"^dataset\._target_=gan_cli\.\S* is not a concrete object: "):
        build(OmegaConf.create({"_target_": target}), object, "dataset")


def test_an_old_target_builds_what_it_became():
    node = OmegaConf.create(
        {"_target_": "gan_cli.device.Device", "kind": "cpu", "threads": None, "deterministic": False}
    )
    assert type(build(node, object, "device")).__module__ == "gan_cli.training.device"


def test_injected_values_complete_a_node_and_cannot_be_set():
    node = OmegaConf.create({"_target_": "gan_cli.datasets.mixtures.Ring", "modes": 2, "radius": 1.0})
    assert isinstance(build(node, Dataset, "dataset", deviation=0.5), Ring)
    with pytest.raises(ConfigError, match=r"^dataset\.radius is not an option of Ring: choose one of modes$"):
        build(node, Dataset, "dataset", deviation=0.5, radius=1.0)


class Twice(Dataset):
    """A data set of two others, which are given what it is."""

    def __init__(self, first: Dataset, others: Sequence[Dataset], depth: int = 0) -> None:
        self.first, self.others, self.depth = first, others, depth


def test_injected_values_reach_the_parts_within():
    ring = {"_target_": "gan_cli.datasets.mixtures.Ring", "modes": 2, "radius": 1.0}
    built = build(OmegaConf.create(part("Twice", first=ring, others=[ring, ring])), Dataset, "dataset", deviation=0.5)
    assert [of.deviations.tolist() for of in (built.first, *built.others)] == [[0.5, 0.5]] * 3
    wrong = OmegaConf.create(part("Twice", first=ring, others=[ring, ring | {"deviation": 1.0}]))
    with pytest.raises(ConfigError, match=r"^dataset\.others\[1\]\.deviation is not an option of Ring: choose one of"):
        build(wrong, Dataset, "dataset", deviation=0.5)


def test_the_average_of_a_spectral_generator_keeps_its_norms():
    """Its singular vectors are those of the generator, not a blend of old and new ones, which have no unit length."""
    torch.manual_seed(0)
    generator: Generator = mlp.Generator((2,), 4, "normal", [32, 32], "relu", "spectral")
    critic = mlp.Critic((2,), [4], "relu", "none")
    state = TrainState(
        generator,
        critic,
        averaged_copy(generator),
        torch.optim.SGD(generator.parameters()),
        torch.optim.SGD(critic.parameters()),
    )
    for _ in range(40):
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
        generator(generator.sample_latent(4))
        update_average(state, torch.tensor(0.1))
    layers = [layer for layer in state.average.layers if isinstance(layer, nn.Linear) and layer.out_features == 32]
    assert len(layers) == 2
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.15)
