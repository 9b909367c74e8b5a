"""What a sweep leaves behind: a table of its runs, and a page that compares them."""

import sys
from pathlib import Path
from typing import Any

from gan_cli.runs import find, read, record
from gan_cli.runs.folder import RunFolder
from gan_cli.show.tables import aligned, told_apart


def runs(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """The runs of a sweep by name, each with its run.json."""
    top = folder.resolve()
    return [(str(path.relative_to(top)), read.record(path)) for path in sorted(find.below(top))]


COLUMNS = {"estimate": ".4f", "accuracy": ".4f", "seconds": ".1f", "images_per_second": ".0f"}
"""The final numbers that the table shows if any run has them, and how."""


def as_text(folder: Path) -> str:
    """Status, final number and time of every run; a run goes by the overrides that not all of them have."""
    found = runs(folder)
    finals = [run.get("final", {}) for _, run in found]
    columns = [key for key in COLUMNS if key not in ("estimate", "accuracy") or any(key in final for final in finals)]
    rows = [("run", "status", "step", *(key.replace("_per_second", "/s") for key in columns))]
    for label, (_, run) in zip(told_apart([name for name, _ in found]), found, strict=True):
        final = run.get("final", {})
        numbers = [format(final[key], COLUMNS[key]) if key in final else "" for key in columns]
        rows.append((label, run.get("status", "unreadable"), str(run.get("step", "")), *numbers))
    return aligned(rows, words=2)


def exit_code(folder: Path) -> int:
    """0 when every run of the sweep is done, else the exit code of the first that is not, or was refused."""
    bad = [run for _, run in runs(folder) if run.get("status") != "done" or "refused" in run]
    return bad[0].get("exit_code", 1) if bad else 0


def record_failure(folder: Path, error: Exception) -> None:
    """Leave a trace in run.json of a run that was refused before it could start; one that ran has its own."""
    known = read.record(folder)
    failure = record.of_failure(error)
    if not known:
        RunFolder(folder).write_record(failure)
    elif known.get("error") != failure["error"]:
        RunFolder(folder).write_record(known | {"refused": failure["error"], "exit_code": failure["exit_code"]})


def conclude(folder: Path, command: str) -> int:
    """Print the table of a sweep, write the page that compares its runs, and return the exit code."""
    print(f"\n{folder}\n{as_text(folder)}")
    if not runs(folder):
        print(f"{command}: the sweep has no runs: its overrides match no option", file=sys.stderr)
        return 2
    _write_report(folder)
    return exit_code(folder)


def _write_report(folder: Path) -> None:
    """Write the page of a sweep; a failure is a warning and leaves the exit code of the sweep as it is."""
    from gan_cli.commands.report import command

    try:
        print(command.write_page(folder))
    except Exception as error:
        print(f"warning: no report: {' '.join(str(error).split())}", file=sys.stderr)
