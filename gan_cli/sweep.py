"""What a sweep leaves behind: a table of its runs."""

from pathlib import Path
from typing import Any

from gan_cli import record
from gan_cli.artifacts import RunFolder


def runs(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """The runs of a sweep by name, each with its run.json."""
    return [
        (str(path.parent.relative_to(folder)), record.read(path.parent)) for path in sorted(folder.rglob("run.json"))
    ]


def table(folder: Path) -> str:
    """Status, final estimate and time of every run, in columns."""
    rows = [("run", "status", "step", "estimate", "seconds", "images/s")]
    for name, run in runs(folder):
        final = run.get("final", {})
        rows.append(
            (
                name,
                run.get("status", "unreadable"),
                str(run.get("step", "")),
                *(_number(final.get(key), form) for key, form in COLUMNS.items()),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


COLUMNS = {"estimate": ".4f", "seconds": ".1f", "images_per_second": ".0f"}


def exit_code(folder: Path) -> int:
    """0 when every run of the sweep is done, else the exit code of the first that is not."""
    return next((run.get("exit_code", 1) for _, run in runs(folder) if run.get("status") != "done"), 0)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def record_failure(folder: Path, error: Exception) -> None:
    """Leave a run.json for a run that was refused before it could write its own."""
    if not record.read(folder):
        RunFolder(folder).write_record(record.of_failure(error))
