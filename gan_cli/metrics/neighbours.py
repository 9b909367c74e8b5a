"""Whether a generator copies: how near its samples lie to training images, beside images that it never saw."""

from weakref import WeakKeyDictionary

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gan_cli import pictures
from gan_cli.datasets.base import Dataset
from gan_cli.divergences.base import Divergence
from gan_cli.metrics.arguments import at_least, needs_images, needs_samples
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.distances import centred_pixels, row_blocks, squared_pixel_distances
from gan_cli.metrics.standard_errors import bootstrap
from gan_cli.metrics.subject import Samples, Subject

SHOWN, BESIDE = 16, 3
"""Samples in the picture, and the nearest training images of each."""

BOOTSTRAPS = 200


def nearest(x: Tensor, training: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest L2 distances of uint8 images, pixels in [0, 1], to training images, and to which: `(n, k)`."""
    pixels, start = centred_pixels(x), 0
    best = torch.empty(len(x), 0, dtype=torch.float64, device=x.device)
    at = torch.empty(len(x), 0, dtype=torch.int64, device=x.device)
    for block in row_blocks(training, len(x)):
        near = squared_pixel_distances(pixels, centred_pixels(block)).topk(min(k, len(block)), largest=False)
        best, kept = torch.cat([best, near.values], 1).topk(min(k, best.shape[1] + len(block)), largest=False)
        at = torch.cat([at, near.indices + start], 1).gather(1, kept)
        start += len(block)
    return best.sqrt(), at


def nearness(fake: Tensor, held_out: Tensor, quantile: float) -> Tensor:
    """Two numbers about distances to the nearest training image, shapes `(n,)` and `(m,)`.

    The share of generated samples that are at most as far as the nearest `quantile` of the held-out ones, and the
    probability that a generated one is nearer than a held-out one, ties counted half (Mann & Whitney 1947).
    """
    held_out = held_out.sort().values
    threshold = held_out[max(0, round(quantile * len(held_out)) - 1)]
    beyond = len(held_out) - torch.searchsorted(held_out, fake, right=True)
    not_nearer = len(held_out) - torch.searchsorted(held_out, fake)
    closer = (beyond + not_nearer).double().mean() / (2 * len(held_out))
    return torch.stack([(fake <= threshold).double().mean(), closer])


class Neighbours(Metric):
    """How many generated samples are suspiciously near to training images, in pixels.

    `memorised_share`: those at least as near as the nearest `quantile` of the held-out images, which is about what
    fresh real samples have. `closer_than_held_out`: the probability that a sample is nearer to its nearest training
    image than a held-out image is to its own; ½ of fresh real samples, 1 of copies. Errors by the bootstrap over
    samples and held-out images. `real` compares either half of the held-out images with the other.

    Where no image is held out, training images stand in, each with its distance to the nearest of the others.
    """

    def __init__(self, samples: int, quantile: float) -> None:
        at_least(1, samples=samples)
        if not 0 < quantile < 1:
            raise ValueError(f"quantile={quantile} must be between 0 and 1")
        self.samples = samples
        self.quantile = quantile
        # Those of the held-out images are the same at every step, and the picture asks once more for all.
        self._known: WeakKeyDictionary[Samples, Tensor] = WeakKeyDictionary()

    def check(self, dataset: Dataset, divergence: Divergence) -> None:
        needs_samples(needs_images(dataset), 2)

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        fake, held_out = self._of_fake(subject), self._of_held_out(subject)
        errors = self._errors(fake, held_out, subject.seed)
        first, second = held_out.tensor_split(2)
        real = (nearness(first, second, self.quantile) + nearness(second, first, self.quantile)) / 2
        values = nearness(fake, held_out, self.quantile)
        numbers = [Measured(*of) for of in zip(values.tolist(), errors.tolist(), real.tolist(), strict=True)]
        return dict(zip(("memorised_share", "closer_than_held_out"), numbers, strict=True))

    def _errors(self, fake: Tensor, held_out: Tensor, seed: int) -> Tensor:
        def resampled(fake_counts: Tensor, held_out_counts: Tensor) -> Tensor:
            chosen = held_out.repeat_interleave(held_out_counts)
            return nearness(fake.repeat_interleave(fake_counts), chosen, self.quantile)

        return bootstrap(resampled, (len(fake), len(held_out)), BOOTSTRAPS, seed, fake.device)

    def picture(self, subject: Subject) -> bytes:
        """The samples nearest to training images, each over the training images nearest to it."""
        distances = self._of_fake(subject)
        _, suspects = distances.topk(min(SHOWN, len(distances)), largest=False)
        images, training = subject.fake(self.samples).raw[suspects], subject.real.trained_on()
        distances, at = nearest(images, training, BESIDE)
        title = f"the {len(images)} of {self.samples:,} samples that are nearest to training images"
        return _columns(images, training[at], distances, title)

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
        """Of each sample to the training image of this rank among the nearest."""
        if samples not in self._known:
            self._known[samples] = nearest(samples.raw, training, rank)[0][:, -1].contiguous()
        return self._known[samples]


def _columns(samples: Tensor, beside: Tensor, distances: Tensor, title: str) -> bytes:
    """A PNG: each sample, `(n, channels, h, w)`, over its nearest `(n, k, channels, h, w)` with their distances."""
    figure = Figure(figsize=(0.7 * len(samples) + 1.2, 0.95 * (1 + beside.shape[1]) + 0.6), layout="constrained")
    figure.suptitle(f"{title}; L2 distance of pixels in [0, 1]", fontsize=9)
    panels = figure.subplots(1 + beside.shape[1], len(samples), squeeze=False)
    for row, images in enumerate([samples, *beside.unbind(1)]):
        for column, image in enumerate(images):
            axes = panels[row, column]
            axes.imshow(pictures.as_picture(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            if row:
                axes.set_title(f"{distances[column, row - 1]:.2f}", fontsize=7, pad=2)
        label = "sample" if row == 0 else "nearest" if row == 1 else f"{row}."
        panels[row, 0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center")
    return pictures.png(figure)
