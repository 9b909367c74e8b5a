"""The numbers of runs in columns: only what was measured in the same way stands in one column."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gan_cli.commands.report import quantity
from gan_cli.config.identity import leaves
from gan_cli.exact.estimated import QUANTILE
from gan_cli.runs import receipts
from gan_cli.runs.run import Run
from gan_cli.show.wording import setting

NOT_METRICS = {
    *("step", "images_seen", "seconds", "images_per_second"),
    *("penalty", "critic_loss", "generator_loss", "real_sign", "augmentation_probability"),
}
"""Numbers that training logs about itself, as are gradient norms and learning rates."""

ALWAYS = {"version", "target", "code_sha256"}
"""Circumstances that every number has, though receipts of earlier versions lack them."""

DIGEST = re.compile(r"([0-9a-f]{8})[0-9a-f]{32,}")
"""The digest of a commit or of content; its first digits tell it from another."""

FAMILY = 3
"""Names that differ only in a whole number at their end, or behind a slash, form a family from this many on."""


@dataclass(frozen=True)
class Cell:
    """A number of a run."""

    value: float
    error: float | None = None
    """One standard error."""
    real: float | None = None
    """The same number of real samples: the floor of a distance."""
    step: int | None = None
    """The step of the training; None if it is the run's last."""
    is_of_other_weights: bool = False
    """Whether the run by now has other weights at that step than those that were measured."""

    @property
    def half_width(self) -> float | None:
        """Half of the width of the 95 % interval; None if no error is known."""
        return None if self.error is None else QUANTILE * self.error


@dataclass
class Column:
    """A number under the same circumstances, by run."""

    name: str
    logged: bool
    """Whether training logged it; otherwise it comes from receipts of gan-eval."""
    circumstances: dict[str, Any]
    divergence: str | None = None
    """The divergence that is estimated, if the number depends on one."""
    cells: dict[int, Cell] = field(default_factory=dict)
    distinction: list[str] = field(default_factory=list)
    """How its circumstances differ from those of other columns of the same number."""
    family: str = ""
    """The stem of names such as class_share_0, class_share_1, …; empty for a number that stands alone."""

    @property
    def metric(self) -> str | None:
        """The metric that measured it, if a receipt tells that."""
        return None if self.logged else self.circumstances.get("metric")

    @property
    def is_of_attack(self) -> bool:
        """Whether it is a classifier's error or confidence under an attack."""
        return (self.metric or "").startswith("attack ") and self.name.startswith(("error/", "confidence/"))

    @property
    def title(self) -> str:
        """Its name and what distinguishes it, as plain text."""
        told = ([self.divergence] if self.divergence else []) + self.distinction
        told += ["logged"] if self.logged else []
        return f"{self.name} [{', '.join(told)}]" if told else self.name


def columns(runs: Sequence[Run]) -> list[Column]:
    """All numbers of the runs: those with a receipt, and others that training logged."""
    found: dict[str, Column] = {}
    for index, run in enumerate(runs):
        for receipt in run.receipts:
            _add_receipt(found, index, run, receipt)
    measured = {
        (column.name, index)
        for column in found.values()
        for index, cell in column.cells.items()
        if not cell.is_of_other_weights
    }
    metrics = {
        index: [name for name in logged_names(run) if (name, index) not in measured] for index, run in enumerate(runs)
    }
    for name in dict.fromkeys(name for names in metrics.values() for name in names):
        having = [index for index, names in metrics.items() if name in names]
        common = _common_nodes(runs[index] for index in having if runs[index].config)
        for index in having:
            _add_logged(found, index, runs[index], name, common)
    ordered = _ordered(list(found.values()))
    for column in ordered:
        column.distinction = distinction(column, ordered)
    return ordered


def families(names: Iterable[str]) -> dict[str, str]:
    """The stem of each name that differs from others only in a whole number at its end, or behind a slash."""
    beginnings: dict[str, set[str]] = {}
    for name in names:
        stem, slash, _ = name.partition("/")
        beginning = stem + slash if slash else name.rstrip("0123456789")
        if beginning and beginning != name:
            beginnings.setdefault(beginning, set()).add(name)
    return {name: start for start, alike in beginnings.items() if len(alike) >= FAMILY for name in alike}


def logged_names(run: Run) -> list[str]:
    """The metrics that a run logged in training."""
    names = dict.fromkeys(name for line in run.metrics for name in line)
    return [name for name in names if not _is_part(name, names)]


def _is_part(name: str, names: Iterable[str]) -> bool:
    return (
        name in NOT_METRICS
        or name.endswith(("_gradient_norm", "_learning_rate"))
        or any(name.removesuffix(suffix) in names for suffix in ("_error", "_of_real") if name.endswith(suffix))
    )


def refusals(run: Run) -> dict[str, str]:
    """Why metrics do not apply to a run: the newest reason for each metric without a number."""
    newest = sorted(run.receipts, key=lambda receipt: str(receipt.get("made") or ""))
    reasons = {receipt["metric"]: str(receipt["refused"]) for receipt in newest if receipt.get("refused")}
    having = {receipt["metric"] for receipt in run.receipts if receipt["numbers"]}
    return {metric: reason for metric, reason in reasons.items() if metric not in having}


def _ordered(found: list[Column]) -> list[Column]:
    """Columns in order: metrics of few numbers before those of many, what looks at real samples first; families last.

    Numbers of one name stand side by side; numbers without a receipt come after the metrics, as they were logged.
    """
    family = families(column.name for column in found if not column.is_of_attack)
    names: dict[str, list[str]] = {}
    metrics: dict[str, str] = {}
    beside_real = set()
    for column in found:
        column.family = family.get(column.name, "")
        if column.metric is not None:
            metrics.setdefault(column.name, column.metric)
            names.setdefault(column.metric, []).append(column.name)
            if column.circumstances.get("samples.real"):
                beside_real.add(column.metric)
    logged = list(dict.fromkeys(column.name for column in found))

    def place(column: Column) -> tuple[bool, bool, int, bool, str, int, bool]:
        metric = column.metric or metrics.get(column.name)
        part = bool(column.family) or column.is_of_attack
        if metric is None:
            return part, True, 0, True, "", logged.index(column.name), True
        known = list(dict.fromkeys(names[metric]))
        return part, False, len(known), metric not in beside_real, metric, known.index(column.name), column.logged

    return sorted(found, key=place)


def _add_receipt(found: dict[str, Column], index: int, run: Run, receipt: dict[str, Any]) -> None:
    told = leaves(receipts.circumstances(receipt))
    alike = {key: value for key, value in told.items() if key and value != {}}
    if receipt.get("dataset_sha256") is None:  # a toy's data are its config
        alike |= _dataset(run)
    step = None if receipt["step"] == run.step else receipt["step"]
    digest = run.checkpoints.get(receipt["step"])
    is_other = digest is not None and digest != receipt.get("checkpoint_sha256")
    for name, measured in receipt["numbers"].items():
        cells = _column(found, run, name, alike, logged=False).cells
        # Receipts come in the order of their steps; one of the run's own weights is never hidden by another.
        if not is_other or index not in cells or cells[index].is_of_other_weights:
            cells[index] = Cell(measured["value"], measured.get("error"), measured.get("real"), step, is_other)


def _add_logged(found: dict[str, Column], index: int, run: Run, name: str, common: set[str]) -> None:
    line = next(line for line in reversed(run.metrics) if name in line)
    step = int(line["step"])
    versions = run.record.get("versions")
    alike = {"version": versions.get("gan-cli") if isinstance(versions, dict) else None} | _dataset(run)
    if name != "estimate":  # no metric measures the estimate
        alike |= {key: value for key, value in run.config.items() if ".".join(key.split(".")[:2]) in common}
    cell = Cell(line[name], line.get(f"{name}_error"), line.get(f"{name}_of_real"), None if step == run.step else step)
    _column(found, run, name, alike, logged=True).cells[index] = cell


def _column(found: dict[str, Column], run: Run, name: str, alike: dict[str, Any], logged: bool) -> Column:
    divergence = quantity.of(run) if name in quantity.ESTIMATES else None
    key = json.dumps([name, logged, divergence, alike], sort_keys=True, default=str)
    return found.setdefault(key, Column(name, logged, alike, divergence))


def _common_nodes(runs: Iterable[Run]) -> set[str]:
    """The metrics that all runs have, such as metric.modes: among them is the one that measured what they all have."""
    nodes = [{".".join(key.split(".")[:2]) for key in run.config if key.startswith("metric.")} for run in runs]
    return set.intersection(*nodes) if nodes else set()


def _dataset(run: Run) -> dict[str, Any]:
    """The config of the data, and their digest in run.json; unknown data are like no others."""
    if not run.config:
        return {"dataset": f"unknown, of {run.name}"}
    config = {key: value for key, value in run.config.items() if key.startswith("dataset.") and key != "dataset.root"}
    return config | {"dataset_sha256": run.record.get("dataset")}


def distinction(column: Column, others: Sequence[Column]) -> list[str]:
    """How the circumstances of a column differ from those of others of the same number, itself among them."""
    namesakes = [
        other
        for other in others
        if (other.name, other.divergence, other.logged) == (column.name, column.divergence, column.logged)
    ]
    values: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for other in namesakes for key in other.circumstances):
        told = _told(key, [other.circumstances.get(key) for other in namesakes])
        # A size that several circumstances share, such as the number of real and of generated samples, is told once.
        if len(set(told)) > 1 and told not in values.values():
            values[key] = told
    own = next(index for index, other in enumerate(namesakes) if other is column)
    return [_in_words(key, told[own]) for key, told in values.items()]


def circumstance(key: str, value: Any) -> str:
    """The value of a circumstance in words: a digest by its beginning, a class by its name."""
    if value is None:
        return "unknown" if key in ALWAYS else "none"
    if key.endswith("target") or key.endswith("_target_"):
        return str(value).rpartition(".")[2]
    return brief(value)


def brief(value: Any) -> str:
    """A value as yaml has it, but a digest by its beginning only."""
    return DIGEST.sub(r"\1", setting(value))


def _told(key: str, values: Sequence[Any]) -> list[str]:
    """Values in words, as short as still tells them apart."""
    short, whole = [circumstance(key, value) for value in values], [setting(value) for value in values]
    return short if len(set(short)) == len(set(whole)) else whole


def _in_words(key: str, told: str) -> str:
    name = key.removeprefix("options.").removesuffix("._target_").removesuffix("_sha256")
    return f"no {name}" if told == "none" else f"{name} {told}"
