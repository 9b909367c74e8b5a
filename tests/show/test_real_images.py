"""The grid of real images is laid out as that of the samples, and shows the data as they are."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_cli import sampling
from gan_cli.assembly.games import assemble
from gan_cli.datasets.base import Batch, Endless, Images, as_uint8
from gan_cli.datasets.mixtures import Ring
from gan_cli.models import base, mlp
from gan_cli.show import pictures, samples
from tests.helpers.configs import compose

GENERATOR = mlp.Generator((1, 8, 8), 2, "normal", [8], "relu", "none")
SHADES = {"black": 0, "dark": 60, "light": 180}


class Conditional(base.Generator):
    """A generator that takes labels, for the rows of its grid alone."""

    conditional = True

    def __init__(self) -> None:
        super().__init__(2, "normal")
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return self.level.expand(len(latent), 1, 8, 8)


class Shaded(Endless):
    """Images drawn without end, each of the shade of its class, of which the last is never seen."""

    sample_shape = (1, 8, 8)
    classes = tuple(SHADES)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.batch(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        labels = torch.randint(2, (n,), generator=generator)
        levels = torch.tensor(list(SHADES.values()))[labels] / 127.5 - 1
        return Batch(levels[:, None, None, None].expand(n, 1, 8, 8), labels)


def shaded(counts: list[int]) -> Images:
    """So many images of each shade, which is their class."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    levels = torch.tensor(list(SHADES.values()), dtype=torch.uint8)[labels]
    return Images(levels[:, None, None, None].expand(-1, 1, 8, 8), labels, classes=list(SHADES))


def numbered(n: int, *, mirror: bool = False) -> Images:
    """Images that differ, each brighter on the right."""
    images = torch.arange(8).expand(n, 1, 8, 8) + torch.arange(n)[:, None, None, None]
    return Images(images.to(torch.uint8), mirror=mirror)


def pixels(png: bytes | None) -> np.ndarray:
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def numbers(images: Tensor) -> list[int]:
    """Which of the numbered images these are; a mirrored one is none."""
    shown = as_uint8(images).long()
    assert (shown == shown[:, :, :, :1] + torch.arange(8)).all()
    return shown[:, 0, 0, 0].tolist()


def test_a_grid_shows_as_many_different_images_as_the_grid_of_samples_chosen_by_the_seed():
    data = numbered(200, mirror=True)
    chosen = numbers(sampling.real_images(data, 64, 0))
    assert len(set(chosen)) == 64
    assert chosen != sorted(chosen)
    assert numbers(sampling.real_images(data, 64, 1)) != chosen
    png = samples.real_picture(GENERATOR, data, seed=0)
    assert png == samples.real_picture(GENERATOR, data, seed=0)
    assert png == pictures.image_grid(data.images[chosen] / 127.5 - 1)
    assert pixels(png).shape == pixels(samples.picture(GENERATOR, data, seed=0, title="")).shape


def test_fewer_images_than_a_grid_has_are_all_shown():
    assert sorted(numbers(sampling.real_images(numbered(5), 64, 0))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("data", "seen"), [(shaded([30, 10, 3]), [10, 10, 3]), (Shaded(), [10, 10, 0])])
def test_rows_of_classes_show_images_of_each_and_white_for_what_it_lacks(data, seen):
    png = samples.real_picture(Conditional(), data, seed=0)
    shown = pixels(png)
    assert shown.shape == pixels(samples.picture(Conditional(), data, seed=0, title="")).shape
    grid = shown[:, -600:]  # without the names before it
    for row, shade, count in zip(np.split(grid, 3), SHADES.values(), seen, strict=True):
        assert set(np.unique(row)) <= {shade, 255}
        assert (row == shade).sum() == count * (6 * 8) ** 2  # each pixel of the data is a square of six


def test_points_have_no_grid_since_they_lie_beside_real_ones():
    points = mlp.Generator((2,), 2, "normal", [8], "relu", "none")
    assert samples.real_picture(points, Ring(8, 2.0, 0.02), seed=0) is None


@pytest.mark.parametrize("conditional", [False, True])
def test_a_game_on_images_shows_them_as_it_shows_its_samples(conditional):
    job = assemble(
        compose("dataset.resolution=8", "model=mlp", "metric=[]", f"model.conditional={str(conditional).lower()}")
    )
    real = job.real_picture()
    assert pixels(real).shape == pixels(job.picture()).shape
    job.seed += 1
    assert job.real_picture() != real
