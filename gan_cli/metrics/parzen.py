"""The log-likelihood of test images under a Parzen window about generated ones, by two protocols of the literature."""

import logging
import math
from abc import abstractmethod
from typing import Annotated, ClassVar
from weakref import WeakKeyDictionary

import torch
from annotated_types import Ge
from torch import Tensor

from gan_cli.datasets.base import Dataset, Images
from gan_cli.errors import NeedsError
from gan_cli.metrics.base import Measured, Metric
from gan_cli.metrics.distances import centred_pixels, row_blocks, squared_pixel_distances
from gan_cli.metrics.needs import needs_images, needs_samples
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.standard_errors import mean_of
from gan_cli.metrics.subject import Subject
from gan_cli.randomness import stream

logger = logging.getLogger(__name__)

TEST = 10_000
TRAINING, VALIDATION = slice(0, 50_000), slice(50_000, 51_000)
GOODFELLOW_BANDWIDTHS: list[float] = torch.logspace(-1, 0, 10, dtype=torch.float64).tolist()
FGAN_BANDWIDTHS: list[float] = torch.logspace(-2, 0, 96, dtype=torch.float64).tolist()
"""The paper names none. Neighbours are 5 % apart: steps of 26 % move the number of a weak model by hundreds of nats.

None above 1 is best, because pixels in [0, 1] are at most 1 apart; only samples that hardly differ want one below 0.01.
"""
FOLDS = 3


def log_likelihoods(squared: Tensor, bandwidths: list[float], dimensions: int) -> Tensor:
    """log 1/n Σᵢ N(x; xᵢ, h² I) in nats, of points with squared distances `(m, n)` to n centres: `(m, bandwidths)`."""
    nearest = squared.min(dim=1, keepdim=True).values
    beyond = (squared - nearest).float()  # a sum of at most n terms, each at most 1, needs no float64
    # Terms of e⁻⁸⁰ count for nothing; smaller ones would be denormal numbers, which take seven times as long.
    sums = torch.stack([beyond.mul(-1 / (2 * h**2)).clamp_(min=-80).exp_().sum(1) for h in bandwidths], dim=1).double()
    h = torch.tensor(bandwidths, dtype=torch.float64, device=squared.device)
    normaliser = math.log(squared.shape[1]) + dimensions * (h.log() + math.log(2 * math.pi) / 2)
    return sums.log() - nearest / (2 * h.square()) - normaliser


def parzen(x: Tensor, centres: Tensor, bandwidths: list[float]) -> Tensor:
    """The log-likelihood in nats of each uint8 image, pixels in [0, 1], under centres: shape `(len(x), bandwidths)`."""
    known, dimensions = centred_pixels(centres), centres[0].numel()
    blocks = (squared_pixel_distances(centred_pixels(block), known) for block in row_blocks(x, len(centres)))
    return torch.cat([log_likelihoods(block, bandwidths, dimensions) for block in blocks])


def best_of_validation(validation: Tensor, centres: Tensor) -> float:
    """The bandwidth under which validation images are likeliest (Goodfellow 2014, arXiv 1406.2661, §5, and code)."""
    means = parzen(validation, centres, GOODFELLOW_BANDWIDTHS).mean(0)
    return GOODFELLOW_BANDWIDTHS[int(means.argmax())]


def cross_validated(centres: Tensor) -> Tensor:
    """The mean log-likelihood of each third of the centres given the others, by bandwidth (f-GAN, arXiv 1606.00709)."""
    folds = centres.tensor_split(FOLDS)
    others = [torch.cat([*folds[:i], *folds[i + 1 :]]) for i in range(FOLDS)]
    likelihoods = [parzen(fold, rest, FGAN_BANDWIDTHS) for fold, rest in zip(folds, others, strict=True)]
    return torch.cat(likelihoods).mean(0)


def best_of_folds(centres: Tensor) -> float:
    """The bandwidth under which each third of the centres is likeliest given the others."""
    return FGAN_BANDWIDTHS[int(cross_validated(centres).argmax())]


def _has_test_images(kind: type) -> bool:
    return issubclass(kind, Images) and kind.other_split is not Dataset.other_split


class _Parzen(Metric):
    """The mean over test images; the error is the standard error of that mean, for the samples and the bandwidth given.

    `real` has as many training images in the place of the samples, with the bandwidth that suits them: what perfect
    samples get. Samples are rounded to 256 levels as their files are, which is 0.03 nats for 28 × 28 pixels at a
    bandwidth of 0.15.
    """

    uses_split = False

    protocol: ClassVar[str]
    bandwidths: ClassVar[list[float]]
    training: ClassVar[slice]
    """The training images that may stand in the place of samples."""

    def __init__(self, samples: Annotated[int, Ge(FOLDS)]) -> None:
        self.samples = samples
        # What real images get is the same at every step.
        self._known: WeakKeyDictionary[RealSamples, tuple[Measured, float, int]] = WeakKeyDictionary()

    def check(self, dataset: Dataset) -> None:
        if not isinstance(needs_images(dataset).other_split(), Images):
            raise NeedsError("needs images with a test split", "dataset", _has_test_images)
        needs_samples(dataset, 2)

    @abstractmethod
    def bandwidth(self, centres: Tensor, real: RealSamples) -> float:
        """The best of `bandwidths` for these centres, by the protocol."""

    def __call__(self, subject: Subject) -> dict[str, Measured]:
        fake, real, test = subject.fake(self.samples).raw, subject.real, subject.real.never_seen(TEST)
        assert test is not None
        if real not in self._known:
            centres = self._real_centres(real)
            self._known[real] = *self._measured(centres, real, test.raw), len(centres)
        (mean, bandwidth), (of_real, bandwidth_of_real, count) = self._measured(fake, real, test.raw), self._known[real]
        subject.drawn.update(real=count, held_out=len(test))
        if bandwidth in (self.bandwidths[0], self.bandwidths[-1]):
            logger.warning(
                "log_likelihood_%s: the bandwidth is %.4g, at an end of its grid: one beyond may be better",
                self.protocol,
                bandwidth,
            )
        return {
            f"log_likelihood_{self.protocol}": Measured(mean.value, mean.error, of_real.value),
            f"bandwidth_{self.protocol}": Measured(bandwidth, real=bandwidth_of_real),
        }

    def _real_centres(self, real: RealSamples) -> Tensor:
        """As many training images as there are samples, or all if there are fewer."""
        images = real.trained_on()[self.training]
        # Drawn on the CPU, for the same images everywhere.
        source = torch.Generator().manual_seed(stream(real.seed, "parzen"))
        return images[torch.randperm(len(images), generator=source)[: self.samples].to(images.device)]

    def _measured(self, centres: Tensor, real: RealSamples, test: Tensor) -> tuple[Measured, float]:
        bandwidth = self.bandwidth(centres, real)
        return mean_of(parzen(test, centres, [bandwidth])[:, 0]), bandwidth


class GoodfellowLogLikelihood(_Parzen):
    """`log_likelihood_goodfellow` in nats, with the `bandwidth_goodfellow` that suits some training images best.

    The bandwidth is the best of ten on images 50,000–50,999.
    """

    protocol = "goodfellow"
    bandwidths = GOODFELLOW_BANDWIDTHS
    training = TRAINING

    def check(self, dataset: Dataset) -> None:
        super().check(dataset)
        images = needs_images(dataset)
        if len(images) < 60_000:
            raise ValueError(f"needs 60,000 training images, and there are {len(images)}: choose metric=parzen_fgan")

    def bandwidth(self, centres: Tensor, real: RealSamples) -> float:
        return best_of_validation(real.trained_on()[VALIDATION], centres)


class FganLogLikelihood(_Parzen):
    """`log_likelihood_fgan` in nats, with the `bandwidth_fgan` that suits the samples best by three-fold validation.

    The bandwidth is the best of 96.
    """

    protocol = "fgan"
    bandwidths = FGAN_BANDWIDTHS
    training = slice(None)

    def bandwidth(self, centres: Tensor, real: RealSamples) -> float:
        return best_of_folds(centres)
