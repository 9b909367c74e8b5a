"""Draws docs/ring.png: the same ring, the same seed, eight divergences side by side.

make gallery
"""

import subprocess
import sys
from pathlib import Path

from matplotlib.figure import Figure

from gan_cli.config import parts
from gan_cli.datasets.mixtures import Mixture
from gan_cli.metrics.modes import mode_coverage
from gan_cli.runs import read
from gan_cli.runs.load import load_run
from gan_cli.sampling import generate, latents, real_points

DIVERGENCES = ["gan", "kl", "reverse_kl", "js", "pearson", "squared_hellinger", "hinge", "relativistic"]
SWEEP = Path("outputs/sweeps/gallery")
PICTURE = Path(__file__).with_name("ring.png")
COMMAND = [
    "gan-train",
    "-m",
    "experiment=ring",
    f"divergence={','.join(DIVERGENCES)}",
    "train.steps=3000",
    f"hydra.sweep.dir={SWEEP}",
]


def main() -> None:
    subprocess.run([Path(sys.executable).with_name(COMMAND[0]), *COMMAND[1:]], check=False)
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    runs = {divergence: next(SWEEP.glob(f"divergence={divergence},*")) for divergence in DIVERGENCES}
    for axes, (divergence, folder) in zip(figure.subplots(2, 4).flat, runs.items(), strict=True):
        run = load_run(folder)
        ring = parts.dataset(run.config)
        assert isinstance(ring, Mixture)
        real = real_points(ring, 2500, seed=0, device="cpu")
        fake = generate(run.average, latents(run.average, 2500, seed=0))
        modes, share = mode_coverage(fake, ring.means.to(fake), ring.deviations.to(fake), radius=3.0)
        axes.scatter(*real.T, s=3, c="tab:orange", linewidths=0)
        axes.scatter(*fake.T, s=3, c="tab:blue", alpha=0.5, linewidths=0)
        axes.set(title=f"{divergence}\n{modes} of 8 modes, {share:.0%} within 3 sd", xlim=(-3, 3), ylim=(-3, 3))
        axes.set(xticks=[], yticks=[], aspect="equal")
        print(f"{divergence:20} {read.record(folder)['status']:10} {modes} modes, {share:.1%} within 3 sd")
    figure.savefig(PICTURE, dpi=80)
    print(PICTURE)


if __name__ == "__main__":
    main()
