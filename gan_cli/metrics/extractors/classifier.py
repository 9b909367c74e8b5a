"""The classifiers that come with the program, whose features stand in for Inception's on small grey pictures."""

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gan_cli.classifiers.small_cnn import SmallCNN
from gan_cli.datasets.base import Dataset, resized, to_unit_range
from gan_cli.datasets.images import CLOTHES, DIGITS
from gan_cli.errors import ConfigError, NeedsError
from gan_cli.files import file_digest
from gan_cli.metrics.extractors.base import Extractor, Features

WEIGHTS = Path(__file__).parent / "weights"

SHOWN = {"mnist": "digits", "fashion_mnist": "clothes"}
"""What the pictures show that the networks were trained on."""

NAMES = {"mnist": DIGITS, "fashion_mnist": CLOTHES}
"""The classes that they tell."""

SIDE = 28
"""The side, in pixels, of the pictures that the networks were trained on."""

WIDTH = 32
"""The networks' channels at full size; they have four times as many features."""


class Classifier(Extractor):
    """128 pooled features and ten class probabilities of a grey picture; the channels of a stack are judged one by one.

    The features of the channels stand side by side; a class is one class of each channel, 1,000 for three channels.
    """

    classifies = True

    def __init__(self, weights: Literal["mnist", "fashion_mnist"], sha256: str) -> None:
        self.weights = weights
        self.made_for = SHOWN[weights]
        self.path = WEIGHTS / f"{weights}.safetensors"
        self.sha256 = sha256

    def class_names(self, sample_shape: tuple[int, ...]) -> Sequence[str]:
        of_one = NAMES[self.weights]
        if sample_shape[0] == 1:
            return of_one
        return ["".join(names) for names in product(of_one, repeat=sample_shape[0])]

    def digest(self) -> str:
        return self.sha256

    def check(self, dataset: Dataset) -> None:
        if len(dataset.sample_shape) != 3:
            raise ValueError("needs images: choose metric/extractor=raw")
        channels = dataset.sample_shape[0]
        if channels != 1 and not dataset.is_stacked:
            raise NeedsError(
                f"weights={self.weights} were made for grey {self.made_for}, and these images have {channels} channels",
                "metric/extractor",
                lambda of: not issubclass(of, Classifier),
            )

    @cached_property
    def _network(self) -> SmallCNN:
        try:
            digest = file_digest(self.path)
            weights = load_file(self.path)
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"{self.path} cannot be read ({error}): reinstall gan-cli") from error
        if digest != self.sha256:
            raise ConfigError(f"{self.path} is not the file of metric.extractor.sha256: reinstall gan-cli")
        network = SmallCNN((1, SIDE, SIDE), len(NAMES[self.weights]), WIDTH, dropout=0.0)
        missing, unexpected = network.load_state_dict(weights, strict=False)
        assert not unexpected
        assert all(name.endswith("num_batches_tracked") for name in missing)  # these play no part in evaluation
        return network.eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Features:
        n, channels, *_ = samples.shape
        pictures = samples.reshape(n * channels, 1, *samples.shape[2:])
        if pictures.shape[-1] != SIDE:
            pictures = resized(pictures, SIDE)
        network = self._network.to(samples.device)
        vectors = network.features(to_unit_range(pictures))
        logs = network.head(vectors).log_softmax(1).reshape(n, channels, -1)
        joint = logs[:, 0]
        for channel in range(1, channels):  # the classes of independent channels multiply
            joint = (joint[:, :, None] + logs[:, channel, None, :]).flatten(1)
        return Features(vectors.reshape(n, -1), joint)
