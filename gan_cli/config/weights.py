"""A weight that a yaml file computes: that of R3GAN's penalties, by the side of the images."""

import math
from itertools import pairwise
from typing import Any

from omegaconf import OmegaConf

R3GAN_WEIGHTS = {32: 0.05, 64: 2.0, 256: 150.0}
"""The first weights of R1 and R2 by the side of the images: CIFAR-10 and FFHQ (Huang 2024, table 9)."""


def register() -> None:
    """Make the weight known to OmegaConf."""
    OmegaConf.register_new_resolver("r3gan_weight", r3gan_weight, replace=True)


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
