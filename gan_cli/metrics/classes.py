"""What a classifier says of samples: the score of Salimans 2016, and how they spread over the classes."""

import math
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.datasets.stacked import StackedMnist
from gan_cli.errors import ConfigError
from gan_cli.metrics.base import NAMED, Measured, Metric
from gan_cli.metrics.needs import needs_samples
from gan_cli.metrics.samples import Samples
from gan_cli.metrics.standard_errors import mean_of, share_of
from gan_cli.metrics.subject import Subject
from gan_cli.randomness import stream

PER_CLASS = 15
"""Samples needed per class: with 15, fewer than 1 in 1,000 real sets misses a class; with 10, 1 in 14."""
CONFIDENT = 0.9
"""The probability of a class from which on a classifier is sure of a sample: MNIST's is of 99 % of real digits."""
REDRAWN = 500
"""Histograms drawn anew for a standard error."""


def classifier_score(log_probabilities: Tensor) -> Measured:
    """exp(mean KL(p(y|x) ‖ p(y))), from 1 to the number of classes (Salimans 2016, arXiv 1606.03498, §4).

    Takes shape `(n, classes)`. The mean is over all samples at once. The error is by the delta method: a change of
    p(y) does not change the mean to first order, so that it varies as a mean of independent divergences does.
    """
    shares = log_probabilities.double().exp()
    divergence = mean_of(-torch.special.entr(shares).sum(1) - torch.xlogy(shares, shares.mean(0)).sum(1))
    assert divergence.error is not None
    score = math.exp(divergence.value)
    return Measured(score, score * divergence.error)


def confident_share(log_probabilities: Tensor) -> float:
    """The share of samples, shape `(n, classes)`, one of whose classes has a probability of `CONFIDENT` or more."""
    return (log_probabilities.amax(1) >= math.log(CONFIDENT)).double().mean().item()


def histogram_divergence(counts: Tensor, shares: Tensor, n: float = math.inf) -> Measured:
    """KL(counts ‖ shares) of the classes in nats; infinite, with no error, if a class has a count but no share.

    Both have the shape `(classes,)`; `n` samples gave the shares. The error is by the delta method to second order;
    (K − 1)/2 · (1/N + 1/n)², the second, is all of its square if both are samples of one distribution.
    """
    total, shares = counts.sum().item(), shares.double()
    seen = counts > 0
    if not shares[seen].all():
        return Measured(math.inf)
    p, q = counts[seen] / total, shares[seen]
    logarithms, ratio = (p / q).log(), p / q
    value = (p * logarithms).sum()
    in_counts = (p * (logarithms - value).square()).sum().item()
    in_shares = (q * ratio.square()).sum().item() - 1
    noise = 1 / total + 1 / n
    second = (int((shares > 0).sum()) - 1) / 2 * noise**2
    # The first order is itself computed from samples, which adds twice the second.
    first = max(0.0, in_counts / total + in_shares / n - 2 * second)
    return Measured(value.item(), math.sqrt(first + second))


def largest_share_difference(counts: Tensor, reference: Tensor, seed: int) -> Measured:
    """The largest |difference| of a class's share between two histograms, each of shape `(classes,)`.

    The largest of several differences is above the true one on average, and varies less than one of them. So its error
    is the spread over `REDRAWN` pairs of histograms, drawn from shares whose difference is shrunk by the noise (James &
    Stein 1961). Two samples are added, spread over the classes as in `share_error`. The interval is about what as many
    samples give on average.
    """
    n, m = int(counts.sum()), int(reference.sum())
    p, q = (((of.double() + 2 / len(of)) / (of.sum() + 2)).cpu().numpy() for of in (counts, reference))
    noise = (p * (1 - p) / n + q * (1 - q) / m).sum()
    kept = max(0.0, 1 - noise / max(np.square(p - q).sum(), np.finfo(float).tiny))
    common = (n * p + m * q) / (n + m)
    draws = np.random.default_rng(stream(seed, "histograms"))
    first, second = (
        draws.multinomial(size, common + kept * (shares - common), REDRAWN) / size for size, shares in ((n, p), (m, q))
    )
    difference = (counts.double() / n - reference.double() / m).abs().max().item()
    return Measured(difference, float(np.abs(first - second).max(1).std()))


def log_probabilities_of(samples: Samples) -> Tensor:
    """Log probabilities, shape `(n, classes)`. Raises `ConfigError` if the extractor does not classify."""
    if samples.features.log_probabilities is None:
        raise ConfigError("metric.extractor does not classify: choose another, or metric=[]")
    return samples.features.log_probabilities


def class_counts(samples: Samples) -> Tensor:
    """The number of samples of which each class is the most probable one: shape `(classes,)`, float64."""
    log_probabilities = log_probabilities_of(samples)
    return torch.bincount(log_probabilities.argmax(1), minlength=log_probabilities.shape[1]).double()


class _OfClasses(Metric):
    """A metric of the classes that an extractor sees."""

    looks_at = "classes"

    def __init__(self, samples: Annotated[int, Ge(2)]) -> None:
        self.samples = samples

    def check(self, dataset: Dataset) -> None:
        if len(dataset.sample_shape) != 3:
            raise ValueError("needs images, whose classes an extractor tells: dataset=mnist5k, or metric=[]")
        needs_samples(dataset, 2)


class ClassifierScore(_OfClasses):
    """How sure an extractor is of the classes of generated samples.

    `classifier_score`: the Inception score, by the extractor's classes; `confident_share`: the share of samples one of
    whose classes has a probability of 0.9 or more.
    """

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        generated = log_probabilities_of(subject.fake(self.samples))
        held_out = log_probabilities_of(subject.pair(self.samples)[1])
        score, of_real = classifier_score(generated), classifier_score(held_out)
        return {
            "classifier_score": Measured(score.value, score.error, of_real.value),
            "confident_share": share_of(confident_share(generated), len(generated), confident_share(held_out)),
        }


class ClassHistogram(_OfClasses):
    """How the most probable classes of generated samples are spread, beside those of real ones.

    `class_kl`: KL(generated ‖ real) in nats; `class_share_difference`: the largest of any class; `classes_seen`; and
    `class_share_<i>` of each class, if there are at most 20.

    `class_kl` is infinite if a generated sample has a class that no real one has. With 1,000 classes even real samples
    miss some (5,000 stacked MNIST samples miss 7 on average), so small n is refused. Inception's 1,008 classes are so
    unequal that `class_kl` may be infinite at any n, for held-out real samples too.
    """

    def check(self, dataset: Dataset) -> None:
        super().check(dataset)
        enough = PER_CLASS * len(StackedMnist.classes)
        if isinstance(dataset, StackedMnist) and self.samples < enough:
            raise ValueError(
                f"samples={self.samples} must be at least {enough}, {PER_CLASS} of each class, or metric=stacked_modes"
            )

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        fake, reference = class_counts(subject.fake(self.samples)), class_counts(subject.reference(self.samples))
        numbers = _compared(fake, reference, subject.seed)
        first, second = map(class_counts, subject.pair(self.samples))
        of_real = _compared(second, first, subject.seed)
        return {name: Measured(of.value, of.error, of_real[name].value) for name, of in numbers.items()}


def _compared(counts: Tensor, reference: Tensor, seed: int) -> dict[str, Measured]:
    numbers = {
        "class_kl": histogram_divergence(counts, reference / reference.sum(), reference.sum().item()),
        "class_share_difference": largest_share_difference(counts, reference, seed),
        "classes_seen": Measured(int((counts > 0).sum())),
    }
    if len(counts) <= NAMED:
        n = int(counts.sum())
        numbers |= {f"class_share_{i}": share_of(count / n, n) for i, count in enumerate(counts.tolist())}
    return numbers


class StackedModes(_OfClasses):
    """`modes`, the classes seen of many equally frequent ones, and `mode_kl`, KL(generated ‖ uniform) in nats.

    The definitions are VEEGAN's (arXiv 1705.07761 §4.2). N samples of K equally frequent classes have a `mode_kl` of
    (K − 1)/2N on average and a little more: 0.0196 for N = 26,000 and K = 1,000. MNIST's digits are not equally
    frequent, which adds 0.004 for three of them.
    """

    def check(self, dataset: Dataset) -> None:
        if not isinstance(dataset, StackedMnist):
            raise ValueError("needs a thousand classes: dataset=stacked_mnist, or metric=class_histogram")

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        counts = class_counts(subject.fake(self.samples))
        if len(counts) != len(StackedMnist.classes):
            raise ConfigError(f"metric.extractor tells {len(counts)} classes: choose metric/extractor=mnist")
        held_out = class_counts(subject.pair(self.samples)[1])
        uniform = torch.full_like(counts, 1 / len(counts))
        divergence = histogram_divergence(counts, uniform)
        return {
            "modes": Measured(int((counts > 0).sum()), real=int((held_out > 0).sum())),
            "mode_kl": Measured(divergence.value, divergence.error, histogram_divergence(held_out, uniform).value),
        }
