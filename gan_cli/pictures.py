"""Drawing: from tensors and numbers to PNG bytes, with no file and no global state of matplotlib."""

import io
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

Curves = Sequence[Mapping[str, float]]


def as_uint8(images: Tensor) -> Tensor:
    """Images in [−1, 1] as uint8."""
    return images.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


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


def point_plot(real: Tensor, fake: Tensor, title: str, critic: Callable[[Tensor], Tensor] | None = None) -> bytes:
    """Real and generated points, shape `(n, dimensions)`, with what the critic thinks of the space around them.

    On a line they are histograms beside the critic's score; in the plane they lie over its level lines; of more
    dimensions the first two are shown.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    draw = _draw_line if real.shape[1] == 1 else _draw_plane
    draw(axes, real.cpu(), fake.cpu(), critic)
    axes.legend(loc="upper right", markerscale=3)
    return _png(figure)


def _draw_plane(axes: Axes, real: Tensor, fake: Tensor, critic: Callable[[Tensor], Tensor] | None) -> None:
    low, high = _limits(real)
    if critic is not None and real.shape[1] == 2:
        x, y = (torch.linspace(low[i], high[i], 120) for i in range(2))
        scores = critic(torch.cartesian_prod(x, y)).reshape(120, 120).T
        if scores.max() > scores.min():
            drawn = axes.contour(x, y, scores, levels=15, colors="0.6", linewidths=0.8, zorder=0)
            axes.clabel(drawn, fontsize=6)
    for points, colour, label in ((real, "tab:orange", "real"), (fake, "tab:blue", "fake")):
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


def _limits(real: Tensor) -> tuple[list[float], list[float]]:
    """A frame around nearly all of the data with a margin of a quarter, square in the plane."""
    low, high = torch.quantile(real, torch.tensor([0.005, 0.995]), dim=0)
    middle, half = (low + high) / 2, (high - low).max() * 0.75
    return (middle - half).tolist(), (middle + half).tolist()


def curves(metrics: Curves, estimate_unit: str) -> bytes:
    """The estimate, the two losses and the gradient norms against the step."""
    figure = Figure(figsize=(8, 9), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    unit = f" ({estimate_unit})" if estimate_unit else ""
    _draw_curves(panels[0], metrics, {"estimate": "estimate"}, f"estimate{unit}")
    _draw_curves(panels[1], metrics, {"critic_loss": "critic", "generator_loss": "generator"}, "loss")
    norms = {"critic_gradient_norm": "critic", "generator_gradient_norm": "generator"}
    _draw_curves(panels[2], metrics, norms, "gradient norm (loss per weight)")
    panels[2].set_yscale("log")
    panels[2].set_xlabel("step (generator updates)")
    return _png(figure)


def _draw_curves(axes: Axes, metrics: Curves, names: Mapping[str, str], label: str) -> None:
    for name, legend in names.items():
        points = [(line["step"], line[name]) for line in metrics if name in line]
        if points:
            axes.plot(*zip(*points, strict=True), label=legend, marker="o" if len(points) == 1 else None)
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    if len(names) > 1 and axes.lines:
        axes.legend()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
