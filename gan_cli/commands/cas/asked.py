"""The words of `gan-cas RUN [OVERRIDES]`: what each of them is about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from gan_cli.commands.cas import settings
from gan_cli.config.schema import folder_name
from gan_cli.errors import ConfigError

FOLDER = "cas"
"""Where all comparisons are, within the outputs."""

SET = {
    "seed": "cas.seeds says how many",
    "train.steps": "set cas.images_seen and cas.few_shot.images_seen",
    "train.batch_size": "set cas.batch_size",
    "every.evaluate": "the accuracy is measured after the last step, so that no epoch is chosen by it",
    "study": "leave it out",
}
"""The keys of `gan-classify` that are not the user's, and the remedies."""

FREE = re.compile(r"name|outputs|cas\.(seeds|synthetic|ratios|workers|few_shot\.(seeds|per_class))")
"""Keys that add members, or are none of them, so that what is trained already can stay."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks."""

    source: Path
    settings: settings.Settings
    data: tuple[str, ...]
    """`dataset=…`, `dataset.KEY=…` and `test.data=…`."""
    words: tuple[str, ...]
    """Overrides of every classifier."""
    folder: Path


def parsed(source: Path, words: Sequence[str]) -> Asked:
    """What the words ask. Raises `ConfigError` for one that no classifier may be given."""
    for word in words:
        key, equals, _ = word.partition("=")
        if not equals:
            raise ConfigError(f"{word} is no override: write KEY=VALUE, such as cas=quick")
        if key in SET:
            raise ConfigError(f"{word} is not for gan-cas: {SET[key]}")
    own = {key: _last(words, key) for key in ("name", "outputs")}
    of_cas = [word for word in words if re.match(r"cas[.=]", word)]
    data = [word for word in words if re.match(r"(dataset[.=])|test\.data=", word)]
    rest = [word for word in words if word not in {*of_cas, *data} and word.partition("=")[0] not in own]
    name = own["name"] or _name(source, words)
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ConfigError(f"name={name} must be a path below outputs/{FOLDER}: to write elsewhere set outputs=…")
    folder = Path(own["outputs"] or "outputs", FOLDER, name)
    return Asked(source, settings.read(of_cas), tuple(data), tuple(rest), folder)


def _last(words: Sequence[str], key: str) -> str | None:
    return next((word.partition("=")[2] for word in reversed(words) if word.startswith(f"{key}=")), None)


def _name(source: Path, words: Sequence[str]) -> str:
    """The name of the run with what is changed of its classifiers."""
    default = f"cas={settings.DEFAULT}"
    changed = sorted(word for word in words if not FREE.fullmatch(word.partition("=")[0]) and word != default)
    return folder_name([source.resolve().name, *changed])
