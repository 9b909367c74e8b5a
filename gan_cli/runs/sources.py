"""Finished runs as the data of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pydoc import locate
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from gan_cli.config.renamed import todays
from gan_cli.datasets.base import Dataset
from gan_cli.errors import ConfigError
from gan_cli.models.base import Generator
from gan_cli.runs import read
from gan_cli.runs.load import load_run
from gan_cli.sampling import generate


@dataclass(frozen=True)
class RunSource:
    """The generator of a run, which draws on whichever device it is asked to."""

    network: Generator
    sample_shape: tuple[int, ...]
    classes: Mapping[str, float]
    shows: str | None
    is_stacked: bool
    identity: str
    origin: Mapping[str, Any]

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        network = self.network.to(generator.device)
        return generate(network, network.sample_latent(n, generator), labels)


def open_run(path: str, step: int | None, weights: str) -> RunSource:
    """The generator of a run that is done, at its newest whole checkpoint or that of a step. Raises `ConfigError`."""
    folder = Path(path).expanduser()
    config, record = read.config_of_run(folder), read.record(folder)
    match record.get("status"):
        case "done" | None:  # without a record it cannot be loaded, which tells the remedy
            pass
        case "running":
            raise ConfigError("it is running: wait for its end, or continue it, if it was killed, by the same command")
        case status:
            raise ConfigError(
                f"its status is {status}: finish it by the same gan-train command, or choose one that is done"
            )
    run = load_run(folder, step)
    network = run.sampler(weights).to(memory_format=torch.channels_last)  # as in training
    shows, is_stacked = _content(config, record)
    return RunSource(
        network,
        run.sample_shape,
        run.classes if network.conditional else {},
        shows,
        is_stacked,
        identity=f"step {run.step}, {weights} weights of {run.checkpoint_sha256}",
        origin={
            "run": str(folder.absolute()),
            "checkpoint_sha256": run.checkpoint_sha256,
            "step": run.step,
            "weights": weights,
        },
    )


def _content(config: DictConfig, record: Mapping[str, Any]) -> tuple[str | None, bool]:
    """What the data of a run show, and whether they are stacked: as run.json says, else their class."""
    if "shows" in record:
        return record["shows"], bool(record.get("is_stacked"))
    kind = locate(todays(str(config.dataset.get("_target_"))))
    if not (isinstance(kind, type) and issubclass(kind, Dataset)):
        return None, False
    return kind.shows, kind.is_stacked
