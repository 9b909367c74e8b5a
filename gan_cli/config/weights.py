"""A weight that a yaml file computes: that of R3GAN's penalties, by the side of the images."""

import math
from itertools import pairwise
from typing import Any

from omegaconf import OmegaConf

from gan_cli.errors import ConfigError

R3GAN_WEIGHTS = {32: 0.05, 64: 2.0, 256: 150.0}
"""First weights of R1 and R2 by the side of the images: of CIFAR-10, and of faces twice (Huang 2024, table 9)."""


def register() -> None:
    """Make the weight known to OmegaConf."""
    OmegaConf.register_new_resolver("r3gan_weight", r3gan_weight, replace=True)


def r3gan_weight(side: Any, share: float = 1.0) -> float:
    """A share of the first weight of R3GAN's penalties at a side in pixels, straight between the paper's in logarithms.

    Below 32 it is that of 32, above 256 that of 256. Raises `ConfigError` if the side is no number.
    """
    if not isinstance(side, int) or isinstance(side, bool):
        raise ConfigError(
            f"dataset.resolution={'null' if side is None else side} does not tell a penalty the side of the pictures:"
            " set it in pixels, or choose divergence/penalty=r1_r2 with a weight of your own"
        )
    sides = sorted(R3GAN_WEIGHTS)
    side = min(max(side, sides[0]), sides[-1])
    below, above = next(pair for pair in pairwise(sides) if side <= pair[1])
    position = math.log(side / below) / math.log(above / below)
    weight = R3GAN_WEIGHTS[below] ** (1 - position) * R3GAN_WEIGHTS[above] ** position
    return float(f"{share * float(f'{weight:.2g}'):.3g}")
