"""Numbers under attack, as `gan-attack` leaves them: by attack, and of each attack by its size."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gan_cli.commands.report.columns import Cell, Column, distinction
from gan_cli.exact.estimated import QUANTILE
from gan_cli.show import wording


@dataclass
class Size:
    """An attack of one size."""

    epsilon: float | None
    """In units of the data range; None for attacks without a size."""
    columns: dict[str, int] = field(default_factory=dict)
    """The columns of its `error` and, if it ever succeeds, of its `confidence`."""
    least: set[int] = field(default_factory=set)
    """The runs of the least error, and those that cannot be told from them; none if these are all."""

    @property
    def heading(self) -> str:
        return "error" if self.epsilon is None else f"ε = {self.epsilon:g}"


@dataclass(frozen=True)
class Attack:
    """An attack, carried out in the same way but for its size."""

    title: str
    sizes: list[Size]

    @property
    def columns(self) -> list[int]:
        """All of its columns."""
        return [index for size in self.sizes for index in size.columns.values()]


def attacks(columns: Sequence[Column]) -> list[Attack]:
    """The attacks that columns hold, each with its sizes in order; those without a size last."""
    found: dict[str, tuple[Column, dict[str, Size]]] = {}
    for index, column in enumerate(columns):
        if not column.is_of_attack:
            continue
        kind, _, name = column.name.partition("/")
        epsilon = column.circumstances.get("options.epsilon")
        curve = name.replace(f":epsilon={epsilon!r}", "", 1)
        alike = {key: value for key, value in column.circumstances.items() if key not in ("metric", "options.epsilon")}
        key = json.dumps([curve, alike], sort_keys=True, default=str)
        _, sizes = found.setdefault(key, (Column(curve, False, alike), {}))
        sizes.setdefault(name, Size(epsilon)).columns[kind] = index
        if kind == "error":
            sizes[name].least = _least(column)
    several = [of for of, _ in found.values()]
    made = [
        Attack(", ".join([of.name, *distinction(of, several)]), sorted(sizes.values(), key=lambda of: of.epsilon or 0))
        for of, sizes in found.values()
    ]
    return sorted(made, key=lambda of: (of.sizes[0].epsilon is None, of.title))


def trained_against(settings: Mapping[str, Any]) -> str:
    """The attack that a run was trained against: `fgsm:epsilon=0.1`."""
    name, epsilon = settings.get("attack", "none"), settings.get("attack.epsilon")
    return str(name) if epsilon is None else f"{name}:epsilon={wording.setting(epsilon)}"


def in_percent(cell: Cell) -> str:
    """A share with its interval."""
    return wording.per_cent(cell.value, cell.half_width)


def _least(column: Column) -> set[int]:
    """The runs whose number is the least or not above it by more than both are sure of; none if these are all."""
    least = min(column.cells.values(), key=lambda cell: cell.value)

    def is_above(cell: Cell) -> bool:
        return cell.value - least.value > QUANTILE * math.hypot(cell.error or 0.0, least.error or 0.0)

    kept = {run for run, cell in column.cells.items() if not is_above(cell)}
    return kept if len(kept) < len(column.cells) else set()
