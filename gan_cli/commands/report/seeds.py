"""Runs of one config under several seeds: means with intervals, and how many diverged."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gan_cli.commands.report.columns import Column
from gan_cli.runs.run import Run
from gan_cli.show.intervals import cut, range_of

FAILED = ("diverged", "overfitted")
"""How runs end whose numbers are no part of a mean."""

IMMATERIAL = ("seed", "name", "outputs", "every.", "tracker.")
"""Keys, or beginnings of keys, that may differ between runs of one config."""


@dataclass(frozen=True)
class Mean:
    """The mean of a number over seeds."""

    value: float
    interval: tuple[float, float] | None
    """The ends of the 95 % interval; None for a single seed, equal numbers, or a mean that is not finite."""
    seeds: int


@dataclass(frozen=True)
class Group:
    """The runs of one config."""

    runs: list[int]
    seeds: list[Any]
    ended: int
    """The number of runs that ended: done or diverged."""
    diverged: int
    repeated: int
    """The number of runs that have the seed of another; the means leave them out."""
    means: list[Mean | None]
    """One for each column."""


def groups(runs: Sequence[Run], columns: Sequence[Column]) -> list[Group]:
    """The runs by config, in the order of the first of each; runs whose config is not known are left out."""
    members: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        if run.config:
            kept = {key: value for key, value in run.config.items() if not key.startswith(IMMATERIAL)}
            members.setdefault(json.dumps(kept, sort_keys=True, default=str), []).append(index)
    return [_group(runs, indices, columns) for indices in members.values()]


def _group(runs: Sequence[Run], indices: list[int], columns: Sequence[Column]) -> Group:
    def merit(index: int) -> tuple[bool, str]:
        return runs[index].record.get("status") == "done", str(runs[index].record.get("ended"))

    # Runs that share a seed are not independent: the newest stands for all, the newest that is done if there is one.
    by_seed = {str(runs[index].seed): index for index in sorted(indices, key=merit)}
    statuses = {index: runs[index].record.get("status") for index in by_seed.values()}
    return Group(
        runs=indices,
        seeds=sorted((runs[index].seed for index in statuses), key=_seed_order),
        ended=sum(status in ("done", *FAILED) for status in statuses.values()),
        diverged=sum(status in FAILED for status in statuses.values()),
        repeated=len(indices) - len(by_seed),
        means=[_mean(column, [index for index in indices if statuses.get(index) == "done"]) for column in columns],
    )


def _seed_order(seed: Any) -> tuple[bool, float, str]:
    is_number = isinstance(seed, int | float)
    return not is_number, seed if is_number else 0, str(seed)


def _mean(column: Column, runs: Sequence[int]) -> Mean | None:
    """The mean over the runs that are done, of numbers measured at their end."""
    known = [column.cells[index] for index in runs if index in column.cells]
    cells = [cell for cell in known if cell.step is None and not cell.is_of_other_weights]
    if not cells:
        return None
    return mean_of(column.name, [cell.value for cell in cells])


def mean_of(name: str, values: Sequence[float]) -> Mean:
    """The mean of a number over the runs of different seeds, one or more, with Student's interval cut to its range.

    Equal numbers have no interval, because they do not tell how far others lie: if 63 % of all
    seeds give another number, one in twenty sets of three has none of these (Hanley & Lippman-Hand 1983, doi
    10.1001/jama.1983.03330370053031).
    """
    mean = sum(values) / len(values)
    if min(values) == max(values) or not math.isfinite(mean):
        return Mean(mean, None, len(values))
    half = student_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Mean(mean, cut(mean, half, range_of(name)), len(values))


def student_quantile(degrees: int, confidence: float = 0.95) -> float:
    """The t with P(|T| ≤ t) = confidence, for Student's distribution with these degrees of freedom."""
    from scipy.special import stdtrit  # it takes longer to import than all else, and most reports have one seed

    return float(stdtrit(degrees, (1 + confidence) / 2))
