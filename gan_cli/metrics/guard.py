"""The guard against catastrophic overfitting: a classifier that suddenly falls to an attack stronger than its teacher.

Trained against one large step a classifier may learn, within a few hundred steps, to withstand that step and nothing
else: its loss goes down, and its accuracy under many small steps to nothing. Some images of the training data under
such an attack show it (Wong, Rice & Kolter 2020, arXiv 2001.03994; their code stops at a fall of 20 points).
"""

from dataclasses import dataclass, field

from torch import Tensor

from gan_cli.attacks.base import Attack
from gan_cli.classifiers.base import Classifier
from gan_cli.errors import OverfittedError
from gan_cli.metrics.attacked import attacked
from gan_cli.metrics.base import Measured
from gan_cli.metrics.standard_errors import share_of

WATCHED = 500
"""Images under attack."""

FALL = 0.2
"""The fall of the accuracy, from one look to the next, that is no chance."""


@dataclass
class Guard:
    """Looks at a classifier from time to time, and remembers what it saw last."""

    attack: Attack
    images: Tensor
    """uint8, shape `(n, channels, height, width)`."""
    labels: Tensor
    """Shape `(n,)`."""
    seed: int
    _before: tuple[int, float] = field(default=(-1, 0.0), init=False)
    """The step, and the accuracy then, that a fall is measured from."""
    _seen: tuple[int, Measured] | None = field(default=None, init=False)
    """The last step that was looked at, and the accuracy then."""

    def begin(self, classifier: Classifier, step: int) -> None:
        """Take what a classifier is at a step for the state that a fall is measured from."""
        self._before = (step, self.accuracy(classifier, step).value)

    def accuracy(self, classifier: Classifier, step: int) -> Measured:
        """The share of the images that is right under the attack, measured once a step."""
        if self._seen is None or self._seen[0] != step:
            found = attacked(self.attack, classifier, self.images, self.labels, seed=self.seed)
            right = 1 - found.succeeded.double().mean().item()
            self._seen = (step, share_of(right, len(self.images)))
        return self._seen[1]

    def check(self, classifier: Classifier, step: int) -> None:
        """Raise `OverfittedError` if the accuracy has suddenly fallen since the last look."""
        (then, before), now = self._before, self.accuracy(classifier, step).value
        if before - now > FALL:
            raise OverfittedError(
                f"catastrophic overfitting between the steps {then:,} and {step:,}: of training images under"
                f" train.guard {before:.1%} were right, and then {now:.1%}; the newest checkpoint is of before that:"
                " keep it, or choose another name=… with a smaller attack.step_size or with attack=pgd"
            )
        self._before = (step, now)
