"""No extractor: the samples themselves."""

from torch import Tensor

from gan_cli.metrics.extractors.base import Extractor, Features


class Raw(Extractor):
    """Points as they are; images as their pixels in [0, 1]."""

    classifies = False

    def digest(self) -> None:
        return None

    def __call__(self, samples: Tensor) -> Features:
        scale = 255 if samples.dim() == 4 else 1
        return Features(samples.flatten(1).float() / scale, None)
