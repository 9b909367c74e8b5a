"""The picture of the numbers that change over a run."""

import numpy as np
import pytest
from PIL import Image

from gan_cli.schedules import Linear, Progress, Scaled, Schedule
from gan_cli.show.schedules import picture
from tests.helpers import figures
from tests.helpers.configs import TINY
from tests.helpers.runs import tree


class Decades(Schedule):
    """From 1 to a thousandth, as powers go."""

    def at(self, progress):
        return 10 ** (-3 * progress.share(None))


def test_each_number_has_a_panel_over_the_images_of_the_run():
    falling = Linear(1.0, 0.0, None)
    shown = {"critic_learning_rate": Scaled(2e-4, falling), "penalty_weight": Decades()}
    rate, weight = figures.caught(lambda: picture(shown, steps=51, images_per_step=10)).axes
    assert [axes.get_ylabel() for axes in (rate, weight)] == ["critic\nlearning rate", "penalty\nweight"]
    assert (rate.get_yscale(), weight.get_yscale()) == ("linear", "log")
    assert weight.get_xlabel() == "images (real samples seen by the critic)"
    (line,) = rate.lines
    np.testing.assert_allclose(line.get_xdata(), np.arange(51) * 10)
    np.testing.assert_allclose(line.get_ydata(), [2e-4 * falling.at(Progress(step, 51, 10)) for step in range(51)])


def test_a_long_run_is_drawn_from_its_first_step_to_its_last():
    (axes,) = figures.caught(lambda: picture({"beta2": Decades()}, steps=1_000_000, images_per_step=2)).axes
    images = axes.lines[0].get_xdata()
    assert (images[0], images[-1], len(images)) == (0, 2 * 999_999, 1000)


# The command


@pytest.fixture
def drawn(inside, tmp_path, monkeypatch):
    """`gan-train …` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: inside("gan-train", *TINY, "device=cpu", "train.steps=4", *arguments)


def test_the_picture_is_all_that_is_written(drawn, tmp_path):
    finished = drawn("train.schedule=cosine", "--schedules", "numbers.png")
    assert (finished.code, finished.out) == (0, ""), finished.err
    assert list(tree(tmp_path)) == ["numbers.png"]
    with Image.open(tmp_path / "numbers.png") as image:
        assert image.format == "PNG"
        assert min(image.size) >= 400


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--schedules", "numbers.jpg"), "--schedules numbers.jpg: they are drawn as .png"),
        (("--schedules", "file/numbers.png"), "--schedules file/numbers.png cannot be written"),
        (("--schedules", "numbers.png", "train.average_decay=0.5"), "no number of this run changes"),
        (("--schedules", "numbers.png", "-m", "seed=0,1"), "leave out -m"),
        (("--schedules", "numbers.png", "train.schedule=sinus"), "train.schedule=sinus is not a schedule"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(drawn, tmp_path, arguments, complaint):
    (tmp_path / "file").touch()
    finished = drawn(*arguments)
    assert (finished.code, finished.out) == (2, "")
    assert complaint in finished.err
    assert len(finished.err.splitlines()) == 1
    assert list(tree(tmp_path)) == ["file"]
