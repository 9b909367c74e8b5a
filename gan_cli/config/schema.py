"""The typed spine of a run's config: the settings that do not belong to a group, and what their values may be."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from omegaconf import MISSING, DictConfig, OmegaConf

from gan_cli.config.values import checked
from gan_cli.errors import ConfigError, did_you_mean
from gan_cli.ranges import Count


class GeneratorTraining(Enum):
    """Whether the generator learns, or the critic alone."""

    trained = "trained"
    frozen = "frozen"


@dataclass
class TrainConfig:
    """The game itself."""

    steps: int = MISSING
    batch_size: int = MISSING
    average_decay: Any = MISSING
    """A number, the name of an option of the group `schedule`, or a node of one."""
    schedule: Any = MISSING
    """The name of an option of the group `schedule`, or a node of one."""
    generator: GeneratorTraining = MISSING
    reuse_samples: bool = False
    packing: int = 1
    """The number of samples that the critic judges together."""
    burn_in: int | None = None
    """Real samples seen until schedules that refer to it are at their ends; None: those of the whole run."""


@dataclass
class EveryConfig:
    """Intervals in steps; None means at the last step only."""

    log: int = MISSING
    samples: int | None = MISSING
    checkpoint: int | None = MISSING
    evaluate: int | None = MISSING
    keep: int = MISSING


@dataclass
class RunConfig:
    """What every run that is composed and trained has."""

    seed: int = MISSING
    name: str = MISSING
    outputs: str = MISSING
    every: EveryConfig = field(default_factory=EveryConfig)
    dataset: Any = MISSING
    optimizer: Any = MISSING
    """A node for each network that learns."""
    augmentation: Any = field(default_factory=lambda: {"_target_": "gan_cli.augmentations.base.NoAugmentation"})
    device: Any = MISSING
    tracker: Any = MISSING


@dataclass
class Config(RunConfig):
    """A composed game."""

    train: TrainConfig = field(default_factory=TrainConfig)
    model: Any = MISSING
    divergence: Any = MISSING
    metric: Any = field(default_factory=dict)
    study: dict[str, Any] | None = field(default_factory=dict)


@dataclass
class LessonConfig:
    """The training of a classifier."""

    steps: int = MISSING
    batch_size: int = MISSING
    schedule: Any = MISSING
    """The name of an option of the group `schedule`, or a node of one."""
    clean_weight: float = 0.5
    """The weight of the loss of images as they are; that of images which an attack changed is the rest."""
    label_smoothing: float = 0.0
    """The share of each label that is spread evenly over all classes."""
    guard: Any = None
    """An option of the group `attack`, as text or as a node, which watches over the training; None: nothing does."""


@dataclass
class TestConfig:
    """What a classifier is tested on."""

    data: Any = None
    """An option of the group `dataset`, as text or as a node; None: what the training data leave."""
    share: float = MISSING


@dataclass
class ClassifierConfig(RunConfig):
    """A composed training of a classifier."""

    train: LessonConfig = field(default_factory=LessonConfig)
    test: TestConfig = field(default_factory=TestConfig)
    classifier: Any = MISSING
    attack: Any = field(default_factory=lambda: {"_target_": "gan_cli.attacks.base.NoAttack"})


def kind_of(config: Mapping[Any, Any]) -> type[RunConfig]:
    """The schema of a run: of a game, unless it chooses a classifier."""
    return ClassifierConfig if "classifier" in config else Config


def keys(kind: type) -> list[str]:
    """The keys of a schema, without those of nested ones."""
    return [option.name for option in fields(kind)]


def nested_in(kind: type) -> dict[str, type]:
    """The schemas within one, by their key."""
    return {
        option.name: option.type
        for option in fields(kind)
        if isinstance(option.type, type) and is_dataclass(option.type)
    }


def has(kind: type, key: str) -> bool:
    """Whether a schema has a dotted key."""
    first, _, rest = key.partition(".")
    return first in keys(kind) and (not rest or has(nested_in(kind)[first], rest))


def groups(kind: type[RunConfig]) -> list[str]:
    """The config groups that a kind of run has an option of."""
    return [option.name for option in fields(kind) if option.type is Any]


GROUPS = list(dict.fromkeys([*groups(Config), *groups(ClassifierConfig)]))


FREE = re.compile(
    r"train\.steps|name|outputs|every\..*|tracker\b.*|metric\b.*|dataset(\.(first|second))*\.(root|verify)|device\.(data|workers|generation_batch_size)|study\.published\b.*"
)
"""The keys that a run may change when it resumes, since they do not change what is computed at a step."""


RANGES = {
    "seed": Annotated[int, Ge(0)],
    "train.steps": Count,
    "train.batch_size": Count,
    "train.packing": Count,
    "train.burn_in": Count | None,
    "train.average_decay": Annotated[float, Ge(0), Lt(1)],
    "train.clean_weight": Annotated[float, Ge(0), Le(1)],
    "train.label_smoothing": Annotated[float, Ge(0), Lt(1)],
    "test.share": Annotated[float, Gt(0), Lt(1)],
    **{f"every.{option.name}": Count | None for option in fields(EveryConfig)},
}
"""What numbers the spine takes: OmegaConf knows types only."""


def run_name(overrides: Sequence[str]) -> str:
    """The name of the folder of a run with these overrides; runs that continue one another share it."""
    return folder_name(
        sorted(override for override in overrides if not FREE.fullmatch(override.lstrip("+").split("=")[0]))
    )


def member_name(overrides: Sequence[str], name: str) -> str:
    """The name of the folder of a run of a sweep: `name` if it was given, else what tells it from all others."""
    if any(override.startswith("name=") for override in overrides):
        return folder_name([name])
    return folder_name(sorted(override for override in overrides if not override.startswith("outputs=")))


def folder_name(parts: Sequence[str]) -> str:
    """The parts joined into one name that every file system takes."""
    name = re.sub(r"[^\w.=,+~@-]+", "-", ",".join(parts)).strip("-.")
    if len(name) > 120:
        name = f"{name[:110]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name or "default"


def validate(config: DictConfig) -> None:
    """Raise `ConfigError` for a value of the spine that no run can have."""
    kind = kind_of(config)
    for group in groups(kind):
        if OmegaConf.is_missing(config, group) or config[group] is None:
            raise ConfigError(f"{group} has no value: choose an option with {group}=…")
    # Hydra lets +key=… past the schema.
    for prefix, node, known in (
        ("", config, keys(kind)),
        *((f"{name}.", config[name], keys(nested)) for name, nested in nested_in(kind).items()),
    ):
        for key in map(str, node):
            if key not in known:
                raise ConfigError(f"{prefix}{key} is not a key: {did_you_mean(key, known)}")
    for key, numbers in RANGES.items():
        if not has(kind, key):
            continue
        value = OmegaConf.select(config, key, throw_on_missing=True)
        if not isinstance(value, DictConfig | str):  # a schedule is a part, or the name of one
            checked(value, numbers, key)
    if config.train.batch_size % config.train.get("packing", 1):
        raise ConfigError(
            f"train.batch_size={config.train.batch_size} must be a multiple of train.packing={config.train.packing},"
            " the samples that the critic judges together"
        )
    name = PurePath(config.name)
    if name.is_absolute() or ".." in name.parts or not name.parts or name.parts[0] == "sweeps":
        raise ConfigError(
            f"name={config.name} must be a path below outputs, other than sweeps: to write elsewhere set outputs=…"
        )
