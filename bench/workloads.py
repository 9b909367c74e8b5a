"""What bench/speed.py trains: networks, pictures and games, each both as a config and as a tutorial has it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench import tutorial
from gan_cli.config import options, resolvers
from gan_cli.datasets.base import Images

PICTURES = 51_200
"""Nearly the number in MNIST or CIFAR-10, and a multiple of every batch size and number of critic steps here."""


@dataclass(frozen=True)
class Workload:
    """Networks and pictures of one shape."""

    channels: int
    side: int
    latent_size: int
    overrides: tuple[str, ...]
    """The model, in the config."""
    networks: Callable[[], tuple[nn.Module, nn.Module]] | None
    """The same generator and critic as a tutorial has them, if one has."""
    batch_size: int = 64


@dataclass(frozen=True)
class Game:
    """A divergence with its penalty."""

    overrides: tuple[str, ...]
    loop: tutorial.Loop
    critic_steps: int


def _dcgan(side: int, batch_size: int = 64) -> Workload:
    overrides = ["model=dcgan", "model.critic.normalization=none", "model.generator.upsampling=resize"]
    overrides += ["model.generator.latent_size=100", "model.generator.width=64", "model.critic.width=64"]
    return Workload(1, side, 100, tuple(overrides), partial(tutorial.dcgan, 100, side, 64), batch_size)


def _resnet(width: int) -> Workload:
    widths = (f"model.{player}.{key}={width}" for player in ("generator", "critic") for key in ("width", "max_width"))
    return Workload(3, 32, 128, ("model=resnet", *widths), partial(tutorial.resnet, 128, width))


def _r3gan(width: int, batch_size: int) -> Workload:
    widths = (f"model.generator.width={width}", "model.generator.widest_side=32")
    return Workload(3, 32, 64, ("model=r3gan", *widths), None, batch_size)


MLP = (
    "model=mlp",
    "model.generator.latent_size=100",
    "model.generator.hidden=[128,256,512,1024]",
    "model.generator.normalization=batch",
    "model.critic.hidden=[512,256]",
)

WORKLOADS = {
    "mlp-28": Workload(1, 28, 100, MLP, partial(tutorial.mlp, 100, 28)),
    "dcgan-28": _dcgan(28),
    "dcgan-32": _dcgan(32),
    "dcgan-32-b256": _dcgan(32, batch_size=256),
    "resnet-32-w32": _resnet(32),
    "resnet-32-w128": _resnet(128),
    "r3gan-32-w16-b8": _r3gan(16, batch_size=8),
    "r3gan-32-w768-b256": _r3gan(768, batch_size=256),
}
"""The workloads by name; w is the width, b the batch size if it is not 64."""

ON_CPU = ("mlp-28", "dcgan-28", "dcgan-32", "resnet-32-w32")
ON_CUDA = ("mlp-28", "dcgan-28", "dcgan-32", "dcgan-32-b256", "resnet-32-w128")
QUICK = ("mlp-28", "dcgan-28")

GAMES = {
    "none": Game(("divergence=gan", "divergence/penalty=none"), tutorial.gan, 1),
    "interpolate": Game(("divergence=wgan_gp",), tutorial.wgan_gp, tutorial.CRITIC_STEPS),
    "r1_r2": Game(("divergence=relativistic", "divergence/penalty=r1_r2"), tutorial.relativistic, 1),
}
"""The games by the name of the penalty."""


class Pictures(Images):
    """Smooth noise: speed does not depend on what a picture shows, so none has to be downloaded."""

    def __init__(self, resolution: int, channels: int) -> None:
        super().__init__(pictures(channels, resolution))


def pictures(channels: int, side: int) -> Tensor:
    """uint8, shape `(PICTURES, channels, side, side)`, the same at every call."""
    coarse = torch.rand(PICTURES, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    parts = [interpolate(part, (side, side), mode="bilinear").mul_(255).byte() for part in coarse.split(1024)]
    return torch.cat(parts)


def compose(*overrides: str) -> DictConfig:
    """A config as `gan-train` composes it."""
    resolvers.register()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(options.CONFIGS)):
        composed = hydra.compose("config", ["name=bench", *overrides])
    OmegaConf.resolve(composed)
    return composed


def config_of(workload: Workload, game: Game, *overrides: str) -> DictConfig:
    """A run of the workload that does not end by itself."""
    config = compose(
        *workload.overrides,
        *game.overrides,
        "optimizer=adam_dcgan",
        "dataset=mnist5k",
        "metric=[]",
        "metric/extractor=raw",
        "train.steps=1000000000",
        "train.schedule=constant",
        "train.reuse_samples=true",  # as the tutorials' loops do
        f"train.batch_size={workload.batch_size}",
        *overrides,
    )
    # As a whole, since the options of other data are none of these pictures'.
    config.dataset = {
        "_target_": "bench.workloads.Pictures",
        "resolution": workload.side,
        "channels": workload.channels,
    }
    return config
