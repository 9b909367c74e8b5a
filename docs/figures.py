"""Draws the figures of docs/theory.md: each experiment by its command, each figure copied from its folder.

make theory
"""

import subprocess
import sys
from pathlib import Path

from PIL import Image

FIGURES = Path(__file__).with_name("figures")
RUNS = Path("outputs/theory")
BIN = Path(sys.executable).parent

EXPERIMENTS = {
    "optimal_discriminator": ["optimal_discriminator.png"],
    "non_saturating": ["non_saturating.png"],
    "fgan_univariate": ["fgan_univariate.png", "fgan_matrix.png"],
    "js_saturation": ["js_saturation.png"],
    "weight_clipping": ["weight_clipping.png", "weight_clipping_layers.png"],
    "critic_robustness": ["critic_robustness.png"],
    "mode_collapse": ["mode_collapse_samples.png", "mode_collapse.png"],
    "dirac": ["dirac.png", "dirac_table.png"],
    "divergence_matrix": ["divergence_matrix.png"],
}
CURVES = ["experiment=ring", "divergence=js", "every.log=250", "every.evaluate=250", "train.steps=5000"]


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    for experiment, figures in EXPERIMENTS.items():
        gan_train(f"experiment={experiment}", f"name=theory/{experiment}")
        for figure in figures:
            publish(RUNS / experiment / figure, FIGURES / figure)
    gan_train(*CURVES, "name=theory/ring_js")
    publish(RUNS / "ring_js" / "curves.png", FIGURES / "ring_js_curves.png")
    subprocess.run([BIN / "gan-divergence", "plot", "--out", RUNS / "divergences.png"], check=True)
    publish(RUNS / "divergences.png", FIGURES / "divergences.png")


def gan_train(*overrides: str) -> None:
    subprocess.run([BIN / "gan-train", *overrides], check=True)


def publish(source: Path, target: Path) -> None:
    """Save a figure with a palette that keeps rare colours too, at a third of the size."""
    Image.open(source).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(target, optimize=True)
    print(target)


if __name__ == "__main__":
    main()
