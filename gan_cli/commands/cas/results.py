"""How each classifier did, as its folder says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from gan_cli.commands.cas.plan import Member
from gan_cli.errors import ConfigError
from gan_cli.runs import read

Confusion = list[list[int]]
"""Counts: a row for each true class, a column for each that the classifier chose."""


@dataclass(frozen=True)
class Result:
    """How a classifier did on the real test set, and, if it was tested on them, on synthetic images."""

    condition: str
    seed: int
    accuracy: float
    confusion: Confusion
    on_synthetic: float | None = None

    @property
    def test_count(self) -> int:
        return sum(map(sum, self.confusion))


def of_member(member: Member, folder: Path, classes: Sequence[str], tested: Path | None = None) -> Result | None:
    """The result of a member that is done, else None. Raises `ConfigError` for one that its folder does not tell."""
    record = read.record(folder)
    if record.get("status") != "done":
        return None
    confusion = record.get("confusion")
    if not is_confusion(confusion, len(classes)):
        raise ConfigError(f"{folder}/run.json has no confusion of {len(classes)} classes: remove the folder")
    on_synthetic = None
    if tested is not None and tested.exists():
        on_synthetic = float(json.loads(tested.read_text(encoding="utf-8"))["accuracy"])
    return Result(member.condition.name, member.seed, accuracy_of(confusion), confusion, on_synthetic)


def is_confusion(value: object, classes: int) -> TypeGuard[Confusion]:
    """Whether a value of run.json is a square of counts that are not all 0."""
    is_square = isinstance(value, list) and len(value) == classes
    rows = value if is_square and isinstance(value, list) else []
    return (
        bool(rows)
        and all(isinstance(row, list) and len(row) == classes for row in rows)
        and all(type(count) is int and count >= 0 for row in rows for count in row)
        and any(map(any, rows))
    )


def accuracy_of(confusion: Confusion) -> float:
    """The share of images whose class was chosen."""
    return sum(confusion[i][i] for i in range(len(confusion))) / sum(map(sum, confusion))


def class_accuracies(confusion: Confusion) -> list[float | None]:
    """The same of the images of each class; None of a class without images."""
    return [row[i] / sum(row) if sum(row) else None for i, row in enumerate(confusion)]
