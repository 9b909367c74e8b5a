"""Draws docs/ring.png: the same ring, the same seed, every divergence with its defaults.

make gallery
"""

import math
import subprocess
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_cli.config import parts
from gan_cli.datasets.mixtures import Mixture
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.metrics.modes import mode_coverage
from gan_cli.runs import read
from gan_cli.runs.load import load_run
from gan_cli.runs.sources import open_run
from gan_cli.sampling import generate, latents, real_points

SWEEP = Path("outputs/sweeps/gallery")
PICTURE = Path(__file__).with_name("ring.png")
COMMAND = ["gan-train", "-m", "divergence=glob(*)", "dataset=ring", f"hydra.sweep.dir={SWEEP}"]
COLUMNS = 6


def main() -> None:
    subprocess.run([Path(sys.executable).with_name(COMMAND[0]), *COMMAND[1:]], check=False)
    folders = sorted(path.parent for path in SWEEP.glob("*/run.json"))
    rows = math.ceil(len(folders) / COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 3 * rows), layout="constrained")
    grid = list(figure.subplots(rows, COLUMNS).flat)
    for axes, folder in zip(grid, folders, strict=False):
        draw(axes, folder)
    for axes in grid[len(folders) :]:
        axes.set_axis_off()
    figure.savefig(PICTURE, dpi=80)
    print(PICTURE)


def draw(axes: Axes, folder: Path) -> None:
    """The samples of a run over the data, with its divergence and, where it has two, the generator's form."""
    run = load_run(folder)
    ring, divergence = parts.dataset(run.config, open_run), parts.divergence(run.config)
    assert isinstance(ring, Mixture)
    name = next(part for part in folder.name.split(",") if part.startswith("divergence=")).removeprefix("divergence=")
    form = f", {divergence.generator_loss}" if isinstance(divergence, FDivergence) else ""
    real = real_points(ring, 2500, seed=0, device="cpu").samples
    fake = generate(run.average, latents(run.average, 2500, seed=0))
    modes, share = mode_coverage(fake, ring.means.to(fake), ring.deviations.to(fake), radius=3.0)
    axes.scatter(real[:, 0], real[:, 1], s=3, c="tab:orange", linewidths=0)
    axes.scatter(fake[:, 0], fake[:, 1], s=3, c="tab:blue", alpha=0.5, linewidths=0)
    axes.set_title(f"{name}{form}\n{modes} of 8 modes, {share:.0%} within 3 sd", fontsize=9)
    axes.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
    status, seconds = read.record(folder)["status"], read.metrics(folder)[-1]["seconds"]
    print(f"{name:20} {status:10} {modes} modes, {share:.1%} within 3 sd, {seconds:.0f} s")


if __name__ == "__main__":
    main()
