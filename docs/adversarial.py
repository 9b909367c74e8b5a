"""Trains the classifiers of docs/adversarial.md, attacks them, and copies the figures.

    make adversarial

Runs that are done are not trained again, and what was measured is read from its receipt.
"""

import subprocess
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.figures import BIN, FIGURES, publish

OUTPUTS = Path("outputs")
RUNS = OUTPUTS / "adversarial"

CLASSIFIERS = {
    "softmax": "dataset=mnist classifier=softmax train.steps=1500 device.threads=1",
    "logistic": "dataset=mnist dataset.classes=[3,7] classifier=logistic train.steps=2000 device.threads=1"
    " optimizer.classifier.weight_decay=0",
    "maxout": "experiment=maxout_mnist",
    "maxout_fgsm": "experiment=fgsm_mnist",
    "madry": "dataset=mnist classifier=madry train.steps=2000 device.threads=2 optimizer.classifier.weight_decay=0",
    "robust": "experiment=robust_mnist",
}
"""The overrides of each run."""

SIZES = "epsilon=[0,0.05,0.1,0.15,0.2,0.25]:clip=false"
LARGER = "epsilon=[0,0.1,0.2,0.3,0.4]"
ATTACKS = {
    "softmax": "fgsm:epsilon=[0,0.25]:clip=false",
    "logistic": "fgsm:epsilon=[0,0.25]:clip=false",
    "maxout": f"transfer:run={RUNS}/maxout_fgsm:epsilon=0.25:clip=false",
    "maxout_fgsm": f"transfer:run={RUNS}/maxout:epsilon=0.25:clip=false",
    "maxout maxout_fgsm": f"rubbish noise:{SIZES} pgd:epsilon=0.25:clip=false fgsm:{SIZES}",
    "madry robust": "fgsm:epsilon=0.3 noise:epsilon=0.3 pgd:epsilon=0.3",
    "robust madry": f"pgd:epsilon=0.3:restarts=10 fgsm:{LARGER} pgd:{LARGER} --limit=1000",
}
"""What runs are attacked with. The last command for a run that comes first draws its figures."""

DRAWN = ("maxout", "robust")
"""The runs whose figures the page has."""


def main() -> None:
    """Train, attack and copy."""
    for name, overrides in CLASSIFIERS.items():
        run("gan-classify", *overrides.split(), f"name={(RUNS / name).relative_to(OUTPUTS)}")
    for names, attacks in ATTACKS.items():
        asked = [word if word.startswith("--") else f"--attack={word}" for word in attacks.split()]
        run("gan-attack", *(str(RUNS / name) for name in names.split()), *asked)
    for name, drawn in product(DRAWN, ("attacks", "adversarial")):
        publish(RUNS / name / f"{drawn}.png", FIGURES / f"{name}_{drawn}.png")


def run(command: str, *words: str) -> None:
    """Run a command of ours. Raises `CalledProcessError`."""
    print(command, *words, flush=True)
    subprocess.run([BIN / command, *words], check=True)


if __name__ == "__main__":
    main()
