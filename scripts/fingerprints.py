"""The fingerprints of a fixed set of short runs: whether a change of the code leaves every run as it was, bit for bit.

    python scripts/fingerprints.py > before        # on the commit before
    python scripts/fingerprints.py > after         # on the same machine
    diff before after

A line has the run's overrides, what its steps were computed by, and the SHA-256 of its weights and optimizer states.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent

IMAGES = ("dataset=mnist5k", "train.steps=30")
TOYS = ("dataset=ring", "train.steps=30")


def runs(configs: Path) -> list[tuple[str, ...]]:
    """The overrides of each run."""

    def options(group: str) -> list[str]:
        return sorted(path.stem for path in (configs / group).glob("*.yaml"))

    return [
        *((*TOYS, f"divergence={name}") for name in options("divergence")),
        *((*IMAGES, f"divergence/penalty={name}") for name in options("divergence/penalty")),
        *((*TOYS, f"optimizer={name}") for name in options("optimizer")),
        (*TOYS, "train.schedule=cosine"),
        (*TOYS, "train.schedule=linear", "divergence=wgan_gp", "optimizer=adam_wgan_gp"),
        (*TOYS, "train.generator=frozen"),
        (*TOYS, "train.reuse_samples=true"),
        (*IMAGES, "model.generator.latent=mixture", "divergence=relativistic", "divergence/penalty=r1_r2"),
        (*IMAGES, "model=resnet", "dataset.resolution=16", "model.generator.width=16", "model.critic.width=16"),
        (*IMAGES, "device.precision=bf16"),
        (*TOYS, "device.accelerate=compile"),
        (*TOYS, "device.accelerate=compile", "divergence=wgan_gp"),
    ]


def fingerprint(overrides: tuple[str, ...], package: Path) -> str:
    """What run.json says of a run, in a line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gan_cli", *overrides, "name=run", "every.evaluate=null", "metric=[]"]
        subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(package)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        record = json.loads(Path(folder, "outputs", "run", "run.json").read_text())
    how = "/".join(str(record["execution"][key]) for key in ("accelerate", "precision", "threads"))
    return f"{' '.join(overrides)}  {how}  {record['fingerprint']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=ROOT, help="the checkout that runs (default: this one)")
    package: Path = parser.parse_args().package.resolve()
    for overrides in runs(package / "configs"):
        print(fingerprint(overrides, package), flush=True)


if __name__ == "__main__":
    main()
