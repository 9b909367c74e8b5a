"""A report as one page that needs nothing else: no network, no file beside it."""

import base64
import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from gan_cli.commands.report import curves
from gan_cli.commands.report.attacks import in_percent, trained_against
from gan_cli.commands.report.columns import circumstance
from gan_cli.commands.report.report import Report
from gan_cli.commands.report.samples import pictures
from gan_cli.show import wording
from gan_cli.show.intervals import range_of

HERE = Path(__file__).parent

COLOURS = 8
"""Colours for runs in page.css; this many runs share a dash pattern."""


def html(report: Report) -> str:
    """The page."""
    script = "".join((HERE / name).read_text(encoding="utf-8") for name in ("chart.js", "page.js"))
    runs = [row.run for row in report.rows]
    sections, across = curves.by_divergence(runs), curves.across(runs)
    under_attack = curves.under_attack(report.attacks, report.columns)
    drawn = [*under_attack, *(panel for section in sections for panel in section.panels), *across]
    return _template().render(
        report=report,
        version=version("gan-cli"),
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=_inline({"runs": _runs(report), "panels": curves.as_data(drawn)}),
        sections=sections,
        across=across,
        under_attack=under_attack,
        pictures=pictures(runs),
        colours=COLOURS,
        divergences=_by_divergence(report),
        measurements=_measurements(report),
        circumstance=circumstance,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "measured": wording.measured,
        "in_percent": in_percent,
        "range_of": range_of,
        "trained_against": trained_against,
        "within": wording.within,
        "short": wording.short,
        "duration": wording.duration,
        "moment": wording.moment,
        "setting": wording.setting,
    }
    return environment.get_template("page.html")


def _runs(report: Report) -> list[dict[str, Any]]:
    return [
        {"label": row.label, "colour": index % COLOURS, "dash": index // COLOURS}
        for index, row in enumerate(report.rows)
    ]


def _by_divergence(report: Report) -> dict[str, list[int]]:
    """The columns of each divergence's estimates."""
    found: dict[str, list[int]] = {}
    for index, column in enumerate(report.columns):
        if column.divergence is not None:
            found.setdefault(column.divergence, []).append(index)
    return found


def _measurements(report: Report) -> list[tuple[list[str], dict[str, Any]]]:
    """Each set of circumstances, with the columns that have it."""
    found: list[tuple[list[str], dict[str, Any]]] = []
    for column in report.columns:
        titles = next((titles for titles, circumstances in found if circumstances == column.circumstances), None)
        if titles is None:
            titles = []
            found.append((titles, column.circumstances))
        title = column.title if not column.family else f"{column.family}…"
        if title not in titles:
            titles.append(title)
    return found


def _inline(data: Any) -> Markup:
    """JSON that can end no script element, whatever it holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
