"""Optimizers, and the numbers of a run that may change over it."""

import typing
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer

from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.errors import ConfigError
from gan_cli.schedules import Schedule
from gan_cli.training.scheduling import Option


def optimizer(node: DictConfig, key: str, network: nn.Module) -> tuple[Optimizer, Mapping[str, Option]]:
    """The optimizer of a network with the numbers of its start, and those of its options that change over the run."""
    if not isinstance(node, DictConfig):
        raise ConfigError(f"{key} must be a node with a _target_: choose an option of the group with optimizer=…")
    changing: dict[str, Option] = {}
    at_start, at_end = node.copy(), node.copy()
    for name, value in ((str(name), value) for name, value in node.items()):
        several = value if isinstance(value, ListConfig) else [value]
        if any(isinstance(item, DictConfig) for item in several):
            numbers = [number(item, f"{key}.{name!s}") for item in several]
            changing[name] = numbers if isinstance(value, ListConfig) else numbers[0]
            for end, configured in enumerate((at_start, at_end)):
                then = [number.ends[end] if isinstance(number, Schedule) else number for number in numbers]
                configured[name] = then if isinstance(value, ListConfig) else then[0]
    built = _built(at_start, key, network)
    if changing:
        _built(at_end, key, network)  # which checks the numbers
    return built, changing


def _built(node: DictConfig, key: str, network: nn.Module) -> Optimizer:
    """The optimizer of a network. Raises `ConfigError` that names the option at fault, which torch does not."""
    try:
        built: Optimizer = build(node, Optimizer, key, params=network.parameters())
    except ConfigError as error:
        reason = str(error).removeprefix(f"{key}: ")
        wrong = [name for name in map(str, node) if _is_built_without(name, node, key, network)]
        if reason == str(error) or not wrong:
            raise
        raise ConfigError(f"{key}.{wrong[0]}={node[wrong[0]]}: {reason}") from error
    return built


def _is_built_without(name: str, node: DictConfig, key: str, network: nn.Module) -> bool:
    rest = OmegaConf.masked_copy(node, [str(other) for other in node if other != name])
    try:
        build(rest, Optimizer, key, params=network.parameters())
    except ConfigError:
        return False
    return True


def number(value: Any, key: str) -> float | Schedule:
    """A number, or the schedule that stands in its place."""
    return schedule(value, key) if isinstance(value, DictConfig | str) else typing.cast(float, value)


def schedule(value: Any, key: str) -> Schedule:
    """The schedule of a node, or of an option of the group by its name."""
    if isinstance(value, str):
        try:
            value = options.option("schedule", value)
        except ConfigError as error:
            raise ConfigError(f"{key}={error}, or +schedule@{key}=… for one of a --config-dir") from error
    schedule: Schedule = build(value, Schedule, key)
    return schedule
