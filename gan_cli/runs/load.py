"""What a run has learned, from its folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gan_cli.config import parts
from gan_cli.config.foreign import refuse_foreign
from gan_cli.config.schema import Config, kind_of
from gan_cli.errors import ConfigError
from gan_cli.models.base import Critic, Generator
from gan_cli.runs import checkpoints, read
from gan_cli.sampling import BATCH_SIZE

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class TrainedRun:
    """What a run had learned at some step. Its networks are built when they are asked for, and learn no more.

    Asking for one raises `ConfigError` where the checkpoint does not fit the config.
    """

    path: Path
    config: DictConfig
    step: int
    seed: int
    sample_shape: tuple[int, ...]
    classes: Mapping[str, float]
    """The share of each class by its name, in the order of the labels; none if its networks take no labels."""
    checkpoint: Path
    checkpoint_sha256: str
    state: dict[str, Any]
    """All that the checkpoint holds."""
    device: torch.device | str = "cpu"

    @property
    def draws_images(self) -> bool:
        """Whether its samples are images and not points."""
        return len(self.sample_shape) == 3

    @property
    def generation_batch_size(self) -> int:
        """The number of samples that are made at a time, as the config has it."""
        device = self.config.get("device") or {}
        return int(device.get("generation_batch_size", BATCH_SIZE))

    @cached_property
    def average(self) -> Generator:
        """The averaged generator."""
        return self._network(parts.generator, "average")

    @cached_property
    def generator(self) -> Generator:
        """The raw generator."""
        return self._network(parts.generator, "generator")

    @cached_property
    def critic(self) -> Critic:
        return self._network(parts.critic, "critic")

    def sampler(self, weights: str) -> Generator:
        """The generator with the `average` or the `raw` weights."""
        return self.average if weights == "average" else self.generator

    def _network(self, build: Callable[[DictConfig, tuple[int, ...], int], Network], name: str) -> Network:
        try:
            network = build(self.config, self.sample_shape, len(self.classes)).to(self.device)
            network.load_state_dict(self.state[name])
        except (KeyError, RuntimeError, TypeError) as error:
            raise ConfigError(
                f"{self.checkpoint} does not fit the model that {self.path / read.CONFIG} describes"
            ) from error
        return network.requires_grad_(False).eval()


def load_run(
    path: Path, step: int | None = None, device: torch.device | str = "cpu", allow: Sequence[str] = ()
) -> TrainedRun:
    """A run at its newest whole checkpoint, or at that of `step`. Raises `ConfigError`.

    `allow` are the modules, beside our own, that the config may name classes of.
    """
    config = read.config_of_run(path)
    if kind_of(config) is not Config:
        raise ConfigError(f"{path} is the run of a classifier: choose that of a game, which gan-train makes")
    # No metric of the run is built; those that are asked for are checked by who builds them.
    refuse_foreign(OmegaConf.masked_copy(config, [str(key) for key in config if key != "metric"]), allow)
    checkpoint, state = checkpoints.newest(path, step, device)
    record = read.record(path)
    sample_shape = tuple(record.get("sample_shape", ()))
    if not sample_shape:
        raise ConfigError(f"{path}/run.json is missing or damaged: the same gan-train command writes it anew")
    return TrainedRun(
        path=path,
        config=config,
        step=state["step"],
        seed=config.seed,
        sample_shape=sample_shape,
        classes=record.get("classes", {}),
        checkpoint=checkpoint,
        checkpoint_sha256=read.digest_of(checkpoint),
        state=state,
        device=device,
    )
