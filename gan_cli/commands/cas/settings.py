"""How much `gan-cas` trains: the options of the group `cas`, and what its values may be."""

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_cli.config import options
from gan_cli.config.values import checked
from gan_cli.errors import ConfigError, did_you_mean
from gan_cli.ranges import Count, Share

DEFAULT = "standard"

Ratio = Annotated[float, Gt(0), Le(100)]


@dataclass(frozen=True)
class FewShot:
    """A few real images a class, with and without synthetic ones."""

    per_class: tuple[Count, ...]
    seeds: Annotated[int, Ge(5)]
    """Fewer could hardly tell two conditions apart, so much do classifiers of few images differ."""
    images_seen: Count
    share: Share
    """The share of a batch that is synthetic, in the condition with synthetic images."""


@dataclass(frozen=True)
class Settings:
    """What `configs/cas/*.yaml` hold."""

    classifier: str
    batch_size: Count
    seeds: Count
    images_seen: Count
    """Images that a classifier sees in training: as many in all conditions, so that none is trained longer."""
    synthetic: tuple[Count, ...]
    """Synthetic images alone, in multiples of the number of real ones."""
    ratios: tuple[Ratio, ...]
    """Synthetic images for every real one."""
    few_shot: FewShot
    train_gan: bool
    workers: Count | None


def read(words: Sequence[str]) -> Settings:
    """The settings of `cas=NAME` and of `cas.KEY=VALUE`, the words of a command line. Raises `ConfigError`."""
    chosen = [word.partition("=")[2] for word in words if word.startswith("cas=")]
    if len(chosen) > 1:
        raise ConfigError(f"cas= is given twice ({', '.join(chosen)}): leave one out")
    name = chosen[0] if chosen else DEFAULT
    if name not in options.names("cas"):
        raise ConfigError(f"cas={name} is not an option: {did_you_mean(name, options.names('cas'))}")
    node = options.option("cas", name)
    for word in words:
        if not word.startswith("cas="):
            _set(node, word)
    content = OmegaConf.to_container(node)
    assert isinstance(content, dict)
    found: Settings = _typed(Settings, content, "cas")
    for name, values in (
        ("synthetic", found.synthetic),
        ("ratios", found.ratios),
        ("few_shot.per_class", found.few_shot.per_class),
    ):
        if repeated := sorted({value for value in values if values.count(value) > 1}):
            raise ConfigError(f"cas.{name} holds {repeated[0]} twice: leave one out")
    return found


def _set(node: DictConfig, word: str) -> None:
    key, _, _ = word.removeprefix("cas.").partition("=")
    *parents, last = key.split(".")
    inner: Any = OmegaConf.select(node, ".".join(parents)) if parents else node
    if not isinstance(inner, DictConfig) or last not in inner:
        known = inner if isinstance(inner, DictConfig) else node
        raise ConfigError(f"cas.{key} is not a key: {did_you_mean(last, map(str, known))}")
    try:
        given = OmegaConf.from_dotlist([word.removeprefix("cas.")])
        OmegaConf.update(node, key, OmegaConf.select(given, key), merge=False)
    except (OmegaConfBaseException, ValueError, YAMLError) as error:
        raise ConfigError(f"{word} cannot be read: {str(error).splitlines()[0]}") from error


def _typed(kind: Any, content: Mapping[Any, Any], key: str) -> Any:
    """A dataclass with checked values, and the dataclasses within it."""
    hints = typing.get_type_hints(kind, include_extras=True)
    values = {}
    for name in (option.name for option in fields(kind)):
        if name not in content:
            raise ConfigError(f"{key}.{name} has no value: set {key}.{name}=…")
        if hints[name] is FewShot:
            if not isinstance(content[name], dict):
                raise ConfigError(f"{key}.{name}={content[name]} must be a mapping: set {key}.{name}.KEY=VALUE")
            values[name] = _typed(FewShot, content[name], f"{key}.{name}")
        else:
            values[name] = checked(content[name], hints[name], f"{key}.{name}")
    return kind(**values)
