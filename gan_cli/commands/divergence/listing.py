"""The divergences and their formulas as text for a terminal, and as the tables of docs/divergences.md."""

import re
import textwrap
from collections.abc import Sequence

from gan_cli.commands.divergence.formulas import Formulas
from gan_cli.show.tables import markdown

WIDTH = 100

COLUMNS_OF_F_DIVERGENCES = {
    "f(u)": "f",
    "g_f(v)": "g",
    "f*(t)": "f*",
    "domain of f*": "domain",
    "T at the optimum": "T",
    "f′(1)": "f′(1)",
    "D_f(P‖Q), which minimax descends": "value",
    "non-saturating descends": "non-saturating",
    "at P = Q": "at P = Q",
    "disjoint": "disjoint",
    "source": "source",
}
COLUMNS_OF_OTHERS = {
    "the critic maximises": "critic",
    "the generator minimises": "generator",
    "best critic": "best",
    "value there": "value",
    "source": "source",
}

HEADING = """\
P is the data, Q the model, u = p/q, v the critic's raw score.
An f-divergence is D_f(P‖Q) = ∫ q f(p/q), the largest E_P[g_f(v)] − E_Q[f*(g_f(v))] over all
critics, where g_f(v) is T. Its value when P = Q, and when P and Q do not overlap, is given.
g_f is f-GAN's (link=paper); under link=ratio it is T for p/q = (v + √(v²+4))/2.
"""


def as_text(divergences: Sequence[Formulas]) -> str:
    """A block for each divergence, no line wider than 100 columns."""
    return "\n".join([HEADING, *(_block(divergence) for divergence in divergences)])


def _block(divergence: Formulas) -> str:
    title = textwrap.wrap(f"{divergence.name} – {divergence.summary}", WIDTH, subsequent_indent="  ")
    rows = _rows_of_f_divergence(divergence) if divergence.is_f_divergence else _rows_of_other(divergence)
    return "\n".join([*title, *rows, ""])


def _rows_of_f_divergence(divergence: Formulas) -> list[str]:
    pairs = [("f(u)", "f", "T", "T"), ("g_f(v)", "g", "f′(1)", "f′(1)"), ("f*(t)", "f*", "P = Q", "at P = Q")]
    pairs.append(("domain", "domain", "disjoint", "disjoint"))
    rows = [
        f"  {left:8}{divergence[of_left]:42} {right:9}{divergence[of_right]}"
        for left, of_left, right, of_right in pairs
    ]
    for heading, field in {"value": "value", "forms": "non-saturating", "where": "where", "source": "source"}.items():
        before = "minimax descends the value, non_saturating " if heading == "forms" else ""
        rows += _lines(heading, before + divergence[field], 8) if field in divergence.stated else []
    return rows


def _rows_of_other(divergence: Formulas) -> list[str]:
    headings = {
        heading.removeprefix("the "): field for heading, field in COLUMNS_OF_OTHERS.items() if field != "source"
    }
    headings |= {"where": "where", "source": "source"}
    stated = {heading: field for heading, field in headings.items() if field in divergence.stated}
    return [line for heading, field in stated.items() for line in _lines(heading, divergence[field], 21)]


def _lines(heading: str, text: str, width: int) -> list[str]:
    kept_together = text.replace("arXiv ", "arXiv\N{NO-BREAK SPACE}")
    lines = [line.replace("\N{NO-BREAK SPACE}", " ") for line in textwrap.wrap(kept_together, WIDTH - width - 2)]
    return [f"  {label:{width}}{line}" for label, line in zip([heading] + [""] * len(lines), lines, strict=False)]


def as_markdown(divergences: Sequence[Formulas]) -> str:
    """A table of the f-divergences and one of the others."""
    groups = {True: COLUMNS_OF_F_DIVERGENCES, False: COLUMNS_OF_OTHERS}
    tables = []
    for is_f_divergence, columns in groups.items():
        members = [member for member in divergences if member.is_f_divergence is is_f_divergence]
        if members:
            tables.append(_table(members, columns))
    return "\n\n".join(tables)


def _table(members: Sequence[Formulas], columns: dict[str, str]) -> str:
    rows = [[f"`{member.name}`", *(_escaped(member[field]) for field in columns.values())] for member in members]
    return markdown(["`divergence=`", *map(_escaped, columns)], rows)


def _escaped(text: str) -> str:
    """The text of a cell: markdown's own signs are escaped, papers become links."""
    text = re.sub(r"([*|])", r"\\\1", text)
    return re.sub(r"arXiv (\d{4}\.\d{5}|\d{4}\.\d{4})", r"[\1](https://arxiv.org/abs/\1)", text)
