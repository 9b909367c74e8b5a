"""Mode collapse: which modes of a mixture a generator holds, step by step.

Members show the raw generator by `train.average_decay=0`; the average over steps hides what each of them does.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy
from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.mixtures import Mixture
from gan_cli.jobs import GameJob
from gan_cli.metrics.modes import mode_coverage
from gan_cli.show.pictures import png, step_axis
from gan_cli.show.tables import aligned
from gan_cli.studies.base import Findings, Members, Study

SAMPLES = 2500
"""As in VEEGAN (arXiv 1705.07761 §4)."""

RADIUS = 3.0
"""In deviations: samples nearer than that to a mode are good."""

MOMENTS = 5

APART = 2.0
"""In points: what lies between two curves that find as many modes."""


@dataclass(frozen=True)
class Course:
    """What a generator did at each of the checkpoints."""

    steps: list[int] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    """Modes that are nearest to at least one good sample."""
    good: list[float] = field(default_factory=list)
    """The share of good samples."""
    fullest: list[int] = field(default_factory=list)
    """The mode that is nearest to the most samples, by its number."""
    fullest_share: list[float] = field(default_factory=list)
    """The share of the samples that it is nearest to: 1 after a collapse, one over the number of modes at best."""


class ModeCollapse(Study):
    """The modes that generators hold over time, and what they draw at a few moments."""

    takes_packs = True

    def check(self, members: Mapping[str, GameJob]) -> None:
        for name, member in members.items():
            if not isinstance(member.dataset, Mixture) or member.dataset.sample_shape != (2,):
                raise ValueError(f"{name} must have data with modes in the plane: dataset=ring or dataset=grid")
            if member.state.generator.conditional:
                raise ValueError(f"{name} must have a generator without labels")
            saved = math.ceil(member.steps / (member.every.checkpoint or member.steps))
            if saved > member.every.keep:
                raise ValueError(
                    f"{name} saves {saved} checkpoints and keeps {member.every.keep}: give every.keep={saved}, or a"
                    " longer every.checkpoint"
                )

    def conclude(self, members: Members) -> Findings:
        courses: dict[str, Course] = {}
        shown: dict[str, dict[int, Tensor]] = {}
        for name in members:
            courses[name], shown[name] = _course(members, name)
        rows: list[list[object]] = [["", "modes", "good", "fullest mode's share", "hops"]]
        rows += [[name, c.modes[-1], c.good[-1], c.fullest_share[-1], hops(c)] for name, c in courses.items()]
        mixtures = {name: mixture_of(member) for name, member in members.items()}
        return Findings(
            aligned(rows, digits=3),
            {name: asdict(course) | {"hops": hops(course)} for name, course in courses.items()},
            {
                "mode_collapse.png": png(_curves(courses, max(len(of.means) for of in mixtures.values()))),
                "mode_collapse_samples.png": png(_samples(shown, mixtures)),
            },
        )


def mixture_of(member: GameJob) -> Mixture:
    """The data of a member."""
    assert isinstance(member.dataset, Mixture)
    return member.dataset


def _course(members: Members, name: str) -> tuple[Course, dict[int, Tensor]]:
    """The course of a member, and its samples at a few of the steps."""
    course = Course()
    drawn: dict[int, Tensor] = {}
    for member in members.over_time(name):
        generator, mixture, step = member.state.average, mixture_of(member), member.state.step
        points = sampling.generate(generator, sampling.latents(generator, SAMPLES, member.seed)).cpu()
        means, deviations = mixture.means.to(points), mixture.deviations.to(points)
        modes, good = mode_coverage(points, means, deviations, RADIUS)
        nearest = torch.cdist(points, means).argmin(1).bincount(minlength=len(means))
        course.steps.append(step)
        course.modes.append(modes)
        course.good.append(good)
        course.fullest.append(int(nearest.argmax()))
        course.fullest_share.append(nearest.max().item() / SAMPLES)
        drawn[step] = points
    return course, {step: drawn[step] for step in moments(course.steps)}


def moments(steps: list[int]) -> list[int]:
    """At most `MOMENTS` of the steps, evenly spaced and with the last among them."""
    count = min(MOMENTS, len(steps))
    return [steps[(index + 1) * len(steps) // count - 1] for index in range(count)]


def hops(course: Course) -> int:
    """How many times more than half of the samples went from one mode to another, from a checkpoint to the next."""
    held = zip(course.fullest, course.fullest_share, strict=True)
    return sum(min(then, now) > 0.5 and before != after for (before, then), (after, now) in pairwise(held))


def _curves(courses: Mapping[str, Course], modes: int) -> Figure:
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    found, share = figure.subplots(2, 1, sharex=True)
    for index, (name, course) in enumerate(courses.items()):
        apart = APART * (index - (len(courses) - 1) / 2)
        shifted = offset_copy(found.transData, figure, y=apart, units="points")
        found.plot(course.steps, course.modes, ".-", linewidth=1.2, label=name, transform=shifted)
        share.plot(course.steps, course.fullest_share, ".-", linewidth=1.2, label=name)
    found.set(ylabel=f"modes found, of {modes} (curves set apart)", ylim=(-0.05 * modes, 1.05 * modes))
    found.locator_params(axis="y", integer=True)
    share.set(ylabel="share of the fullest mode", ylim=(0, 1.05))
    step_axis(share)
    share.axhline(1 / modes, linestyle="--", color="grey", linewidth=1)
    for axes in (found, share):
        axes.grid(alpha=0.3)
    figure.legend(*found.get_legend_handles_labels(), loc="outside right upper")
    return figure


def _samples(shown: Mapping[str, Mapping[int, Tensor]], mixtures: Mapping[str, Mixture]) -> Figure:
    """A row of pictures for each member."""
    columns = max(map(len, shown.values()))
    figure = Figure(figsize=(1.7 * columns + 0.8, 1.8 * len(shown) + 0.6), layout="constrained")
    figure.suptitle("Samples of the generators (blue) and the modes of the data (orange)", fontsize=10)
    panels = figure.subplots(len(shown), columns, squeeze=False)
    for line, (name, drawn) in zip(panels, shown.items(), strict=True):
        for axes in line[len(drawn) :]:
            axes.set_axis_off()
        for axes, (step, points) in zip(line, drawn.items(), strict=False):
            _draw(axes, points, mixtures[name].means)
            axes.set_title(f"step {step}", fontsize=8)
        line[0].set_ylabel(name, fontsize=9)
    return figure


def _draw(axes: Axes, points: Tensor, means: Tensor) -> None:
    reach = 1.5 * means.abs().max().item()
    axes.scatter(means[:, 0], means[:, 1], s=30, facecolors="none", edgecolors="tab:orange", linewidths=1)
    axes.scatter(points[:, 0], points[:, 1], s=2, color="tab:blue", alpha=0.3, linewidths=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
