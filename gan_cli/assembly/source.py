"""The batches that a run learns of."""

import torch
from omegaconf import DictConfig

from gan_cli.config.build import naming
from gan_cli.datasets.base import Dataset
from gan_cli.training.batches import Batches, batches
from gan_cli.training.device import Device


def batches_of(config: DictConfig, data: Dataset, settings: Device, device: torch.device, edition: int) -> Batches:
    """The batches of a config's run on `device`. Raises `ConfigError` when the data do not fill one."""
    with naming("train"):
        return batches(
            data,
            config.train.batch_size,
            config.seed,
            device,
            data=settings.data,
            workers=settings.workers,
            edition=edition,
        )
