"""The options of config groups by name, for commands that compose no run. Reads yaml only: torch is not imported."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_cli.config import weights
from gan_cli.errors import ConfigError, did_you_mean

weights.register()  # for whatever reads an option

PACKAGE = Path(__file__).parent.parent

CONFIGS = next(path for path in (PACKAGE / "configs", PACKAGE.parent / "configs") if path.is_dir())
"""Our own options; a wheel carries them inside the package, a checkout beside it."""


def names(group: str, folders: Sequence[Path] = (CONFIGS,)) -> list[str]:
    """The options of a group, in alphabetical order."""
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def check_folder(folder: Path | None) -> None:
    """Raise `ConfigError` for a folder of a user's own options that is none."""
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--config-dir {folder} is not a folder: name one with a folder for each group")


def option(group: str, text: str, folders: Sequence[Path] = (CONFIGS,)) -> DictConfig:
    """The node of an option, given as its name and, after a colon each, values of its keys: `alpha:alpha=2`.

    Options of nested groups are filled in. Raises `ConfigError` for a name or a value that cannot be read.
    """
    # None within braces, which hold a mapping.
    name, *values = (part.strip() for part in re.split(r":(?![^{]*})", text))
    if name not in names(group, folders):
        article = "an" if group[0] in "aeiou" else "a"
        raise ConfigError(f"{name or repr(text)} is not {article} {group}: {did_you_mean(name, names(group, folders))}")
    if "" in values:
        raise ConfigError(f"{text}: a colon has no key behind it: leave it out, or write {name}:KEY=VALUE")
    try:
        node = _load(group, name, folders)
    except Exception as error:  # whatever yaml and OmegaConf trip over in a user's file
        reason = (str(error) or "its defaults name an option that does not exist").splitlines()[0]
        raise ConfigError(f"{path(group, name, folders)} cannot be read ({reason}): mend it") from error
    unset = OmegaConf.missing_keys(node)
    try:
        for key in (value.partition("=")[0] for value in values):
            known = key in unset or OmegaConf.select(node, key, default=node) is not node  # a value may be null
            if not known:
                raise ConfigError(f"{text}: {key} is not a key of {name}: {did_you_mean(key, _keys(node))}")
        refuse_unset(values, text, f"{name}:")
        return cast(DictConfig, OmegaConf.merge(node, OmegaConf.from_dotlist(values)))
    except (OmegaConfBaseException, ValueError, YAMLError) as error:
        raise ConfigError(f"{text} cannot be read ({str(error).splitlines()[0]}): mend its values") from error


def refuse_unset(words: Sequence[str], text: str, before: str = "") -> None:
    """Raise `ConfigError`, which begins with `text`, for a key without a value or with two among words `KEY=VALUE`.

    `before` is what stands before a key where it is to be written.
    """
    keys = []
    for key, equals, given in (word.partition("=") for word in words):
        if not equals or given == "???":
            raise ConfigError(f"{text}: {key} has no value: write {before}{key}=…")
        if key in keys:
            raise ConfigError(f"{text}: {key} is given twice: leave one out")
        keys.append(key)


def path(group: str, name: str, folders: Sequence[Path] = (CONFIGS,)) -> Path:
    """The file of an option."""
    return next(file for folder in folders if (file := folder / group / f"{name}.yaml").exists())


def _load(group: str, name: str, folders: Sequence[Path]) -> DictConfig:
    node = cast(DictConfig, OmegaConf.load(path(group, name, folders)))
    defaults = node.pop("defaults", [])
    for key, choice in choices(group, defaults).items():
        node[key] = _load(f"{group}/{key}", choice, folders)
    begins_as = [_load(group, of, folders) for of in defaults if isinstance(of, str) and of != "_self_"]
    return cast(DictConfig, OmegaConf.merge(*begins_as, node))


def choices(group: str, defaults: Iterable[object]) -> dict[str, str]:
    """The options of groups within `group` that a defaults list chooses, by their key in the node.

    Choices in other groups, such as the model that fits a data set, matter to whole runs only.
    """
    chosen = [
        (str(key), str(name))
        for default in defaults
        if isinstance(default, DictConfig)
        for key, name in default.items()
    ]
    within = rf"override /{re.escape(group)}/(\w+)@_global_\..+|(\w+)"
    found = ((re.fullmatch(within, key), name) for key, name in chosen)
    return {match[1] or match[2]: name for match, name in found if match}


def _keys(node: DictConfig) -> list[str]:
    return [str(key) for key in node if not str(key).startswith("_")]
