"""What the non-saturating form descends: a Gaussian fitted under it, beside the best of the divergence that it names.

While the critic is optimal, ascending E_Q[f′(p/q)] is descent of the divergence whose generator function h has
h″(u) = f″(u)/u (`FDivergence.descended`), and not of D_f.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib import colormaps
from matplotlib.figure import Figure

from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Gaussian
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.exact.best_fit import Fit, best_gaussians
from gan_cli.exact.densities import Pair
from gan_cli.jobs import GameJob
from gan_cli.models.toys import GaussianGenerator
from gan_cli.show.pictures import png
from gan_cli.show.tables import aligned
from gan_cli.studies import univariate
from gan_cli.studies.base import Findings, Study


@dataclass(frozen=True)
class Row:
    """One divergence: what was learned, and the Gaussians at which D_h and D_f are least."""

    mean: float
    deviation: float
    best_mean: float
    best_deviation: float
    best_mean_of_name: float
    best_deviation_of_name: float

    @property
    def error(self) -> float:
        """The larger distance from the optimum of what the form descends, of mean and deviation."""
        return max(abs(self.mean - self.best_mean), abs(self.deviation - self.best_deviation))

    @property
    def error_of_name(self) -> float:
        """The same from the optimum of the divergence that is named."""
        return max(abs(self.mean - self.best_mean_of_name), abs(self.deviation - self.best_deviation_of_name))


class NonSaturating(Study):
    """Each member's fit beside the best Gaussians under what its form descends and under the divergence of its name."""

    def check(self, members: Mapping[str, GameJob]) -> None:
        univariate.check(members)
        for name, member in members.items():
            divergence = member.divergence
            if not isinstance(divergence, FDivergence) or divergence.generator_loss != "non_saturating":
                raise ValueError(f"{name} must have an f-divergence with divergence.generator_loss=non_saturating")
            try:
                divergence.descended()
            except NotImplementedError as error:
                raise ValueError(f"{name} cannot be compared: {error}") from error

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        rows = {name: _row(member) for name, member in members.items()}
        lines: list[list[object]] = [["", "μ̂", "σ̂", "μ of h", "σ of h", "from h", "μ of f", "σ of f", "from f"]]
        for name, row in rows.items():
            fits = (row.mean, row.deviation, row.best_mean, row.best_deviation, row.error)
            lines.append([name, *fits, row.best_mean_of_name, row.best_deviation_of_name, row.error_of_name])
        table = {
            name: vars(row) | {"error": row.error, "error_of_name": row.error_of_name} for name, row in rows.items()
        }
        return Findings(aligned(lines), {"table": table}, {"non_saturating.png": png(_figure(rows))})


def _row(member: GameJob) -> Row:
    data, divergence, generator = member.dataset, member.divergence, member.state.average
    assert isinstance(data, Density)
    assert isinstance(divergence, FDivergence)
    assert isinstance(generator, GaussianGenerator)
    learned = generator.mean.item(), abs(generator.deviation.item())

    def nearest(fits: list[Fit]) -> Fit:
        return min(fits, key=lambda fit: math.hypot(fit.mean - learned[0], fit.deviation - learned[1]))

    def descended(model: Gaussian) -> float:
        pair = Pair(data, model)
        return math.fsum(weight * pair.value(term) for weight, term in divergence.descended())

    best = nearest(best_gaussians(descended, data))
    named = nearest(best_gaussians(lambda model: Pair(data, model).value(divergence), data))
    return Row(*learned, best.mean, best.deviation, named.mean, named.deviation)


def _figure(rows: Mapping[str, Row]) -> Figure:
    """The plane of fits: from the optimum of the name an arrow to that of the form, and what was learned."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.add_subplot()
    colours = colormaps["tab20"](range(20))
    labels: dict[tuple[float, float], list[str]] = {}
    for index, (name, row) in enumerate(rows.items()):
        colour = colours[2 * index % 20 + 2 * index // 20]
        named, best = (row.best_mean_of_name, row.best_deviation_of_name), (row.best_mean, row.best_deviation)
        arrow = {"arrowstyle": "->", "color": colour, "shrinkA": 4, "shrinkB": 6}
        axes.annotate("", best, named, arrowprops=arrow)
        axes.plot(*named, "s", color=colour, markersize=5)
        axes.plot(*best, "o", color=colour, markersize=11, markerfacecolor="none")
        axes.plot([best[0], row.mean], [best[1], row.deviation], ":", color=colour, linewidth=0.8)
        axes.plot(row.mean, row.deviation, "x", color=colour, markersize=7, label=name)
        labels.setdefault((round(named[0], 3), round(named[1], 3)), []).append(name)
    for place, names in labels.items():
        axes.annotate(", ".join(names), place, (-6, -4), textcoords="offset points", ha="right", va="top", fontsize=7)
    axes.margins(x=0.12)
    axes.set(xlabel="mean", ylabel="deviation")
    axes.set_title("Best fit under the divergence named (square) and under what its form descends (circle)")
    axes.legend(title="learned (cross)", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3)
    return figure
