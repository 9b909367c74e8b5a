"""Whether a generator copies: how near its samples lie to training images, beside images that it never saw."""

import math
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset, Images
from gan_cli.metrics.base import Gallery, Measured, Metric
from gan_cli.metrics.distances import centred_pixels, row_blocks, squared_pixel_distances
from gan_cli.metrics.needs import needs_images
from gan_cli.metrics.samples import Samples
from gan_cli.metrics.standard_errors import bootstrap
from gan_cli.metrics.subject import Subject
from gan_cli.ranges import Count, Share

SHOWN, BESIDE = 16, 3
"""Samples in the picture, and the nearest training images of each."""

BOOTSTRAPS = 200


def nearest(x: Tensor, training: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest L2 distances of uint8 images to training ones, pixels in [0, 1], and to which: both `(n, k)`."""
    pixels, start = centred_pixels(x), 0
    best = torch.empty(len(x), 0, dtype=torch.float64, device=x.device)
    at = torch.empty(len(x), 0, dtype=torch.int64, device=x.device)
    for block in row_blocks(training, len(x)):
        near = squared_pixel_distances(pixels, centred_pixels(block)).topk(min(k, len(block)), largest=False)
        best, kept = torch.cat([best, near.values], 1).topk(min(k, best.shape[1] + len(block)), largest=False)
        at = torch.cat([at, near.indices + start], 1).gather(1, kept)
        start += len(block)
    return best.sqrt(), at


def memorised(fake: Tensor, held_out: Tensor, quantile: float) -> Tensor:
    """The share of samples at most as far from training images as the nearest `quantile` of held-out ones.

    Takes distances, shapes `(n,)` and `(m,)`.
    """
    threshold = held_out.sort().values[max(0, round(quantile * len(held_out)) - 1)]
    return (fake <= threshold).double().mean()


def closer(fake: Tensor, held_out: Tensor) -> Tensor:
    """The probability that the distance of a sample is below that of a held-out image (Mann & Whitney 1947).

    Ties count half. Shapes `(n,)` and `(m,)`.
    """
    held_out = held_out.sort().values
    beyond = len(held_out) - torch.searchsorted(held_out, fake, right=True)
    not_nearer = len(held_out) - torch.searchsorted(held_out, fake)
    return (beyond + not_nearer).double().mean() / (2 * len(held_out))


def nearness(fake: Tensor, held_out: Tensor, quantile: float) -> list[float]:
    """`memorised` and `closer` of distances of shapes `(n,)` and `(m,)`."""
    return [memorised(fake, held_out, quantile).item(), closer(fake, held_out).item()]


def standard_errors(fake: Tensor, held_out: Tensor, quantile: float, seed: int) -> list[float]:
    """The standard errors of `nearness`, bootstrapped over both sides."""
    # Two more stand at either end, as in `share_error`: resamples of nothing but copies would be all alike.
    ends = fake.new_tensor([-math.inf, -math.inf, math.inf, math.inf])
    more_fake, more_held_out = torch.cat([fake, ends]), torch.cat([held_out, ends])

    def resampled(fake_counts: Tensor, held_out_counts: Tensor, more_held_out_counts: Tensor) -> Tensor:
        chosen = more_fake.repeat_interleave(fake_counts)
        share = memorised(chosen, held_out.repeat_interleave(held_out_counts), quantile)
        return torch.stack([share, closer(chosen, more_held_out.repeat_interleave(more_held_out_counts))])

    sizes = (len(more_fake), len(held_out), len(more_held_out))
    errors: list[float] = bootstrap(resampled, sizes, BOOTSTRAPS, seed, fake.device).tolist()
    return errors


class Neighbours(Metric):
    """How many generated samples are suspiciously near to training images, in pixels.

    - `memorised_share`: the share at least as near as the nearest `quantile` of m held-out images. Copies give 1, fresh
      real images round(quantile · m) / (m + 1) on average, about `quantile` if that is some images.
    - `closer_than_held_out`: the probability that a sample is nearer to its nearest training image than a held-out
      image is to its own. Copies give 1, fresh real images ½.
    - `real` compares one half of the held-out images with the other, so each half must have 1/quantile of them.

    The errors are bootstrapped over samples and held-out images. If no image is held out, training images stand in,
    each with its distance to the nearest of the others. Fresh images then give less than ½, because training images
    have relatives among them, such as digits of the same writer: MNIST's 10,000 test images beside mnist5k give 0.46.
    """

    uses_split = False

    def __init__(self, samples: Count, quantile: Share) -> None:
        self.samples = samples
        self.quantile = quantile
        # The distances of held-out images are the same at every step, and the picture asks again for the others.
        self._known: WeakKeyDictionary[Samples, Tensor] = WeakKeyDictionary()

    def check(self, dataset: Dataset) -> None:
        images = needs_images(dataset)
        other = images.other_split()
        held_out, needed = len(other if isinstance(other, Images) else images), 2 * math.ceil(1 / self.quantile)
        if min(self.samples, held_out) < needed:
            raise ValueError(
                f"samples={self.samples} of {held_out} images held out: quantile={self.quantile} needs {needed} of "
                "them, or choose metric=[]"
            )

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        subject.drawn["training"] = len(subject.real.trained_on())
        fake, held_out = self._of_fake(subject), self._of_held_out(subject)
        errors = standard_errors(fake, held_out, self.quantile, subject.seed)
        first, second = held_out.tensor_split(2)
        values, real = nearness(fake, held_out, self.quantile), nearness(first, second, self.quantile)
        numbers = [Measured(*of) for of in zip(values, errors, real, strict=True)]
        return dict(zip(("memorised_share", "closer_than_held_out"), numbers, strict=True))

    def picture(self, subject: Subject) -> Gallery:
        """The samples nearest to training images, each over the training images nearest to it."""
        of_all = self._of_fake(subject)
        _, suspects = of_all.topk(min(SHOWN, len(of_all)), largest=False)
        images, training = subject.fake(self.samples).at(suspects), subject.real.trained_on()
        distances, at = nearest(images, training, BESIDE)
        labels = ["nearest", *(f"{rank}." for rank in range(2, at.shape[1] + 1))]
        return Gallery(
            f"the {len(images)} of {len(of_all):,} samples that are nearest to training images;"
            " L2 distance of pixels in [0, 1]",
            {"sample": images} | dict(zip(labels, training[at].unbind(1), strict=True)),
            {
                label: [f"{distance:.2f}" for distance in column]
                for label, column in zip(labels, distances.T.tolist(), strict=True)
            },
        )

    def _of_fake(self, subject: Subject) -> Tensor:
        return self._distances(subject.fake(self.samples), subject.real.trained_on(), 1)

    def _of_held_out(self, subject: Subject) -> Tensor:
        held_out = subject.real.never_seen(self.samples)
        rank = 1
        if held_out is None:
            held_out, rank = subject.reference(self.samples), 2  # the nearest of all is the image itself
        subject.drawn["held_out"] = len(held_out)
        return self._distances(held_out, subject.real.trained_on(), rank)

    def _distances(self, samples: Samples, training: Tensor, rank: int) -> Tensor:
        """The distance of each sample to the training image of this rank among the nearest."""
        if samples not in self._known:
            parts = (nearest(part, training, rank)[0][:, -1] for part in samples.parts())
            self._known[samples] = torch.cat(list(parts))
        return self._known[samples]
