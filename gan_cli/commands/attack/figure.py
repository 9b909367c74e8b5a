"""The pictures: error and confidence over the size of attacks, and examples with what the classifier says of them."""

from collections.abc import Sequence
from itertools import groupby

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gan_cli.commands.attack.asked import Asked
from gan_cli.commands.attack.results import Result
from gan_cli.datasets.base import Images
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.accuracy import log_probabilities
from gan_cli.metrics.attacked import Attacked
from gan_cli.metrics.base import Measured
from gan_cli.runs.classifiers import LoadedClassifier
from gan_cli.show import intervals
from gan_cli.show.pictures import png

MOST_EXAMPLES = 5


def curves(results: Sequence[Result]) -> bytes | None:
    """The PNG of errors and of confidences against ε, a curve for each attack on each run; None without sizes."""
    sized = [result for result in results if result.asked.epsilon is not None]
    if not sized:
        return None
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    runs = list(dict.fromkeys(result.run for result in sized))

    def of_curve(result: Result) -> tuple[int, str]:
        return runs.index(result.run), result.asked.curve

    for (run, name), members in groupby(sorted(sized, key=of_curve), of_curve):
        label = name if len(runs) == 1 else f"{runs[run]}: {name}"
        curve = sorted(members, key=lambda result: result.asked.epsilon or 0.0)
        places = [result.asked.epsilon or 0.0 for result in curve]
        _draw(panels[0], places, [result.error for result in curve], label)
        sure = [(place, result.confidence) for place, result in zip(places, curve, strict=True)]
        known = [(place, number) for place, number in sure if number is not None]
        _draw(panels[1], [place for place, _ in known], [number for _, number in known], label)
    panels[0].set(xlabel="ε, in units of the data range", ylabel="images whose attack succeeds (%)")
    panels[1].set(xlabel="ε, in units of the data range", ylabel="mean confidence there (%)")
    most = max(result.asked.epsilon or 0.0 for result in sized) or 1.0
    for axes in panels:
        axes.set_xlim(-0.03 * most, 1.03 * most)
        axes.set_ylim(-3, 103)
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)), fontsize=8)
    return png(figure)


def _draw(axes: Axes, places: Sequence[float], numbers: Sequence[Measured], label: str) -> None:
    values = [100 * number.value for number in numbers]
    half_widths = [100 * QUANTILE * (number.error or 0.0) for number in numbers]
    whiskers = intervals.whiskers(values, half_widths, intervals.PERCENT)
    axes.errorbar(places, values, whiskers, marker="o", markersize=4, capsize=2, linewidth=1.2, label=label)


def pictured(trained: LoadedClassifier, images: Images, found: Attacked, asked: Asked) -> bytes | None:
    """The PNG of images, what changes them, and the results, each with the class chosen and how sure it is.

    What changes an image is enlarged about grey, which is no change.

    One image of each class that is right before the attack and whose attack succeeds; None without any.
    """
    assert images.labels is not None
    before = log_probabilities(trained.network, images.images).exp()
    fooled = (before.argmax(1) == images.labels) & found.succeeded
    firsts = {int(images.labels[index]): index for index in reversed(fooled.nonzero().flatten().tolist())}
    chosen = sorted(firsts.values())[:MOST_EXAMPLES]
    if not chosen:
        return None
    after = found.log_probabilities.exp()
    figure = Figure(figsize=(6.2, 0.6 + 1.9 * len(chosen)), layout="constrained")
    panels = figure.subplots(len(chosen), 3, squeeze=False)
    for row, index in zip(panels, chosen, strict=True):
        original = images.images[index].float() / 127.5 - 1
        change = found.images[index] - original
        most = float(change.abs().amax()) or 1.0
        for axes, picture, title in (
            (row[0], original, _said(before[index], trained)),
            (row[1], change / most, f"change × {1 / most:.3g}"),
            (row[2], found.images[index], _said(after[index], trained)),
        ):
            _show(axes, picture)
            axes.set_title(title, fontsize=9)
    figure.suptitle(asked.name, fontsize=10)
    return png(figure)


def _show(axes: Axes, image: Tensor) -> None:
    pixels = ((image.clamp(-1, 1) + 1) / 2).permute(1, 2, 0).numpy()
    axes.imshow(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])


def _said(shares: Tensor, trained: LoadedClassifier) -> str:
    most = int(torch.argmax(shares))
    return f"{trained.classes[most]}: {100 * float(shares[most]):.1f} %"
