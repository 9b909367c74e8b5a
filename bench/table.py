"""The results of bench/speed.py as a page of markdown."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

Row = Mapping[str, Any]

WIDTH = 120

HEADINGS = ("workload, penalty", "images/s", "ms/step", "× tutorial", "TFLOP/s", "of peak", "MiB", "first s")


def of(result: Mapping[str, Any]) -> str:
    """The machine and the setting, then the table of the workloads, then that of the other costs."""
    return "\n\n".join(
        filter(None, [_machine(result), _speed(result["rows"]), _notes(result), _costs(result["costs"])])
    )


def _machine(result: Mapping[str, Any]) -> str:
    about = result["machine"]
    plan = result["plan"]
    cuda = f", CUDA {about['cuda']}" if about["cuda"] else ""
    processor = f"{about['processor']}, " if about["processor"] != about["name"] else ""
    return fill(
        f"{about['name']}; {processor}{about['cores']} cores, {about['threads']} threads,"
        f" load {about['load']:.1f}; torch {about['torch']}{cuda}, Python {about['python']}; {about['date']};"
        f" commit {str(about['commit'])[:12]}; {plan['processes']} × {plan['rounds']} rounds",
        WIDTH,
    )


def _speed(rows: Sequence[Row]) -> str:
    lines: list[Sequence[str]] = []
    for row in rows:
        group = f"**{row['workload']}, {row['penalty']}**"
        if not any(line[0] == group for line in lines):
            lines.append([group, *[""] * (len(HEADINGS) - 1)])
        lines.append(_cells(row))
    return _aligned(HEADINGS, lines) if lines else ""


def _cells(row: Row) -> list[str]:
    if row["failure"]:
        return [row["contender"], "failed", *[""] * (len(HEADINGS) - 2)]
    ratio = "{1:.2f} ({0:.2f}–{2:.2f})".format(*row["ratio"]) if row["ratio"] else ""
    operations = row["operations"]
    return [
        row["contender"] + " ¹" * bool(row["notes"]),
        f"{row['images_per_second']:,.0f}",
        f"{row['ms_per_step']:.3g}" if row["ms_per_step"] < 1000 else f"{row['ms_per_step']:.0f}",
        ratio,
        f"{operations / row['ms_per_step'] / 1e9:.3g}" if operations else "",
        f"{row['peak_share']:.0%}" if operations else "",
        f"{row['memory_mib']:,.0f}",
        f"{row['first_step_s']:.1f}",
    ]


def _notes(result: Mapping[str, Any]) -> str:
    if not result["rows"]:
        return ""
    on_cuda = result["machine"]["device"] == "cuda"
    memory = "peak of what torch allocated on the device" if on_cuda else "peak of the whole process, torch included"
    legend = (
        "Images/s: real images that the critic sees; × tutorial: median of the rounds (quartiles);"
        " TFLOP/s: counted, in all rows but the tutorial's as eager has them; of peak: of the better of a large"
        " matrix product and a large convolution in the same format;"
        f" MiB: {memory}; first s: the first step, with compilation."
    )
    if on_cuda:
        legend += " The tutorial has torch's defaults: its convolutions, but no other product, use TF32."
    lines = [legend]
    for row in result["rows"]:
        told = [f"failed: {row['failure']}"] if row["failure"] else [f"¹ {note}" for note in row["notes"]]
        lines += [f"{row['workload']}, {row['penalty']}, {row['contender']}: {text}" for text in told]
    return "\n\n".join(fill(line, WIDTH) for line in lines)


def _costs(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    return _aligned(("cost", "median"), [[row["what"], _value(row)] for row in rows])


def _value(row: Row) -> str:
    if row["value"] is None:
        return ""
    digits = ".1f" if row["unit"] == "%" else ".4g"
    return f"{row['value']:{digits}} {row['unit']}"


def _aligned(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table that can be read as it stands: text to the left, numbers to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(headings), rule, *map(line, rows)])
