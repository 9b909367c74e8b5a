"""`gan-sample`: what it writes is a function of the run, the weights and the seed, whatever the form."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli import sampling
from gan_cli.commands.sample import folder_names, slerp, write_samples
from gan_cli.config import parts
from gan_cli.datasets.base import as_uint8
from gan_cli.models.conditioning import class_weights
from gan_cli.runs import read
from gan_cli.runs.load import load_run
from tests.helpers import figures
from tests.helpers.configs import TINY, compose
from tests.helpers.runs import train

SIDE = 8
SMALL_IMAGES = ["dataset=mnist5k", f"dataset.resolution={SIDE}", "train.batch_size=8"]
SMALL_IMAGES += ["model.generator.width=4", "model.critic.width=4"]


def trained(folder: Path, *overrides: str) -> Path:
    return train(folder, "train.steps=4", "every.checkpoint=2", *overrides)


@pytest.fixture(scope="module")
def points_run(tmp_path_factory) -> Path:
    """Two checkpoints of a generator of points."""
    # A rate at which four steps change much, and the average lags behind.
    return trained(tmp_path_factory.mktemp("points") / "run", *TINY, "optimizer.generator.lr=0.1")


@pytest.fixture(scope="module")
def images_run(tmp_path_factory) -> Path:
    """Two checkpoints of a generator of grey images."""
    return trained(tmp_path_factory.mktemp("images") / "run", *SMALL_IMAGES, "optimizer.generator.lr=0.05")


@pytest.fixture
def sample(inside, tmp_path):
    """The path that `gan-sample RUN ARGUMENTS --out NAME` wrote."""

    def call(folder: Path, name: str, *arguments: str) -> Path:
        finished = inside("gan-sample", str(folder), *arguments, "--out", str(tmp_path / name))
        assert (finished.code, finished.out, finished.err) == (0, "", "")
        return tmp_path / name

    return call


def pixels(path: Path, mode: str = "L") -> np.ndarray:
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", mode)
        return np.asarray(image)


def test_a_folder_an_array_and_a_grid_hold_the_same_images(images_run, sample):
    options = ("-n", "6", "--seed", "5")
    array = np.load(sample(images_run, "images.npy", *options))
    assert (array.shape, array.dtype) == ((6, 1, SIDE, SIDE), np.uint8)
    assert len(np.unique(array)) > 10

    folder = sample(images_run, "images", *options)
    assert sorted(path.name for path in folder.iterdir()) == [f"{index:05d}.png" for index in range(6)]
    for index in range(6):
        np.testing.assert_array_equal(pixels(folder / f"{index:05d}.png"), array[index, 0])

    # Six images take three columns and two rows, with margins of two pixels; every pixel is enlarged to a square.
    grid, green, blue = pixels(sample(images_run, "grid.png", *options), mode="RGB").transpose(2, 0, 1)
    assert (grid == green).all()
    assert (grid == blue).all()
    factor = grid.shape[1] // (3 * (SIDE + 2) + 2)
    assert factor > 1
    assert grid.shape == ((2 * (SIDE + 2) + 2) * factor, (3 * (SIDE + 2) + 2) * factor)
    small = grid[::factor, ::factor]
    np.testing.assert_array_equal(small.repeat(factor, 0).repeat(factor, 1), grid)
    for index in range(6):
        top, left = (2 + (SIDE + 2) * place for place in divmod(index, 3))
        np.testing.assert_array_equal(small[top : top + SIDE, left : left + SIDE], array[index, 0])


def test_a_walk_is_an_endless_film_of_as_many_frames_as_asked_for(images_run, sample):
    film: Any
    with Image.open(sample(images_run, "walk.gif", "-n", "12")) as film:
        assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", 12, 0)
        assert film.size[0] == film.size[1] >= 400
        frames = []
        for index in range(12):
            film.seek(index)
            frames.append(np.asarray(film.convert("L"), dtype=float))
    steps = [np.abs(after - before).mean() for before, after in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert min(steps) > 0
    # The last frame leads back to the first in a step like any other.
    assert steps[-1] < 2 * max(steps[:-1])


def test_a_walk_stays_in_the_gaussian_that_it_begins_in(tmp_path, sample, monkeypatch):
    seen = []
    generate = sampling.generate

    def seeing(generator, latent, labels):
        seen.append((generator, latent))
        return generate(generator, latent, labels)

    monkeypatch.setattr(sampling, "generate", seeing)
    mixture = trained(tmp_path / "run", *SMALL_IMAGES, "model.generator.latent=mixture")
    seen.clear()
    sample(mixture, "walk.gif", "-n", "12")
    centres = torch.stack([generator.centre(latent) for generator, latent in seen])
    assert torch.equal(centres, centres[:1].expand_as(centres))
    assert len(centres[0].argmax(1).unique()) > 4
    # Seen from the centre, the latents of the way are as long as Gaussian ones.
    lengths = (torch.stack([latent for _, latent in seen]) - centres).norm(dim=2)
    assert lengths.mean().item() == pytest.approx(math.sqrt(centres.shape[2]), rel=0.1)


# Classes


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory) -> Path:
    """A conditional generator of digits."""
    return trained(tmp_path_factory.mktemp("digits") / "run", *SMALL_IMAGES, "model.conditional=true")


def expected_of(run: Path, labels: list[int], seed: int = 0) -> np.ndarray:
    """What the run's generator draws of labels, uint8."""
    generator = load_run(run).average
    latents = sampling.latents(generator, len(labels), seed)
    return as_uint8(sampling.generate(generator, latents, torch.tensor(labels))).numpy()


def test_a_folder_of_a_conditional_run_has_a_folder_a_class_and_a_manifest(digits_run, sample):
    folder = sample(digits_run, "all", "-n", "25", "--seed", "5")
    # Classes as frequent as in the data, which have 500 of each.
    counts = {str(digit): 3 if digit < 5 else 2 for digit in range(10)}
    assert {path.name: len([*path.iterdir()]) for path in folder.iterdir() if path.is_dir()} == counts
    labels = [int(digit) for digit in counts for _ in range(counts[digit])]
    images = expected_of(digits_run, labels, seed=5)
    for index, (label, image) in enumerate(zip(labels, images, strict=True)):
        np.testing.assert_array_equal(pixels(folder / str(label) / f"{index:05d}.png"), image[0])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == {
        "run": str(digits_run),
        "checkpoint_sha256": read.digest_of(read.checkpoint_of(digits_run, 4)),
        "step": 4,
        "weights": "average",
        "seed": 5,
        "classes": {name: {"folder": name, "images": counts[name]} for name in counts},
    }


def test_classes_are_chosen_by_name_and_equally_frequent(digits_run, sample):
    array = np.load(sample(digits_run, "chosen.npy", "--class", "7,3", "-n", "6"))
    np.testing.assert_array_equal(array, expected_of(digits_run, [7, 7, 7, 3, 3, 3]))
    folder = sample(digits_run, "chosen", "--class", "7", "-n", "2")
    assert sorted(path.name for path in folder.iterdir()) == ["7", "manifest.json"]


def test_a_grid_of_a_conditional_run_has_a_class_a_row_with_its_name(digits_run, sample):
    shown = {name: sample(digits_run, f"{name}.png", "--class", name, "-n", "4") for name in ("1", "8")}
    both = pixels(sample(digits_run, "both.png", "--class", "1,8", "-n", "8"), mode="RGB")
    rows = [pixels(path, mode="RGB") for path in shown.values()]
    assert both.shape[0] == sum(len(row) for row in rows)
    margin = both.shape[1] - 4 * (both.shape[1] // 4 // (SIDE + 2)) * (SIDE + 2)
    assert not np.array_equal(rows[0][:, :margin], rows[1][:, :margin])  # their names
    assert (both[0] == 255).all()
    whole = pixels(sample(digits_run, "all.png"), mode="RGB")
    assert whole.shape[0] == pytest.approx(whole.shape[1], rel=0.2)  # ten classes of ten images


def test_a_walk_stays_in_its_class_or_goes_round_those_that_were_asked_for(digits_run, sample, monkeypatch):
    seen = []
    generate = sampling.generate

    def seeing(generator, latent, labels):
        seen.append(labels)
        return generate(generator, latent, labels)

    monkeypatch.setattr(sampling, "generate", seeing)
    sample(digits_run, "walk.gif", "-n", "8")
    assert all(torch.equal(labels, torch.arange(16) % 10) for labels in seen)
    seen.clear()
    sample(digits_run, "between.gif", "--class", "3,8", "-n", "16")
    of_three, of_eight = torch.stack([class_weights(labels, 10).float()[0, [3, 8]] for labels in seen]).unbind(1)
    torch.testing.assert_close(of_three + of_eight, torch.ones(16))
    assert of_three.max() == of_eight.max() == 1
    assert ((of_three > 0) & (of_three < 1)).sum() == 2  # half of the way there, and half of that back
    seen.clear()
    sample(digits_run, "within.gif", "--class", "3", "-n", "4")
    assert all(torch.equal(labels, torch.full((16,), 3)) for labels in seen)
    seen.clear()
    sample(digits_run, "round.gif", "--class", "0,1,2,3,4,5,6,7,8,9", "-n", "10")
    assert [int(labels[0]) for labels in seen] == [*range(10)]


def test_points_of_chosen_modes_lie_in_them_by_label(tmp_path, sample):
    run = trained(tmp_path / "run", *TINY, "model.conditional=true")
    array = np.load(sample(run, "points.npy", "--class", "2,5", "-n", "10"))
    generator = load_run(run).average
    labels = torch.tensor([2] * 5 + [5] * 5)
    expected = sampling.generate(generator, sampling.latents(generator, 10, 0), labels)
    np.testing.assert_allclose(array, expected.numpy())
    figure = figures.caught(lambda: write_samples(run, tmp_path / "points.png", 50, seed=0, classes="2"))
    (_, fake) = figure.axes[0].collections[-2:]
    assert fake.get_label() == "fake, a colour a class"
    assert len(np.unique(fake.get_facecolor(), axis=0)) == 1


@pytest.mark.parametrize(
    ("run", "names", "message"),
    [
        ("images_run", "3", "draws no classes: train with model.conditional=true"),
        ("digits_run", "3,cat", "--class 'cat' is not a class of"),
        ("digits_run", "", "--class '' is not a class of"),
        ("digits_run", "1,2,3,4,5", "-n 4 is less than the 5 classes of --class: choose -n 5 or more"),
    ],
)
def test_classes_that_cannot_be_drawn_are_refused(run, names, message, request, inside, tmp_path):
    folder = request.getfixturevalue(run)
    finished = inside("gan-sample", str(folder), "-n", "4", "--class", names, "--out", str(tmp_path / "x.png"))
    assert finished.code == 2
    assert message in finished.err
    assert finished.err.count("\n") == 1
    assert not (tmp_path / "x.png").exists()


def test_names_of_classes_become_names_of_folders():
    names = ["T-shirt/top", "T-shirt-top", "..", "con:", "CON", "a ", "manifest.json", "Ω"]
    assert folder_names(names) == {
        "T-shirt/top": "T-shirt-top",
        "T-shirt-top": "T-shirt-top-1",
        "..": "-",
        "con:": "con-",
        "CON": "CON-1",
        "a ": "a-",
        "manifest.json": "manifest.json-1",
        "Ω": "Ω",
    }


def test_points_are_an_array_or_a_picture(points_run, sample):
    array = np.load(sample(points_run, "points.npy", "-n", "7"))
    assert (array.shape, array.dtype) == ((7, 2), np.float32)
    assert np.isfinite(array).all()
    assert np.load(sample(points_run, "long.npy", "--n", "7")).tolist() == array.tolist()
    assert np.load(sample(points_run, "all.npy")).shape == (2500, 2)
    with Image.open(sample(points_run, "points.png", "-n", "7")) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) >= 400


def test_samples_may_lie_beside_a_runs_own_files(points_run, sample):
    for _ in range(2):
        assert sample(points_run, str(points_run / "mine.npy")).parent == points_run
    assert sample(points_run, str(points_run / "mine" / "samples.png")).exists()


@pytest.mark.parametrize(("weights", "drawn"), [("average", "averaged"), ("raw", "raw")])
def test_a_picture_of_points_says_which_weights_drew_it(weights, drawn, points_run, tmp_path):
    figure = figures.caught(lambda: write_samples(points_run, tmp_path / "points.png", 50, seed=0, weights=weights))
    assert figure.axes[0].get_title() == f"step 4, {drawn} generator"


@pytest.mark.parametrize("override", ["train.average_decay=0", "train.generator=frozen"])
def test_a_run_whose_average_is_the_raw_generator_is_said_to_be_drawn_by_that(override, tmp_path):
    run = train(tmp_path / "run", *TINY, "train.steps=1", override)
    figure = figures.caught(lambda: write_samples(run, tmp_path / "points.png", 50, seed=0))
    assert figure.axes[0].get_title() == "step 1, raw generator"


def test_folders_on_the_way_are_made(points_run, sample):
    assert sample(points_run, "new/folder/points.npy").exists()


@pytest.mark.parametrize("name", ["points.npy", "points.png"])
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(name, points_run, sample):
    first, again, other = (
        sample(points_run, f"{index}-{name}", "--seed", seed).read_bytes() for index, seed in enumerate("778")
    )
    assert first == again != other
    assert sample(points_run, name).read_bytes() == sample(points_run, f"0-{name}", "--seed", "0").read_bytes()


@pytest.mark.parametrize(("weights", "part"), [("average", "average"), ("raw", "generator")])
@pytest.mark.parametrize("step", [2, 4])
def test_samples_are_of_the_weights_and_step_asked_for(weights, part, step, points_run, sample):
    drawn = np.load(sample(points_run, "drawn.npy", "--weights", weights, "--step", str(step), "-n", "50"))
    state = torch.load(points_run / "checkpoints" / f"step-000000{step}.pt", weights_only=True)
    generator = parts.generator(compose(*TINY), (2,))
    generator.load_state_dict(state[part])
    expected = sampling.generate(generator, sampling.latents(generator, 50, seed=0))
    torch.testing.assert_close(torch.from_numpy(drawn), expected)


def test_weights_and_steps_differ_and_the_newest_average_is_the_default(points_run, sample):
    drawn = {
        (weights, step): sample(points_run, "drawn.npy", "--weights", weights, "--step", step).read_bytes()
        for weights in ("average", "raw")
        for step in ("2", "4")
    }
    assert len(set(drawn.values())) == 4
    assert sample(points_run, "drawn.npy").read_bytes() == drawn["average", "4"]


def test_slerp_goes_from_end_to_end_on_the_arc():
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 5, 16, generator=generator, dtype=torch.float64)
    end *= start.norm(dim=1, keepdim=True) / end.norm(dim=1, keepdim=True)
    torch.testing.assert_close(slerp(start, end, 0.0), start)
    torch.testing.assert_close(slerp(start, end, 1.0), end)
    third = slerp(start, end, 1 / 3)
    torch.testing.assert_close(third.norm(dim=1), start.norm(dim=1))

    def angle(a, b):
        return torch.cosine_similarity(a, b).acos()

    torch.testing.assert_close(angle(start, third), angle(start, end) / 3)
    torch.testing.assert_close(slerp(start, start, 0.5), start)
    assert slerp(start, -start, 0.5).isfinite().all()


def test_samples_are_made_a_batch_at_a_time_and_are_the_same_whatever_its_size(images_run, sample, monkeypatch):
    whole = np.load(sample(images_run, "whole.npy", "-n", "20"))
    asked = []
    generate = sampling.generate

    def noted(generator, latents, *rest, **named):
        asked.append(len(latents))
        return generate(generator, latents, *rest, **named)

    monkeypatch.setattr(sampling, "generate", noted)
    parted = np.load(sample(images_run, "parted.npy", "-n", "20", "--batch-size", "6"))
    assert asked == [6, 6, 6, 2]
    assert np.array_equal(parted, whole)
    sample(images_run, "pngs", "-n", "7", "--batch-size", "3")
    assert asked[4:] == [3, 3, 1]


def test_the_size_of_a_batch_is_that_of_the_config(tmp_path, sample, monkeypatch):
    run = train(tmp_path / "run", "train.steps=1", *SMALL_IMAGES, "device.generation_batch_size=9")
    asked = []

    def blank(generator, latents, labels, batch_size):
        asked.append(batch_size)
        return torch.zeros(len(latents), 1, SIDE, SIDE)

    monkeypatch.setattr(sampling, "generate", blank)
    sample(run, "images.npy", "-n", "20")
    assert asked == [9, 9, 9]


def test_a_batch_of_nothing_is_refused(images_run, inside, tmp_path):
    finished = inside("gan-sample", str(images_run), "--batch-size", "0", "--out", str(tmp_path / "a.png"))
    assert (finished.code, finished.err) == (2, "gan-sample: --batch-size 0 must be at least 1\n")
