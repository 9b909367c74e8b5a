"""The pictures of attacks: numbers over the size of the change, and examples before and after."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gan_cli.commands.attack.results import Result
from gan_cli.metrics.base import Measured
from gan_cli.show import intervals
from gan_cli.show.pictures import png

R = TypeVar("R", bound=Result)

STYLES = (
    {"linestyle": "-", "marker": "o"},
    {"linestyle": ":", "marker": "s"},
    {"linestyle": "--", "marker": "^"},
)
"""Those of the lines that belong to one attack."""


@dataclass(frozen=True)
class Panel(Generic[R]):
    """Numbers of attacks over their size."""

    label: str
    numbers: Mapping[str, Callable[[R], Measured | None]]
    """A number of a result by what the legend adds for it; each has its style of lines in all panels."""
    is_share: bool = True
    """Whether it lies between 0 and 1, and is drawn in per cent."""


def curves(results: Sequence[R], panels: Sequence[Panel[R]]) -> bytes | None:
    """The PNG of panels side by side, curves for each attack on each run; None without sizes."""
    sized = [result for result in results if result.asked.epsilon is not None]
    if not sized:
        return None
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    runs = list(dict.fromkeys(result.run for result in sized))

    def of_curve(result: R) -> tuple[int, str]:
        return runs.index(result.run), result.asked.curve

    most = max(result.asked.epsilon or 0.0 for result in sized) or 1.0
    styles = dict(zip(dict.fromkeys(added for panel in panels for added in panel.numbers), STYLES, strict=False))
    for axes, panel in zip(figure.subplots(1, len(panels), sharex=True), panels, strict=True):
        for index, ((run, name), members) in enumerate(groupby(sorted(sized, key=of_curve), of_curve)):
            label = name if len(runs) == 1 else f"{runs[run]}: {name}"
            curve = sorted(members, key=lambda result: result.asked.epsilon or 0.0)
            for added, number in panel.numbers.items():
                found = [(result.asked.epsilon or 0.0, number(result)) for result in curve]
                known = [(place, value) for place, value in found if value is not None]
                line = {"color": f"C{index}", "label": label + added, **styles[added]}
                _draw(axes, known, panel.is_share, line)
        axes.set(xlabel="ε, in units of the data range", ylabel=panel.label)
        axes.set_xlim(-0.03 * most, 1.03 * most)
        if panel.is_share:
            axes.set_ylim(-3, 103)
        axes.grid(alpha=0.3)
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = min(3, len(handles))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, fontsize=8)
    return png(figure)


def _draw(axes: Axes, points: Sequence[tuple[float, Measured]], is_share: bool, line: Mapping[str, Any]) -> None:
    scale, ends = (100, intervals.PERCENT) if is_share else (1, intervals.ANYTHING)
    values = [scale * number.value for _, number in points]
    half_widths = [scale * (number.half_width or 0.0) for _, number in points]
    whiskers = intervals.whiskers(values, half_widths, ends)
    axes.errorbar([at for at, _ in points], values, whiskers, markersize=4, capsize=2, linewidth=1.2, **line)


@dataclass(frozen=True)
class Example:
    """An image and what became of it, both in [−1, 1] unless pixels may leave the range, with what is said of each."""

    original: Tensor
    changed: Tensor
    said: tuple[str, str]


def pictured(examples: Sequence[Example], title: str) -> bytes | None:
    """The PNG of images, what changes them, and the results; None without any.

    What changes an image is enlarged about grey, which is no change.
    """
    if not examples:
        return None
    figure = Figure(figsize=(6.2, 0.6 + 1.9 * len(examples)), layout="constrained")
    panels = figure.subplots(len(examples), 3, squeeze=False)
    for row, example in zip(panels, examples, strict=True):
        change = example.changed - example.original
        most = float(change.abs().amax()) or 1.0
        before, after = example.said
        for axes, picture, said in (
            (row[0], example.original, before),
            (row[1], change / most, f"change × {1 / most:.3g}"),
            (row[2], example.changed, after),
        ):
            _show(axes, picture)
            axes.set_title(said, fontsize=9)
    figure.suptitle(title, fontsize=10)
    return png(figure)


def _show(axes: Axes, image: Tensor) -> None:
    pixels = ((image.clamp(-1, 1) + 1) / 2).permute(1, 2, 0).numpy()
    axes.imshow(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
