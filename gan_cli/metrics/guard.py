"""The guard against catastrophic overfitting: a classifier that suddenly falls to an attack stronger than its teacher.

Trained against one large step a classifier may learn, within a few hundred steps, to withstand that step and nothing
else: its loss goes down, and its accuracy under many small steps to nothing. Some images of the training data under
such an attack show it (Wong, Rice & Kolter 2020, arXiv 2001.03994; their code stops at a fall of 20 points).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from gan_cli.attacks.base import Attack
from gan_cli.classifiers.base import Classifier
from gan_cli.metrics.attacked import attacked
from gan_cli.metrics.base import Measured
from gan_cli.metrics.standard_errors import share_of

logger = logging.getLogger(__name__)

WATCHED = 500
"""Images under attack."""

FALL = 0.2
"""The fall of the accuracy below the best so far that is no chance."""

GAP = 0.5
"""The gap between the accuracy in training and that under the guard's attack of which a run is warned.

A classifier that overfits before it ever withstood anything has no best to fall from. It is not ended, since such a one
may yet recover.
"""

NAME = "guard_accuracy"
"""That of the accuracy in metrics.jsonl."""


@dataclass
class Guard:
    """Looks at a classifier from time to time. What it saw is in metrics.jsonl, so that a resumed run knows it too."""

    attack: Attack
    images: Tensor
    """uint8, shape `(n, channels, height, width)`."""
    labels: Tensor
    """Shape `(n,)`."""
    seed: int
    _seen: tuple[int, Measured] | None = field(default=None, init=False)
    """The last step that was looked at, and the accuracy then."""
    _has_warned: bool = field(default=False, init=False)

    def accuracy(self, classifier: Classifier, step: int) -> Measured:
        """The share of the images that is right under the attack, measured once a step."""
        if self._seen is None or self._seen[0] != step:
            found = attacked(self.attack, classifier, self.images, self.labels, seed=self.seed)
            right = 1 - found.succeeded.double().mean().item()
            self._seen = (step, share_of(right, len(self.images)))
        return self._seen[1]

    def fault(self, classifier: Classifier, step: int, metrics: Sequence[Mapping[str, float]]) -> str | None:
        """What is wrong with a classifier that has suddenly fallen below its best in `metrics`; None of any other."""
        seen = [(line[NAME], int(line["step"])) for line in metrics if NAME in line]
        best, then = max(seen, default=(0.0, 0))
        now = self.accuracy(classifier, step).value
        if best - now <= FALL:
            self._warn(now, metrics)
            return None
        return (
            f"catastrophic overfitting: of training images under train.guard {best:.1%} were right after step {then:,},"
            f" and {now:.1%} after step {step:,}"
        )

    def _warn(self, now: float, metrics: Sequence[Mapping[str, float]]) -> None:
        """Tell once of a classifier that withstands what it is trained against, and little else."""
        trained = next((line["batch_accuracy"] for line in reversed(metrics) if "batch_accuracy" in line), 0.0)
        if trained - now > GAP and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%.1f %% of the images are right in training and %.1f %% under train.guard: the classifier withstands"
                " its own attack alone; more steps of that attack, or another learning rate, may help",
                100 * trained,
                100 * now,
            )
