"""Trains the classifiers of docs/adversarial.md, attacks them and copies the figures.

    make adversarial

Runs that are done are not trained again, and what was measured is read from its receipt: 2½ hours on two cores else.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.figures import BIN

RUNS = Path("outputs/adversarial")

CLASSIFIERS = {
    "softmax": "dataset=mnist classifier=softmax train.steps=1500 device.threads=1",
    "logistic": "dataset=mnist dataset.classes=[3,7] classifier=logistic train.steps=2000 device.threads=1"
    " optimizer.classifier.weight_decay=0",
    "maxout": "experiment=fgsm_mnist attack=none",
    "maxout_fgsm": "experiment=fgsm_mnist",
    "madry": "experiment=robust_mnist attack=none train.guard=null",
    "madry_pgd": "experiment=robust_mnist",
}
"""The overrides of each run."""

LINEAR = "epsilon=[0,0.05,0.1,0.15,0.2,0.25]:clip=false"
SIZES = "epsilon=[0,0.1,0.2,0.3,0.4,0.5]"
ATTACKS = {
    "softmax": ["fgsm:epsilon=[0,0.25]:clip=false"],
    "logistic": ["fgsm:epsilon=[0,0.25]:clip=false"],
    "maxout maxout_fgsm": [f"fgsm:{LINEAR}", f"noise:{LINEAR}", "pgd:epsilon=0.25:clip=false", "rubbish"],
    "maxout": [f"transfer:run={RUNS}/maxout_fgsm:epsilon=0.25:clip=false"],
    "maxout_fgsm": [f"transfer:run={RUNS}/maxout:epsilon=0.25:clip=false"],
    "madry_pgd": [
        *("pgd:epsilon=0.3:step_size=0.01", "pgd:epsilon=0.3:steps=100:step_size=0.01"),
        *("pgd:epsilon=0.3:step_size=0.01:restarts=10", "pgd:epsilon=1:steps=100"),
        f"transfer:run={RUNS}/madry:epsilon=0.3:steps=40",
    ],
    "madry madry_pgd": [f"fgsm:{SIZES}", f"pgd:{SIZES}", f"noise:{SIZES}"],
}
"""What runs are attacked with, on the first 1,000 images those of Madry's network: the last drew the figures."""

FIGURES_OF = {"maxout": "adversarial_maxout", "madry": "adversarial_madry"}


def main() -> None:
    """Train, attack and copy."""
    for name, overrides in CLASSIFIERS.items():
        run("gan-classify", *overrides.split(), f"name={RUNS.relative_to('outputs') / name}")
    for names, attacks in ATTACKS.items():
        asked = [word for attack in attacks for word in ("--attack", attack)]
        first = ["--limit", "1000"] if "madry" in names else []
        run("gan-attack", *(str(RUNS / name) for name in names.split()), *asked, *first)


def run(command: str, *words: str) -> None:
    """Run a command of ours. Raises `CalledProcessError`."""
    print(command, *words, flush=True)
    subprocess.run([BIN / command, *words], check=True)


if __name__ == "__main__":
    main()
