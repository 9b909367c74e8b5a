"""Runs the commands of docs/adversarial.md: trains the classifiers, attacks them, and copies the figures.

    make adversarial

A run that is done is not trained again, and what was measured is read from its receipt.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.figures import BIN, FIGURES, publish

RUNS = Path("outputs/adversarial")

PLAIN = ["optimizer.classifier.weight_decay=0", "device.threads=1"]
CLASSIFIERS = {
    "softmax": ["dataset=mnist", "classifier=softmax", "train.steps=1500", "device.threads=1"],
    "logistic": ["dataset=mnist", "dataset.classes=[3,7]", "classifier=logistic", "train.steps=2000", *PLAIN],
    "maxout": ["experiment=fgsm_mnist", "attack=none"],
    "maxout_fgsm": ["experiment=fgsm_mnist"],
    "madry": ["experiment=robust_mnist", "attack=none", "train.guard=null", "train.steps=4690"],
    "robust": ["experiment=robust_mnist"],
}

SIZES = "[0,0.05,0.1,0.15,0.2,0.25]"
ROBUST_SIZES = "[0,0.1,0.2,0.3,0.4,0.5]"
ATTACKS = {
    ("softmax", "logistic"): ["fgsm:epsilon=[0,0.25]:clip=false"],
    ("maxout", "maxout_fgsm"): [
        f"fgsm:epsilon={SIZES}:clip=false",
        f"noise:epsilon={SIZES}:clip=false",
        "rubbish",
        "pgd:epsilon=0.25:clip=false",
    ],
    ("maxout",): [f"transfer:run={RUNS / 'maxout_fgsm'}:epsilon=0.25:clip=false"],
    ("maxout_fgsm",): [f"transfer:run={RUNS / 'maxout'}:epsilon=0.25:clip=false"],
    ("madry", "robust"): [f"fgsm:epsilon={ROBUST_SIZES}", f"pgd:epsilon={ROBUST_SIZES}", f"noise:epsilon={ROBUST_SIZES}"],
    ("robust",): ["pgd:epsilon=0.3:restarts=10", "pgd:epsilon=0.3:steps=100:step_size=0.01", "pgd:epsilon=[0.3,1]"],
}
