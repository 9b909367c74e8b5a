"""All that a report says, before it is written in any format."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gan_cli.commands.report import comparison, seeds, status
from gan_cli.commands.report.attacks import Attack, Size, attacks
from gan_cli.commands.report.columns import Cell, Column, columns, refusals
from gan_cli.commands.report.comparison import Comparison
from gan_cli.commands.report.seeds import Group
from gan_cli.commands.report.status import Status
from gan_cli.errors import ConfigError
from gan_cli.runs.find import find
from gan_cli.runs.run import Run, told


@dataclass(frozen=True)
class Row:
    """A run among others."""

    run: Run
    label: str
    status: Status
    settings: list[str]
    """The values of the keys in which runs differ."""
    seconds: float | None
    """The time of the training."""
    images_per_second: float | None
    """The average over the training."""
    refusals: dict[str, str]
    """Why a metric does not apply, by metric."""

    @property
    def remarks(self) -> list[str]:
        """All that its status alone does not say."""
        return self.status.details + self.run.problems

    @property
    def step(self) -> str:
        return "" if self.run.step is None else str(self.run.step)


@dataclass(frozen=True)
class Report:
    """A comparison of runs."""

    made: datetime
    rows: list[Row]
    studies: list[tuple[Run, Status]]
    """The studies that were found; their members are among the runs."""
    comparison: Comparison
    columns: list[Column]
    attacks: list[Attack]
    """Their columns stand in no other table."""
    groups: list[Group]

    @property
    def general(self) -> list[int]:
        """The columns of the table of runs."""
        return [
            index
            for index, of in enumerate(self.columns)
            if of.divergence is None and not of.family and not of.is_of_attack
        ]

    def under(self, size: Size, run: int) -> tuple[Cell | None, Cell | None]:
        """The error and the confidence of a run under an attack of one size."""
        error, confidence = (
            self.columns[size.columns[kind]].cells.get(run) if kind in size.columns else None
            for kind in ("error", "confidence")
        )
        return error, confidence

    @property
    def families(self) -> dict[str, list[int]]:
        """The columns of each family, which get a table of their own."""
        found: dict[str, list[int]] = {}
        for index, column in enumerate(self.columns):
            if column.divergence is None and column.family:
                found.setdefault(column.family, []).append(index)
        return found

    @property
    def attacked(self) -> list[int]:
        """The runs with numbers under attack."""
        columns = [self.columns[index] for attack in self.attacks for index in attack.columns]
        return sorted({run for column in columns for run in column.cells})

    @property
    def settings(self) -> list[int]:
        """The differing keys that belong to the config; the others belong to machine and code."""
        keys = self.comparison.differing
        return [index for index, key in enumerate(keys) if not key.startswith("recorded.")]

    @property
    def recorded(self) -> list[int]:
        """The differing keys that belong to machine and code."""
        return [index for index, _ in enumerate(self.comparison.differing) if index not in self.settings]

    @property
    def of_groups(self) -> list[str]:
        """The keys that tell groups of runs apart; the runs of a group differ in their seeds."""
        return [key for key in self.comparison.differing if not key.startswith((*seeds.IMMATERIAL, "recorded."))]

    @property
    def refusals(self) -> dict[tuple[str, str], list[str]]:
        """The metrics that do not apply and why, each with the labels of its runs."""
        found: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            for metric, reason in row.refusals.items():
                found.setdefault((metric, reason), []).append(row.label)
        return found


def make(folders: Sequence[Path]) -> Report:
    """Read the runs in or below the folders. Raises `ConfigError` if there are none."""
    now = datetime.now(UTC)
    found = [told(place) for place in find(folders)]
    studies = [run for run in found if run.is_study]
    runs = [run for run in found if not run.is_study]
    if not runs:
        names = ", ".join(str(study.path) for study in studies)
        raise ConfigError(f"{names} is a study without members: look at the figures in its folder")
    compared = comparison.compare(runs)
    in_columns = columns(runs)
    rows = [
        _row(run, label, status.of(run, now), [compared.shown(index, key) for key in compared.differing])
        for index, (run, label) in enumerate(zip(runs, comparison.labels(runs, compared), strict=True))
    ]
    return Report(
        made=now,
        rows=rows,
        studies=[(study, status.of(study, now)) for study in studies],
        comparison=compared,
        columns=in_columns,
        attacks=attacks(in_columns),
        groups=seeds.groups(runs, in_columns),
    )


def _row(run: Run, label: str, stands: Status, settings: list[str]) -> Row:
    last = run.metrics[-1] if run.metrics else {}
    seconds, images = last.get("seconds"), last.get("images_seen")
    speed = images / seconds if seconds and images is not None else None
    return Row(run, label, stands, settings, seconds, speed, refusals(run))
