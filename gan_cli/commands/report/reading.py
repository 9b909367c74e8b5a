"""Read a run's folder as it is, whatever its state: what cannot be read is named, not hidden and not fatal.

Nothing here imports torch.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from gan_cli.commands.report.finding import Found
from gan_cli.runs.folder import NOT_FINITE, step_of
from gan_cli.runs.receipts import Receipt, is_receipt

Numbers = dict[str, float]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


@dataclass
class Run:
    """What the folder of a run holds."""

    path: Path
    name: str
    record: dict[str, Any] = field(default_factory=dict)
    """run.json."""
    config: dict[str, Any] = field(default_factory=dict)
    """The values of the composed config by dotted key; empty if it cannot be read."""
    choices: dict[str, str] = field(default_factory=dict)
    """The option chosen in each config group, by dotted key."""
    overridden: set[str] = field(default_factory=set)
    """The keys that were set on the command line."""
    metrics: list[Numbers] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    checkpoints: dict[int, str] = field(default_factory=dict)
    """The digests of the weights that are kept, by step."""
    pictures: dict[int, Path] = field(default_factory=dict)
    """The sample grids by step."""
    last_written: datetime | None = None
    problems: list[str] = field(default_factory=list)
    """What is damaged or missing."""

    @property
    def step(self) -> int | None:
        """The last step that the record or the log mentions."""
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


def read(found: Found) -> Run:
    """Everything that a report tells of a run."""
    run = Run(found.path, found.name)
    run.record = _record(run)
    run.config = _config(run)
    run.choices, run.overridden = _hydra(run)
    run.metrics = _metrics(run)
    run.receipts = _receipts(run)
    run.checkpoints = _checkpoints(run.path)
    run.pictures = _pictures(run)
    run.last_written = _last_written(run.path)
    return run


def number(value: Any) -> float | None:
    """A number of our files, which may stand as text; None for anything else."""
    if isinstance(value, str):
        return float(value) if value in NOT_FINITE else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def leaves(node: Any, key: str = "") -> dict[str, Any]:
    """The values of nested mappings by dotted key."""
    if not isinstance(node, dict) or not node:
        return {key: node}
    flat: dict[str, Any] = {}
    for name, child in node.items():
        flat |= leaves(child, f"{key}.{name}" if key else str(name))
    return flat


def _text(run: Run, name: str) -> str | None:
    try:
        return (run.path / name).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        run.problems.append(f"{name} cannot be read ({error.strerror})")
        return None


def _mapping(run: Run, name: str, parse: Callable[[str], Any]) -> dict[str, Any] | None:
    """The mapping in a file; empty if it is damaged, which is reported; None if there is no such file."""
    text = _text(run, name)
    if text is None:
        return None
    try:
        content = parse(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        content = None
    if not isinstance(content, dict):
        run.problems.append(f"{name} is damaged")
        return {}
    return content


def _record(run: Run) -> dict[str, Any]:
    record = _mapping(run, "run.json", json.loads)
    if record is None:
        run.problems.append("there is no run.json")
    return record or {}


def _config(run: Run) -> dict[str, Any]:
    config = _mapping(run, ".hydra/config.yaml", _yaml)
    if config is None:
        run.problems.append("there is no config")
    return leaves(config) if config else {}


def _hydra(run: Run) -> tuple[dict[str, str], set[str]]:
    """What Hydra recorded of how the config came about; a study's members have no such record."""
    hydra = (_mapping(run, ".hydra/hydra.yaml", _yaml) or {}).get("hydra")
    hydra = hydra if isinstance(hydra, dict) else {}
    chosen = _mapping_in(_mapping_in(hydra, "runtime"), "choices")
    choices = {
        str(group).replace("/", "."): str(option)
        for group, option in chosen.items()
        if option is not None and not str(group).startswith("hydra/")
    }
    given = _mapping_in(hydra, "overrides").get("task")
    overrides = map(str, given) if isinstance(given, list) else []
    return choices, {text.split("=")[0].lstrip("+~").split("@")[0].replace("/", ".") for text in overrides}


def _mapping_in(node: dict[str, Any], key: str) -> dict[str, Any]:
    child = node.get(key)
    return child if isinstance(child, dict) else {}


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=LOADER)


def _metrics(run: Run) -> list[Numbers]:
    """The lines of metrics.jsonl in the order of their steps; a step that was logged twice has its later line."""
    lines: dict[float, Numbers] = {}
    damaged = 0
    for text in (_text(run, "metrics.jsonl") or "").splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or type(line.get("step")) is not int:
            damaged += 1
            continue
        numbers = {name: number(value) for name, value in line.items()}
        lines[line["step"]] = {name: value for name, value in numbers.items() if value is not None}
    if damaged:
        run.problems.append(f"metrics.jsonl: {_count(damaged, 'damaged line')} skipped")
    return [lines[step] for step in sorted(lines)]


def _receipts(run: Run) -> list[Receipt]:
    """The receipts of gan-eval, oldest step first."""
    content = _mapping(run, "evaluation.json", json.loads)
    if not content:
        return []
    listed = content.get("receipts")
    if not isinstance(listed, list):
        run.problems.append("evaluation.json is damaged")
        return []
    whole = [receipt for receipt in map(_receipt, listed) if receipt is not None]
    if len(whole) < len(listed):
        run.problems.append(f"evaluation.json: {_count(len(listed) - len(whole), 'damaged receipt')} skipped")
    return sorted(whole, key=lambda receipt: receipt["step"])


def _receipt(value: Any) -> Receipt | None:
    """A receipt with numbers that may be infinite; None if it is damaged."""
    if not isinstance(value, dict) or not isinstance(value.get("numbers"), dict):
        return None
    numbers = {
        name: {part: number(of) for part, of in measured.items()} if isinstance(measured, dict) else measured
        for name, measured in value["numbers"].items()
    }
    receipt = value | {"numbers": numbers}
    is_whole = is_receipt(receipt) and type(value.get("step")) is int and isinstance(value.get("versions"), dict)
    return receipt if is_whole else None


def _checkpoints(folder: Path) -> dict[int, str]:
    """The digests in the files beside the checkpoints; the checkpoints themselves are not read."""
    digests = {}
    for path in (folder / "checkpoints").glob("step-*.pt.sha256"):
        try:
            digests[step_of(path.with_suffix(""))] = path.read_text(encoding="utf-8", errors="replace").split()[0]
        except (OSError, ValueError, IndexError):  # then nothing is known of it
            continue
    return digests


def _pictures(run: Run) -> dict[int, Path]:
    paths = {path.stem.removeprefix("step-"): path for path in (run.path / "samples").glob("step-*.png")}
    return {int(step): path for step, path in sorted(paths.items(), key=lambda item: item[0]) if step.isdecimal()}


def _last_written(folder: Path) -> datetime | None:
    """The time of the run's last sign of life."""
    times = []
    for name in ("metrics.jsonl", "run.json", "train.log"):
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'s' if number_of > 1 else ''}"
