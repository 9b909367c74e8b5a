"""Whether samples are of the classes that were asked for, and how near they come to the real ones of each."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from gan_cli.datasets.base import Dataset, Images
from gan_cli.metrics.agreement import agreement, labels_of
from gan_cli.metrics.base import NAMED, Measured, Metric
from gan_cli.metrics.classes import log_probabilities_of
from gan_cli.metrics.frechet import MOST_DIMENSIONS, frechet_distance, moments, standard_error
from gan_cli.metrics.samples import Samples
from gan_cli.metrics.subject import Subject

PER_CLASS = 100
"""Images needed per class, so that the two halves of the floor have moments; and twice the samples needed."""


def predicted_labels(subject: Subject, samples: Samples) -> Tensor:
    """The label of each sample's most probable class, by its name; −1 for a class that the data do not have."""
    names = list(subject.real.extractor.class_names(subject.dataset.sample_shape))
    labels = torch.full((len(names),), -1)
    for label, name in enumerate(subject.dataset.classes):
        labels[names.index(name)] = label
    most_probable = log_probabilities_of(samples).argmax(1)
    return labels.to(most_probable.device)[most_probable]


class ClassAgreement(Metric):
    """`class_agreement`: the share of samples whose most probable class is the one that was asked for.

    `class_agreement/<class>` is that of each class, if there are at most 20. `real` is the accuracy on real images.
    """

    looks_at = "classes"
    needs_labels = True

    def __init__(self, samples: Annotated[int, Ge(2)]) -> None:
        self.samples = samples

    def check(self, dataset: Dataset) -> None:
        if len(dataset.sample_shape) != 3:
            raise ValueError("needs images: for toys choose metric=modes, which compares with the nearest mode")

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        fake, (_, real) = subject.fake(self.samples), subject.pair(self.samples)
        predicted, predicted_of_real = (predicted_labels(subject, of) for of in (fake, real))
        return agreement(predicted, fake, predicted_of_real, real, subject.dataset.classes)


class ClassFrechet(Metric):
    """`class_frechet`: the mean over the classes of the Fréchet distance within each (intra-FID: Miyato & Koyama 2018).

    `class_frechet/<class>` is that of each class, if there are at most 20. A class has few of the samples, which biases
    its distance upwards, and `real` too, which compares two sets of real images of the class.
    """

    looks_at = "features"
    most_dimensions = MOST_DIMENSIONS
    needs_labels = True

    def __init__(self, samples: Annotated[int, Ge(2)]) -> None:
        self.samples = samples

    def check(self, dataset: Dataset) -> None:
        if not isinstance(dataset, Images) or dataset.labels is None:
            raise ValueError("needs images in memory, with labels: choose metric=[]")
        counts = torch.bincount(dataset.labels, minlength=len(dataset.classes))
        rarest = int(counts.argmin())
        if counts[rarest] < PER_CLASS:
            raise ValueError(
                f"needs {PER_CLASS} images of each class, and there are {counts[rarest]} of"
                f" {dataset.classes[rarest]}: add some, or leave the metric out"
            )
        expected = self.samples * counts[rarest].item() / len(dataset)
        if expected < PER_CLASS / 2:
            enough = math.ceil(PER_CLASS / 2 * len(dataset) / counts[rarest].item())
            raise ValueError(
                f"samples={self.samples} leave about {expected:.0f} of class {dataset.classes[rarest]}: choose"
                f" {enough} or more"
            )

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        names = subject.dataset.classes
        first, second = subject.pair(self.samples)
        real, fake = subject.reference(self.samples), subject.fake(self.samples)
        distances = [
            _frechet(*of_class)
            for of_class in zip(*(_by_class(of, len(names)) for of in (real, fake, first, second)), strict=True)
        ]
        numbers = {"class_frechet": _mean(distances)}
        if len(names) <= NAMED:
            numbers |= {f"class_frechet/{name}": of for name, of in zip(names, distances, strict=True)}
        return numbers


def _by_class(samples: Samples, classes: int) -> Iterator[Tensor]:
    """The features of each class."""
    vectors = samples.features.vectors
    labels = labels_of(samples).to(vectors.device)
    return (vectors[labels == label] for label in range(classes))


def _frechet(real: Tensor, fake: Tensor, first: Tensor, second: Tensor) -> Measured:
    p, q = moments(real), moments(fake)
    floor = frechet_distance(moments(first), moments(second)).item()
    return Measured(frechet_distance(p, q).item(), standard_error(real, fake, p, q), floor)


def _mean(numbers: Sequence[Measured]) -> Measured:
    """The mean of independent numbers."""
    n = len(numbers)
    errors = [of.error for of in numbers if of.error is not None]
    floors = [of.real for of in numbers if of.real is not None]
    return Measured(sum(of.value for of in numbers) / n, math.hypot(*errors) / n, sum(floors) / n)
