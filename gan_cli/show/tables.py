"""Tables of text: in columns for a terminal, and in Markdown."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[object]], words: int = 1, digits: int = 4) -> str:
    """Rows in columns, the first `words` of them to the left and the others, numbers, to the right.

    Floats have `digits` after the point; whatever else is given is written as it stands.
    """
    cells = [[f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def told_apart(names: Sequence[str]) -> list[str]:
    """Names without those of their parts, between commas, that all of them have."""
    parts = [name.split(",") for name in names]
    shared = set.intersection(*map(set, parts)) if len(names) > 1 else set()
    return [",".join(part for part in of if part not in shared) for of in parts]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells in which the signs of Markdown are already escaped."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
