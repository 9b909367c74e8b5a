"""Inception v3 as the literature's Fréchet distances use it, through torch-fidelity."""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_cli.datasets.base import Dataset
from gan_cli.errors import ConfigError
from gan_cli.files import file_digest
from gan_cli.metrics.extractors.base import Extractor, Features

logger = logging.getLogger(__name__)

FEATURES = 2048


class Inception(Extractor):
    """The 2,048 pooled features and the class probabilities of the network of 2015-12-05, converted from TensorFlow.

    The weights are read from `weights`, or downloaded once. Grey images are shown in three equal channels.
    """

    classifies = True

    def __init__(self, weights: str | None) -> None:
        self.weights = None if weights is None else Path(weights).expanduser()
        if self.weights is not None and not self.weights.is_file():
            raise ValueError(
                f"weights={weights} is not a file: name that of torch-fidelity's Inception, or null to download it"
            )

    def digest(self) -> str:
        return file_digest(self._file)

    def check(self, dataset: Dataset) -> None:
        if len(dataset.sample_shape) != 3 or dataset.sample_shape[0] not in (1, 3):
            raise ValueError("needs images of one or three channels: choose metric/extractor=raw")

    def dimensions(self, sample_shape: tuple[int, ...]) -> int:
        return FEATURES  # known without the weights

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Features:
        if samples.shape[1] == 1:
            samples = samples.expand(-1, 3, -1, -1)
        vectors, logits = self._network.to(samples.device)(samples)
        return Features(vectors, logits.log_softmax(1))

    @cached_property
    def _network(self) -> Any:
        library = _torch_fidelity()
        try:
            # The library would run any code that the file holds.
            torch.load(self._file, weights_only=True)
            return library.FeatureExtractorInceptionV3(
                "inception", [str(FEATURES), "logits_unbiased"], feature_extractor_weights_path=str(self._file)
            )
        except Exception as error:  # the unpickler raises errors of any kind
            raise ConfigError(
                f"metric.extractor.weights={self._file} are not the weights of torch-fidelity's Inception:"
                f" {_advice(library)}"
            ) from error

    @cached_property
    def _file(self) -> Path:
        library = _torch_fidelity()
        if self.weights is not None:
            return self.weights
        url = library.URL_INCEPTION_V3
        path = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
        if not path.exists():
            logger.info("downloading %s to %s", url, path)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # The name ends with the beginning of the digest.
                torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.split("-")[-1], progress=False)
            except (OSError, RuntimeError) as error:
                raise ConfigError(
                    f"metric.extractor: Inception's weights could not be downloaded ({error}): {_advice(library)}"
                ) from error
        return path


def _torch_fidelity() -> Any:
    try:
        from torch_fidelity import feature_extractor_inceptionv3
    except ImportError as error:
        raise ConfigError("metric/extractor=inception needs torch-fidelity: pip install 'gan-cli[fid]'") from error
    return feature_extractor_inceptionv3


def _advice(library: Any) -> str:
    return (
        f"get {library.URL_INCEPTION_V3} and set metric.extractor.weights=PATH"
        " (of gan-eval: --extractor inception:weights=PATH), or choose another, such as metric/extractor=cifar10"
    )
