"""Draws docs/covering.png: one Gaussian learns two modes, which it cannot, under six divergences.

make covering

The number is the exact divergence that is left. Remove outputs/sweeps/covering to train anew.
"""

import subprocess
import sys
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from gan_cli.config import parts
from gan_cli.datasets.mixtures import Ring
from gan_cli.models.toys import GaussianGenerator
from gan_cli.runs import read
from gan_cli.runs.load import load_run
from gan_cli.runs.sources import open_run

SWEEP = Path("outputs/sweeps/covering")
PICTURE = Path(__file__).with_name("covering.png")
DIVERGENCES = ["pearson", "kl", "total_variation", "js", "reverse_kl", "neyman"]
COMMAND = ["gan-train", "experiment=covering", "-m", f"divergence={','.join(DIVERGENCES)}", f"hydra.sweep.dir={SWEEP}"]
EDGE = 4.2, 3.3
COLUMNS = 3


def main() -> None:
    subprocess.run([Path(sys.executable).with_name(COMMAND[0]), *COMMAND[1:]], check=True)
    figure = Figure(figsize=(3.6 * COLUMNS, 6), layout="constrained")
    figure.suptitle("One Gaussian cannot be two: it covers both modes, or takes one", fontsize=14)
    grid = figure.subplots(len(DIVERGENCES) // COLUMNS, COLUMNS).flat
    for axes, name in zip(grid, DIVERGENCES, strict=True):
        draw(axes, name, SWEEP / f"divergence={name},experiment=covering")
    figure.savefig(PICTURE, dpi=100)
    print(PICTURE)


def draw(axes: Axes, name: str, folder: Path) -> None:
    """Draw the density of the data, and the learned Gaussian by its circles of one and two deviations."""
    run = load_run(folder)
    data, generator = parts.dataset(run.config, open_run), run.average
    assert isinstance(data, Ring)
    assert isinstance(generator, GaussianGenerator)
    x, y = (torch.linspace(-edge, edge, 200, dtype=torch.float64) for edge in EDGE)
    density = data.log_density(torch.cartesian_prod(x, y)).exp().reshape(200, 200).T
    axes.contourf(x, y, density, levels=12, cmap="Oranges")
    left, up = generator.mean.tolist()
    deviation = abs(generator.deviation.item())
    for times, width in ((1, 2.0), (2, 1.0)):
        radius = times * deviation
        axes.add_patch(Circle((left, up), radius, facecolor=("tab:blue", 0.08), edgecolor="tab:blue", linewidth=width))
    axes.plot(left, up, "+", color="tab:blue")
    exact = read.metrics(folder)[-1]["exact"]
    axes.set_title(f"{name} {exact:.2f}", fontsize=11)
    axes.set(xlim=(-EDGE[0], EDGE[0]), ylim=(-EDGE[1], EDGE[1]), xticks=[], yticks=[], aspect="equal")
    print(f"{name:18} mean {left:.2f}, {up:.2f}, deviation {deviation:.2f}, exact {exact:.3f}")


if __name__ == "__main__":
    main()
