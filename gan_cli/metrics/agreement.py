"""How often samples are of the class that was asked for."""

from collections.abc import Sequence

from torch import Tensor

from gan_cli.metrics.base import NAMED, Measured
from gan_cli.metrics.standard_errors import share_of
from gan_cli.metrics.subject import Samples


def labels_of(samples: Samples) -> Tensor:
    """The labels of samples that have them."""
    assert samples.labels is not None
    return samples.labels.to(samples.raw.device)


def agreement(
    told: Tensor, fake: Samples, told_of_real: Tensor, real: Samples, names: Sequence[str]
) -> dict[str, Measured]:
    """The share of samples, all and those of each class, whose class is told as it was asked for.

    What is told are labels of shape `(n,)`. `names` are those of the classes; a class that no sample has is left out.
    """
    agrees, asked = told == labels_of(fake), labels_of(fake)
    agrees_of_real, known = told_of_real == labels_of(real), labels_of(real)

    def share(within: Tensor, within_real: Tensor) -> Measured:
        ours, theirs = agrees[within].double(), agrees_of_real[within_real].double()
        return share_of(ours.mean().item(), len(ours), theirs.mean().item() if len(theirs) else None)

    numbers = {"class_agreement": share(asked >= 0, known >= 0)}
    if len(names) <= NAMED:
        seen = [label for label in range(len(names)) if (asked == label).any()]
        numbers |= {f"class_agreement_{names[label]}": share(asked == label, known == label) for label in seen}
    return numbers
