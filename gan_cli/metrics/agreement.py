"""How often samples are of the class that was asked for."""

from collections.abc import Sequence

from torch import Tensor

from gan_cli.metrics.base import NAMED, Measured
from gan_cli.metrics.samples import Samples
from gan_cli.metrics.standard_errors import share_of


def labels_of(samples: Samples) -> Tensor:
    """The labels of samples that have them."""
    assert samples.labels is not None
    return samples.labels


def agreement(
    predicted: Tensor, fake: Samples, predicted_of_real: Tensor, real: Samples, names: Sequence[str]
) -> dict[str, Measured]:
    """The share of samples, all and those of each class, whose predicted class is the one that was asked for.

    Predictions are labels of shape `(n,)`. `names` are those of the classes; one that no sample has is left out.
    """
    asked, known = (labels_of(of).to(predicted.device) for of in (fake, real))
    agrees, agrees_of_real = (predicted == asked).double(), (predicted_of_real == known).double()
    numbers = {"class_agreement": _share(agrees, agrees_of_real)}
    if len(names) <= NAMED:
        for label, name in enumerate(names):
            if (asked == label).any():
                numbers[f"class_agreement/{name}"] = _share(agrees[asked == label], agrees_of_real[known == label])
    return numbers


def _share(agrees: Tensor, agrees_of_real: Tensor) -> Measured:
    real = agrees_of_real.mean().item() if len(agrees_of_real) else None
    return share_of(agrees.mean().item(), len(agrees), real)
