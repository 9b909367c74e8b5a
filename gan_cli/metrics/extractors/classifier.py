"""The classifiers that come with the program, whose features stand in for Inception's on small pictures."""

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import ClassVar, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gan_cli.classifiers import base as classifiers
from gan_cli.classifiers.airbench import AirBench
from gan_cli.classifiers.small_cnn import SmallCNN
from gan_cli.datasets.base import Dataset, resized, to_unit_range
from gan_cli.datasets.images import CLOTHES, DIGITS
from gan_cli.errors import ConfigError, NeedsError
from gan_cli.files import file_digest
from gan_cli.metrics.extractors.base import Extractor, Features

WEIGHTS = Path(__file__).parent / "weights"

SHOWN = {"mnist": "digits", "fashion_mnist": "clothes", "cifar10": "CIFAR-10's animals and vehicles"}
"""What the pictures show that the networks were trained on."""

ANIMALS_AND_VEHICLES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

NAMES = {"mnist": DIGITS, "fashion_mnist": CLOTHES, "cifar10": ANIMALS_AND_VEHICLES}
"""The classes that they tell."""


class Classifier(Extractor):
    """128 pooled features and ten class probabilities of a grey picture; the channels of a stack are judged one by one.

    The features of the channels stand side by side; a class is one class of each channel, 1,000 for three channels.
    """

    classifies = True

    colours: ClassVar[str] = "grey"
    channels: ClassVar[int] = 1
    side: ClassVar[int] = 28
    """Of the pictures that the network was trained on, in pixels."""

    def __init__(self, weights: Literal["mnist", "fashion_mnist", "cifar10"], sha256: str) -> None:
        self.weights = weights
        self.made_for = SHOWN[weights]
        self.path = WEIGHTS / f"{weights}.safetensors"
        self.sha256 = sha256

    def class_names(self, sample_shape: tuple[int, ...]) -> Sequence[str]:
        of_one = NAMES[self.weights]
        pictures = sample_shape[0] // self.channels
        return of_one if pictures == 1 else ["".join(names) for names in product(of_one, repeat=pictures)]

    def digest(self) -> str:
        return self.sha256

    def check(self, dataset: Dataset) -> None:
        if len(dataset.sample_shape) != 3:
            raise ValueError("needs images: choose metric/extractor=raw")
        channels = dataset.sample_shape[0]
        if channels != self.channels and not (dataset.is_stacked and self.channels == 1):
            raise NeedsError(
                f"weights={self.weights} were made for {self.made_for} in {self.colours}, and these images have"
                f" {channels} channel{'s' * (channels > 1)}",
                "metric/extractor",
                lambda of: not issubclass(of, Classifier) or of.channels == channels,
            )

    @cached_property
    def _network(self) -> classifiers.Classifier:
        try:
            digest = file_digest(self.path)
            weights = load_file(self.path)
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"{self.path} cannot be read ({error}): reinstall gan-cli") from error
        if digest != self.sha256:
            raise ConfigError(f"{self.path} is not the file of metric.extractor.sha256: reinstall gan-cli")
        network = self._untrained((self.channels, self.side, self.side), len(NAMES[self.weights]))
        missing, unexpected = network.load_state_dict(weights, strict=False)
        assert not unexpected
        assert all(name.endswith("num_batches_tracked") for name in missing)  # these play no part in evaluation
        return network.eval().to(memory_format=torch.channels_last)

    def _untrained(self, sample_shape: tuple[int, ...], class_count: int) -> classifiers.Classifier:
        """The network that the weights are of."""
        return SmallCNN(sample_shape, class_count, width=32, dropout=0.0)

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Features:
        n, channels, *size = samples.shape
        stacked = channels // self.channels
        pictures = samples.reshape(n * stacked, self.channels, *size)
        if pictures.shape[-1] != self.side:
            pictures = resized(pictures, self.side)
        network = self._network.to(samples.device)
        vectors = network.features(to_unit_range(pictures))
        logs = network.head(vectors).log_softmax(1).reshape(n, stacked, -1)
        joint = logs[:, 0]
        for channel in range(1, stacked):  # the classes of independent channels multiply
            joint = (joint[:, :, None] + logs[:, channel, None, :]).flatten(1)
        return Features(vectors.reshape(n, -1), joint)


class ColourClassifier(Classifier):
    """128 pooled features and ten class probabilities of a picture in colour."""

    colours = "colour"
    channels = 3
    side = 32

    def __init__(self, weights: Literal["cifar10"], sha256: str) -> None:
        super().__init__(weights, sha256)

    def _untrained(self, sample_shape: tuple[int, ...], class_count: int) -> classifiers.Classifier:
        return AirBench(sample_shape, class_count, widths=[40, 144, 128], dropout=0.0)
