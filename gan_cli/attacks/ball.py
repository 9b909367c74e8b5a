"""Changes of images within a ball: its steepest direction, its nearest point, a random point."""

import torch
from torch import Tensor

from gan_cli.attacks.base import Norm


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """The change of size 1 along which the objective rises fastest; 0 where the gradient is 0."""
    if norm == "linf":
        return gradient.sign()
    length = lengths(gradient)
    return gradient / torch.where(length == 0, 1.0, length)


def projected(change: Tensor, radius: float, norm: Norm) -> Tensor:
    """The nearest change whose size is at most `radius`."""
    if norm == "linf":
        return change.clamp(-radius, radius)
    length = lengths(change)
    return change * (radius / torch.where(length == 0, 1.0, length)).clamp(max=1)


def uniform(like: Tensor, radius: float, norm: Norm) -> Tensor:
    """A change drawn evenly from the ball for each image."""
    if norm == "linf":
        return torch.empty_like(like).uniform_(-radius, radius)
    # A ball's volume grows with the radius to the power of the dimension.
    depth = torch.rand(len(like), *[1] * (like.dim() - 1), device=like.device, dtype=like.dtype)
    return on_sphere(like, radius) * depth ** (1 / like[0].numel())


def on_sphere(like: Tensor, radius: float) -> Tensor:
    """A change of the L2 size `radius` in a random direction for each image."""
    return radius * steepest(torch.randn_like(like), "l2")


def lengths(change: Tensor) -> Tensor:
    """The L2 size of each image's change, shape `(n, 1, …)`."""
    norms: Tensor = torch.linalg.vector_norm(change.flatten(1), dim=1)
    return norms.reshape(-1, *[1] * (change.dim() - 1))
