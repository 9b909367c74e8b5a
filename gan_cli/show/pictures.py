"""Drawing: from tensors and numbers to PNG bytes, with no file and no global state of matplotlib."""

import io
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

from gan_cli.datasets.base import as_uint8
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.base import Gallery

Curves = Sequence[Mapping[str, float]]

CLASS_COLOURS = [f"C{index}" for index in range(10)]
"""Matplotlib's cycle of colours, which begins anew with an eleventh class."""

MOST_COLUMNS = 20
"""Images of a class beside one another, above which they take several lines."""

NAME_SIZE = 16
"""The height of a class's name in pixels."""

MOST_DECADES = 4
"""Powers of ten on an axis up to which 2 and 5 times each are labelled too."""


def as_picture(image: Tensor) -> Image.Image:
    """One uint8 image of shape `(1 or 3, height, width)` for Pillow."""
    pixels = image.cpu().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def enlarged(image: Tensor, at_least: int) -> Image.Image:
    """A uint8 image for Pillow, each pixel a square, at least `at_least` pixels wide."""
    picture = as_picture(image)
    factor = math.ceil(at_least / picture.width)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def image_grid(images: Tensor, at_least: int = 600) -> bytes:
    """The PNG of images in [−1, 1] side by side, as near to a square as they go."""
    columns = math.ceil(math.sqrt(len(images)))
    buffer = io.BytesIO()
    enlarged(make_grid(as_uint8(images), nrow=columns, padding=2, pad_value=255), at_least).save(buffer, format="png")
    return buffer.getvalue()


def class_grid(rows: Mapping[str, Tensor], at_least: int = 600) -> bytes:
    """The PNG of images in [−1, 1], shape `(n, channels, height, width)`, a row for each class with its name before it.

    The images of a row stand in lines of their own where there are more than the grid has columns.
    """
    columns = min(MOST_COLUMNS, max(map(len, rows.values())))
    strips = [
        enlarged(make_grid(_filled(as_uint8(images), columns), nrow=columns, padding=2, pad_value=255), at_least)
        for images in rows.values()
    ]
    font = ImageFont.truetype(findfont("DejaVu Sans"), NAME_SIZE)
    margin = math.ceil(max(font.getlength(name) for name in rows)) + NAME_SIZE
    page = Image.new("RGB", (margin + strips[0].width, sum(strip.height for strip in strips)), "white")
    draw, top = ImageDraw.Draw(page), 0
    for (name, images), strip in zip(rows.items(), strips, strict=True):
        page.paste(strip, (margin, top))
        first_line = strip.height / math.ceil(len(images) / columns)
        draw.text((margin - NAME_SIZE // 2, top + first_line / 2), name, "black", font, anchor="rm")
        top += strip.height
    buffer = io.BytesIO()
    page.save(buffer, format="png")
    return buffer.getvalue()


def _filled(images: Tensor, columns: int) -> Tensor:
    """The images with white ones after them, so that they fill lines of so many columns."""
    missing = -len(images) % columns
    return torch.cat([images, torch.full_like(images[:1], 255).expand(missing, *images.shape[1:])])


def point_plot(
    real: Tensor,
    fake: Tensor,
    title: str,
    critic: Callable[[Tensor], Tensor] | None = None,
    of_classes: Tensor | None = None,
) -> bytes:
    """Real and generated points, shape `(n, dimensions)`, with what the critic thinks of the space around them.

    Points on a line become histograms beside the critic's score; points in the plane lie over its level lines, and
    generated ones have the colours of their classes if these are given; points of more dimensions are shown in the
    first two.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    if real.shape[1] == 1:
        _draw_line(axes, real.cpu(), fake.cpu(), critic)
    else:
        _draw_plane(axes, real.cpu(), fake.cpu(), critic, of_classes)
    axes.legend(loc="upper right", markerscale=3, framealpha=1)
    return png(figure)


def _draw_plane(
    axes: Axes, real: Tensor, fake: Tensor, critic: Callable[[Tensor], Tensor] | None, of_classes: Tensor | None
) -> None:
    low, high = _limits(real)
    if critic is not None and real.shape[1] == 2:
        x, y = (torch.linspace(low[i], high[i], 120) for i in range(2))
        scores = critic(torch.cartesian_prod(x, y)).reshape(120, 120).T
        if scores.max() > scores.min():
            drawn = axes.contour(x, y, scores, levels=15, colors="0.6", linewidths=0.8, zorder=0)
            axes.clabel(drawn, fontsize=6)
    colours: str | list[str] = "tab:blue"
    if of_classes is not None:
        colours = [CLASS_COLOURS[label % len(CLASS_COLOURS)] for label in of_classes.tolist()]
    of_real, name = ("tab:orange", "fake") if of_classes is None else ("black", "fake, a colour a class")
    for points, colour, label in ((real, of_real, "real"), (fake, colours, name)):
        axes.scatter(points[:, 0], points[:, 1], s=4, c=colour, alpha=0.5, linewidths=0, label=label)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="x₁", ylabel="x₂", aspect="equal")


def _draw_line(axes: Axes, real: Tensor, fake: Tensor, critic: Callable[[Tensor], Tensor] | None) -> None:
    low, high = (limit[0] for limit in _limits(real))
    bins = np.linspace(low, high, 80).tolist()
    axes.hist(real[:, 0].numpy(), bins=bins, density=True, color="tab:orange", histtype="step", label="real")
    axes.hist(fake[:, 0].numpy(), bins=bins, density=True, color="tab:blue", alpha=0.5, label="fake")
    axes.set(xlim=(low, high), xlabel="x", ylabel="density")
    if critic is not None:
        x = torch.linspace(low, high, 400)
        scale = axes.twinx()
        scale.plot(x, critic(x[:, None]), color="grey", linewidth=0.8)
        scale.set_ylabel("critic's score (grey)")
        axes.set_zorder(scale.get_zorder() + 1)  # else the score crosses the legend
        axes.patch.set_visible(False)


def _limits(real: Tensor) -> tuple[list[float], list[float]]:
    """A frame around nearly all of the data with a margin of a quarter, square in the plane."""
    low, high = torch.quantile(real, torch.tensor([0.005, 0.995]), dim=0)
    middle, half = (low + high) / 2, (high - low).max() * 0.75
    return (middle - half).tolist(), (middle + half).tolist()


def curves(metrics: Curves, estimate_unit: str) -> bytes:
    """The estimate, beside the truth if that is known, the two losses, and the gradient norms against the step."""
    figure = Figure(figsize=(8, 9), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    unit = f" ({estimate_unit})" if estimate_unit else ""
    draw_curves(panels[0], metrics, {"estimate": "estimate"}, f"estimate{unit}")
    _draw_truth(panels[0], metrics)
    draw_curves(panels[1], metrics, {"critic_loss": "critic", "generator_loss": "generator"}, "loss")
    norms = {"critic_gradient_norm": "critic", "generator_gradient_norm": "generator"}
    draw_curves(panels[2], metrics, norms, "gradient norm (loss per weight)")
    if (decades := _decades(panels[2])) >= 1:
        panels[2].set_yscale("log")
        if decades <= MOST_DECADES:
            panels[2].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panels[2].yaxis.set_major_formatter("{x:g}")
        panels[2].yaxis.set_minor_formatter(NullFormatter())
    step_axis(panels[2])
    return png(figure)


def step_axis(axes: Axes, label: str = "step (generator updates)") -> None:
    """Label the x axis as one of steps, which are whole numbers."""
    axes.set_xlabel(label)
    axes.locator_params(axis="x", integer=True)
    # A tick may be a whole number up to rounding.
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}" if abs(step - round(step)) < 1e-6 else "")


def _decades(axes: Axes) -> float:
    """The powers of ten between the smallest and the largest positive value."""
    norms = [norm for line in axes.lines for norm in np.asarray(line.get_ydata()).tolist() if norm > 0]
    return math.log10(max(norms) / min(norms)) if norms else 0.0


def _draw_truth(axes: Axes, metrics: Curves) -> None:
    """Draw the exact values, each with its 95 % interval; an infinite one is a mark at the upper edge."""
    points = [(line["step"], line["exact"], line["exact_error"]) for line in metrics if "exact" in line]
    if not points:
        return
    finite = [point for point in points if math.isfinite(point[1])]
    if finite:
        step, exact, error = zip(*finite, strict=True)
        shown = max(abs(line["estimate"]) for line in metrics if "estimate" in line)
        if max(map(abs, exact)) > 20 * shown:
            axes.set_yscale("symlog", linthresh=max(shown, 1e-6))
        axes.errorbar(
            step, exact, [QUANTILE * e for e in error], fmt="o-", color="tab:orange", ms=4, capsize=3, label="exact"
        )
    infinite = [step for step, exact, _ in points if math.isinf(exact)]
    if infinite:
        edge = axes.get_xaxis_transform()
        axes.plot(infinite, [0.97] * len(infinite), "^", color="tab:orange", transform=edge, label="exact: infinite")
    axes.legend()


def draw_curves(axes: Axes, metrics: Curves, names: Mapping[str, str], label: str) -> None:
    """Draw numbers of the lines of metrics.jsonl against the step, each with what the legend calls it."""
    for name, legend in names.items():
        points = [(line["step"], line[name]) for line in metrics if name in line]
        if points:
            axes.plot(*zip(*points, strict=True), label=legend, marker="o" if len(points) == 1 else None)
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    if len(names) > 1 and axes.lines:
        axes.legend()


def gallery(shown: Gallery) -> bytes:
    """The PNG of images in rows, each with its caption."""
    columns = max(map(len, shown.rows.values()))
    figure = Figure(figsize=(0.7 * columns + 1.2, 0.95 * len(shown.rows) + 0.6), layout="constrained")
    figure.suptitle(shown.title, fontsize=9)
    panels = figure.subplots(len(shown.rows), columns, squeeze=False)
    for line, (label, images) in zip(panels, shown.rows.items(), strict=True):
        captions = shown.captions.get(label, [""] * len(images))
        for axes, image, caption in zip(line, images, captions, strict=True):
            axes.imshow(as_picture(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            if caption:
                axes.set_title(caption, fontsize=7, pad=2)
        line[0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center")
    return png(figure)


def heat_map(matrices: Mapping[str, Mapping[str, Mapping[str, float]]], rows: str, columns: str) -> bytes:
    """Matrices by title, side by side, each cell with its number; colours compare within a column only."""
    size = max(len(matrix) for matrix in matrices.values())
    figure = Figure(figsize=((1.0 * size + 2.2) * len(matrices), 0.62 * size + 2), layout="constrained")
    figure.suptitle("colour: rank within a column; bold: the best of it", fontsize=9)
    for axes, (title, matrix) in zip(
        figure.subplots(1, len(matrices), squeeze=False)[0], matrices.items(), strict=True
    ):
        names = list(next(iter(matrix.values())))
        values = np.array([[row[name] for name in names] for row in matrix.values()], dtype=float)
        axes.imshow(_within_columns(values), cmap="YlOrBr", vmin=0, vmax=1.4, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            best = value == np.nanmin(values[:, j])
            text = "∞" if math.isinf(value) else f"{value:.4f}" if abs(value) < 100 else f"{value:.2g}"
            axes.text(j, i, text, ha="center", va="center", fontsize=8, weight="bold" if best else "normal")
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(matrix)), list(matrix))
        axes.set(title=title, xlabel=columns, ylabel=rows)
    return png(figure)


def _within_columns(values: np.ndarray) -> np.ndarray:
    """The share of the other cells of its column that are smaller, for each cell."""
    smaller: np.ndarray = (values[None] < values[:, None]).sum(axis=1)
    return smaller / max(1, len(values) - 1)


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The picture as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
