"""How far small changes of images move critics under each penalty, beside the slope that the penalty promises."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_cli.attacks.gradient import ProjectedGradient
from gan_cli.divergences.penalties import Promise
from gan_cli.jobs import GameJob
from gan_cli.metrics.moved import TOWARDS, Judged, Moved, Side, critic_numbers, moved, moved_numbers
from gan_cli.ranges import Count, Positive
from gan_cli.show.pictures import png
from gan_cli.show.tables import aligned
from gan_cli.studies.base import Findings, Study

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""The sizes of the figure, in units of that of the table."""

STYLES: Mapping[Side, str] = {"real": "o-", "generated": "s:"}


@dataclass(frozen=True)
class Robustness:
    """What is said of one critic; slopes are scores per L2 length of images in [−1, 1]."""

    gap: float
    """The mean score of real images less that of generated ones."""
    gradient: dict[str, float]
    """The mean norm of its gradient at real images, at generated ones, and on the lines between pairs of them."""
    promised: Promise | None
    """What the penalty of its training promises of these norms."""
    epsilon: list[float]
    """Sizes of changes, in units of the data range."""
    moved: dict[Side, list[float]]
    """By how much changes of each size push the scores, in gaps: down for real images, up for generated ones.

    NaN unless real images score higher.
    """
    slope: dict[Side, list[float]]
    """The same in scores per length of the change."""
    passed: list[float]
    """The share of generated images that then score above half of the real ones."""
    passed_before: float


class CriticRobustness(Study):
    """Critics of images attacked within L2 balls: real scores are pushed down and generated ones up."""

    def __init__(self, members: Mapping[str, Sequence[str]], epsilon: Positive, steps: Count, samples: Count) -> None:
        """`epsilon` is the size of the table in units of the data range, `steps` those of projected gradient descent.

        `samples` are those of each side.
        """
        super().__init__(members)
        self.epsilon, self.steps, self.samples = epsilon, steps, samples

    def check(self, members: Mapping[str, GameJob]) -> None:
        for name, member in members.items():
            if len(member.dataset.sample_shape) != 3:
                raise ValueError(f"{name} must have images, such as dataset=mnist5k")

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        found = {name: self._measure(member) for name, member in members.items()}
        head = ["", "gap", "slope real", "generated", "between", "promised"]
        rows: list[list[object]] = [[*head, "real down", "generated up", "passed", "before"]]
        rows += [[name, *_cells(measured)] for name, measured in found.items()]
        legend = f"slope: mean ‖∇‖; down, up: in gaps, by changes of the L2 size ε = {self.epsilon:g}"
        return Findings(
            f"{aligned(rows)}\n{legend}",
            {name: asdict(measured) for name, measured in found.items()},
            {"critic_robustness.png": png(_figure(found, self.epsilon))},
        )

    def _measure(self, member: GameJob) -> Robustness:
        judged = Judged.of(member.subject, self.samples)
        as_they_are = {name: number.value for name, number in critic_numbers(judged, seed=member.seed).items()}
        gap = as_they_are["score/real"] - as_they_are["score/generated"]
        unit = gap if gap > 0 else math.nan
        sizes = [multiple * self.epsilon for multiple in MULTIPLES]
        numbers = [self._attacked(judged, size, member.seed) for size in sizes]
        return Robustness(
            gap=gap,
            gradient={place: as_they_are[f"gradient/{place}"] for place in ("real", "generated", "between")},
            promised=member.divergence.penalty.promise,
            epsilon=sizes,
            moved={side: [of[f"moved/{side}"] / unit for of in numbers] for side in TOWARDS},
            slope={side: [of.get(f"slope/{side}", 0.0) for of in numbers] for side in TOWARDS},
            passed=[of["passed"] for of in numbers],
            passed_before=as_they_are["passed/none"],
        )

    def _attacked(self, judged: Judged, epsilon: float, seed: int) -> dict[str, float]:
        """What changes of a size do, by the names of numbers without that of the attack."""
        attack = ProjectedGradient(
            epsilon, "l2", self.steps, step_size=None, restarts=1, clip=True, target=None, random_start=False
        )
        found: dict[Side, Moved] = {side: moved(attack, judged, side, seed=seed) for side in TOWARDS}
        numbers = moved_numbers(found["real"], found["generated"], "")
        return {name.removesuffix("/"): number.value for name, number in numbers.items()}


def _cells(measured: Robustness) -> list[object]:
    at = MULTIPLES.index(1.0)
    slopes = (f"{measured.gradient[place]:.2g}" for place in ("real", "generated", "between"))
    pushed = (f"{measured.moved[side][at]:.2g}" for side in TOWARDS)
    passed = (f"{share:.1%}" for share in (measured.passed[at], measured.passed_before))
    return [f"{measured.gap:.2g}", *slopes, _promised(measured.promised), *pushed, *passed]


def _promised(promise: Promise | None) -> str:
    if promise is None:
        return "–"
    return f"{'≤ ' if promise.is_bound else ''}{promise.slope:g} {', '.join(promise.at)}"


def _figure(found: Mapping[str, Robustness], epsilon: float) -> Figure:
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    slopes, moves, passes = figure.subplots(1, 3)
    _draw_slopes(slopes, found)
    for index, (name, measured) in enumerate(found.items()):
        for side, style in STYLES.items():
            moves.plot(measured.epsilon, measured.moved[side], style, color=f"C{index}", markersize=4)
        places, shares = [0.0, *measured.epsilon], [measured.passed_before, *measured.passed]
        passes.plot(places, [100 * share for share in shares], "o-", color=f"C{index}", markersize=4, label=name)
    moves.set(ylabel="scores move, in gaps between their means", title="solid: real down, dotted: generated up")
    passes.set(ylim=(-3, 103), ylabel="generated images (%)", title="score above half of the real ones")
    for axes in (moves, passes):
        axes.axvline(epsilon, color="grey", linewidth=0.8, linestyle="--")
        axes.set(xlabel="ε, L2, in units of the data range")
        axes.grid(alpha=0.3)
    passes.legend()
    for axes in (slopes, moves, passes):
        axes.title.set_fontsize(10)
    return figure


def _draw_slopes(axes: Axes, found: Mapping[str, Robustness]) -> None:
    """A bar for the gradient at each place, and a line where the penalty promises one."""
    places = ("real", "generated", "between")
    for index, measured in enumerate(found.values()):
        for offset, place in enumerate(places):
            at, colour = index + 0.25 * (offset - 1), (f"C{index}", 1 - 0.3 * offset)
            axes.bar(at, measured.gradient[place], width=0.22, color=colour)
            if measured.promised is not None and place in measured.promised.at:
                axes.hlines(measured.promised.slope, at - 0.14, at + 0.14, color="black", linewidth=2.5)
        at_real = measured.gradient["real"]
        axes.annotate(f"{at_real:.2g}", (index - 0.25, at_real), (0, 3), textcoords="offset points", ha="center")
    axes.set_xticks(range(len(found)), list(found))
    axes.set(ylabel="mean ‖∇‖", title="at real images, generated ones, between; black: promised")
    axes.margins(y=0.08)
    axes.grid(alpha=0.3, axis="y")
