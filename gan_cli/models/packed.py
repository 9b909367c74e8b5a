"""Packing: a critic of several samples at once sees a lack of variety (PacGAN, Lin 2018, arXiv 1712.04086)."""

from torch import Tensor

from gan_cli.models.base import Critic
from gan_cli.ranges import Count


def packed_shape(sample_shape: tuple[int, ...], packing: Count) -> tuple[int, ...]:
    """The shape of `packing` samples side by side: their channels, or the coordinates of points, are joined."""
    return (packing * sample_shape[0], *sample_shape[1:])


class Packed(Critic):
    """One score for each pack of `packing` samples that are neighbours in the batch."""

    def __init__(self, critic: Critic, packing: Count) -> None:
        """`critic` is one of samples of `packed_shape`."""
        if critic.conditional:
            raise ValueError("judges samples by their labels, one at a time: choose train.packing=1")
        super().__init__()
        self.critic = critic
        self.packing = packing

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.critic(x.unflatten(0, (-1, self.packing)).flatten(1, 2))
        return scores
