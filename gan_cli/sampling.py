"""Samples of a generator, as functions of a seed."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_cli.datasets.base import Batch, Dataset, Endless, Images, to_unit_range
from gan_cli.errors import ConfigError
from gan_cli.models.base import Critic, Generator
from gan_cli.randomness import stream

BATCH_SIZE = 500
"""Samples that are made at a time."""

GRID_IMAGES = 64
GRID_CLASSES = 20
"""The most classes of a grid, which has a row for each."""
GRID_COLUMNS = 10
"""The images of each class in a grid."""
PLOTTED_POINTS = 2500
DRAWN_AT_ONCE = 500
MOST_DRAWN = 10_000
"""Endless images among which those of each class are sought; rare classes may have too few."""


def latents(generator: Generator, n: int, seed: int) -> Tensor:
    """`n` latents that depend on the seed and on `n` alone: they are drawn on the CPU, whatever the device."""
    return generator.sample_latent(n, torch.Generator().manual_seed(stream(seed, "samples")))


def labels(generator: Generator, dataset: Dataset, n: int, seed: int) -> Tensor | None:
    """The labels of `n` real samples, which depend on the seed alone; None if the generator or the data know none."""
    if not generator.conditional:
        return None
    source = torch.Generator().manual_seed(stream(seed, "labels of samples"))
    match dataset:
        case Images(labels=Tensor() as known):
            return known[torch.randint(len(known), (n,), generator=source)]
        case Endless():
            return dataset.batch(n, source).labels
        case _:
            return None


def allotted(n: int, shares: Sequence[float]) -> list[int]:
    """`n` samples spread over classes as near to their shares as whole numbers come (Hamilton's method)."""
    exact = [n * share / sum(shares) for share in shares]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: counts[index] - exact[index])
    for index in by_remainder[: n - sum(counts)]:
        counts[index] += 1
    return counts


def drawn_counts(n: int, shares: Sequence[float], seed: int) -> list[int]:
    """`n` samples of classes drawn by their shares: the number of each class, which depends on the seed alone."""
    source = torch.Generator().manual_seed(stream(seed, "labels of samples"))
    drawn = torch.multinomial(torch.tensor(shares, dtype=torch.float64), n, replacement=True, generator=source)
    counts: list[int] = torch.bincount(drawn, minlength=len(shares)).tolist()
    return counts


def shown_classes(names: Sequence[str]) -> list[str]:
    """The classes that a grid shows: all, or some at equal distances if they are more than it has rows."""
    return list(names[:: math.ceil(len(names) / GRID_CLASSES)])


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


def generate(
    generator: Generator, latent: Tensor, labels: Tensor | None = None, batch_size: int = BATCH_SIZE
) -> Tensor:
    """The samples of latents, computed `batch_size` at a time.

    Raises `ConfigError` for a conditional generator that is not given a label for each.
    """
    if generator.conditional and labels is None:
        raise ConfigError("model.generator draws samples of given classes, and no classes were given")
    parts = latent.split(batch_size)
    given = [None] * len(parts) if labels is None else labels.to(latent.device).split(batch_size)
    with evaluating(generator):
        return torch.cat([generator.draw(*both) for both in zip(parts, given, strict=True)])


def scores(critic: Critic, x: Tensor) -> Tensor:
    """The critic's scores of points, on the device of the points, whatever that of the critic.

    A critic of packs judges each point in a pack of its copies.
    """
    device = next(critic.parameters()).device
    with evaluating(critic):
        given: Tensor = critic(x.to(device).repeat_interleave(critic.packing, 0))
    return given.to(x.device)


def real_points(dataset: Endless, n: int, seed: int, device: torch.device | str) -> Batch:
    """`n` points of the data, drawn for no batch of a run."""
    drawn = dataset.batch(n, torch.Generator().manual_seed(stream(seed, "real samples")))
    return Batch(drawn.samples.to(device), None if drawn.labels is None else drawn.labels.to(device))


def real_images(dataset: Dataset, n: int, seed: int) -> Tensor:
    """`n` images of the data in [−1, 1], or all if there are fewer, which depend on the seed alone."""
    source = torch.Generator().manual_seed(stream(seed, "real images"))
    if isinstance(dataset, Images):
        return to_unit_range(dataset.at(torch.randperm(len(dataset), generator=source)[:n]).samples)
    assert isinstance(dataset, Endless)
    return dataset.batch(n, source).samples


def real_images_of_classes(dataset: Dataset, chosen: Sequence[int], n: int, seed: int) -> list[Tensor]:
    """`n` images of each label in [−1, 1], or as many as are found, which depend on the seed alone."""
    source = torch.Generator().manual_seed(stream(seed, "real images"))
    if isinstance(dataset, Images):
        assert dataset.labels is not None
        order = torch.randperm(len(dataset), generator=source)
        of_order = dataset.labels[order]
        return [to_unit_range(dataset.at(order[of_order == label][:n]).samples) for label in chosen]
    assert isinstance(dataset, Endless)
    found = [torch.empty(0, *dataset.sample_shape) for _ in chosen]
    for _ in range(MOST_DRAWN // DRAWN_AT_ONCE):
        if all(len(images) == n for images in found):
            break
        drawn = dataset.batch(DRAWN_AT_ONCE, source)
        assert drawn.labels is not None
        of_class = [drawn.samples[drawn.labels == label] for label in chosen]
        found = [torch.cat(both)[:n] for both in zip(found, of_class, strict=True)]
    return found
