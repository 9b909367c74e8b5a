"""How runs differ: by the keys of their configs, less those that follow from the choice of an option."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gan_cli.commands.report.columns import brief
from gan_cli.config.identity import leaves
from gan_cli.runs.run import Run
from gan_cli.show import wording

RECORDED = ("device", "threads", "git_commit", "dataset", "versions")
"""The circumstances in run.json that may differ as well."""

OF_THE_FOLDER = {"name", "outputs"}
"""Keys that say where a run is, not what it is."""

Settings = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What runs share and how they differ, with the values of each run by key."""

    settings: list[Settings]
    shared: Settings
    differing: list[str]
    """The keys that tell the runs apart."""
    following: list[str]
    """The other keys that differ: their values come with a chosen option, and nobody set them."""

    def shown(self, run: int, key: str) -> str:
        """The value of a run, or a dash if it has none."""
        settings = self.settings[run]
        return brief(settings[key]) if key in settings else "—"


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare the configs of runs, and the machines that they ran on."""
    settings = [_settings(run, all(run.choices for run in runs if run.config)) for run in runs]
    configured = [of_run for of_run, run in zip(settings, runs, strict=True) if run.config]
    recorded = [of_run for of_run, run in zip(settings, runs, strict=True) if "versions" in run.record]
    shared: Settings = {}
    differing = []
    for key in dict.fromkeys(key for of_run in settings for key in of_run):
        among = recorded if key.startswith("recorded.") else configured
        among = among or [of_run for of_run in settings if key in of_run]
        if _is_shared(key, among):
            shared[key] = among[0][key]
        else:
            differing.append(key)
    groups = {group for run in runs for group in run.choices} & set(differing)
    nodes = {key.removesuffix("._target_") for key in differing if key.endswith("._target_")}
    groups |= {node for node in nodes if node in differing or not all(f"{node}._target_" in of for of in configured)}
    overridden = {key for run in runs for key in run.overridden}
    following = [key for key in differing if key not in overridden and _follows(key, groups, configured)]
    return Comparison(settings, shared, [key for key in differing if key not in following], following)


def labels(runs: Sequence[Run], comparison: Comparison) -> list[str]:
    """A short name for each run: its given name, or the settings that suffice to tell it from the others.

    If no settings suffice, it is the folder's name.
    """
    configured = [settings for settings, run in zip(comparison.settings, runs, strict=True) if run.config]
    keys: list[str] = []
    for key in sorted(comparison.differing, key=_importance):
        if _may_label(key) and _distinct(configured, [*keys, key]) > _distinct(configured, keys):
            keys.append(key)
    keys = [key for key in comparison.differing if key in keys]
    short = [_label(settings, keys) for settings in comparison.settings]
    return [
        label if label and run.config and "name" not in run.overridden and short.count(label) == 1 else run.name
        for label, run in zip(short, runs, strict=True)
    ]


def _may_label(key: str) -> bool:
    """Whether a key says what a run is, and not by which code or how it is measured or reported."""
    return not key.startswith(("recorded.", "metric.", "every.", "tracker.")) and not key.endswith("_target_")


def _importance(key: str) -> int:
    """A key for sorting that puts options before values."""
    return int("." in key)


def _distinct(settings: Sequence[Settings], keys: Sequence[str]) -> int:
    return len({_label(of_run, keys) for of_run in settings})


def _label(settings: Settings, keys: Iterable[str]) -> str:
    parts = []
    for key in keys:
        if key in settings:
            value = wording.setting(settings[key])
            is_choice = any(other.startswith(f"{key}.") for other in settings)
            parts.append(value if is_choice else f"{key.rpartition('.')[2]} {value}")
    return ", ".join(parts)


def _settings(run: Run, with_choices: bool) -> Settings:
    """The values of a config by key; a group's own key stands for the option chosen in it, or for its class."""
    chosen: Settings = {}
    for key, value in run.config.items():
        group = key.removesuffix("._target_")
        if key != group and isinstance(value, str):
            chosen[group] = value.rpartition(".")[2]
    if with_choices:
        chosen |= run.choices
    flat = {f"recorded.{key}": run.record[key] for key in RECORDED if run.record.get(key) is not None}
    recorded = {key: value for name, node in flat.items() for key, value in leaves(node, name).items()}
    configured = {
        key: value for key, value in (run.config | chosen).items() if key not in OF_THE_FOLDER and value != {}
    }
    return dict(sorted(configured.items(), key=lambda item: _place(item[0]))) | recorded


def _place(key: str) -> tuple[bool, str]:
    """A key for sorting: choices first, then what can be set within them; the seed last."""
    return key == "seed", key


def _is_shared(key: str, among: Sequence[Settings]) -> bool:
    return all(key in settings for settings in among) and all(
        settings[key] == among[0][key] and type(settings[key]) is type(among[0][key]) for settings in among
    )


def _follows(key: str, groups: set[str], among: Sequence[Settings]) -> bool:
    """Whether the option chosen in a group that holds the key determines its value."""
    parents = [group for group in groups if key.startswith(f"{group}.")]
    for group in parents:
        values: dict[Any, Any] = {}
        if all(
            values.setdefault(_option(settings, group), settings.get(key, "—")) == settings.get(key, "—")
            for settings in among
        ):
            return True
    return False


def _option(settings: Settings, group: str) -> tuple[Any, bool]:
    """The option chosen in a group, and whether the run has such a node at all."""
    return settings.get(group), f"{group}._target_" in settings
