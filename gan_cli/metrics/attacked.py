"""How often an attack succeeds against a classifier, and how sure the classifier then is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gan_cli.attacks.base import Attack
from gan_cli.attacks.examples import evaluating, examples
from gan_cli.classifiers.base import Classifier
from gan_cli.datasets.base import to_unit_range
from gan_cli.metrics.base import Measured
from gan_cli.metrics.standard_errors import mean_of, share_of
from gan_cli.randomness import begin, torchs_own

CHUNK = 250
"""Images attacked together; the random numbers of a chunk depend on the seed and its first image alone."""

Parts = Callable[[Iterable[int]], Iterable[int]]
"""What goes through the first images of the chunks, such as a progress bar."""


@dataclass(frozen=True)
class Attacked:
    """What became of images, on the CPU."""

    images: Tensor
    """As the classifier was shown them, in [−1, 1] unless pixels may leave the range."""
    log_probabilities: Tensor
    """From one fresh prediction of these, shape `(n, classes)`."""
    succeeded: Tensor
    """Shape `(n,)`."""


def attacked(
    attack: Attack,
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    target: int | None = None,
    seed: int = 0,
    as_bytes: bool = False,
    parts: Parts = iter,
) -> Attacked:
    """Attack uint8 images `(n, channels, height, width)` of true classes `labels`, on the classifier's device.

    Our own attacks spend the whole budget on every image, also on one that is wrong already. With `as_bytes` the
    classifier judges images of 8 bits a pixel, as a file would hold them, rounded towards the original and so within
    the budget.
    """
    device = next(classifier.parameters()).device
    done = []
    for chunk in chunks(len(images), device, seed, "attack", parts):
        originals = to_unit_range(images[chunk].to(device)).contiguous(memory_format=torch.channels_last)
        truth = labels[chunk].to(device)
        changed = examples(attack, classifier, originals, truth, target)
        if as_bytes:
            changed = to_unit_range(as_bytes_within(changed, images[chunk].to(device)))
        with torch.no_grad(), evaluating(classifier):
            shares = classifier(changed.contiguous(memory_format=torch.channels_last)).float().log_softmax(1)
        done.append((changed.cpu(), shares.cpu(), attack.succeeds(shares, truth, target).cpu()))
    return Attacked(*map(torch.cat, zip(*done, strict=True)))


def chunks(n: int, device: torch.device, seed: int, name: str, parts: Parts = iter) -> Iterator[slice]:
    """The places of `n` images chunk by chunk; torch's own streams begin anew with each, as `name` has them."""
    for first in parts(range(0, n, CHUNK)):
        for generator in torchs_own(device):
            begin(generator, seed, name, first)
        yield slice(first, first + CHUNK)


def as_bytes_within(changed: Tensor, originals: Tensor) -> Tensor:
    """Images in [−1, 1] as uint8, each pixel rounded towards that of the uint8 original."""
    pixels, before = (changed.clamp(-1, 1) + 1) * 127.5, originals.float()
    # float32 misses a whole number by far less than this, and no budget is meant so exactly.
    least = 1e-3
    return torch.where(pixels > before, (pixels + least).floor(), (pixels - least).ceil()).to(torch.uint8)


def attack_numbers(found: Attacked, name: str) -> dict[str, Measured]:
    """`error/<name>`, the share of images whose attack succeeds, and `confidence/<name>`.

    The confidence is the mean of the largest probability over the images whose attack succeeds; none without any.
    """
    numbers = {f"error/{name}": share_of(found.succeeded.double().mean().item(), len(found.succeeded))}
    if found.succeeded.any():
        sure = mean_of(found.log_probabilities[found.succeeded].exp().amax(1))
        # A single number, or equal ones, do not tell how far others lie.
        numbers[f"confidence/{name}"] = replace(sure, error=sure.error or None)
    return numbers
