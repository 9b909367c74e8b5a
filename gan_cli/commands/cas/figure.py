"""The pictures: accuracy over the amount of data, and what is taken for what."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gan_cli.commands.cas import findings as found
from gan_cli.commands.cas.findings import Findings, Summary
from gan_cli.commands.cas.plan import Condition, Kind
from gan_cli.show.pictures import png

REAL, SYNTHETIC, BOTH = "tab:orange", "tab:blue", "tab:purple"

TICKS = (0, 20, 40, 50, 60, 70, 80, 85, 90, 92, 94, 95, 96, 97, 98, 98.5, 99, 99.2, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9)
"""Accuracies in per cent that an axis may name."""

LEAST_ERROR = 5e-4
"""The share of errors below which the axis ends, since it is one of errors, logarithmic."""

MOST_NUMBERED = 12
"""Classes up to which every cell of a confusion has its number."""

MOST_NAMED = 60
"""Classes up to which all of them are named."""


def pictures(findings: Findings) -> dict[str, bytes]:
    """PNG files by name: of the confusion only where there are both real and synthetic images alone."""
    drawn = {"accuracy.png": accuracy(findings)}
    real, synthetic = found.of_real(findings), found.of_synthetic(findings)
    if real is not None and synthetic is not None:
        drawn["confusion.png"] = confusions(real, synthetic, findings.classes)
        drawn["classes.png"] = classes(real, synthetic, findings.classes)
    return drawn


def accuracy(findings: Findings) -> bytes:
    """Accuracy over the number of real images, with and without synthetic ones; those alone are levels."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    _curve(axes, findings, lambda of: of.kind is Kind.real, REAL, "real")
    _curve(axes, findings, lambda of: of.kind is Kind.both, BOTH, "real + synthetic")
    alone = [of for of in findings.summaries.values() if of.condition.kind is Kind.synthetic]
    for style, of in zip(("--", ":", "-."), alone, strict=False):
        axes.axhline(of.accuracy.mean, color=SYNTHETIC, linestyle=style, label=f"{of.condition.synthetic:,} synthetic")
        low, high = _band(of)
        axes.axhspan(low, high, color=SYNTHETIC, alpha=0.15, linewidth=0)
    _scaled(axes, [end for of in findings.summaries.values() for end in _band(of)])
    counts = sorted({of.condition.real for of in findings.summaries.values()} - {0})
    axes.xaxis.set_major_locator(FixedLocator(list(map(float, counts))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    if len(counts) == 1:
        axes.set_xlim(counts[0] / 3, counts[0] * 3)
    axes.set(xlabel="real images in training", ylabel="accuracy on real test images (%)")
    seen = sorted(
        {f"{of.condition.images_seen:,}" for of in findings.summaries.values()}, key=lambda text: (len(text), text)
    )
    title = f"bands: 95 % over seeds; points: one classifier each; images seen in training: {' or '.join(seen)}"
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", framealpha=0.9)
    return png(figure)


def _curve(axes: Axes, findings: Findings, is_it: Callable[[Condition], bool], colour: str, label: str) -> None:
    """The means by the number of real images, joined where as many images were seen in training.

    Of several ratios at one number all are shown and the first is joined.
    """
    shown = sorted((of for of in findings.summaries.values() if is_it(of.condition)), key=lambda of: of.condition.real)
    for seen in sorted({of.condition.images_seen for of in shown}):
        by_count = {of.condition.real: of for of in reversed(shown) if of.condition.images_seen == seen}
        counts = sorted(by_count)
        joined = [by_count[count] for count in counts]
        axes.plot(counts, [of.accuracy.mean for of in joined], color=colour, marker="o", markersize=4, label=label)
        label = f"_{label}"  # once in the legend
        low, high = zip(*map(_band, joined), strict=True)
        if len(counts) > 1:
            axes.fill_between(counts, low, high, color=colour, alpha=0.2, linewidth=0)
    for of in shown:
        # Beside the mean, so that it stays visible.
        place = of.condition.real * (1.06 if of.condition.kind is Kind.both else 0.94)
        values = list(of.accuracies.values())
        axes.plot([place] * len(values), values, ".", color=colour, markersize=3, alpha=0.7)
        low_end, high_end = _band(of)
        axes.vlines(of.condition.real, low_end, high_end, color=colour, linewidth=1)


def _band(of: Summary) -> tuple[float, float]:
    low, high = of.accuracy.interval or (of.accuracy.mean, of.accuracy.mean)
    return max(0.0, low), min(1.0, high)


def _scaled(axes: Axes, values: Sequence[float]) -> None:
    """An axis on which equal steps are equal factors of the error, so that 99.0 and 99.5 % are apart."""

    def forward(share: np.ndarray) -> np.ndarray:
        # On the way matplotlib asks for values beyond 1.
        return np.asarray(-np.log10(np.maximum(1 - np.asarray(share, dtype=float), LEAST_ERROR)))

    axes.set_yscale("function", functions=(forward, lambda drawn: 1 - 10 ** -np.asarray(drawn, dtype=float)))
    low = 1 - min(1.0, max(2 * LEAST_ERROR, (1 - min(values)) * 1.15))
    high = 1 - max(LEAST_ERROR, (1 - max(values)) / 1.15)
    axes.set_ylim(low, high)
    ticks = [tick for tick in TICKS if low <= tick / 100 <= high]
    # Not so many that they touch.
    room = (math.log10(1 - low) - math.log10(1 - high)) / 14
    kept: list[float] = []
    for tick in sorted(ticks, key=lambda tick: (tick % 10 != 0 and tick not in (95, 99), tick * 2 % 2, tick)):
        place = math.log10(1 - tick / 100)
        if all(abs(place - math.log10(1 - other / 100)) > room for other in kept):
            kept.append(tick)
    axes.yaxis.set_major_locator(FixedLocator([tick / 100 for tick in sorted(kept)]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def confusions(real: Summary, synthetic: Summary, names: Sequence[str]) -> bytes:
    """Errors by the true class and the chosen one, side by side, in one scale of colours; what is right is left out."""
    size = len(names)
    side = min(10.0, 2.2 + 0.42 * size)
    figure = Figure(figsize=(2 * side + 1.5, side + 0.7), layout="constrained")
    panels = figure.subplots(1, 2)
    shares = [_shares(of) for of in (real, synthetic)]
    errors = [np.where(np.eye(size, dtype=bool), np.nan, share) for share in shares]
    most = max(float(np.nanmax(error)) for error in errors) or 1.0
    titles = ("trained on real images", f"trained on {synthetic.condition.synthetic:,} synthetic images")
    for axes, error, share, of, title in zip(panels, errors, shares, (real, synthetic), titles, strict=True):
        # The square root, so that rare errors show beside frequent ones.
        drawn = axes.imshow(np.sqrt(error), cmap="YlOrRd", vmin=0, vmax=math.sqrt(most))
        axes.set_facecolor("0.92")
        if size <= MOST_NUMBERED:
            _number(axes, share, most)
        _name(axes, names)
        axes.set_title(f"{title}: {100 * of.accuracy.mean:.2f} %", fontsize=10)
        axes.set(xlabel="chosen", ylabel="true")
    bar = figure.colorbar(drawn, ax=panels, fraction=0.03)
    ends = [0.0, most / 16, most / 4, most]
    bar.set_ticks([math.sqrt(end) for end in ends], labels=[f"{100 * end:.2g}" for end in ends])
    bar.set_label("taken for another, % of the true class")
    return png(figure)


def _shares(of: Summary) -> np.ndarray:
    counts = np.array(of.confusion, dtype=float)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _number(axes: Axes, shares: np.ndarray, most: float) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if row != column and share < 5e-4:  # which would read 0.0
            continue
        text = f"{100 * share:.1f}"
        colour = "0.35" if row == column else "white" if math.sqrt(share / most) > 0.75 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)


def _name(axes: Axes, names: Sequence[str]) -> None:
    """The names of the classes, of very many only some."""
    places = list(range(0, len(names), math.ceil(len(names) / MOST_NAMED)))
    shown = [_short(names[place]) for place in places]
    size = 8 if len(names) <= 2 * MOST_NUMBERED else 6
    upright = max(map(len, shown)) <= 2
    axes.set_xticks(places, shown, fontsize=size, rotation=0 if upright else 90)
    axes.set_yticks(places, shown, fontsize=size)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def classes(real: Summary, synthetic: Summary, names: Sequence[str]) -> bytes:
    """The accuracy on each class with either kind of images, the class that loses most at the top."""
    lost = found.losses(synthetic, real)[:MOST_NAMED]
    figure = Figure(figsize=(7, 1.5 + 0.3 * len(lost)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(lost))
    theirs = [real.per_class[label] or 0.0 for label, _ in lost]
    ours = [synthetic.per_class[label] or 0.0 for label, _ in lost]
    axes.hlines(places, ours, theirs, color="0.7", linewidth=2, zorder=1)
    axes.scatter(theirs, places, color=REAL, label="trained on real images", zorder=2)
    axes.scatter(ours, places, color=SYNTHETIC, label="trained on synthetic images", zorder=2)
    axes.set_yticks(list(places), [_short(names[label]) for label, _ in lost])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
    axes.set_xlabel("accuracy on the real test images of the class (%)")
    axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    return png(figure)
