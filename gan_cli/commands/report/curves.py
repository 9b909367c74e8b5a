"""What training logged, as panels of curves; a panel holds one quantity, so estimates of two divergences have two."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gan_cli.commands.report import quantity
from gan_cli.commands.report.attacks import Attack
from gan_cli.commands.report.columns import Column, families, logged_names
from gan_cli.runs.numbers import in_json
from gan_cli.runs.read import Numbers
from gan_cli.runs.run import Run
from gan_cli.show.intervals import PERCENT, Ends, range_of

POINTS = 60_000
"""Points on a page, at most."""

A_CURVE = (24, 400)
"""Points per curve, at least and at most."""

OF_AN_ESTIMATE = {
    "line": ("estimate", "on training batches"),
    "dots": ("exact", "exact, with its 95 % interval"),
    "rings": ("held_out_estimate", "on fresh samples"),
}
"""How the critic's estimates and the exact value are drawn: for each mark the number, and what it stands for."""

Point = tuple[float, float]


@dataclass
class Series:
    """A curve of a run."""

    run: int
    mark: str
    """How it is drawn: as a "line", as "dots", as "rings", or as "joined" dots."""
    points: list[Point]
    errors: list[float] = field(default_factory=list)
    """Standard errors of the points, if they are known."""


@dataclass
class Panel:
    """The curves of one quantity."""

    name: str
    series: list[Series]
    marks: dict[str, str] = field(default_factory=dict)
    """What each mark stands for, if there are several."""
    family: str = ""
    """The family, as in `Column`."""
    axis: str = "step"
    """What the curves are over."""
    ends: Ends | None = None
    """What the numbers can be, if their name does not tell."""


@dataclass
class Section:
    """Panels under a heading."""

    heading: str
    options: list[str]
    """The options that were chosen to get it, if they are known."""
    runs: list[int]
    panels: list[Panel]


def by_divergence(runs: Sequence[Run]) -> list[Section]:
    """The estimates and losses, each divergence in panels of its own."""
    sections = []
    for heading, indices in _grouped(runs, quantity.of).items():
        panels = [_estimates(runs, indices), _panel(runs, indices, "critic_loss"), _panel(runs, indices, "penalty")]
        losses = _grouped([runs[index] for index in indices], quantity.losses_of)
        for loss, members in losses.items():
            panel = _panel(runs, [indices[member] for member in members], "generator_loss")
            if len(losses) > 1:
                panel.name += loss.removeprefix(heading)
            panels.append(panel)
        drawn = [panel for panel in panels if _is_worth_drawing(panel)]
        if drawn:
            options = {runs[index].choices.get("divergence", "") for index in indices} - {""}
            sections.append(Section(heading, sorted(options), indices, drawn))
    return sections


def across(runs: Sequence[Run]) -> list[Panel]:
    """Panels of all runs together: metrics, gradient norms, rates; the parts of families last."""
    logged = dict.fromkeys(name for run in runs for name in logged_names(run) if name not in quantity.ESTIMATES)
    norms = ["critic_gradient_norm", "generator_gradient_norm", "images_per_second"]
    panels = [_panel(runs, range(len(runs)), name) for name in [*logged, *norms]]
    rates = [_panel(runs, range(len(runs)), name) for name in ("critic_learning_rate", "generator_learning_rate")]
    varying = [
        panel for panel in rates if any(len({value for _, value in series.points}) > 1 for series in panel.series)
    ]
    family = families(logged)
    drawn = [panel for panel in panels + varying if _is_worth_drawing(panel)]
    for panel in drawn:
        panel.family = family.get(panel.name, "")
    return sorted(drawn, key=lambda panel: panel.family)


def under_attack(attacks: Sequence[Attack], columns: Sequence[Column]) -> list[Panel]:
    """A panel for each attack of several sizes: the share of images whose attack succeeds, over the size."""
    panels = []
    for attack in attacks:
        sized = [size for size in attack.sizes if size.epsilon is not None and "error" in size.columns]
        if len({size.epsilon for size in sized}) < 2:
            continue
        found: dict[int, Series] = {}
        for size in sized:
            for run, cell in columns[size.columns["error"]].cells.items():
                series = found.setdefault(run, Series(run, "joined", []))
                series.points.append((size.epsilon or 0.0, 100 * cell.value))
                series.errors.append(100 * (cell.error or 0.0))
        panels.append(Panel(f"error under {attack.title} (%)", list(found.values()), axis="ε", ends=PERCENT))
    return panels


def as_data(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The panels as the page's script reads them."""
    count = sum(len(panel.series) for panel in panels)
    least, most = A_CURVE
    points = min(max(POINTS // max(count, 1), least), most)
    return [
        {
            "name": panel.name,
            "axis": panel.axis,
            "ends": [end if math.isfinite(end) else None for end in panel.ends or range_of(panel.name)],
            "marks": {mark: OF_AN_ESTIMATE[mark][0] for mark in panel.marks},
            "scale": scale([value for series in panel.series for _, value in series.points]),
            "series": [_series_data(series, points) for series in panel.series],
        }
        for panel in panels
    ]


def scale(values: Sequence[float]) -> dict[str, Any]:
    """The axis that shows the values: linear, logarithmic, or both signs of logarithmic with a linear middle."""
    sizes = sorted(abs(value) for value in values if math.isfinite(value) and value)
    if not sizes:
        return {"kind": "linear"}
    if all(value > 0 for value in values) and sizes[-1] > 100 * sizes[0]:
        return {"kind": "log"}
    middle = statistics.median(sizes)
    if sizes[-1] > 100 * middle:
        return {"kind": "symlog", "linear": _rounded(middle)}
    return {"kind": "linear"}


def thinned(values: Sequence[float], points: int) -> list[int]:
    """The indices of at most `points` values: the least and the greatest of each stretch, so that no spike is lost."""
    if len(values) <= points:
        return list(range(len(values)))
    stretches = points // 2 - 1
    kept = {0, len(values) - 1}
    for stretch in range(stretches):
        start, end = (len(values) * part // stretches for part in (stretch, stretch + 1))
        indices = range(start, end)
        broken = [index for index in indices if not math.isfinite(values[index])]
        kept |= set(broken[:2]) or {min(indices, key=values.__getitem__), max(indices, key=values.__getitem__)}
    return sorted(kept)


def _grouped(runs: Sequence[Run], key: Callable[[Run], str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        groups.setdefault(key(run), []).append(index)
    return groups


def _estimates(runs: Sequence[Run], indices: Sequence[int]) -> Panel:
    """What the critic estimates on the batches it learns from and on fresh samples, beside the exact value."""
    panel = Panel("estimate", [])
    for mark, (name, meaning) in OF_AN_ESTIMATE.items():
        series = _panel(runs, indices, name, mark).series
        panel.series += series
        if series:
            panel.marks[mark] = meaning
    if len(panel.marks) < 2:
        panel.marks.clear()
    return panel


def _panel(runs: Sequence[Run], indices: Sequence[int], name: str, mark: str = "line") -> Panel:
    found = [_series(runs[index].metrics, index, name, mark) for index in indices]
    return Panel(name, [series for series in found if series.points])


def _series(metrics: Sequence[Numbers], run: int, name: str, mark: str) -> Series:
    lines = [line for line in metrics if name in line]
    points: list[Point] = [(int(line["step"]), line[name]) for line in lines]
    errors = [line[f"{name}_error"] for line in lines if f"{name}_error" in line]
    return Series(run, mark, points, errors if len(errors) == len(points) else [])


def _is_worth_drawing(panel: Panel) -> bool:
    return any(value for series in panel.series for _, value in series.points)


def _series_data(series: Series, points: int) -> dict[str, Any]:
    kept = thinned([value for _, value in series.points], points)
    data = asdict(series) | {
        "x": [series.points[index][0] for index in kept],
        "y": [_rounded(series.points[index][1]) for index in kept],
        "errors": [_rounded(series.errors[index]) for index in kept] if series.errors else [],
    }
    del data["points"]
    return data


def _rounded(value: float) -> float | str:
    """A value to four digits, as JSON holds it; one that is not finite becomes text."""
    rounded: float | str = in_json(float(f"{value:.4g}"))
    return rounded
