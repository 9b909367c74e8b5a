"""A classifier of one's own as an extractor."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli.classifiers.base import OpenClassifier
from gan_cli.datasets.base import Dataset, resized, to_unit_range
from gan_cli.metrics.extractors.base import Extractor, Features


class TrainedClassifier(Extractor):
    """The last hidden layer and the class probabilities of a run of `gan-classify`.

    Images of another size than those that it was trained on are resized; colours must be as they were.
    """

    classifies = True

    def __init__(self, run: str, open_classifier: OpenClassifier) -> None:
        self._trained = open_classifier(run)

    def class_names(self, sample_shape: tuple[int, ...]) -> Sequence[str]:
        return self._trained.classes

    def digest(self) -> str:
        return self._trained.sha256

    def check(self, dataset: Dataset) -> None:
        channels = self._trained.sample_shape[0]
        if len(dataset.sample_shape) != 3 or dataset.sample_shape[0] != channels:
            raise ValueError(
                f"this classifier takes images of {channels} channel{'s' * (channels > 1)}, and dataset has samples of"
                f" shape {tuple(dataset.sample_shape)}: train one for them with gan-classify, or choose"
                " metric/extractor=raw"
            )

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Features:
        if (side := self._trained.sample_shape[-1]) != samples.shape[-1]:
            samples = resized(samples, side)
        network = self._trained.network.to(samples.device)
        vectors = network.features(to_unit_range(samples))
        return Features(vectors, network.head(vectors).log_softmax(1))
