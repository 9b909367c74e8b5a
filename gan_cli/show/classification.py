"""Pictures of a classifier: what it takes each class for, and how it learns."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from gan_cli.exact.estimated import QUANTILE
from gan_cli.show import intervals
from gan_cli.show.pictures import draw_curves, png, step_axis

MOST_CELLS = 30
"""Classes up to which every cell has its number and every row its name."""


def confusion_matrix(counts: Tensor, names: Sequence[str], title: str) -> bytes:
    """The PNG of the numbers of images by true class, in rows, and by the class that they were taken for."""
    side = 1.6 + 0.42 * min(len(names), MOST_CELLS)
    figure = Figure(figsize=(side + 0.12 * _longest(names), side + 0.07 * _longest(names)), layout="constrained")
    axes = figure.add_subplot()
    draw_confusion(axes, counts, names)
    n, right = int(counts.sum()), int(counts.diagonal().sum())
    axes.set_title(f"{title}: {right / n:.2%} right", fontsize=9)
    return png(figure)


def draw_confusion(axes: Axes, counts: Tensor, names: Sequence[str]) -> None:
    """Draw the matrix: a cell's number, on a red the deeper the larger its share of the row, right ones in grey."""
    values = counts.double().numpy()
    shares = values / np.maximum(values.sum(1, keepdims=True), 1)
    wrong = np.where(np.eye(len(names), dtype=bool), np.nan, shares)
    right = np.where(np.eye(len(names), dtype=bool), shares, np.nan)
    axes.imshow(right, cmap="Greys", norm=Normalize(0, 2))
    # A tenth of a row is as wrong as a cell can be shown.
    axes.imshow(wrong, cmap="Reds", norm=Normalize(0, 0.1))
    axes.set(xlabel="taken for", ylabel="true class")
    if len(names) > MOST_CELLS:
        return
    for (row, column), value in np.ndenumerate(values):
        if value:
            dark = row != column and shares[row, column] > 0.06
            colour = "white" if dark else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    if _longest(names) > 2:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names, fontsize=8)


def curves(metrics: Sequence[Mapping[str, float]]) -> bytes:
    """The PNG of the loss and of the accuracies, with 95 % intervals, against the step."""
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    draw_curves(panels[0], metrics, {"loss": "loss"}, "loss (nats)")
    draw_curves(panels[1], metrics, {"batch_accuracy": "batches of training"}, "accuracy")
    for name, label, colour in (
        ("accuracy", "test", "tab:orange"),
        ("guard_accuracy", "training images under train.guard", "tab:green"),
    ):
        measured = [(line["step"], line[name], line[f"{name}_error"]) for line in metrics if name in line]
        if measured:
            step, accuracy, error = zip(*measured, strict=True)
            whiskers = intervals.whiskers(accuracy, [QUANTILE * e for e in error], intervals.SHARE)
            panels[1].errorbar(step, accuracy, whiskers, fmt="o-", color=colour, ms=4, capsize=3, label=label)
    panels[1].legend(loc="lower right")
    step_axis(panels[1], "step")
    return png(figure)


def _longest(names: Sequence[str]) -> int:
    return max(map(len, names)) if len(names) <= MOST_CELLS else 0
