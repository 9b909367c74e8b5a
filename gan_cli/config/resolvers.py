"""What yaml files compute: the names of runs, the choices that fit data and machine, numbers by the side of images."""

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from gan_cli.config.schema import Config, member_name, run_name

R3GAN_WEIGHTS = {32: 0.05, 64: 2.0, 256: 150.0}
"""The first weights of R1 and R2 by the side of the images: CIFAR-10 and FFHQ (Huang 2024, table 9)."""


def register() -> None:
    """Make the schema, `scale=auto` and the resolvers known to Hydra and OmegaConf."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(group="scale", name="auto", node={"defaults": [scale_here()]}, package="_global_")
    for resolver in (run_name, member_name, if_folder, r3gan_weight):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def scale_here(devices: Path = Path("/dev")) -> str:
    """The scale that suits this machine: `base` beside an NVIDIA device that may be used, else `cpu`.

    It is found without torch, which takes seconds to import.
    """
    has_device = any((devices / name).exists() for name in ("nvidiactl", "dxg"))
    return "base" if has_device and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1") else "cpu"


def if_folder(dataset: str, option: str, otherwise: str) -> str:
    """The first option for a folder of pictures, the second for other data."""
    return option if dataset == "folder" else otherwise


def r3gan_weight(side: Any, share: float = 1.0) -> float:
    """A share of the first weight of R3GAN's penalties at a side in pixels, straight between the paper's in logarithms.

    At sides below 32, and where none is given, it is that of 32; above 256 that of 256.
    """
    sides = sorted(R3GAN_WEIGHTS)
    side = min(max(float(side or sides[0]), sides[0]), sides[-1])
    below, above = next(pair for pair in pairwise(sides) if side <= pair[1])
    position = math.log(side / below) / math.log(above / below)
    weight = R3GAN_WEIGHTS[below] ** (1 - position) * R3GAN_WEIGHTS[above] ** position
    return share * float(f"{weight:.2g}")
