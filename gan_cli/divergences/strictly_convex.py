"""f-divergences whose critic may score the density ratio itself: the links between a score v and T = g_f(v).

Any increasing map of the scores onto the slopes of f gives the same bound at the best critic; how fast a critic learns,
and what a single sample may weigh, depend on the map.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from gan_cli.divergences.f_divergence import FDivergence

Link = Literal["paper", "ratio"]
LINKS: tuple[Link, ...] = get_args(Link)


@dataclass(frozen=True, kw_only=True)
class StrictlyConvex(FDivergence):
    """An f-divergence with a strictly increasing f′, so that every ratio u has a T = f′(u) of its own.

    `link` is the map from scores to T. `paper` is f-GAN's g_f (Table 2), which is f′(e^v) unless the class has another.
    `ratio` is f′(u) for u = (v + √(v² + 4))/2 = e^asinh(v/2): training starts at u = 1, where P = Q, and for large |v|
    the ratio grows like v or falls like 1/|v| and not like e^v, so that no sample has an exponential weight.
    """

    link: Link = "paper"

    @abstractmethod
    def slope(self, log_u: Tensor) -> Tensor:
        """f′(u), the best T where p/q = u, from log u."""

    @abstractmethod
    def conjugate_of_slope(self, log_u: Tensor) -> Tensor:
        """f*(f′(u)) = u f′(u) − f(u) from log u, in one numerically stable expression."""

    def paper_activation(self, v: Tensor) -> Tensor:
        """g_f(v) of the link `paper`: f′(e^v), unless f-GAN has another map."""
        return self.slope(v)

    def conjugate_of_paper_activation(self, v: Tensor) -> Tensor:
        """f*(g_f(v)) of the link `paper`."""
        return self.conjugate_of_slope(v)

    def activation(self, v: Tensor) -> Tensor:
        return self.paper_activation(v) if self.link == "paper" else self.slope(log_ratio(v))

    def conjugate_of_activation(self, v: Tensor) -> Tensor:
        if self.link == "paper":
            return self.conjugate_of_paper_activation(v)
        return self.conjugate_of_slope(log_ratio(v))


def log_ratio(v: Tensor) -> Tensor:
    """The logarithm of u = (v + √(v² + 4))/2, the positive ratio with u − 1/u = v."""
    return torch.asinh(v / 2)
