"""From config nodes to checked objects: every message names the config key that is at fault."""

import inspect
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pydoc import ErrorDuringImport, locate
from typing import Any, Literal, Union, get_args, get_origin

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

from gan_cli.errors import ConfigError, did_you_mean


def build(node: Any, expected: type, key: str, **injected: Any) -> Any:
    """The object that a `_target_` node describes, an instance of `expected`; the injected complete a partial node.

    Classes are checked before they are called, so a config can start nothing but this project's parts and torch's
    optimizers; arguments are checked against the annotations of the constructor.
    """
    constructor = _target(node, expected, key)
    parameters = inspect.signature(constructor).parameters
    hints = typing.get_type_hints(constructor.__init__)
    arguments = {}
    for name in node:
        if name in ("_target_", "_partial_"):
            continue
        if name not in parameters or name in injected:
            remedy = did_you_mean(str(name), parameters.keys() - injected.keys())
            raise ConfigError(f"{key}.{name} is not an option of {constructor.__name__}: {remedy}")
        if OmegaConf.is_missing(node, name):
            raise ConfigError(f"{key}.{name} has no value: set {key}.{name}=…")
        arguments[name] = _argument(node[name], hints.get(name, Any), f"{key}.{name}")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in arguments | injected:
            raise ConfigError(f"{key}.{name} is missing: {constructor.__name__} needs it")
    with naming(key):
        return constructor(**arguments, **injected)


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Turn what a constructor raises for values it cannot take into a `ConfigError` that begins with the config key."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, MemoryError, OverflowError) as error:
        message = (str(error) or type(error).__name__).splitlines()[0]
        names_option = "=" in message.split(" ", 1)[0]
        raise ConfigError(f"{key}.{message}" if names_option else f"{key}: {message}") from error


def _target(node: Any, expected: type, key: str) -> Any:
    target = node.get("_target_") if isinstance(node, DictConfig) else None
    if not isinstance(target, str):
        raise ConfigError(f"{key} must be a node with a _target_: choose an option of the group with {key}=…")
    try:
        found = locate(target)
    except ErrorDuringImport as error:
        raise ConfigError(f"{key}._target_={target} cannot be imported: {error}") from error
    if found is None:
        raise ConfigError(f"{key}._target_={target} is not found: is its folder on PYTHONPATH?")
    if not (isinstance(found, type) and issubclass(found, expected)) or inspect.isabstract(found):
        raise ConfigError(
            f"{key}._target_={target} is not a concrete {expected.__name__}: choose an option of the group with {key}=…"
        )
    return found


def _argument(value: Any, hint: Any, key: str) -> Any:
    if isinstance(value, DictConfig) and get_origin(hint) is not Mapping:
        if not inspect.isabstract(hint):
            raise ConfigError(f"{key} must be {_in_words(hint)}, and not a node of its own")
        return build(value, hint, key)
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value, resolve=True)
    if not _fits(value, hint):
        shown = "null" if value is None else value
        raise ConfigError(f"{key}={shown} must be {_in_words(hint)}")
    return value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from yaml can be passed where `hint` is annotated."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in arguments
    if origin in (Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return isinstance(value, list) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if origin is Mapping:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if origin in (Sequence, list, tuple):
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if hint in (int, float):
        is_number = isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    return not isinstance(hint, type) or isinstance(value, hint)


def _in_words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(argument) for argument in arguments if argument is not torch.Tensor)
    if origin in (Sequence, list, tuple):
        length = f" of {len(arguments)}" if origin is tuple and Ellipsis not in arguments else ""
        return f"a list{length}, each item {_in_words(arguments[0])}"
    if origin is Mapping:
        return f"a mapping, each value {_in_words(arguments[1])}"
    words = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", type(None): "null"}
    return words.get(hint, f"a {getattr(hint, '__name__', hint)}")
