"""A report as a table of text: Markdown to paste, CSV and JSON to compute with."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from gan_cli.commands.report.attacks import Attack, in_percent, trained_against
from gan_cli.commands.report.columns import Cell, Column
from gan_cli.commands.report.report import Report, Row
from gan_cli.commands.report.seeds import Mean
from gan_cli.runs.numbers import in_json
from gan_cli.show import tables, wording
from gan_cli.show.intervals import range_of


def markdown(report: Report) -> str:
    """The table of runs, one of each attack, family and divergence's estimates, and one of means over seeds."""
    keys = report.comparison.differing
    before, after = ([keys[index] for index in indices] for indices in (report.settings, report.recorded))
    head = ["run", "status", "step", *before, *(_heading(report.columns[index]) for index in report.general)]
    rows = [
        [row.label, "; ".join([row.status.word, *row.remarks]), row.step]
        + [row.settings[index] for index in report.settings]
        + [_cell(report.columns[index], number) for index in report.general]
        + [_optional(row.images_per_second, wording.short), _optional(row.seconds, wording.duration)]
        + [row.settings[index] for index in report.recorded]
        for number, row in enumerate(report.rows)
    ]
    parts = [_table([*head, "images/s", "time", *after], rows)]
    if report.attacks:
        parts.append(
            "Under attack, in %: images whose attack succeeds (mean confidence there), ± 95 % interval, or [its ends]"
            " if 0 or 100 is one. **Bold**: the least error, and those that cannot be told from it."
        )
    parts += [f"Under {_escaped(attack.title)}:\n\n{_under(report, attack)}" for attack in report.attacks]
    parts += [_of_runs(report, [report.columns[index] for index in indices]) for indices in report.families.values()]
    for divergence in dict.fromkeys(column.divergence for column in report.columns if column.divergence):
        of_one = [column for column in report.columns if column.divergence == divergence]
        parts.append(f"Under {divergence}:\n\n{_of_runs(report, of_one)}")
    if any(len(group.seeds) > 1 for group in report.groups):
        others = [index for index, column in enumerate(report.columns) if not column.is_of_attack]
        tables = [_groups(report, indices) for indices in (others, *(attack.columns for attack in report.attacks))]
        parts.append("Over seeds, mean ± 95 % interval, or [its ends] if the number cannot be beyond (n):")
        parts += tables
    parts += [
        _escaped(f"{metric} does not apply to {', '.join(of)}: {why}") for (metric, why), of in report.refusals.items()
    ]
    return "\n\n".join(parts) + "\n"


def comma_separated(report: Report) -> str:
    """A line for each run; the name of a column tells the circumstances of its numbers."""
    parts: list[tuple[str, Callable[[Cell], float | int | None]]] = [
        ("", lambda cell: cell.value),
        (" error", lambda cell: cell.error),
        (" real", lambda cell: cell.real),
        (" step", lambda cell: cell.step),
        (" of other weights", lambda cell: 1 if cell.is_of_other_weights else None),
    ]
    used = [
        (column, suffix, part)
        for column in report.columns
        for suffix, part in parts
        if any(part(cell) is not None for cell in column.cells.values())
    ]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head = ["run", "folder", "status", "details", "step", *report.comparison.differing]
    writer.writerow([*head, *(column.title + suffix for column, suffix, _ in used), "images/s", "seconds"])
    for number, row in enumerate(report.rows):
        numbers = [part(column.cells[number]) if number in column.cells else None for column, _, part in used]
        settings = [
            wording.setting(report.comparison.settings[number].get(key, "")) for key in report.comparison.differing
        ]
        writer.writerow(
            [row.label, row.run.path, row.status.word, "; ".join(row.remarks), row.step, *settings]
            + [_plain(value) for value in (*numbers, row.images_per_second, row.seconds)]
        )
    return buffer.getvalue()


def as_json(report: Report) -> str:
    """Everything but the curves and the pictures."""
    content = {
        "made": report.made.isoformat(timespec="seconds"),
        "shared": report.comparison.shared,
        "runs": [_json_row(report, number, row) for number, row in enumerate(report.rows)],
        "studies": [
            {"name": study.name, "status": stands.word, "details": stands.details + study.problems}
            for study, stands in report.studies
        ],
        "seeds": [
            {
                "runs": [report.rows[index].run.name for index in group.runs],
                "seeds": group.seeds,
                "ended": group.ended,
                "diverged": group.diverged,
                "means": {
                    column.title: _json_mean(mean)
                    for column, mean in zip(report.columns, group.means, strict=True)
                    if mean is not None
                },
            }
            for group in report.groups
        ],
    }
    return json.dumps(in_json(content), indent=2, allow_nan=False, default=str) + "\n"


def _json_row(report: Report, number: int, row: Row) -> dict[str, Any]:
    settings = report.comparison.settings[number]
    differing = [*report.comparison.differing, *report.comparison.following]
    return {
        "run": row.label,
        "folder": str(row.run.path),
        "status": row.status.word,
        "details": row.remarks,
        "step": row.run.step,
        "config": {key: settings[key] for key in differing if key in settings},
        "numbers": [
            {
                "name": column.name,
                "value": cell.value,
                "error": cell.error,
                "real": cell.real,
                "step": row.run.step if cell.step is None else cell.step,
                "of_other_weights": cell.is_of_other_weights,
                "logged": column.logged,
                "divergence": column.divergence,
                "circumstances": column.circumstances,
            }
            for column in report.columns
            if (cell := column.cells.get(number)) is not None
        ],
        "refused": row.refusals,
        "images_per_second": row.images_per_second,
        "seconds": row.seconds,
    }


def _json_mean(mean: Mean) -> dict[str, Any]:
    low, high = mean.interval or (None, None)
    return {"value": mean.value, "low": low, "high": high, "n": mean.seeds}


def _of_runs(report: Report, columns: Sequence[Column]) -> str:
    rows = [
        [row.label, *(_cell(column, number) for column in columns)]
        for number, row in enumerate(report.rows)
        if any(number in column.cells for column in columns)
    ]
    return _table(["run", *map(_heading, columns)], rows)


def _under(report: Report, attack: Attack) -> str:
    rows = [
        [row.label, trained_against(report.comparison.settings[number])]
        + [_attacked(*report.under(size, number), is_least=number in size.least) for size in attack.sizes]
        for number, row in enumerate(report.rows)
        if any(number in report.columns[index].cells for index in attack.columns)
    ]
    return _table(["run", "trained against", *(size.heading for size in attack.sizes)], rows)


def _groups(report: Report, columns: Sequence[int]) -> str:
    keys = report.of_groups
    used = [index for index in columns if any(group.means[index] for group in report.groups)]
    rows = []
    for group in report.groups:
        settings = [report.comparison.shown(group.runs[0], key) for key in keys]
        means = [_mean(group.means[index]) for index in used]
        rows.append([*settings, str(len(group.seeds)), f"{group.diverged} of {group.ended}", *means])
    return _table([*keys, "seeds", "diverged", *(report.columns[index].title for index in used)], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tables.markdown([*map(_escaped, head)], [[*map(_escaped, row)] for row in rows])


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _heading(column: Column) -> str:
    told = [*column.distinction, *(["logged"] if column.logged else [])]
    return f"{column.name} ({', '.join(told)})" if told else column.name


def _cell(column: Column, run: int) -> str:
    cell = column.cells.get(run)
    if cell is None:
        return ""
    floor = "" if cell.real is None else f", real {wording.short(cell.real)}"
    return wording.measured(cell.value, cell.half_width, range_of(column.name)) + floor + _remarks(cell)


def _attacked(error: Cell | None, confidence: Cell | None, *, is_least: bool) -> str:
    if error is None:
        return ""
    words = in_percent(error)
    sure = "" if confidence is None else f" ({in_percent(confidence)})"
    return (f"**{words}**" if is_least else words) + sure + _remarks(error)


def _remarks(cell: Cell) -> str:
    step = "" if cell.step is None else f", at step {cell.step}"
    return step + (", of other weights" if cell.is_of_other_weights else "")


def _mean(mean: Mean | None) -> str:
    return "" if mean is None else f"{wording.within(mean.value, mean.interval)} ({mean.seeds})"


def _optional(value: float | None, word: Callable[[float], str]) -> str:
    return "" if value is None else word(value)


def _plain(value: float | None) -> str:
    if value is None:
        return ""
    return repr(value) if math.isfinite(value) else str(in_json(value))
