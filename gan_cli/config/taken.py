"""What a command takes of a composition: the yamls of data sets and optimizers serve games and classifiers alike.

A data set's yaml chooses what fits it for games: a model, a penalty, an extractor. A classifier's composition has these
groups too, so that they can be chosen, and leaves them aside.
"""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from gan_cli.config import options
from gan_cli.config.schema import ClassifierConfig, Config, RunConfig, has, keys, kind_of, nested_in
from gan_cli.errors import ConfigError, did_you_mean

LEARNERS: Mapping[type[RunConfig], Sequence[str]] = {Config: ("generator", "critic"), ClassifierConfig: ("classifier",)}
"""The networks that learn in a kind of run: an optimizer's yaml has a node for each."""

ROOTS: Mapping[type[RunConfig], str] = {Config: "config", ClassifierConfig: "classify"}
"""The yaml that a command composes from."""

COMMANDS: Mapping[type[RunConfig], str] = {Config: "gan-train", ClassifierConfig: "gan-classify"}


def taken(config: DictConfig) -> DictConfig:
    """The part of a composition that is the config of its run. Raises `ValidationError` for a value of another type."""
    kind = kind_of(config)
    if kind is ClassifierConfig:
        config = _masked(config, keys(kind))
        for name, nested in nested_in(kind).items():
            if config.get(name) is None:
                raise ConfigError(f"{name}=null is no value: set its keys, such as {name}.{keys(nested)[0]}=…")
            config[name] = _masked(config[name], keys(nested))
        config = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(kind), config))
    if isinstance(config.get("optimizer"), DictConfig):
        of_others = {name for other, names in LEARNERS.items() if other is not kind for name in names}
        config.optimizer = _masked(
            config.optimizer, [key for key in map(str, config.optimizer) if key not in of_others]
        )
    return config


def _masked(node: DictConfig, names: Sequence[str]) -> DictConfig:
    masked: DictConfig = OmegaConf.masked_copy(node, [name for name in names if name in node])
    return masked


def refuse_of_games(overrides: Sequence[str]) -> None:
    """Raise `ConfigError` for an override of a classifier's run that only games have."""
    for override in overrides:
        if override.startswith("~"):
            raise ConfigError(f"{override}: a classifier's run needs all that it has: leave it out")
        name = override.split("=")[0].lstrip("+~").split("@")[0].replace("/", ".")
        first, *rest = name.split(".")
        if first in ("hydra", "experiment") or (first == "schedule" and "@" in override):
            continue
        if first not in keys(ClassifierConfig):
            remedy = "gan-train trains games" if first in keys(Config) else did_you_mean(first, keys(ClassifierConfig))
            raise ConfigError(f"{override}: {first} is not a key of gan-classify: {remedy}")
        if first == "optimizer" and rest and rest[0] in LEARNERS[Config]:
            raise ConfigError(f"{override}: a classifier's is optimizer.classifier")
        if first in nested_in(ClassifierConfig) and rest and not has(ClassifierConfig, f"{first}.{rest[0]}"):
            remedy = did_you_mean(rest[0], keys(nested_in(ClassifierConfig)[first]))
            raise ConfigError(f"{first}.{rest[0]} is not a key of gan-classify: {remedy}")


def refuse_recipes_of_others(kind: type[RunConfig], overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """Raise `ConfigError` for a recipe that is another command's, or that sets what its command does not have."""
    chosen = [override.partition("=")[2] for override in overrides if override.lstrip("+").startswith("experiment=")]
    for name in (name.strip() for names in chosen for name in names.split(",")):
        if name not in options.names("experiment", folders):
            continue  # Hydra says so
        recipe = OmegaConf.load(options.path("experiment", name, folders))
        its_kind = kind_of_recipe(recipe)
        if its_kind is not kind:
            raise ConfigError(
                f"experiment={name} is a recipe of {COMMANDS[its_kind]}: {COMMANDS[its_kind]} experiment={name}"
            )
        if kind is ClassifierConfig and isinstance(recipe, DictConfig):
            refuse_of_games([key for key in _keys(recipe) if not key.startswith("defaults")])


def kind_of_recipe(recipe: Any) -> type[RunConfig]:
    """A classifier's recipe chooses what games have none of: the classifier, or what it is trained against."""
    defaults = recipe.get("defaults") or []
    chosen = [str(key) for default in defaults if isinstance(default, DictConfig) for key in default]
    own = set(keys(ClassifierConfig)) - set(keys(Config))
    is_chosen = any(key in recipe or f"override /{key}" in chosen for key in own)
    return ClassifierConfig if is_chosen else Config


def _keys(node: DictConfig, within: str = "") -> list[str]:
    return [
        key
        for name in map(str, node)
        for key in (
            _keys(node[name], f"{name}.") if not within and isinstance(node[name], DictConfig) else [within + name]
        )
    ]


def config_folders(arguments: Sequence[str]) -> list[Path]:
    """The folders of a user's own options among the arguments of a command, as Hydra reads them."""
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", action="append", default=[], type=Path)
    return list(parser.parse_known_args(arguments)[0].config_dir)
