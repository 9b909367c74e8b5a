"""Samples of a generator as a function of a seed."""

import torch
from torch import Tensor

from gan_cli import pictures
from gan_cli.datasets.base import Dataset, Density
from gan_cli.models.base import Critic, Generator
from gan_cli.randomness import stream

GRID_IMAGES = 64
PLOTTED_POINTS = 2500


def latents(generator: Generator, n: int, seed: int) -> Tensor:
    """`n` latents that depend on the seed and on `n` alone."""
    source = torch.Generator(next(generator.parameters()).device)
    source.manual_seed(stream(seed, "samples"))
    return generator.sample_latent(n, source)


@torch.no_grad()
def generate(generator: Generator, latent: Tensor, batch_size: int = 500) -> Tensor:
    """The samples of the latents, with the generator in evaluation mode; it is left in the mode it was in."""
    was_training = generator.training
    generator.eval()
    try:
        return torch.cat([generator(part) for part in latent.split(batch_size)])
    finally:
        generator.train(was_training)


def picture(
    generator: Generator,
    dataset: Dataset,
    *,
    seed: int,
    title: str,
    critic: Critic | None = None,
    n: int | None = None,
) -> bytes:
    """A PNG of `n` samples: images as a grid, points beside real ones over the level lines of the critic."""
    if not isinstance(dataset, Density):
        return pictures.image_grid(generate(generator, latents(generator, n or GRID_IMAGES, seed)))
    fake = generate(generator, latents(generator, n or PLOTTED_POINTS, seed))
    source = torch.Generator(fake.device)
    source.manual_seed(stream(seed, "real samples"))
    return pictures.point_plot(dataset.sample(len(fake), source), fake, title, critic, dataset)
