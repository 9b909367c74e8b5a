"""Points as text: a table with a point a line, whose numbers stand between commas, semicolons or tabs."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_cli.errors import did_you_mean

TABLES = (".csv", ".tsv", ".txt")

DIGITS = 18
"""Of whole numbers that fit into 64 bits."""


class Line(NamedTuple):
    """A line of the table."""

    number: int
    """Counted from 1, as editors do."""
    cells: list[str]


def read(path: Path, labels: str | None) -> tuple[NDArray[np.float64], NDArray[np.str_ | np.int64] | None]:
    """The points, shape `(n, columns)`, and the column of labels, if one is named.

    The first line names the columns if none of its cells is a number. Raises `ValueError`.
    """
    found = f"path={path}"
    lines = _lines(path)
    if not lines:
        raise ValueError(f"{found} is empty: write a point a line")
    header = _header(lines[0], found)
    if labels is not None and labels not in header:
        remedy = did_you_mean(labels, header) if header else "its first line names no columns: add one that does"
        raise ValueError(f"labels={labels} is not a column of {path}: {remedy}")
    rows = lines[1:] if header else lines
    if not rows:
        raise ValueError(f"{found} has names of columns and no points: write a point a line")
    width = len(lines[0].cells)
    for line in rows:
        if len(line.cells) != width:
            raise ValueError(
                f"{found}: line {line.number} has {_counted(len(line.cells))}, and line {lines[0].number} has"
                f" {width}: give all lines as many"
            )
    if labels is None:
        return _numbers(rows, header, found), None
    place = header.index(labels)
    if width == 1:
        raise ValueError(f"{found} has labels and no numbers: add columns of numbers")
    names = [line.cells.pop(place) for line in rows]
    return _numbers(rows, [*header[:place], *header[place + 1 :]], found), _names(names)


def _lines(path: Path) -> list[Line]:
    """The lines that are not blank. What stands between cells is decided by the first: a tab, a semicolon, a comma."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            between = next((sign for sign in "\t;" if sign in first), ",")
            reader = csv.reader(file, delimiter=between, strict=True)
            return [Line(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except UnicodeDecodeError as error:
        raise ValueError(f"path={path} is not text in UTF-8: save it as such") from error
    except (OSError, csv.Error) as error:
        raise ValueError(f"path={path} cannot be read ({error}): mend it, or save it anew") from error


def _header(first: Line, found: str) -> list[str]:
    """The names of the columns; none if the first line is a point."""
    are_numbers = [_is_number(cell) for cell in first.cells]
    if "" in first.cells and (not any(are_numbers) or first.cells[0] == ""):
        raise ValueError(f"{found} has a column without a name, such as pandas' index: write it with index=False")
    if not any(are_numbers):
        if twice := [name for name in first.cells if first.cells.count(name) > 1]:
            raise ValueError(f"{found} has two columns with the name {twice[0]!r}: rename one")
        return first.cells
    if first.cells == [str(index) for index in range(len(first.cells))]:
        # As pandas numbers columns that have no names.
        numbers = ", ".join(first.cells[:5])
        raise ValueError(
            f"{found}: its first line ({numbers}) may number the columns or be a point: add a line of names"
        )
    return []


def _numbers(rows: Sequence[Line], header: Sequence[str], found: str) -> NDArray[np.float64]:
    try:
        return np.array([[float(cell) for cell in line.cells] for line in rows])
    except ValueError:
        number, place, cell = next(
            (line.number, place, cell) for line in rows for place, cell in enumerate(line.cells) if not _is_number(cell)
        )
    column = f"column {header[place]}" if header else f"column {place + 1}"
    remedy = "mend it, or leave the column out, or name it in dataset.labels=… if it holds classes"
    raise ValueError(f"{found}: line {number}, {column}: {cell!r} is no number: {remedy}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _names(labels: Sequence[str]) -> NDArray[np.str_ | np.int64]:
    """The labels as whole numbers if they all are, so that 10 comes after 9."""
    if all(label.isdecimal() and len(label) < DIGITS and str(int(label)) == label for label in labels):
        return np.array(labels).astype(np.int64)
    return np.array(labels)


def _counted(cells: int) -> str:
    return f"{cells} value{'' if cells == 1 else 's'}"
