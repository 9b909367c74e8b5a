"""What makes two configs one run: keys that came later have their defaults."""

import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from gan_cli.config import schema
from gan_cli.config.identity import differences, leaves
from tests.helpers.configs import TINY, compose

PARTS = """
from dataclasses import dataclass, field


class Inner:
    def __init__(self, strength: float = 0.5) -> None:
        self.strength = strength


@dataclass(frozen=True)
class Option:
    size: int = 3


class Part:
    def __init__(self, width, depth: int = 2, betas=(0.5, 0.9), inner=Inner(), option=Option(), none=None) -> None: ...


@dataclass(frozen=True)
class Frozen:
    width: int
    depth: int = 2
    option: Option = field(default_factory=Option)


class Needs:
    def __init__(self, width, depth) -> None: ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"parts_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def configs(module: str, kind: str, **later: object) -> tuple[DictConfig, DictConfig]:
    """A node with its necessary option alone, and with others that came later."""
    old = {"_target_": f"{module}.{kind}", "width": 1}
    return OmegaConf.create({"dataset": old}), OmegaConf.create({"dataset": old | later})


LATER = {
    "a number": ("Part", {"depth": 2}, {"depth": 3}),
    "null": ("Part", {"none": None}, {"none": 0}),
    "a list": ("Part", {"betas": [0.5, 0.9]}, {"betas": [0.5, 0.99]}),
    "a part": (
        "Part",
        {"inner": {"_target_": "{module}.Inner", "strength": 0.5}},
        {"inner": {"_target_": "{module}.Inner", "strength": 0.4}},
    ),
    "a part that says nothing": ("Part", {"inner": {"_target_": "{module}.Inner"}}, {"inner": None}),
    "a part that is a dataclass": (
        "Part",
        {"option": {"_target_": "{module}.Option", "size": 3}},
        {"option": {"_target_": "{module}.Option", "size": 4}},
    ),
    "an option of a dataclass": ("Frozen", {"depth": 2}, {"depth": 3}),
    "a part made by a factory": (
        "Frozen",
        {"option": {"_target_": "{module}.Option", "size": 3}},
        {"option": {"_target_": "{module}.Inner", "strength": 0.5}},
    ),
}
"""The class, an option that is its default, and one that is another."""


@pytest.mark.parametrize("case", LATER)
def test_the_default_of_a_constructor_stands_for_a_key_that_is_not_there(case: str, module: str) -> None:
    kind, same, other = LATER[case]
    for later, is_same in ((same, True), (other, False)):
        options = yaml.safe_load(yaml.safe_dump(later).replace("{module}", module))
        old, new = configs(module, kind, **options)
        assert (differences(old, new) == []) is is_same
        assert (differences(new, old) == []) is is_same


def test_a_difference_tells_the_default(module: str) -> None:
    assert differences(*configs(module, "Part", depth=3)) == ["dataset.depth=2 (now 3)"]
    assert differences(*configs(module, "Needs", depth=3)) == ["dataset.depth=(none) (now 3)"]


def test_defaults_of_parts_in_lists_count_as_well(module: str) -> None:
    old, new = configs(module, "Part", depth=2)
    several = [OmegaConf.create({"dataset": [config.dataset, config.dataset]}) for config in (old, new)]
    assert differences(*several) == []


def test_nothing_is_imported_that_only_one_of_both_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    old = OmegaConf.create({"dataset": {"_target_": "planted.Part"}})
    new = OmegaConf.create({"dataset": {"_target_": "gan_cli.datasets.mixtures.Ring", "modes": 8}})
    assert len(differences(old, new)) == 2
    assert "planted" not in sys.modules


def test_a_class_that_is_not_found_has_no_defaults() -> None:
    old, new = (OmegaConf.create({"dataset": {"_target_": "nowhere.Part"} | more}) for more in ({}, {"a": 1}))
    assert differences(old, new) == ["dataset.a=(none) (now 1)"]


def plain() -> DictConfig:
    """The config of a run as its folder has it."""
    return DictConfig(OmegaConf.to_container(compose(*TINY), resolve=True, enum_to_str=True))


def test_the_spine_has_defaults_too() -> None:
    old, now = plain(), plain()
    del old.train["reuse_samples"]
    del old["augmentation"]
    assert differences(old, now) == []
    now.train.reuse_samples = True
    assert differences(old, now) == ["train.reuse_samples=False (now True)"]


@pytest.mark.thorough
def test_every_key_but_those_that_are_free_is_told() -> None:
    config = plain()
    keys = leaves(OmegaConf.to_container(config))
    for key in keys:
        changed = deepcopy(config)
        OmegaConf.update(changed, key, "changed", force_add=True)
        told = [difference.partition("=")[0] for difference in differences(config, changed)]
        assert told == ([] if schema.FREE.fullmatch(key) else [key])
    assert len(keys) > 30


def test_an_old_path_of_a_class_is_no_difference() -> None:
    old = OmegaConf.create({"divergence": {"penalty": {"_target_": "gan_cli.penalties.R1", "weight": 1.0}}})
    new = OmegaConf.create({"divergence": {"penalty": {"_target_": "gan_cli.divergences.penalties.R1", "weight": 1.0}}})
    assert differences(old, new) == differences(new, old) == []


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (["divergence/penalty=none"], "divergence/penalty=interpolate (now none)"),
        (["divergence/penalty=interpolate_weak"], "divergence.penalty.weight=10.0 (now 0.1)"),
        (["+divergence.penalty.more=1"], "divergence.penalty.more=(none) (now 1)"),
    ],
)
def test_an_option_that_shares_its_class_is_named_by_its_values(now: list[str], told: str) -> None:
    assert differences(
        compose(*TINY, "divergence/penalty=interpolate"), compose(*TINY, "divergence/penalty=interpolate", *now)
    ) == [told]
