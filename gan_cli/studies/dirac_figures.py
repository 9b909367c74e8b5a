"""Pictures of the Dirac-GAN: the paths of all games, and a table of their verdicts."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gan_cli.show.pictures import png
from gan_cli.studies.dirac_game import Behaviour, DiracGame

Found = Mapping[str, Mapping[str, Behaviour]]
"""What was found of each divergence under each penalty."""

COLOURS = {
    "converges": "tab:green",
    "circles": "tab:orange",
    "drifts": "tab:purple",
    "never settles": "tab:red",
    "diverges": "tab:brown",
    "no equilibrium": "tab:gray",
}

ARROWS = 8
"""Along each side of a panel."""

HEADER = 1.3
"""Inches above the panels."""

Place = Literal["upper center", "outside lower center"]


def paths(games: Mapping[str, Mapping[str, DiracGame]], found: Found, reach: float) -> bytes:
    """A row for each divergence, in two halves, a column for each penalty; panels of ±`reach` with field and path."""
    rows, columns = _names(found)
    lines = math.ceil(len(rows) / 2)
    # A size that is known is far cheaper than a constrained layout of a hundred panels.
    panel, gap, label = 1.2, 0.25, 1.15
    width, height = 2 * (label + len(columns) * panel), lines * (panel + gap) + HEADER
    figure = Figure(figsize=(width, height))
    for number, row in enumerate(rows):
        half, line = divmod(number, lines)
        for index, column in enumerate(columns):
            left = half * width / 2 + label + index * panel
            bottom = height - HEADER - line * (panel + gap) - panel
            axes = figure.add_axes((left / width, bottom / height, 0.94 * panel / width, panel / height))
            _draw(axes, games[row][column], found[row][column], reach)
            if index == 0:
                axes.set_ylabel(_broken(row), fontsize=8, rotation=0, ha="right", va="center")
            if line == 0:
                axes.annotate(_broken(column), (0.5, 1.25), xycoords="axes fraction", ha="center", fontsize=9)
    _legend(figure, found, title=f"θ to the right and ψ upwards, each within ±{reach:g}; above: radius of an update")
    return png(figure)


def _draw(axes: Axes, game: DiracGame, behaviour: Behaviour, reach: float) -> None:
    side = torch.linspace(-0.88 * reach, 0.88 * reach, ARROWS).tolist()
    points = torch.tensor([(x, y) for x in side for y in side], dtype=torch.float64)
    field = torch.tensor([game.field((x, y)) for x, y in points.tolist()], dtype=torch.float64)
    directions = torch.nn.functional.normalize(field, dim=1)
    axes.quiver(*points.T, *directions.T, color="0.7", scale=13, width=0.012, headwidth=4, pivot="mid")
    colour = COLOURS[behaviour.verdict]
    axes.plot(*behaviour.path.T, color=colour, linewidth=1.2)
    axes.plot(*behaviour.path[0], "o", color=colour, markersize=4)
    axes.plot(0, 0, "+", color="black", markersize=7)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
    axes.set_title(f"{behaviour.measured['alternating']:.4f}", color=colour, fontsize=8, pad=2)


def verdicts(found: Found) -> bytes:
    """The measured radius of every pair, coloured by its verdict."""
    rows, columns = _names(found)
    figure = Figure(figsize=(1.35 * len(columns) + 2.4, 0.3 * len(rows) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            behaviour = found[row][column]
            axes.fill_between([j - 0.49, j + 0.49], i - 0.47, i + 0.47, color=COLOURS[behaviour.verdict], alpha=0.45)
            text = f"{behaviour.measured['alternating']:.4f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    _legend(figure, found, loc="outside lower center")
    return png(figure)


def _legend(figure: Figure, found: Found, loc: Place = "upper center", title: str | None = None) -> None:
    seen = {behaviour.verdict for cells in found.values() for behaviour in cells.values()}
    marks = [Patch(color=colour, label=name) for name, colour in COLOURS.items() if name in seen]
    figure.legend(handles=marks, loc=loc, ncols=len(marks), fontsize=9, frameon=False, title=title)


def _names(found: Found) -> tuple[list[str], list[str]]:
    return list(found), list(next(iter(found.values())))


def _broken(name: str) -> str:
    """The words of a long name, and the values after it, below each other."""
    return name.replace(":", "\n").replace("=", "\n= ").replace("_", "\n" if len(name) > 10 else "_")
