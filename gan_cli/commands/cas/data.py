"""A data set as text: an option of the group and values of its keys, from a run's config or from a command line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_cli.config import options
from gan_cli.errors import ConfigError, did_you_mean

GROUP = "dataset"


@dataclass(frozen=True)
class Data:
    """An option of the group `dataset`, with the values that are not its defaults."""

    name: str
    values: tuple[tuple[str, Any], ...] = ()

    def having(self, **values: Any) -> "Data":
        """The same with some values set; None leaves a key at its default."""
        kept = {key: value for key, value in {**dict(self.values), **values}.items() if value is not None}
        return replace(self, values=tuple(kept.items()))

    @property
    def text(self) -> str:
        """As `options.option` reads it: `mnist:per_class=50`. Raises `ConfigError` for a value that it cannot hold."""
        for key, value in self.values:
            if ":" in str(value):
                raise ConfigError(f"dataset.{key}={value} holds a colon, which gan-cas cannot pass on: rename it")
        return ":".join([self.name, *(f"{key}={_written(value)}" for key, value in self.values)])

    def overrides(self) -> list[str]:
        """What makes these the data of a run."""
        own = [override(f"{GROUP}.{key}", _written(value), value) for key, value in self.values]
        return [f"{GROUP}={self.name}", *own]

    def node(self) -> DictConfig:
        """The option with these values."""
        node = options.option(GROUP, self.name)
        for key, value in self.values:
            node[key] = value
        return node


def override(key: str, text: str, value: Any = "") -> str:
    """An override as Hydra reads it: text in quotes, whatever it holds."""
    if not isinstance(value, str) or text.isidentifier():
        return f"{key}={text}"
    escaped = text.replace('"', r"\"")
    return f'{key}="{escaped}"'


def _written(value: Any) -> str:
    """A value as yaml and Hydra both read it; text alone stays bare."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def of_config(node: DictConfig) -> Data | None:
    """The data of a run's config: the option that the fewest values tell from; None if there is no such option."""
    content = _plain(node)
    found = []
    for name in options.names(GROUP):
        default = _plain(options.option(GROUP, name))
        # A key that the option lacks could not be set, and one that the run lacks came with a later version.
        if default.get("_target_") == content.get("_target_") and content.keys() <= default.keys():
            values = {key: value for key, value in content.items() if value != default[key]}
            found.append(Data(name, tuple(values.items())))
    return min(found, key=lambda data: len(data.values), default=None)


def _plain(node: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(node, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def of_text(text: str, key: str) -> Data:
    """The data of a text such as `mnist:split=test`, the value of `key`. Raises `ConfigError` for what is none."""
    name, *given = text.split(":")
    if name not in options.names(GROUP):
        raise ConfigError(f"{key}={name} is not a {GROUP}: {did_you_mean(name, options.names(GROUP))}")
    return _given(Data(name), given, key)


def of_words(words: Sequence[str], default: Data | None) -> Data | None:
    """The data of the words `dataset=NAME` and `dataset.KEY=VALUE`; the keys may be set in `default` too."""
    chosen = [word.removeprefix(f"{GROUP}=") for word in words if word.startswith(f"{GROUP}=")]
    if len(chosen) > 1:
        raise ConfigError(f"dataset= is given twice ({', '.join(chosen)}): leave one out")
    data = of_text(chosen[0], GROUP) if chosen else default
    given = [word.removeprefix(f"{GROUP}.") for word in words if not word.startswith(f"{GROUP}=")]
    return None if data is None else _given(data, given, GROUP)


def _given(data: Data, words: Sequence[str], asked: str) -> Data:
    """The data with the values of words such as `split=test`."""
    known = [str(key) for key in options.option(GROUP, data.name) if not str(key).startswith("_")]
    for key in (word.partition("=")[0] for word in words):
        if key not in known:
            raise ConfigError(f"{asked}={data.name}: {key} is not a key of it: {did_you_mean(key, known)}")
    options.refuse_unset(words, f"{asked}={data.name}")
    for word in words:
        try:
            value = OmegaConf.to_container(OmegaConf.from_dotlist([word]), resolve=True)
        except (OmegaConfBaseException, ValueError, YAMLError) as error:
            raise ConfigError(f"{asked}={data.name}: {word} cannot be read: {str(error).splitlines()[0]}") from error
        assert isinstance(value, dict)
        data = data.having(**{str(key): of_key for key, of_key in value.items()})
    return data
