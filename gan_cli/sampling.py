"""Samples of a generator, as functions of a seed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_cli.datasets.base import Density
from gan_cli.models.base import Critic, Generator
from gan_cli.randomness import stream

GRID_IMAGES = 64
PLOTTED_POINTS = 2500


def latents(generator: Generator, n: int, seed: int) -> Tensor:
    """`n` latents that depend on the seed and on `n` alone: they are drawn on the CPU, whatever the device."""
    return generator.sample_latent(n, torch.Generator().manual_seed(stream(seed, "samples")))


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Look at a network without a trace: no gradients, and nothing that a forward pass would update."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)


def generate(generator: Generator, latent: Tensor, batch_size: int = 500) -> Tensor:
    """The samples of latents, computed `batch_size` at a time."""
    with evaluating(generator):
        return torch.cat([generator(part) for part in latent.split(batch_size)])


def scores(critic: Critic, x: Tensor) -> Tensor:
    """The critic's scores of points, on the device of the points, whatever that of the critic."""
    device = next(critic.parameters()).device
    with evaluating(critic):
        given: Tensor = critic(x.to(device))
    return given.to(x.device)


def real_points(dataset: Density, n: int, seed: int, device: torch.device | str) -> Tensor:
    """`n` points of the data that no batch of a run holds."""
    return dataset.sample(n, torch.Generator().manual_seed(stream(seed, "real samples"))).to(device)
