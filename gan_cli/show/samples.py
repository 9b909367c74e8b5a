"""The picture of what a generator draws: images as a grid, points beside real ones; and the grid of real images."""

from collections.abc import Mapping
from functools import partial

import torch
from omegaconf import DictConfig
from torch import Tensor

from gan_cli.config.schema import GeneratorTraining
from gan_cli.datasets.base import Dataset, Endless
from gan_cli.models.base import Critic, Generator
from gan_cli.sampling import (
    GRID_COLUMNS,
    GRID_IMAGES,
    PLOTTED_POINTS,
    generate,
    labels,
    latents,
    real_images,
    real_images_of_classes,
    real_points,
    scores,
    shown_classes,
)
from gan_cli.show import pictures


def draws_raw(config: DictConfig) -> bool:
    """Whether the averaged generator of a run is its raw one: where it is no average, or where neither moves."""
    training = GeneratorTraining(config.train.get("generator", "trained"))
    return training is GeneratorTraining.frozen or bool(config.train.average_decay == 0)


def heading(step: int, *, is_raw: bool) -> str:
    """The title of a picture, which says the weights of which generator are drawn."""
    return f"step {step}, {'raw' if is_raw else 'averaged'} generator"


def class_grid(generator: Generator, classes: Mapping[str, tuple[int, int]], seed: int) -> bytes:
    """A PNG with a row for each class, by its name: its label, and the number of its images."""
    given = torch.cat([torch.full((count,), label) for label, count in classes.values()])
    fake = generate(generator, latents(generator, len(given), seed), given)
    rows = fake.split([count for _, count in classes.values()])
    return pictures.class_grid(dict(zip(classes, rows, strict=True)))


def picture(
    generator: Generator,
    dataset: Dataset,
    *,
    seed: int,
    title: str,
    critic: Critic | None = None,
    n: int | None = None,
    given: Tensor | None = None,
) -> bytes:
    """A PNG of `n` samples: images as a grid, points beside real ones over the level lines of the critic.

    A conditional generator draws images of one class in each row, and points of the `given` labels, or of classes as
    frequent as in the data, a colour each. A conditional critic has no level lines, and one of packs has those of packs
    of copies of a point.
    """
    are_points = len(dataset.sample_shape) == 1
    if not are_points and (rows := _rows(generator, dataset)):
        return class_grid(generator, {name: (label, GRID_COLUMNS) for name, label in rows.items()}, seed)
    n = n or (PLOTTED_POINTS if are_points else GRID_IMAGES)
    if given is None:
        given = labels(generator, dataset, n, seed)
    fake = generate(generator, latents(generator, n, seed), given)
    if not are_points:
        return pictures.image_grid(fake)
    assert isinstance(dataset, Endless)
    real = real_points(dataset, len(fake), seed, fake.device).samples
    if critic is None or critic.conditional:
        return pictures.point_plot(real, fake, title, of_classes=given)
    what = "score" if critic.packing == 1 else f"score of {critic.packing} copies of a point"
    title = f"{title}\ngrey: {what} by the raw generator's critic"
    return pictures.point_plot(real, fake, title, partial(scores, critic))


def real_picture(generator: Generator, dataset: Dataset, *, seed: int) -> bytes | None:
    """A PNG of images of the data, laid out as those of the generator; None of points, which lie beside real ones.

    White stands for what a class lacks.
    """
    if len(dataset.sample_shape) == 1:
        return None
    if not (rows := _rows(generator, dataset)):
        return pictures.image_grid(real_images(dataset, GRID_IMAGES, seed))
    found = real_images_of_classes(dataset, list(rows.values()), GRID_COLUMNS, seed)
    white = torch.ones(GRID_COLUMNS, *dataset.sample_shape)
    return pictures.class_grid(
        {name: torch.cat([images, white])[:GRID_COLUMNS] for name, images in zip(rows, found, strict=True)}
    )


def _rows(generator: Generator, dataset: Dataset) -> dict[str, int]:
    """The classes that stand in rows of a grid of images, and their labels; none if the generator takes no labels."""
    if not generator.conditional or not dataset.classes:
        return {}
    labels_by_name = {name: label for label, name in enumerate(dataset.classes)}
    return {name: labels_by_name[name] for name in shown_classes(dataset.classes)}
