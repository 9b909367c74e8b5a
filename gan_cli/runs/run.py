"""A run as its folder tells of it, whatever its state: what cannot be read is named, neither hidden nor fatal.

Imports no torch.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from gan_cli.config.earlier import modernised
from gan_cli.config.identity import leaves
from gan_cli.runs import read
from gan_cli.runs.find import Found
from gan_cli.runs.numbers import number
from gan_cli.runs.read import Numbers, UnreadableError
from gan_cli.runs.receipts import Receipt, is_receipt

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


@dataclass
class Run:
    """What the folder of a run holds."""

    path: Path
    name: str
    record: dict[str, Any] = field(default_factory=dict)
    """run.json."""
    config: dict[str, Any] = field(default_factory=dict)
    """The values of the composed config by dotted key; empty where it cannot be read."""
    choices: dict[str, str] = field(default_factory=dict)
    """The option chosen in each config group, by dotted key."""
    overridden: set[str] = field(default_factory=set)
    """The keys that were set on the command line."""
    metrics: list[Numbers] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    """Oldest step first."""
    checkpoints: dict[int, str] = field(default_factory=dict)
    """The digests of the weights that are kept, by step."""
    pictures: dict[int, Path] = field(default_factory=dict)
    """The sample grids by step."""
    last_written: datetime | None = None
    problems: list[str] = field(default_factory=list)
    """What is damaged or missing."""

    @property
    def step(self) -> int | None:
        """The last step that anything tells of."""
        recorded = self.record.get("step")
        logged = int(self.metrics[-1]["step"]) if self.metrics else None
        known = [step for step in (recorded, logged) if isinstance(step, int)]
        return max(known, default=None)

    @property
    def seed(self) -> Any:
        return self.config.get("seed", self.record.get("seed"))

    @property
    def is_study(self) -> bool:
        return any(key.startswith("study.") for key in self.config) or "members" in self.record


def told(found: Found) -> Run:
    """Everything that the folder of a run tells."""
    run = Run(found.path, found.name)
    run.record = _mapping(run, read.RECORD, json.loads, missing="there is no run.json")
    composed = _mapping(run, read.CONFIG, _yaml, missing="there is no config")
    run.config = leaves(modernised(composed)) if composed else {}
    run.choices, run.overridden = _chosen(_mapping(run, read.CONFIG.with_name("hydra.yaml"), _yaml))
    run.metrics = _metrics(run)
    run.receipts = _receipts(run)
    run.checkpoints = _digests(run.path)
    run.pictures = read.pictures(run.path)
    run.last_written = _last_written(run.path)
    return run


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=LOADER)


def _mapping(run: Run, name: Path, parse: Callable[[str], Any], missing: str | None = None) -> dict[str, Any]:
    """The mapping in a file, empty where there is none that can be used, which is added to the problems."""
    try:
        content: dict[str, Any] | None = read.mapping(run.path / name, parse)
    except UnreadableError as error:
        run.problems.append(f"{name} {error}")
        return {}
    if content is None and missing is not None:
        run.problems.append(missing)
    return content or {}


def _chosen(noted: dict[str, Any]) -> tuple[dict[str, str], set[str]]:
    """The options and the overridden keys that Hydra noted of how the config came about; of a study's member none."""
    hydra = _mapping_in(noted, "hydra")
    choices = {
        str(group).replace("/", "."): str(option)
        for group, option in _mapping_in(_mapping_in(hydra, "runtime"), "choices").items()
        if option is not None and not str(group).startswith("hydra/")
    }
    given = _mapping_in(hydra, "overrides").get("task")
    overrides = map(str, given) if isinstance(given, list) else []
    return choices, {text.split("=")[0].lstrip("+~").split("@")[0].replace("/", ".") for text in overrides}


def _mapping_in(node: dict[str, Any], key: str) -> dict[str, Any]:
    child = node.get(key)
    return child if isinstance(child, dict) else {}


def _metrics(run: Run) -> list[Numbers]:
    """The numbers that training logged, without anything else that stands among them."""
    try:
        lines, damaged = read.lines(read.text_of(run.path / read.METRICS) or "")
    except UnreadableError as error:
        run.problems.append(f"{read.METRICS} {error}")
        return []
    if damaged:
        run.problems.append(f"{read.METRICS}: {_count(damaged, 'damaged line')} skipped")
    numbers = [{name: number(value) for name, value in line.items()} for line in lines]
    return [{name: value for name, value in line.items() if value is not None} for line in numbers]


def _receipts(run: Run) -> list[Receipt]:
    content = _mapping(run, read.RECEIPTS, json.loads)
    if not content:
        return []
    listed = content.get("receipts")
    if not isinstance(listed, list):
        run.problems.append(f"{read.RECEIPTS} is damaged")
        return []
    whole = [receipt for receipt in map(_receipt, listed) if receipt is not None]
    if len(whole) < len(listed):
        run.problems.append(f"{read.RECEIPTS}: {_count(len(listed) - len(whole), 'damaged receipt')} skipped")
    return sorted(whole, key=lambda receipt: receipt["step"])


def _receipt(value: Any) -> Receipt | None:
    """A receipt with numbers that may be infinite; None where it is damaged."""
    if not isinstance(value, dict) or not isinstance(value.get("numbers"), dict):
        return None
    numbers = {
        name: {part: number(of) for part, of in measured.items()} if isinstance(measured, dict) else measured
        for name, measured in value["numbers"].items()
    }
    receipt = value | {"numbers": numbers}
    is_whole = is_receipt(receipt) and type(value.get("step")) is int and isinstance(value.get("versions"), dict)
    return receipt if is_whole else None


def _digests(folder: Path) -> dict[int, str]:
    """What the files beside the checkpoints say of them; the checkpoints themselves are not read."""
    digests = {}
    for path in (folder / read.CHECKPOINTS).glob("step-*.pt.sha256"):
        try:
            digests[read.step_of(path.with_suffix(""))] = read.digest_of(path.with_suffix(""))
        except (OSError, ValueError):  # then nothing is known of it
            continue
    return digests


def _last_written(folder: Path) -> datetime | None:
    """When the run last left a sign of life."""
    times = []
    for name in (read.METRICS, read.RECORD, "train.log"):
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'s' if number_of > 1 else ''}"
