"""From config nodes to checked objects: every message names the config key that is at fault."""

import functools
import inspect
import operator
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pydoc import ErrorDuringImport, locate
from typing import Any, Union, get_args, get_origin

from omegaconf import DictConfig, ListConfig, OmegaConf

from gan_cli.config.foreign import PACKAGES, is_within
from gan_cli.config.remedies import choices
from gan_cli.config.renamed import todays
from gan_cli.config.values import checked, shown
from gan_cli.errors import ConfigError, NeedsError, did_you_mean
from gan_cli.schedules import Schedule


@dataclass(frozen=True)
class _Plan:
    """A part that can be built: its class is of the kind, and its values are of the types and within the ranges."""

    key: str
    constructor: Any
    arguments: Mapping[str, Any]
    """Values, and in the place of parts their plans."""
    injected: Mapping[str, Any]
    plain: Any = None
    """The annotation of the plain values that could stand in its place."""


def build(node: Any, expected: type, key: str, **injected: Any) -> Any:
    """The object that a `_target_` node describes, an instance of `expected`, given those of the injected it names.

    Parts within it are given theirs too. The annotations of a constructor say what its node may hold: plain values
    with their types and ranges, and parts, which are nodes of their own, wherever a class of this project or an
    abstract one is annotated: alone, as a member of a union (`Part | None`, `float | Part`), or as the items of a list
    or of a mapping. No class is called before all nodes are checked, and only classes of the annotated kinds are: this
    project's parts and torch's optimizers.
    """
    return _started(_plan(node, (expected,), key, injected))


def in_range(schedule: Schedule, hint: Any, key: str) -> Schedule:
    """The schedule, if the numbers at its ends are what `hint` annotates. Raises `ConfigError`."""
    for number in schedule.ends:
        checked(number, hint, key)
    return schedule


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Turn what a constructor raises for values it cannot take into a `ConfigError` that begins with the config key."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, MemoryError, OverflowError) as error:
        message = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(error, NeedsError):
            message += f": choose {choices(error.group, error.fits)}"
        names_option = "=" in message.split(" ", 1)[0]
        raise ConfigError(f"{key}.{message}" if names_option else f"{key}: {message}") from error


def _plan(node: Any, kinds: tuple[type, ...], key: str, injected: dict[str, Any]) -> _Plan:
    constructor = _class(node, kinds, key)
    parameters = inspect.signature(constructor).parameters
    hints = typing.get_type_hints(constructor.__init__, include_extras=True)
    arguments = {}
    for name in node:
        if name in ("_target_", "_partial_"):
            continue
        if name not in parameters or name in injected:
            remedy = did_you_mean(str(name), parameters.keys() - injected.keys())
            raise ConfigError(f"{key}.{name} is not an option of {constructor.__name__}: {remedy}")
        if OmegaConf.is_missing(node, name):
            raise ConfigError(f"{key}.{name} has no value: set {key}.{name}=…")
        arguments[name] = _argument(node[name], hints.get(name, Any), f"{key}.{name}", injected)
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in arguments | injected:
            raise ConfigError(f"{key}.{name} is missing: {constructor.__name__} needs it")
    return _Plan(key, constructor, arguments, {name: injected[name] for name in injected if name in parameters})


def _started(plan: Any) -> Any:
    """The parts that are planned, those within others first; plain values as they are."""
    match plan:
        case _Plan():
            arguments = {name: _started(argument) for name, argument in plan.arguments.items()}
            with naming(plan.key):
                part = plan.constructor(**arguments, **plan.injected)
            if plan.plain is not None and isinstance(part, Schedule):
                in_range(part, plan.plain, plan.key)
            return part
        case list():
            return [_started(item) for item in plan]
        case dict():
            return {name: _started(item) for name, item in plan.items()}
        case _:
            return plan


def _class(node: Any, kinds: tuple[type, ...], key: str) -> Any:
    target = node.get("_target_") if isinstance(node, DictConfig) else None
    if not isinstance(target, str):
        raise ConfigError(f"{key} must be a node with a _target_: choose an option of the group with {key}=…")
    try:
        found: Any = locate(todays(target))
    except ErrorDuringImport as error:
        raise ConfigError(f"{key}._target_={target} cannot be imported: {error}") from error
    if found is None:
        raise ConfigError(f"{key}._target_={target} is not found: is its folder on PYTHONPATH?")
    is_concrete = isinstance(found, type) and issubclass(found, kinds) and not inspect.isabstract(found)
    if not is_concrete or not _is_at_home(found, todays(target)):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(
            f"{key}._target_={target} is not a concrete {names}: choose an option of the group with {key}=…"
        )
    return found


def _is_at_home(found: type, target: str) -> bool:
    """Whether a path into a package leads to a class of it, and not through it to what it imports from elsewhere."""
    home = f"{found.__module__}.{found.__name__}"
    return all(is_within(home, [package]) for package in PACKAGES if is_within(target, [package]))


def _argument(value: Any, hint: Any, key: str, injected: dict[str, Any]) -> Any:
    """A plain value as `hint` annotates it, or the plan of a part, or plans in a list or a mapping."""
    alternatives = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    with_parts = [alternative for alternative in alternatives if _has_parts(alternative)]
    kinds = tuple(filter(_is_kind, with_parts))
    if isinstance(value, DictConfig) and "_target_" in value:
        if not kinds:
            wanted = _in_words(with_parts) or ["a plain value, and not a node with a _target_"]
            raise ConfigError(f"{key} must be {' or '.join(wanted)}")
        plain = [alternative for alternative in alternatives if alternative not in with_parts]
        planned = _plan(value, kinds, key, injected)
        return replace(planned, plain=functools.reduce(operator.or_, plain)) if plain else planned
    for alternative in with_parts:
        if isinstance(value, ListConfig) and get_origin(alternative) in (Sequence, list):
            items = get_args(alternative)[0]
            return [_argument(item, items, f"{key}[{index}]", injected) for index, item in enumerate(value)]
        if isinstance(value, DictConfig) and get_origin(alternative) in (Mapping, dict):
            items = get_args(alternative)[1]
            return {str(name): _argument(item, items, f"{key}.{name!s}", injected) for name, item in value.items()}
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value, resolve=True)
    plain = [alternative for alternative in alternatives if alternative not in with_parts]
    if not plain:
        raise ConfigError(f"{key}={shown(value)} must be {' or '.join(_in_words(with_parts))}")
    return checked(value, functools.reduce(operator.or_, plain), key, *_in_words(with_parts))


def _is_kind(hint: Any) -> bool:
    """Whether a part is annotated: by a class of this project, or by an abstract one of anybody."""
    if not isinstance(hint, type):
        return False
    is_ours = hint.__module__.partition(".")[0] == __package__.partition(".")[0]
    return is_ours or (inspect.isabstract(hint) and hint.__module__ != "collections.abc")


def _has_parts(hint: Any) -> bool:
    return _is_kind(hint) or any(map(_has_parts, get_args(hint)))


def _in_words(with_parts: Sequence[Any]) -> list[str]:
    """What a part, or several of them, look like in a config."""
    kinds = [hint.__name__ for hint in with_parts if _is_kind(hint)]
    holders = [get_origin(hint) for hint in with_parts if not _is_kind(hint)]
    words = [f"{'a list' if of in (Sequence, list) else 'a mapping'} of nodes with a _target_" for of in holders]
    return [f"a node with a _target_ ({' or '.join(kinds)})", *words] if kinds else words
