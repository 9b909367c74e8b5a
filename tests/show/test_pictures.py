"""Pictures show what they are made of, and drawing them leaves no trace in the networks."""

import io
import math
from functools import partial

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from gan_cli import sampling
from gan_cli.assembly.games import assemble
from gan_cli.datasets.base import Images, as_uint8
from gan_cli.datasets.mixtures import Mixture1d, Ring
from gan_cli.metrics.base import Gallery
from gan_cli.models import dcgan, mlp
from gan_cli.show import pictures, samples
from tests.helpers import figures
from tests.helpers.configs import TINY, compose

RING = Ring(8, 2.0, 0.02)


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(opened(png).convert("RGB"))


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (5, 3), (64, 8)])
def test_a_grid_has_each_image_in_its_place_enlarged_to_be_seen(n, columns):
    """Row by row, as near to a square as it goes, on white."""
    levels = torch.arange(n) * 255 // n
    images = (levels / 127.5 - 1)[:, None, None, None].expand(n, 1, 28, 28)
    shown = pixels(pictures.image_grid(images))
    rows, margin, cell = -(-n // columns), *((0, 28) if n == 1 else (2, 30))
    factor = shown.shape[1] // (columns * cell + margin)
    assert shown.shape == ((rows * cell + margin) * factor, (columns * cell + margin) * factor, 3)
    assert 600 <= shown.shape[1] < 900
    expected = np.full((rows * cell + margin, columns * cell + margin), 255)
    for index, level in enumerate(levels.tolist()):
        top, left = (margin + cell * place for place in divmod(index, columns))
        expected[top : top + 28, left : left + 28] = level
    np.testing.assert_array_equal(shown, expected.repeat(factor, 0).repeat(factor, 1)[..., None].repeat(3, 2))


def test_a_grid_shows_colours():
    images = torch.full((4, 3, 10, 10), -1.0)
    images[2, 0] = 1.0
    shown = pixels(pictures.image_grid(images, at_least=1))
    assert shown[2 + 5, 2 + 5].tolist() == [0, 0, 0]
    assert shown[2 + 12 + 5, 2 + 5].tolist() == [255, 0, 0]
    assert shown[0, 0].tolist() == [255, 255, 255]


def test_values_beyond_the_range_are_clipped_and_not_wrapped():
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert as_uint8(values).tolist() == [0, 0, 128, 255, 255]


class Slope(torch.nn.Module):
    """A critic whose score is three times the first coordinate."""

    conditional = False
    packing = 1

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, x):
        return self.slope * x[:, 0]


def players(dataset):
    torch.manual_seed(0)
    return mlp.Generator(dataset.sample_shape, 2, "normal", [8], "relu", "none"), Slope()


@pytest.mark.parametrize("with_critic", [True, False])
def test_points_lie_where_they_are_over_level_lines_of_the_critic(with_critic):
    generator, critic = players(RING)
    figure = figures.caught(
        lambda: samples.picture(generator, RING, seed=3, title="step 1", critic=critic if with_critic else None, n=100)
    )
    (axes,) = figure.axes
    assert axes.get_title() == ("step 1\ngrey: score by the raw generator's critic" if with_critic else "step 1")
    fake = sampling.generate(generator, sampling.latents(generator, 100, 3))
    shown = figures.points(axes)
    assert [colour for _, colour in shown.values()] == ["tab:orange", "tab:blue"]
    np.testing.assert_allclose(shown["real"][0], sampling.real_points(RING, 100, 3, torch.device("cpu")).samples)
    np.testing.assert_allclose(shown["fake"][0], fake)
    # Nearly all of the ring is in the frame, with a margin of a quarter of its width.
    for limits in (axes.get_xlim(), axes.get_ylim()):
        assert limits == pytest.approx((-3, 3), abs=0.2)
    contours = [drawn for drawn in axes.collections if hasattr(drawn, "levels")]
    assert len(contours) == with_critic
    assert axes.get_legend().get_frame().get_alpha() == 1  # labels of level lines would show through
    for drawn in contours:
        for level, path in zip(drawn.levels, drawn.get_paths(), strict=True):
            np.testing.assert_allclose(path.vertices[:, 0], level / 3, atol=1e-4)


def test_a_point_is_drawn_at_its_place_in_its_colour():
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    fake = torch.tensor([[-0.5, 0.5]])
    figure = figures.caught(lambda: pictures.point_plot(real, fake, "two and one"))
    shown = pixels(pictures.png(figure, dpi=110))
    for place, colour in (((-1.0, -1.0), "tab:orange"), ((-0.5, 0.5), "tab:blue"), ((0.5, -0.5), "white")):
        x, y = figure.axes[0].transData.transform(place) * 110 / figure.dpi
        half_seen = 0.5 + 0.5 * np.array(to_rgb(colour))
        np.testing.assert_allclose(shown[shown.shape[0] - 1 - round(y), round(x)] / 255, half_seen, atol=0.1)


def test_points_on_a_line_are_histograms_beside_the_score():
    dataset = Mixture1d([-1.0, 2.0], [0.3, 1.0], [0.5, 0.5])
    generator, critic = players(dataset)
    figure = figures.caught(lambda: samples.picture(generator, dataset, seed=0, title="", critic=critic, n=500))
    axes, scale = figure.axes
    fake, real = axes.patches[-1], axes.patches[0]
    low, high = axes.get_xlim()
    edges = np.linspace(low, high, 80)
    # The real ones are an outline, whose corners are in pairs; the generated ones are bars.
    expected, _ = np.histogram(
        sampling.real_points(dataset, 500, 0, torch.device("cpu")).samples[:, 0], edges, density=True
    )
    np.testing.assert_allclose(real.get_xy()[1:-1:2, 1], expected, atol=1e-9)
    drawn = sampling.generate(generator, sampling.latents(generator, 500, 0))[:, 0]
    expected, _ = np.histogram(drawn, edges, density=True)
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches[1:]], expected, atol=1e-9)
    assert real.get_edgecolor()[:3] == to_rgb("tab:orange")
    assert fake.get_facecolor()[:3] == to_rgb("tab:blue")
    x, score = scale.lines[0].get_data()
    np.testing.assert_allclose(score, 3 * np.asarray(x), rtol=1e-5)
    assert (x[0], x[-1]) == pytest.approx((low, high))


def test_a_constant_critic_has_no_level_lines_and_does_no_harm():
    real = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    figure = figures.caught(lambda: pictures.point_plot(real, real + 1, "flat", lambda x: torch.zeros(len(x))))
    assert not any(hasattr(drawn, "levels") for drawn in figure.axes[0].collections)


@pytest.mark.parametrize(
    ("overrides", "drawn"),
    [([], "averaged"), (["train.average_decay=0"], "raw"), (["train.generator=frozen"], "raw")],
)
def test_the_pictures_of_a_run_say_whose_samples_they_show(overrides, drawn):
    job = assemble(compose(*TINY, "train.steps=3", "optimizer.generator.lr=0.1", *overrides))
    list(job.terms())
    (axes,) = figures.caught(job.picture).axes
    assert axes.get_title() == f"step 3, {drawn} generator\ngrey: score by the raw generator's critic"
    raw = sampling.generate(job.state.generator, sampling.latents(job.state.generator, 2500, 0))
    is_raw = np.allclose(figures.points(axes)["fake"][0], raw, atol=1e-5)
    assert is_raw == (drawn == "raw")


def test_drawing_changes_nothing_in_the_networks():
    """A batch norm in evaluation mode keeps its statistics, and the mode comes back."""
    torch.manual_seed(0)
    generator = mlp.Generator((2,), 2, "normal", [8], "relu", "batch").train()
    critic = mlp.Critic((2,), [8, 8], "relu", "spectral").train()
    before = [tensor.clone() for network in (generator, critic) for tensor in network.state_dict().values()]
    samples.picture(generator, RING, seed=0, title="", critic=critic, n=64)
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
    assert first == second != other
    drawn = sampling.generate(generator, sampling.latents(generator, 64, 3))
    assert first == pictures.image_grid(drawn)


METRICS = [
    {
        "step": step,
        "estimate": 0.1 * step,
        "critic_loss": -0.2 * step,
        "generator_loss": 1.0 / step,
        "critic_gradient_norm": 2.0**step,
        "generator_gradient_norm": 3.0**step,
        **measured,
    }
    for step, measured in [(1, {"exact": 0.5, "exact_error": 0.01}), (2, {}), (4, {"exact": 0.75, "exact_error": 0.0})]
]


def test_curves_are_the_numbers_against_the_steps():
    estimate, losses, norms = figures.caught(lambda: pictures.curves(METRICS, "nats")).axes

    def column(name):
        return np.array([line[name] for line in METRICS])

    assert estimate.get_ylabel() == "estimate (nats)"
    for axes, names in (
        (estimate, {"estimate": "estimate"}),
        (losses, {"critic": "critic_loss", "generator": "generator_loss"}),
        (norms, {"critic": "critic_gradient_norm", "generator": "generator_gradient_norm"}),
    ):
        shown = figures.lines(axes)
        assert shown.keys() == names.keys()
        for legend, name in names.items():
            np.testing.assert_array_equal(shown[legend], [column("step"), column(name)])
    assert (losses.get_yscale(), norms.get_yscale()) == ("linear", "log")
    assert [norms.yaxis.get_major_formatter()(number) for number in (0.05, 20)] == ["0.05", "20"]
    assert norms.xaxis.get_major_formatter()(12_000) == "12,000"
    # The exact values, each with 1.96 standard errors on either side.
    (exact,) = estimate.containers
    np.testing.assert_array_equal(exact.lines[0].get_data(), [[1, 4], [0.5, 0.75]])
    bars = [np.asarray(segment) for segment in exact.lines[2][0].get_segments()]
    np.testing.assert_allclose(bars, [[[1, 0.4804], [1, 0.5196]], [[4, 0.75], [4, 0.75]]])


@pytest.mark.parametrize("decades", [1, 4, 5, 80])
def test_a_logarithmic_axis_has_numbers_however_far_it_reaches(decades):
    metrics = [METRICS[0], METRICS[1] | {"critic_gradient_norm": METRICS[0]["critic_gradient_norm"] * 10.0**-decades}]
    *_, norms = figures.caught(lambda: pictures.curves(metrics, "")).axes
    low, high = norms.get_ylim()
    assert norms.get_yscale() == "log"
    assert 3 <= sum(low <= tick <= high for tick in norms.get_yticks()) <= 16


@pytest.mark.parametrize("lines", [1, 3])
def test_curves_are_drawn_from_the_first_line_on_and_without_a_generator(lines):
    kept = ("step", "estimate", "critic_loss", "critic_gradient_norm")
    metrics = [{name: line[name] for name in kept} for line in METRICS[:lines]]
    _, losses, _ = figures.caught(lambda: pictures.curves(metrics, "")).axes
    (line,) = losses.lines
    np.testing.assert_array_equal(line.get_data(), [[of[name] for of in metrics] for name in kept[::2]])
    assert line.get_marker() == ("o" if lines == 1 else "None")  # a line through one point would not be seen


def test_a_single_line_of_the_log_has_whole_steps_and_plain_norms():
    *_, norms = figures.caught(lambda: pictures.curves([METRICS[1] | {"step": 20}], "")).axes
    assert all(tick == round(tick) for tick in norms.get_xticks())
    *_, norms = figures.caught(lambda: pictures.curves([METRICS[1] | {"step": 1}], "")).axes
    labels = [norms.xaxis.get_major_formatter()(tick) for tick in norms.get_xticks()]
    assert [label for label in labels if label] == ["1"]
    assert norms.get_yscale() == "linear"


def test_infinite_truth_is_a_mark_and_a_far_one_keeps_the_estimate_in_sight():
    metrics = [{"step": 1, "estimate": 0.1, "exact": math.inf, "exact_error": 0.0}]
    axes = figures.caught(lambda: pictures.curves(metrics, "")).axes[0]
    np.testing.assert_array_equal(figures.lines(axes)["exact: infinite"], [[1], [0.97]])
    assert axes.get_yscale() == "linear"
    for exact, scale in ((1.9, "linear"), (2.1, "symlog")):
        metrics = [{"step": 1, "estimate": 0.1, "exact": exact, "exact_error": 0.0}]
        assert figures.caught(partial(pictures.curves, metrics, "")).axes[0].get_yscale() == scale


def test_a_gallery_has_its_images_in_rows_with_their_captions():
    rows = {
        "generated": torch.randint(256, (3, 1, 4, 4), dtype=torch.uint8),
        "nearest": torch.randint(256, (3, 3, 4, 4), dtype=torch.uint8),
    }
    shown = Gallery("beside", rows, {"nearest": ["0.1", "", "0.3"]})
    figure = figures.caught(lambda: pictures.gallery(shown))
    assert figure.get_suptitle() == "beside"
    panels = iter(figure.axes)
    for label, images in rows.items():
        for index, image in enumerate(images):
            axes = next(panels)
            drawn = np.asarray(axes.images[0].get_array()).reshape(4, 4, -1)
            np.testing.assert_array_equal(drawn, image.movedim(0, 2).numpy())
            assert axes.images[0].get_clim() == (0, 255)
            assert axes.get_ylabel() == ("" if index else label)
            assert axes.get_title() == (["0.1", "", "0.3"][index] if label == "nearest" else "")


def test_a_heat_map_has_its_numbers_the_best_of_each_column_bold_and_takes_infinity():
    matrix = {"x": {"kl": math.inf, "js": 0.5, "far": 123.4}, "y": {"kl": 1.0, "js": 0.25, "far": 5e7}}
    (axes,) = figures.caught(lambda: pictures.heat_map({"title": matrix}, "trained", "measured")).axes
    texts = {tuple(text.get_position()): (text.get_text(), text.get_fontweight()) for text in axes.texts}
    assert texts == {
        (0, 0): ("∞", "normal"),
        (1, 0): ("0.5000", "normal"),
        (2, 0): ("1.2e+02", "bold"),
        (0, 1): ("1.0000", "bold"),
        (1, 1): ("0.2500", "bold"),
        (2, 1): ("5e+07", "normal"),
    }
    # The colour is the share of the other rows that are smaller.
    np.testing.assert_array_equal(axes.images[0].get_array(), [[1, 1, 0], [0, 0, 1]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["kl", "js", "far"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y"]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("title", "measured", "trained")


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
