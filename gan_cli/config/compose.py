"""What Hydra does for this program beyond a run: the configs of a study's members, and complaints in one line."""

import itertools
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from gan_cli.config import options
from gan_cli.config.paths import MEMBERS, make_absolute
from gan_cli.config.schema import ClassifierConfig, folder_name
from gan_cli.config.taken import ROOTS, refuse_of_games, taken
from gan_cli.errors import ConfigError, did_you_mean

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException)
"""What is raised of a config that does not compose."""


def members(overrides: Sequence[str], of_members: Mapping[str, Sequence[str]]) -> dict[str, DictConfig]:
    """The resolved configs of the members of a study, by name: each has the study's overrides and, after them, its own.

    Needs Hydra to be initialised, as it is within a job. Raises `ConfigError`.
    """
    configs = {}
    for member, own in of_members.items():
        try:
            for values in itertools.product(*map(_values, own)):
                swept = [value for value, override in zip(values, own, strict=True) if value != override]
                config = compose("config", [*overrides, "study=null", f"name={member}", *values])
                resolve(config)
                config = taken(config)
                configs[folder_name([member, *swept])] = config
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"study.members.{member}: {composition_error(error)}") from error
    return configs


def classifier(overrides: Sequence[str], config_folder: Path | None = None) -> DictConfig:
    """The resolved config that gan-classify would compose of overrides, with a user's folder of options beside ours.

    Raises `ConfigError`, or what Hydra does.
    """
    refuse_of_games(overrides)
    searched = [] if config_folder is None else [f'hydra.searchpath=["file://{config_folder.resolve()}"]']
    with initialize_config_dir(str(options.CONFIGS), version_base="1.3"):
        config = compose(ROOTS[ClassifierConfig], [*searched, *overrides])
    resolve(config)
    return taken(config)


@contextmanager
def sweeps_unseen() -> Iterator[None]:
    """Let Hydra make what it makes for a sweep where it is removed again, without a word of its own."""
    with TemporaryDirectory() as folder:
        if {"-m", "--multirun"} & set(sys.argv):
            sys.argv += [f"hydra.sweep.dir={folder}", "~hydra.callbacks.summary", "hydra/hydra_logging=none"]
        yield


def resolve(config: DictConfig) -> None:
    """Put values in the place of what refers to them, and nodes in that of the names of options within others.

    Paths of data become absolute. Raises `ConfigError`.
    """
    if isinstance(config.get("dataset"), DictConfig):
        _fill(config.dataset, "dataset", MEMBERS)
    if isinstance(config.get("test"), DictConfig):
        _fill(config.test, "test", ("data",))
    if isinstance(config.get("train"), DictConfig):
        _fill(config.train, "train", ("guard",), group="attack")
    OmegaConf.resolve(config)
    make_absolute(config)


def _fill(parent: DictConfig, key: str, names: Sequence[str], group: str = "dataset") -> None:
    for name in names:
        if name not in parent or OmegaConf.is_missing(parent, name):
            continue
        if isinstance(parent[name], str):
            try:
                parent[name] = options.option(group, parent[name])
            except ConfigError as error:
                raise ConfigError(
                    f"{key}.{name}={error}, or +{group}@{key}.{name}=… for one of a --config-dir"
                ) from error
        if group == "dataset" and isinstance(parent[name], DictConfig):
            _fill(parent[name], f"{key}.{name}", MEMBERS)


def _values(override: str) -> list[str]:
    """One override for each of the values that an override holds."""
    (parsed,) = OverridesParser.create().parse_overrides([override])
    if not parsed.is_sweep_override():
        return [override]
    return [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]


def composition_error(error: HydraException | OmegaConfBaseException | TypeError | ValueError) -> ConfigError:
    """The complaint about a config as a `ConfigError` of one line."""
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    match error, cause:
        case MissingConfigException(), _:
            return ConfigError(_unknown_option(error))
        case OverrideParseException(), _:
            return ConfigError(_unreadable(error))
        case _, ConfigAttributeError() | ConfigKeyError():
            return ConfigError(_unknown_key(error, cause))
        case _, ValidationError() if "is not Optional" in str(cause):
            key = cause.full_key
            return ConfigError(f"{key}=null is no value: set {key}=…, or leave it out for its default")
        case _, ValidationError():
            return ConfigError(_wrong_type(cause))
        case MissingMandatoryValue(), _:
            return ConfigError(f"{error.full_key} has no value: set {error.full_key}=…")
        case InterpolationResolutionError(), _ if refusal := _refusal(error):
            return refusal
        case InterpolationResolutionError(), _:
            words = " ".join(word for word in sys.argv if "${" in word)
            return ConfigError(f"{words or error.full_key} refers to nothing: {_first_line(error)}")
        case HydraException() | OmegaConfBaseException(), _:
            return ConfigError(_chosen_twice(error) or _no_name() or " ".join(str(error).split()))
        case _:
            return ConfigError(_no_name() or str(error))


def _refusal(error: BaseException | None) -> ConfigError | None:
    """The complaint of what computes a value, which OmegaConf wraps."""
    while error is not None and not isinstance(error, ConfigError):
        error = error.__cause__ or error.__context__
    return error


def _unknown_option(error: MissingConfigException) -> str:
    wanted = error.missing_cfg_file or ""
    wanted = wanted if isinstance(wanted, str) else " ".join(wanted)
    group, _, option = wanted.rpartition("/")
    if not group:
        return " ".join(str(error).split())
    remedy = did_you_mean(option, error.options) if error.options else "gan-train --help lists those there are"
    return f"{group}={option} is not an option: {remedy}"


def _unknown_key(error: Exception, cause: OmegaConfBaseException) -> str:
    match = re.search(r"Could not override '([^']+)'", str(error))
    key = match[1] if match else cause.full_key or str(cause.key)
    parent = cause.parent_node
    names = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    known = [name for name in names if not name.startswith("_")]
    if known:
        return f"{key} is not a key: {did_you_mean(str(cause.key), known)}"
    above, _, last = key.rpartition(".")
    if above.rpartition(".")[2] in MEMBERS:  # a data set as text
        return f"{key} is not a key: write it into the text, {above}=NAME:{last}=VALUE in quotes"
    return f"{key} is not a key: nothing can be set here"


def _unreadable(error: OverrideParseException) -> str:
    match = re.fullmatch(r"([\w./]+)=(\w+):(\w+=.*)", error.override)
    if match and (options.CONFIGS / match[1]).is_dir() and match[1] != "experiment":
        group, option, settings = match.groups()
        apart = " ".join(f"{group.replace('/', '.')}.{setting}" for setting in settings.split(":"))
        return f"{error.override} is more than one override: write {group}={option} {apart}"
    if match and "." in match[1]:
        return f"{error.override} needs quotes: write '{match[1]}=\"{match[2]}:{match[3]}\"'"
    if quoted := _in_quotes(error.override):
        return f"{error.override} cannot be read as key=value ({_first_line(error)}): if it is text, write {quoted}"
    return f"{error.override} cannot be read as key=value: {_first_line(error)}"


def _in_quotes(override: str) -> str | None:
    """An override with its value in quotes, as a shell takes it; None if that does not help."""
    key, equals, value = override.partition("=")
    if not equals:
        return None
    escaped = value.replace('"', r"\"")
    quoted = f'{key}="{escaped}"'
    try:
        OverridesParser.create().parse_overrides([quoted])
    except HydraException:
        return None
    return shlex.quote(quoted)


def _no_name() -> str | None:
    """The complaint about a group that is given something else than the name of an option, if one is."""
    for word in sys.argv:
        match = re.fullmatch(r"\+?([\w/]+)(?:@[\w.]+)?=(?!\[\]$)([^a-z]*(?:null|true|false)?[^a-z]*)", word)
        if match and (known := options.names(match[1])):
            return f"{word} names no option of {match[1]}: {did_you_mean(match[2], known)}"
    return None


def _chosen_twice(error: Exception) -> str | None:
    """The complaint about a yaml that chooses an option of a group which is chosen elsewhere, if it is that."""
    match = re.search(r"^Multiple values for (\S+)\. .*: (\w+)'", str(error))
    if match is None:
        return None
    group, option = match.groups()
    if f"+{group}={option}" in sys.argv:
        return f"{group} has an option already: write {group}={option} without a plus"
    # The way in which configs/divergence/kl.yaml chooses a penalty: it reaches a choice that is made outside.
    override = f"override /{group}@_global_.{group.replace('/', '.')}: {option}"
    return f"{group}={option} is a default of a yaml although {group} has one already: write '{override}' there"


_TYPES = {"Integer": "a whole number", "Float": "a number"}


def _wrong_type(error: ValidationError) -> str:
    match = re.search(r"^Value '(.*)' of type '\w+' could not be converted to (\w+)", str(error))
    if match and match[2] in _TYPES:
        typed = next((word for word in sys.argv if word.lstrip("+").startswith(f"{error.full_key}=")), None)
        return f"{typed or f'{error.full_key}={match[1]}'} must be {_TYPES[match[2]]}"
    return f"{error.full_key}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
