"""What a run has learned, from its folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from gan_cli.config import parts
from gan_cli.config.foreign import refuse_foreign
from gan_cli.errors import ConfigError
from gan_cli.models.base import Generator
from gan_cli.runs import record
from gan_cli.runs.folder import RunFolder


@dataclass(frozen=True)
class TrainedRun:
    """What a run has learned."""

    config: DictConfig
    step: int
    generator: Generator
    sample_shape: tuple[int, ...]

    @property
    def draws_images(self) -> bool:
        """Whether its samples are images and not points."""
        return len(self.sample_shape) == 3


def load_run(path: Path, step: int | None = None, weights: str = "average", allow: Sequence[str] = ()) -> TrainedRun:
    """The generator of a run from its newest whole checkpoint, or from that of `step`. Raises `ConfigError`.

    `allow` are the modules, beside our own, that the config may name classes of.
    """
    folder = RunFolder(path)
    config = folder.read_config()
    if config is None:
        raise ConfigError(f"{path} is not the folder of a run: it has no .hydra/config.yaml")
    if config.get("study"):
        raise ConfigError(f"{path} is a study of several runs: choose one in {path / 'members'}")
    refuse_foreign(config, allow)
    found = folder.load_checkpoint(step)
    if found is None:
        raise ConfigError(f"{path} has no checkpoint yet: wait for its first, or set every.checkpoint")
    sample_shape = tuple(record.read(path).get("sample_shape", ()))
    if not sample_shape:
        raise ConfigError(f"{path}/run.json is missing or damaged: the same gan-train command writes it anew")
    checkpoint, state = found
    try:
        generator = parts.generator(config, sample_shape)
        generator.load_state_dict(state["average" if weights == "average" else "generator"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise ConfigError(f"{checkpoint} does not fit the model that {path}/.hydra/config.yaml describes") from error
    return TrainedRun(config, state["step"], generator.requires_grad_(False).eval(), sample_shape)
