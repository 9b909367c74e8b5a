"""One picture of divergences: a row for each, its functions and its losses side by side."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.divergences.strictly_convex import StrictlyConvex
from gan_cli.show.pictures import png

TITLES = ("f(u)", "f*(t)", "g_f(v)", "critic's loss at v", "generator's loss at v")

RATIOS = torch.linspace(0.02, 4, 400, dtype=torch.float64)
SCORES = torch.linspace(-4, 4, 401, dtype=torch.float64)

BATCHES = SCORES[:, None].expand(-1, 2)
"""Two samples with each score, for divergences that look at pairs."""

AT_ZERO = torch.zeros(2, dtype=torch.float64)

MINIMAX = "minimax"

HEIGHT = 8.0
"""The largest distance from the median that is shown."""

Curves = Sequence[tuple[Tensor, str, str]]
"""Values, colour and legend of each curve of a panel."""


def draw(divergences: Mapping[str, Divergence]) -> bytes:
    """A PNG of the divergences; panels of what a divergence does not have stay empty."""
    figure = Figure(figsize=(15, 0.6 + 1.9 * len(divergences)), layout="constrained")
    grid = figure.subplots(len(divergences), len(TITLES), squeeze=False)
    legends: set[str] = set()
    for row, (name, divergence) in zip(grid, divergences.items(), strict=True):
        row[0].annotate(
            _label(name, divergence), (-0.25, 0.5), xycoords="axes fraction", ha="right", va="center", weight="bold"
        )
        for axes, panel in zip(row, _panels(divergence), strict=True):
            _draw_panel(axes, panel, legends)
    for column, title in zip(grid.T, TITLES, strict=True):
        drawn = [axes for axes in column if axes.axison]
        if drawn:
            drawn[0].set_title(title)
    return png(figure, dpi=90)


def _label(name: str, divergence: Divergence) -> str:
    """The name, and below it the link by which g_f is drawn if the name does not say it."""
    if isinstance(divergence, StrictlyConvex) and "link=" not in name:
        return f"{name}\nlink={divergence.link}"
    return name


def _panels(divergence: Divergence) -> list[tuple[Tensor, Curves] | None]:
    """The argument and the curves of each column."""
    if not isinstance(divergence, FDivergence):
        return [None, None, None, (SCORES, _critic(divergence)), (SCORES, _generator(divergence))]
    t = _inside(divergence.conjugate_domain)
    g, conjugate = divergence.activation(SCORES), divergence.conjugate_of_activation(SCORES)
    critic = [(-g, "tab:orange", "real: −g_f(v)"), (conjugate, "tab:blue", "fake: f*(g_f(v))")]
    generator = [(-g, "tab:green", "non-saturating"), (-conjugate, "tab:red", MINIMAX)]
    return [
        (RATIOS, [(divergence.f(RATIOS), "black", "")]),
        (t, [(divergence.conjugate(t), "black", "")]),
        (SCORES, [(g, "black", "")]),
        (SCORES, critic),
        (SCORES, generator),
    ]


def _inside(domain: tuple[float, float]) -> Tensor:
    """Values of t up to the end of the domain, or on both sides of 0 if it has none."""
    low, high = max(domain[0], -4.0), domain[1]
    if math.isinf(high):
        return torch.linspace(low, 4, 401, dtype=torch.float64)
    return torch.linspace(high - 4, high, 402, dtype=torch.float64)[:-1]


def _critic(divergence: Divergence) -> Curves:
    real = torch.stack([-divergence.estimate(scores, AT_ZERO) for scores in BATCHES])
    fake = torch.stack([-divergence.estimate(AT_ZERO, scores) for scores in BATCHES])
    return [(real, "tab:orange", "real at v, fake at 0"), (fake, "tab:blue", "fake at v, real at 0")]


def _generator(divergence: Divergence) -> Curves:
    legend = "fake at v, real at 0" if divergence.pairs_samples else "fake at v"
    objective = torch.stack([divergence.generator_objective(scores, AT_ZERO) for scores in BATCHES])
    return [(objective, "tab:purple", legend)]


def _draw_panel(axes: Axes, panel: tuple[Tensor, Curves] | None, legends: set[str]) -> None:
    """Draw the curves, with the legends that were not yet shown."""
    if panel is None:
        axes.set_axis_off()
        return
    x, curves = panel
    for values, colour, legend in curves:
        style = "dashed" if legend == MINIMAX else "solid"  # total variation's two forms are one curve
        axes.plot(x, values, color=colour, linestyle=style, label=legend if legend not in legends else "")
    shown = torch.cat([values for values, _, _ in curves])
    shown = shown[shown.isfinite()]
    if len(shown):
        # A curve that grows like an exponential would press all else flat.
        low, middle, high = torch.quantile(shown, torch.tensor([0.03, 0.5, 0.97], dtype=torch.float64)).tolist()
        low, high = max(low, middle - HEIGHT), min(high, middle + HEIGHT)
        margin = 0.08 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(x[0].item(), x[-1].item())
    axes.grid(alpha=0.3)
    new = {legend for _, _, legend in curves} - legends - {""}
    if new:
        axes.legend(fontsize=7)
        legends |= new
