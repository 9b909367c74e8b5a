"""The numbers of runs in columns: only what was measured in the same way stands in one column."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gan_cli import receipts
from gan_cli.gan_report import quantity
from gan_cli.gan_report.reading import Run, leaves, number
from gan_cli.wording import QUANTILE, setting

NOT_METRICS = {"step", "images_seen", "seconds", "penalty", "critic_loss", "generator_loss", "images_per_second"}
"""What training logs about itself; so are gradient norms and learning rates."""

DIGEST = 8
"""As many digits of a digest tell it from another."""


@dataclass(frozen=True)
class Cell:
    """A number of a run."""

    value: float
    error: float | None = None
    """One standard error."""
    real: float | None = None
    """The same number of real samples: the floor of a distance."""
    step: int | None = None
    """Of the training; None where it is the run's last."""

    @property
    def half_width(self) -> float | None:
        """Of the 95 % interval."""
        return None if self.error is None else QUANTILE * self.error


@dataclass
class Column:
    """A number under the same circumstances, by run."""

    name: str
    logged: bool
    """Whether training logged it; else it is from the receipts of gan-eval."""
    circumstances: dict[str, Any]
    divergence: str | None = None
    """What is estimated, where that is of one divergence alone."""
    cells: dict[int, Cell] = field(default_factory=dict)
    distinction: list[str] = field(default_factory=list)
    """In what its circumstances differ from those of other columns of the same number."""

    @property
    def title(self) -> str:
        """Its name where only text is possible."""
        told = ([self.divergence] if self.divergence else []) + self.distinction
        told += ["logged"] if self.logged else []
        return f"{self.name} [{', '.join(told)}]" if told else self.name


def columns(runs: Sequence[Run]) -> list[Column]:
    """All numbers of the runs: first those with receipts, then those that only training logged."""
    found: dict[str, Column] = {}
    for index, run in enumerate(runs):
        for receipt in run.receipts:
            _add_receipt(found, index, run, receipt)
    measured = {(column.name, index) for column in found.values() for index in column.cells}
    metrics = {
        index: [name for name in logged_names(run) if (name, index) not in measured] for index, run in enumerate(runs)
    }
    for name in dict.fromkeys(name for names in metrics.values() for name in names):
        having = [index for index, names in metrics.items() if name in names]
        common = _common_nodes(runs[index] for index in having if runs[index].config)
        for index in having:
            _add_logged(found, index, runs[index], name, common)
    ordered = list(found.values())
    for column in ordered:
        column.distinction = _distinction(column, ordered)
    return ordered


def logged_names(run: Run) -> list[str]:
    """The metrics that training logged of a run."""
    names = dict.fromkeys(name for line in run.metrics for name in line)
    return [name for name in names if not _is_part(name, names)]


def _is_part(name: str, names: Iterable[str]) -> bool:
    return (
        name in NOT_METRICS
        or name.endswith(("_gradient_norm", "_learning_rate"))
        or any(name.removesuffix(suffix) in names for suffix in ("_error", "_of_real") if name.endswith(suffix))
    )


def refusals(run: Run) -> dict[str, str]:
    """Why a metric does not apply to a run, by metric."""
    return {receipt["metric"]: str(receipt["refused"]) for receipt in run.receipts if receipt.get("refused")}


def _add_receipt(found: dict[str, Column], index: int, run: Run, receipt: dict[str, Any]) -> None:
    alike = {key: value for key, value in leaves(receipts.circumstances(receipt)).items() if key}
    if receipt.get("dataset_sha256") is None:  # a toy's data are its config
        alike |= _dataset(run)
    for name, measured in receipt["numbers"].items():
        value = number(measured["value"])
        assert value is not None
        step = None if receipt["step"] == run.step else receipt["step"]
        cell = Cell(value, number(measured.get("error")), number(measured.get("real")), step)
        _column(found, run, name, alike, logged=False).cells[index] = cell  # receipts come oldest first


def _add_logged(found: dict[str, Column], index: int, run: Run, name: str, common: set[str]) -> None:
    line = next(line for line in reversed(run.metrics) if name in line)
    step = int(line["step"])
    versions = run.record.get("versions")
    alike = {"version": versions.get("gan-cli") if isinstance(versions, dict) else None} | _dataset(run)
    if name != "estimate":  # which no metric measures
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
    """The config of the data, and what run.json says they were; what is unknown is like nothing else."""
    if not run.config:
        return {"dataset": f"unknown, of {run.name}"}
    config = {key: value for key, value in run.config.items() if key.startswith("dataset.") and key != "dataset.root"}
    return config | {"dataset_sha256": run.record.get("dataset")}


def _distinction(column: Column, others: Sequence[Column]) -> list[str]:
    namesakes = [
        other
        for other in others
        if (other.name, other.divergence, other.logged) == (column.name, column.divergence, column.logged)
    ]
    values: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for other in namesakes for key in other.circumstances):
        told = [circumstance(key, other.circumstances.get(key)) for other in namesakes]
        # A size that several circumstances share, such as of real and of generated samples, is told once.
        if len(set(told)) > 1 and told not in values.values():
            values[key.removeprefix("options.")] = told
    own = namesakes.index(column)
    return [f"{key} {told[own]}" for key, told in values.items()]


def circumstance(key: str, value: Any) -> str:
    """A circumstance in words; of a digest its beginning."""
    if value is None:
        return "unknown" if key == "version" else "none"
    return str(value)[:DIGEST] if "sha256" in key else setting(value)
