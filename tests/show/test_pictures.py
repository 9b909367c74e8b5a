"""Pictures hold what they are made of, and drawing them leaves no trace in the networks."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli import sampling
from gan_cli.datasets.base import Images, as_uint8
from gan_cli.datasets.mixtures import Mixture1d, Ring
from gan_cli.metrics.base import Gallery
from gan_cli.models import dcgan, mlp
from gan_cli.show import pictures, samples


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (5, 3), (64, 8)])
def test_grid_is_as_square_as_it_can_be_and_large_enough_to_see(n, columns):
    picture = opened(pictures.image_grid(torch.zeros(n, 1, 28, 28)))
    rows = -(-n // columns)
    cell = 28 if n == 1 else 30
    factor = picture.width // (columns * cell)
    assert picture.width == pytest.approx(600, abs=150)
    assert picture.height / picture.width == pytest.approx(rows / columns, rel=0.05)
    assert factor >= 1


def test_grid_shows_the_images_in_their_places_and_colours():
    images = torch.full((4, 3, 10, 10), -1.0)
    images[2, 0] = 1.0
    pixels = np.asarray(opened(pictures.image_grid(images, at_least=1)))
    assert pixels[2 + 5, 2 + 5].tolist() == [0, 0, 0]
    assert pixels[2 + 12 + 5, 2 + 5].tolist() == [255, 0, 0]
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_values_beyond_the_range_are_clipped_and_not_wrapped():
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert as_uint8(values).tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("dataset", [Ring(8, 2.0, 0.02), Mixture1d([-1.0, 2.0], [0.3, 1.0], [0.5, 0.5])])
@pytest.mark.parametrize("with_critic", [True, False])
def test_toys_are_drawn_with_and_without_a_critic(dataset, with_critic):
    torch.manual_seed(0)
    generator = mlp.Generator(dataset.sample_shape, 2, "normal", [8], "relu", "none")
    critic = mlp.Critic(dataset.sample_shape, [8], "relu", "none") if with_critic else None
    png = samples.picture(generator, dataset, seed=0, title="step 1", critic=critic, n=100)
    picture = opened(png)
    assert min(picture.size) > 500
    assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_a_constant_critic_has_no_level_lines_and_does_no_harm():
    real = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    opened(pictures.point_plot(real, real + 1, "flat", lambda x: torch.zeros(len(x)))).verify()


def test_drawing_changes_nothing_in_the_networks():
    """A batch norm in evaluation mode keeps its statistics, and the mode comes back."""
    torch.manual_seed(0)
    generator = mlp.Generator((2,), 2, "normal", [8], "relu", "batch").train()
    critic = mlp.Critic((2,), [8, 8], "relu", "spectral").train()
    before = [tensor.clone() for network in (generator, critic) for tensor in network.state_dict().values()]
    samples.picture(generator, Ring(8, 2.0, 0.02), seed=0, title="", critic=critic, n=64)
    after = [tensor for network in (generator, critic) for tensor in network.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert generator.training
    assert critic.training


def test_the_same_latents_are_drawn_at_every_step():
    torch.manual_seed(0)
    generator = dcgan.Generator((1, 8, 8), 4, "normal", 4, "relu", "none", "resize")
    dataset = Images(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    first, second = (samples.picture(generator, dataset, seed=3, title="") for _ in range(2))
    other = samples.picture(generator, dataset, seed=4, title="")
    assert first == second
    assert first != other


@pytest.mark.parametrize("lines", [1, 3])
def test_curves_are_drawn_from_the_first_line_on_and_without_a_generator(lines):
    metrics = [
        {"step": step, "estimate": 0.1, "critic_loss": 1.0, "critic_gradient_norm": 2.0} for step in range(1, lines + 1)
    ]
    assert min(opened(pictures.curves(metrics, "nats")).size) > 500


def test_generation_is_the_same_in_parts():
    generator = mlp.Generator((2,), 4, "normal", [], "relu", "none")
    latent = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        sampling.generate(generator, latent, batch_size=3), sampling.generate(generator, latent, batch_size=10)
    )


def test_a_gallery_shows_each_image_in_its_row_and_column():
    red, blue = torch.tensor([255, 0, 0]), torch.tensor([0, 0, 255])
    images = torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8)
    images[0, 2], images[1, 0] = red[:, None, None], blue[:, None, None]
    rows = {"first": images[0], "second": images[1]}
    plain = np.asarray(opened(pictures.gallery(Gallery("title", rows, {}))).convert("RGB")).astype(int)
    height, width, _ = plain.shape
    for colour, place in ((red, (0, 2)), (blue, (1, 0))):
        at = np.argwhere(np.abs(plain - colour.numpy()).max(axis=2) < 10)
        assert len(at) > 500
        middle = at.mean(axis=0)
        assert (middle[0] > height / 2) == (place[0] == 1)
        assert (middle[1] > width / 2) == (place[1] == 2)
    captioned = np.asarray(opened(pictures.gallery(Gallery("title", rows, {"second": ["1", "2", "3"]}))).convert("RGB"))
    assert captioned.shape == plain.shape
    assert (captioned != plain).any()
