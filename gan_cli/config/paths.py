"""Values of a config that are paths: a run must find them from wherever it is looked at."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

DATA = ("dataset", "test.data")
"""The nodes of data sets."""

MEMBERS = ("first", "second")
"""The keys of a data set that hold another, or its name as `options.option` takes it."""

PATHS = ("path", "run")
"""The keys of a data set that name a file or a folder of the user's."""


def make_absolute(config: DictConfig) -> None:
    """Have the paths of the data begin at the root, if they are relative to the current folder or to the user's own."""
    for key in DATA:
        node = OmegaConf.select(config, key)
        if isinstance(node, DictConfig):
            _make_absolute(node)


def absolute(path: str) -> str:
    """A path from the root. Links stay, unless the path turns back: what lies above a link depends on its target."""
    full = Path(path).expanduser().absolute()
    return str(full.resolve() if ".." in full.parts else full)


def _make_absolute(node: DictConfig) -> None:
    for key in PATHS:
        if OmegaConf.is_missing(node, key):
            continue
        value = node.get(key)
        if isinstance(value, DictConfig):  # a run for each class
            for name in value:
                _make_one_absolute(value, name)
        else:
            _make_one_absolute(node, key)
    for key in MEMBERS:
        if not OmegaConf.is_missing(node, key) and isinstance(node.get(key), DictConfig):
            _make_absolute(node[key])


def _make_one_absolute(node: DictConfig, key: Any) -> None:
    value = None if OmegaConf.is_missing(node, key) else node.get(key)
    # A folder may be named 2024, which yaml takes for a number.
    if isinstance(value, str | int) and not isinstance(value, bool):
        node[key] = absolute(str(value))
