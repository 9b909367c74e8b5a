"""How often a classifier is right, in all and of each class."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli.classifiers.base import Classifier
from gan_cli.datasets.base import Images, to_unit_range
from gan_cli.metrics.base import NAMED, Measured
from gan_cli.metrics.standard_errors import share_of

CHUNK = 500


@torch.no_grad()
def log_probabilities(classifier: Classifier, images: Tensor) -> Tensor:
    """The classifier's log probabilities of uint8 images `(n, channels, height, width)`: shape `(n, classes)`, CPU.

    It is in evaluation mode meanwhile, and computes in float32.
    """
    device = next(classifier.parameters()).device
    was_training = classifier.training
    classifier.eval()
    try:
        return torch.cat(
            [
                classifier(to_unit_range(part.to(device)).contiguous(memory_format=torch.channels_last))
                .float()
                .log_softmax(1)
                .cpu()
                for part in images.split(CHUNK)
            ]
        )
    finally:
        classifier.train(was_training)


def confusion(classifier: Classifier, test: Images) -> Tensor:
    """The numbers of images by true class, in rows, and by most probable class: shape `(classes, classes)`, int64."""
    assert test.labels is not None
    logits = log_probabilities(classifier, test.images)
    classes = logits.shape[1]
    return torch.bincount(test.labels * classes + logits.argmax(1), minlength=classes**2).reshape(classes, classes)


def accuracies(counts: Tensor, names: Sequence[str]) -> dict[str, Measured]:
    """`accuracy`, the share of all images on the diagonal of a confusion matrix, and `accuracy/<class>` of each class.

    Classes without images have none, and of more than 20 classes none is named.
    """
    n, right = int(counts.sum()), counts.diagonal()
    numbers = {"accuracy": share_of(right.sum().item() / n, n)}
    if len(names) <= NAMED:
        of_class = zip(names, right.tolist(), counts.sum(1).tolist(), strict=True)
        numbers |= {f"accuracy/{name}": share_of(hits / size, size) for name, hits, size in of_class if size}
    return numbers
