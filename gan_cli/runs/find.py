"""Find the folders of runs: named ones, those of a study, those of a sweep."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gan_cli.errors import ConfigError
from gan_cli.runs.read import CONFIG, RECORD

MARKS = (RECORD, CONFIG)
"""Either file makes a folder that of a run."""

MEMBERS = "members"
"""The folder in which a study has its runs."""

INSIDE = {".hydra", "checkpoints", "samples"}
"""Folders of a run in which there are no other runs."""


@dataclass(frozen=True)
class Found:
    """The folder of a run, or of a study."""

    path: Path
    name: str
    """A name that is unique among those found together."""


def find(arguments: Sequence[Path]) -> list[Found]:
    """Every run and study in or below the folders, each once, in the order of the arguments and then of names.

    Raises `ConfigError` if a folder is missing or holds none.
    """
    seen: set[Path] = set()
    found: dict[Path, Found] = {}
    for argument in arguments:
        if not argument.is_dir():
            raise ConfigError(f"{argument} is not a folder: name that of a run, such as outputs/default, or of a sweep")
        root = argument.resolve()
        paths = _sorted(_below(root, seen))
        if not paths and not any(path.is_relative_to(root) for path in found):
            raise ConfigError(f"{argument} holds no runs: name the folder of a run, such as outputs/default")
        for path in paths:
            parts = path.relative_to(root).parts if path.is_relative_to(root) else (path.name,)
            name = "/".join(part for part in parts if part != MEMBERS) or root.name
            found[path] = Found(path, name)
    return _named_apart(list(found.values()))


def below(folder: Path) -> list[Path]:
    """Every run and study in or below a folder, in the order of names; none where there is no such folder."""
    return _sorted(_below(folder, set())) if folder.is_dir() else []


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run or of a study."""
    return any((folder / mark).is_file() for mark in MARKS)


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: _natural(str(path)))


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """The folders of runs; links are followed, each folder is visited once."""
    folder = folder.resolve()
    if folder in seen:
        return
    seen.add(folder)
    try:
        children = [path for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read ({error.strerror}): permit it, or name other folders") from error
    of_run = is_run(folder)
    if of_run:
        yield folder
    for child in children:
        if not (of_run and child.name in INSIDE):
            yield from _below(child, seen)


def _named_apart(found: list[Found]) -> list[Found]:
    """The runs, those of one name renamed by as much of their path as tells them apart."""
    times = Counter(run.name for run in found)
    clashing = [run for run in found if times[run.name] > 1]
    depth = 1
    while len({run.path.parts[-depth:] for run in clashing}) < len(clashing):
        depth += 1
    return [replace(run, name="/".join(run.path.parts[-depth:])) if times[run.name] > 1 else run for run in found]


def _natural(text: str) -> list[str | tuple[int, str]]:
    """A key for sorting by which seed=10 comes after seed=2."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", text)]
