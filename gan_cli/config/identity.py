"""Whether two configs are of one run: what changes what is computed at a step must be equal."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pydoc import ErrorDuringImport, locate
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_cli.config import options
from gan_cli.config.paths import make_absolute
from gan_cli.config.renamed import renewed
from gan_cli.config.schema import FREE, kind_of

Node = dict[str, Any]

OF_GROUPS: Node = {"model": {"conditional": False}}
"""The defaults of keys that belong to a group as a whole."""


def differences(old: DictConfig, new: DictConfig) -> list[str]:
    """The keys that a run may not change when it resumes, each with its old and its new value.

    A key that only one of both has, since it came with a later version, has its default in the other: that of the
    class that the node's `_target_` names, or of the spine.
    """
    before, after = (_plain(config) for config in (old, new))
    _complete(before, after, _without_missing(_plain(OmegaConf.structured(kind_of(new)))) | OF_GROUPS)
    then, now = leaves(before), leaves(after)
    keys = sorted(then.keys() | now.keys())
    changed = [key for key in keys if then.get(key) != now.get(key) and not FREE.fullmatch(key)]
    chosen = {key: choice for key in changed if (choice := _choice(key, before, after))}
    # What only one of two options has goes with it.
    gone = tuple(key.removesuffix("_target_") for key in chosen)
    return [
        chosen.get(key) or f"{key}={then.get(key, '(none)')} (now {now.get(key, '(none)')})"
        for key in changed
        if key in chosen or not (key.startswith(gone) and (key not in then or key not in now))
    ]


def _choice(key: str, before: Node, after: Node) -> str | None:
    """Two nodes whose targets differ as the options of a group that they are, if they are options."""
    path, _, last = key.rpartition(".")
    if last != "_target_":
        return None
    group = path.replace(".", "/")
    old, new = (_option(group, OmegaConf.select(OmegaConf.create(tree), path)) for tree in (before, after))
    return f"{group}={old} (now {new})" if old and new else None


def _option(group: str, node: Any) -> str | None:
    """The option of a group that has the target of a node and, if that leaves several, all of its values."""
    if not isinstance(node, DictConfig):
        return None
    nodes = {name: options.option(group, name) for name in options.names(group)}
    names = [name for name, of in nodes.items() if of.get("_target_") == node.get("_target_")]
    if len(names) > 1:
        names = [name for name in names if nodes[name] == node]
    return names[0] if len(names) == 1 else None


def leaves(node: Any, key: str = "") -> Node:
    """The values of nested mappings by dotted key."""
    if not isinstance(node, dict) or not node:
        return {key: node}
    flat: Node = {}
    for name, child in node.items():
        flat |= leaves(child, f"{key}.{name}" if key else str(name))
    return flat


def _plain(config: DictConfig) -> Node:
    config = copy.deepcopy(config)
    make_absolute(config)  # earlier runs have them as they were typed
    content = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in renewed(content).items()}


def _without_missing(node: Node) -> Node:
    nested = {key: _without_missing(child) if isinstance(child, dict) else child for key, child in node.items()}
    return {key: child for key, child in nested.items() if child != "???"}


def _complete(one: Any, other: Any, defaults: Node) -> None:
    """Add the default of every key that only one of two nodes has, and do so within them."""
    if isinstance(one, list) and isinstance(other, list):
        for item, its_other in zip(one, other, strict=False):
            _complete(item, its_other, {})
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return
    target = one.get("_target_")
    if target is not None and target == other.get("_target_"):  # so it is a class that the new run is built of
        defaults = _defaults(str(target))
    for key in one.keys() | other.keys():
        for node in (one, other):
            if key not in node and key in defaults:
                node[key] = defaults[key]
        nested = defaults.get(key)
        _complete(one.get(key), other.get(key), nested if isinstance(nested, dict) else {})


def _defaults(target: str) -> Node:
    """The defaults of the constructor that a dotted path names, as nodes of a config; none where it is not found."""
    try:
        found = locate(target)
    except ErrorDuringImport:  # building it tells what is wrong
        return {}
    return {name: _as_node(value) for name, value in _of_constructor(found).items()}


def _of_constructor(found: Any) -> Mapping[str, Any]:
    if isinstance(found, type) and is_dataclass(found):
        made = {part.name: part.default_factory() for part in fields(found) if part.default_factory is not MISSING}
        return made | {part.name: part.default for part in fields(found) if part.default is not MISSING}
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # not callable, or in C
        return {}
    return {part.name: part.default for part in parameters if part.default is not inspect.Parameter.empty}


def _as_node(value: Any) -> Any:
    """A default as a config would say it; a part that is one was built without arguments, or is a dataclass."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Enum():
            return value.name
        case list() | tuple():
            return [_as_node(item) for item in value]
        case Mapping():
            return {str(name): _as_node(item) for name, item in value.items()}
    kind = type(value)
    options = {part.name: getattr(value, part.name) for part in fields(value)} if is_dataclass(kind) else None
    chosen = _of_constructor(kind) if options is None else options
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}"} | {
        name: _as_node(option) for name, option in chosen.items()
    }
