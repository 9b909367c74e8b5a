"""The film of a run: its kept pictures in order, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gan_cli.commands.film import STRIP
from tests.helpers.configs import TINY
from tests.helpers.runs import train

SMALL = ["dataset=mnist5k", "dataset.resolution=8", "train.batch_size=8"]
SMALL += ["model.generator.width=4", "model.critic.width=4", "optimizer.generator.lr=0.05"]


@pytest.fixture(scope="module")
def points_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("points") / "run"
    return train(folder, *TINY, "train.steps=12", "every.samples=4", "optimizer.generator.lr=0.1", pictures=True)


@pytest.fixture(scope="module")
def images_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "run"
    return train(folder, *SMALL, "train.steps=12", "every.samples=4", pictures=True)


def frames(path: Path) -> list[np.ndarray]:
    film: Any
    with Image.open(path) as film:
        assert (film.format, film.info["loop"]) == ("GIF", 0)
        found = []
        for index in range(film.n_frames):
            film.seek(index)
            found.append(np.asarray(film.convert("L"), dtype=float))
    return found


def kept(run: Path) -> list[np.ndarray]:
    pictures = [run / "samples" / f"step-{step:07d}.png" for step in (4, 8, 12)]
    return [np.asarray(Image.open(path).convert("L"), dtype=float) for path in pictures]


@pytest.mark.thorough
@pytest.mark.parametrize("flag", [["--film"], []])
def test_points_have_their_pictures_for_frames_with_or_without_being_asked(flag, points_run, inside, tmp_path):
    finished = inside("gan-sample", str(points_run), *flag, "--out", str(tmp_path / "film.gif"))
    assert (finished.code, finished.out, finished.err) == (0, "", "")
    for shown, picture in zip(frames(tmp_path / "film.gif"), kept(points_run), strict=True):
        assert shown.shape == picture.shape
        assert np.abs(shown - picture).mean() < 3  # a palette has fewer colours


def test_images_have_a_heading_above_each_grid(images_run, inside, tmp_path):
    finished = inside("gan-sample", str(images_run), "--film", "--out", str(tmp_path / "film.gif"))
    assert (finished.code, finished.err) == (0, "")
    headings = []
    for shown, picture in zip(frames(tmp_path / "film.gif"), kept(images_run), strict=True):
        assert shown.shape == (picture.shape[0] + STRIP, picture.shape[1])
        assert np.abs(shown[STRIP:] - picture).mean() < 3
        headings.append(shown[:STRIP])
        assert headings[-1].min() < 50
        assert np.median(headings[-1]) > 250
    assert not np.array_equal(headings[0], headings[1])  # the step is another


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("override", "drawn"), [("seed=0", "averaged"), ("train.average_decay=0", "raw"), ("train.generator=frozen", "raw")]
)
def test_a_heading_says_which_generator_is_drawn(override, drawn, inside, tmp_path, monkeypatch):
    run = train(tmp_path / "run", *SMALL, "train.steps=2", "every.samples=1", override, pictures=True)
    said = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda _, place, text, **__: said.append(text))
    assert inside("gan-sample", str(run), "--film", "--out", str(tmp_path / "film.gif")).code == 0
    assert said == [f"step {step}, {drawn} generator" for step in (1, 2)]


def test_images_take_a_walk_without_the_flag(images_run, inside, tmp_path):
    assert inside("gan-sample", str(images_run), "-n", "5", "--out", str(tmp_path / "walk.gif")).code == 0
    assert len(frames(tmp_path / "walk.gif")) == 5


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--film --out film.png", "as .gif only"),
        ("--film --out film.gif -n 3", "leave -n, --class, --seed, --step and --weights out"),
        ("--film --out film.gif --weights raw", "leave -n, --class, --seed, --step and --weights out"),
        ("--out film.gif --seed 1", "leave -n, --class, --seed, --step and --weights out"),
    ],
)
def test_what_a_film_cannot_be_is_refused(arguments, complaint, points_run, inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-sample", str(points_run), *arguments.split())
    assert finished.code == 2
    assert complaint in finished.err
    assert not list(tmp_path.glob("film.*"))


def test_a_run_without_pictures_and_a_damaged_picture_are_named(points_run, inside, tmp_path):
    run = Path(shutil.copytree(points_run, tmp_path / "run"))
    (run / "samples" / "step-0000008.png").write_bytes(b"no picture")
    finished = inside("gan-sample", str(run), "--film", "--out", str(tmp_path / "film.gif"))
    assert finished.code == 2
    assert "step-0000008.png is damaged: remove it" in finished.err
    shutil.rmtree(run / "samples")
    finished = inside("gan-sample", str(run), "--film", "--out", str(tmp_path / "film.gif"))
    assert finished.code == 2
    assert "samples holds no pictures" in finished.err
    assert "every.samples" in finished.err
