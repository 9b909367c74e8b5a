"""The attacks that a command line asks for: one for each size of each."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from gan_cli.config import options
from gan_cli.errors import ConfigError, did_you_mean

DEFAULT = "fgsm"

NAMES = ("run", "target")
"""The keys whose values are names, which stay as they are typed: yaml would take a class 01 for the number 1."""


@dataclass(frozen=True)
class Asked:
    """One attack of one size."""

    option: str
    """The name of its option."""
    node: DictConfig
    changed: tuple[tuple[str, Any], ...]
    """Values that are not the option's own, by key; without that of `epsilon`."""

    @property
    def key(self) -> str:
        """What errors call it."""
        return f"--attack {self.option}"

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Raise each `ConfigError` with the keys as a user writes them, `fgsm:epsilon=-1` and not `fgsm.epsilon=-1`."""
        try:
            yield
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"{self.key}.", f"{self.key}:")) from error

    @property
    def curve(self) -> str:
        """The name without the size, which several sizes share: `pgd:restarts=10`."""
        return ":".join([self.option, *(f"{key}={_written(value)}" for key, value in self.changed)])

    @property
    def name(self) -> str:
        """The name with the size: `pgd:epsilon=0.3:restarts=10`."""
        if self.epsilon is None:
            return self.curve
        first, *rest = self.curve.split(":", 1)
        return ":".join([first, f"epsilon={self.epsilon!r}", *rest])

    @property
    def epsilon(self) -> float | None:
        """The size of the change in units of the data range; None for attacks without one."""
        value = self.node.get("epsilon")
        return value if isinstance(value, int | float) else None


def attacks(texts: Sequence[str], folders: Sequence[Path]) -> list[Asked]:
    """The attacks of texts such as `fgsm:epsilon=[0,0.1]:clip=false`, each once. Raises `ConfigError`."""
    found = [asked for text in texts or [DEFAULT] for asked in _of_text(text, folders)]
    names = [asked.name for asked in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"--attack {repeated[0]} is asked for twice: leave one out")
    return found


def _of_text(text: str, folders: Sequence[Path]) -> Iterator[Asked]:
    name = text.split(":")[0].strip()
    known = [option for option in options.names("attack", folders) if option != "none"]
    if name not in known:
        raise ConfigError(f"--attack {name or repr(text)} is not an attack: {did_you_mean(name, known)}")
    try:
        default, node = (options.option("attack", words, folders) for words in (name, text))
    except ConfigError as error:
        raise ConfigError(f"--attack {error}") from error
    for key, value in (part.strip().split("=", 1) for part in text.split(":") if "=" in part):
        if key in NAMES and value != "null":
            node[key] = value.strip("'\"")
    if unset := OmegaConf.missing_keys(node):
        key = sorted(unset)[0]
        raise ConfigError(f"--attack {text}: {key} has no value: write {text}:{key}=…")
    epsilon = node.get("epsilon")
    sizes = list(epsilon) if isinstance(epsilon, ListConfig) else [epsilon]
    if not sizes:
        raise ConfigError(f"--attack {text}: epsilon=[] holds no size: name some, such as epsilon=[0,0.1,0.25]")
    own = plain(default)
    changed = tuple((key, value) for key, value in plain(node).items() if key != "epsilon" and value != own.get(key))
    for size in sizes:
        of_size = node.copy()
        if epsilon is not None:
            of_size.epsilon = int(size) if isinstance(size, float) and size.is_integer() else size
        yield Asked(name, of_size, changed)


def plain(node: DictConfig) -> dict[str, Any]:
    """The values of a node by key; what has none is missing."""
    content = OmegaConf.to_container(node)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
