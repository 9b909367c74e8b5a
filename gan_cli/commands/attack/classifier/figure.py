"""The pictures of attacks on classifiers: error and confidence, and examples with what the classifier says of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli.commands.attack.asked import Asked
from gan_cli.commands.attack.classifier.results import OfClassifier
from gan_cli.commands.attack.drawing import Example, Panel
from gan_cli.commands.attack.drawing import curves as drawn
from gan_cli.commands.attack.drawing import pictured as drawn_examples
from gan_cli.datasets.base import Images, to_unit_range
from gan_cli.metrics.accuracy import log_probabilities
from gan_cli.metrics.attacked import Attacked
from gan_cli.runs.classifiers import LoadedClassifier

MOST_EXAMPLES = 5


def curves(results: Sequence[OfClassifier]) -> bytes | None:
    """The PNG of errors and of confidences against ε; None without sizes."""
    return drawn(
        results,
        [
            Panel("images whose attack succeeds (%)", {"": lambda result: result.error}),
            Panel("mean confidence there (%)", {"": lambda result: result.confidence}),
        ],
    )


def pictured(trained: LoadedClassifier, images: Images, found: Attacked, asked: Asked) -> bytes | None:
    """The PNG of examples, each with the class chosen before and after and how sure it is.

    One image of each class that is right before the attack and whose attack succeeds; None without any.
    """
    assert images.labels is not None
    before, after = log_probabilities(trained.network, images.images).exp(), found.log_probabilities.exp()
    fooled = (before.argmax(1) == images.labels) & found.succeeded
    firsts = {int(images.labels[index]): index for index in reversed(fooled.nonzero().flatten().tolist())}
    examples = [
        Example(
            to_unit_range(images.images[index]),
            found.images[index],
            (_said(before[index], trained), _said(after[index], trained)),
        )
        for index in sorted(firsts.values())[:MOST_EXAMPLES]
    ]
    return drawn_examples(examples, asked.name)


def _said(shares: Tensor, trained: LoadedClassifier) -> str:
    most = int(torch.argmax(shares))
    return f"{trained.classes[most]}: {100 * float(shares[most]):.1f} %"
