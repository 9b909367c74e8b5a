"""`gan-eval --real A --fake B --out FILE`: numbers of samples that no run need have made."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_cli.commands import measuring
from gan_cli.metrics.frechet import frechet_distance, moments
from gan_cli.runs import read
from tests.helpers.commands import Command
from tests.helpers.subjects import random_images

FRECHET = ("--metric", "frechet", "--extractor", "raw")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path / "cache"))
    return tmp_path


def folder(name: str, images: Tensor) -> str:
    Path(name).mkdir(parents=True)
    for index, image in enumerate(images):
        shape = image[0] if len(image) == 1 else image.permute(1, 2, 0)
        Image.fromarray(shape.numpy()).save(Path(name) / f"{index:03}.png")
    return name


def numbers(out: str = "numbers.json") -> dict[str, float]:
    return {name: of["value"] for receipt in read.receipts_in(Path(out)) for name, of in receipt["numbers"].items()}


def expected(real: Tensor, fake: Tensor) -> float:
    """The distance between pixels as a metric sees them."""
    first, second = (moments(images.flatten(1).float() / 255) for images in (real, fake))
    return frechet_distance(first, second).item()


def test_two_folders_have_the_distance_of_their_pixels_with_a_receipt(inside: Command):
    real, fake = random_images(30, 0, channels=3), random_images(20, 1, channels=3) // 2
    finished = inside("gan-eval", "--real", folder("a", real), "--fake", folder("b", fake), *FRECHET, "--out", "n.json")
    assert finished.code == 0
    assert numbers("n.json")["frechet_distance"] == pytest.approx(expected(real, fake), rel=1e-5)
    (receipt,) = read.receipts_in(Path("n.json"))
    assert receipt["samples"] == {"generated": 20, "real": 30, "held_out": 15}
    assert (receipt["real"], receipt["fake"], receipt["seed"]) == ("a", "b", 0)
    assert receipt["dataset_sha256"] != receipt["samples_sha256"]
    assert "b beside a, seed 0; ± is 1.96 standard errors\n" in finished.out
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["n.json"]


def test_a_question_is_answered_from_the_file_until_a_picture_changes(inside: Command, monkeypatch):
    folder("a", random_images(12, 0)), folder("b", random_images(12, 1))
    ask = ("--real", "a", "--fake", "b", *FRECHET, "--out", "n.json")
    first = inside("gan-eval", *ask)
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "_measured", None)
        again = inside("gan-eval", *ask)
        assert (again.code, again.out) == (0, first.out)
    folder("c", random_images(1, 2))
    Path("c/000.png").replace("b/000.png")
    assert inside("gan-eval", *ask).code == 0
    old, new = read.receipts_in(Path("n.json"))
    assert old["samples_sha256"] != new["samples_sha256"]
    assert old["dataset_sha256"] == new["dataset_sha256"]
    other = inside("gan-eval", *ask, "--seed", "1")
    assert other.code == 0
    assert len(read.receipts_in(Path("n.json"))) == 3


def test_grey_and_coloured_folders_are_taken_as_they_are(inside: Command):
    grey, colour = random_images(8, 0), random_images(8, 1, channels=3)
    folder("grey", grey), folder("other", random_images(8, 2)), folder("colour", colour)
    assert inside("gan-eval", "--real", "grey", "--fake", "other", *FRECHET, "--out", "g.json").code == 0
    assert numbers("g.json")["frechet_distance"] == pytest.approx(expected(grey, random_images(8, 2)), rel=1e-5)
    # One coloured picture, not the first, makes the folder one of colours.
    folder("mixed", grey)
    Image.fromarray(colour[0].permute(1, 2, 0).numpy()).save("mixed/zzz.png")
    assert inside("gan-eval", "--real", "colour", "--fake", "mixed", *FRECHET, "--out", "m.json").code == 0
    as_colours = torch.cat([grey.expand(-1, 3, -1, -1), colour[:1]])
    assert numbers("m.json")["frechet_distance"] == pytest.approx(expected(colour, as_colours), rel=1e-5)


def test_arrays_and_tables_and_options_go_together_with_anything_of_their_shape(inside: Command):
    images = random_images(16, 0, side=8)
    np.save("images.npy", images[:, 0].numpy())
    folder("pictures", random_images(16, 1, side=8))
    assert inside("gan-eval", "--real", "images.npy", "--fake", "pictures", *FRECHET, "--out", "a.json").code == 0
    assert numbers("a.json")["frechet_distance"] == pytest.approx(expected(images, random_images(16, 1, side=8)))

    points = np.random.default_rng(0).normal(size=(500, 2))
    np.savetxt("points.csv", points, delimiter=",")
    np.save("points.npy", points + np.array([3, 0]))
    ask = ("--metric", "sliced_wasserstein", "--out", "p.json")
    assert inside("gan-eval", "--real", "points.csv", "--fake", "points.npy", *ask).code == 0
    # W₁ of a shift by 3 along a direction at an angle is 3·|cos|, on average 6/π.
    assert numbers("p.json")["sliced_wasserstein"] == pytest.approx(6 / np.pi, rel=0.1)

    few = ("--metric", "modes", "--n", "300", "--out", "m.json")
    assert inside("gan-eval", "--real", "ring", "--fake", "ring:radius=2.5", *few).code == 0
    assert numbers("m.json")["high_quality_share"] == 0


def test_fewer_samples_than_asked_for_are_all_that_there_are(inside: Command):
    np.savetxt("many.csv", np.random.default_rng(0).normal(size=(400, 2)), delimiter=",")
    np.savetxt("few.csv", np.random.default_rng(1).normal(size=(50, 2)), delimiter=",")
    finished = inside("gan-eval", "--real", "many.csv", "--fake", "few.csv", "--out", "n.json")
    assert finished.code == 0
    told = {receipt["metric"]: receipt["samples"] for receipt in read.receipts_in(Path("n.json"))}
    assert told["sliced_wasserstein"] == {"generated": 50, "real": 50, "held_out": 200}
    assert told["frechet"] == {"generated": 50, "real": 400, "held_out": 200}


def test_classes_go_by_their_names(inside: Command):
    """The agreement of a mode with its class, where the samples know two classes in another order."""
    from gan_cli.datasets.mixtures import Ring

    drawn = Ring(8, 2.0, 0.02).batch(400, torch.Generator().manual_seed(0))
    assert drawn.labels is not None
    chosen = (drawn.labels == 7) | (drawn.labels == 2)
    rows = zip(drawn.samples[chosen].tolist(), drawn.labels[chosen].tolist(), strict=True)
    Path("two.csv").write_text("x,y,mode\n" + "".join(f"{x},{y},{label}\n" for (x, y), label in rows))
    fake = "points:path=two.csv:labels=mode"
    asked = ("--metric", "modes", "--n", "100", "--out", "n.json")
    assert inside("gan-eval", "--real", "ring", "--fake", fake, *asked).code == 0
    found = numbers("n.json")
    assert found["class_agreement"] == 1
    assert {"class_agreement/2", "class_agreement/7"} < found.keys()
    assert "class_agreement/0" not in found
    # Of classes that the real ones do not have, nothing is said.
    Path("two.csv").write_text(Path("two.csv").read_text().replace(",7\n", ",seven\n"))
    assert inside("gan-eval", "--real", "ring", "--fake", fake, *asked[:-1], "other.json").code == 0
    assert "class_agreement" not in numbers("other.json")


def test_metrics_of_players_are_refused_by_name_and_told_of_otherwise(inside: Command):
    asked = ("--real", "ring", "--fake", "grid", "--n", "1000", "--out", "n.json")
    finished = inside("gan-eval", *asked, "--metric", "exact")
    assert finished.code == 2
    assert finished.err == (
        "gan-eval: metric.exact: is about the players of a run: measure one with gan-eval RUN, or leave the metric"
        " out\n"
    )
    assert not Path("n.json").exists()
    finished = inside("gan-eval", *asked)
    assert finished.code == 0
    refused = {receipt["metric"] for receipt in read.receipts_in(Path("n.json")) if receipt["refused"]}
    assert {"exact", "class_agreement", "neighbours"} < refused
    assert "(n.json says why)" in finished.out


def test_pictures_of_a_metric_lie_beside_the_receipts(inside: Command):
    folder("a", random_images(40, 0)), folder("b", random_images(20, 1))
    Path("deep").mkdir()
    asked = ("--metric", "neighbours", "--n", "20", "--out", "deep/n.json")
    narrow = inside("gan-eval", "--real", "a", "--fake", "b", *asked)
    assert narrow.code == 2  # a hundredth of so few images is none
    assert "quantile=0.01 needs 200 of them" in narrow.err
    folder("c", random_images(220, 2))
    assert inside("gan-eval", "--real", "c", "--fake", "b", *asked[:2], *asked[4:]).code == 0
    assert sorted(path.name for path in Path("deep").iterdir()) == ["n.json", "n.neighbours.png"]


WRONG = {
    "no pair": (("--real", "a", "--out", "n.json"), "--real A --fake B --out FILE.json go together: name all three"),
    "no file": (("--real", "a", "--fake", "b"), "--real A --fake B --out FILE.json go together: name all three"),
    "nothing": ((), "name a run, such as outputs/default, or samples with --real A --fake B --out FILE.json"),
    "a run too": (
        ("outputs/x", "--real", "a", "--fake", "b", "--out", "n.json"),
        "outputs/x is for a run, and --real A --fake B are about samples: leave one of both out",
    ),
    "a step": (
        ("--step", "5", "--real", "a", "--fake", "b", "--out", "n.json"),
        "--step is for a run, and --real A --fake B are about samples: leave one of both out",
    ),
    "no path": (
        ("--real", "./none", "--fake", "b", "--out", "n.json"),
        "--real ./none does not exist: name a folder, an archive, an .npy, .npz or .csv file",
    ),
    "suffix": (
        ("--real", "a", "--fake", "b", "--out", "n.txt"),
        "--out n.txt: receipts are written as .json",
    ),
    "shapes": (
        ("--real", "a", "--fake", "large", "--out", "n.json"),
        "--real a has samples of shape (1, 4, 4), and --fake large of (1, 8, 8): name samples of one shape, as"
        " folder:path=PATH:resolution=64:channels=3 makes of any images",
    ),
    "sizes": (
        ("--real", "a", "--fake", "sizes", "--out", "n.json"),
        "--fake sizes holds images that are no squares of one size (they have 4×4 to 8×8 pixels): choose the side of"
        " the squares that they become with resolution=…",
    ),
    "oblong": (
        ("--real", "oblong", "--fake", "a", "--out", "n.json"),
        "--real oblong holds images that are no squares of one size (0.png has 5×4 pixels): choose the side of the"
        " squares that they become with resolution=…",
    ),
    "one": (
        ("--real", "a", "--fake", "one", "--out", "n.json"),
        "--fake one holds one sample: numbers need several",
    ),
    "a word": (
        ("--real", "a", "--fake", "mnost", "--out", "n.json"),
        "--fake mnost is not a dataset: did you mean mnist?, or name a path that exists",
    ),
    "nothing named": (
        ("--real", "", "--fake", "b", "--out", "n.json"),
        "--real '' is no name of data: name a path without ${, or an option such as mnist5k",
    ),
    "a reference": (
        ("--real", "a", "--fake", "b${x}", "--out", "n.json"),
        "--fake 'b${x}' is no name of data: name a path without ${, or an option such as mnist5k",
    ),
    "nobody's home": (
        ("--real", "~nobody-of-this-name/x", "--fake", "b", "--out", "n.json"),
        "--real ~nobody-of-this-name/x cannot be read (Could not determine home directory.): name another path",
    ),
    "step 0": (
        ("--step", "0", "--real", "a", "--fake", "b", "--out", "n.json"),
        "--step is for a run, and --real A --fake B are about samples: leave one of both out",
    ),
    "a metric": (
        ("--metric", "frechett", "--real", "a", "--fake", "sizes", "--out", "n.json"),
        "--metric frechett is not a metric: did you mean frechet?",
    ),
    "broken": (
        ("--real", "broken", "--fake", "b", "--out", "n.json"),
        "--real broken holds no image that can be used: x.png is a damaged image, or of a kind that Pillow does not"
        " decode",
    ),
    "batches": (
        ("--real", "a", "--fake", "b", "--out", "n.json", "--batch-size", "0"),
        "--batch-size 0 must be at least 1",
    ),
    "damaged": (
        ("--real", "a", "--fake", "b", "--out", "damaged.json"),
        "damaged.json is damaged: restore it, or remove it to measure anew",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked_ends_in_one_line_and_writes_nothing(name, inside: Command):
    folder("a", random_images(6, 0)), folder("b", random_images(6, 1)), folder("one", random_images(1, 2))
    folder("large", random_images(6, 3, side=8)), folder("sizes", random_images(6, 4))
    Image.new("L", (8, 8)).save("sizes/zzz.png")
    Path("oblong").mkdir()
    Image.new("L", (5, 4)).save("oblong/0.png")
    Path("damaged.json").write_text("{")
    Path("broken").mkdir()
    Path("broken/x.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    arguments, message = WRONG[name]
    finished = inside("gan-eval", *arguments)
    assert (finished.code, finished.err) == (2, f"gan-eval: {message}\n")
    assert not Path("n.json").exists()
    assert Path("damaged.json").read_text() == "{"


def test_receipts_are_added_to_those_of_others(inside: Command):
    folder("a", random_images(8, 0)), folder("b", random_images(8, 1))
    asked = ("--real", "a", "--fake", "b", "--extractor", "raw", "--out", "n.json")
    assert inside("gan-eval", *asked, "--metric", "frechet").code == 0
    assert inside("gan-eval", *asked, "--metric", "kernel").code == 0
    assert [receipt["metric"] for receipt in json.loads(Path("n.json").read_text())["receipts"]] == [
        "frechet",
        "kernel",
    ]


def test_pictures_that_change_their_class_or_are_held_out_are_other_data(inside: Command):
    """What a receipt answers is what the numbers depend on: pixels, classes, and what real data get."""
    images = random_images(16, 0, channels=3)
    folder("real/train/a", images[:8]), folder("real/train/b", images[8:])
    folder("real/test/a", random_images(8, 1, channels=3)), folder("real/test/b", random_images(8, 2, channels=3))
    folder("fake/a", images[:8]), folder("fake/b", images[8:])
    asked = ("--real", "real", "--fake", "fake", "--metric", "kernel", "--extractor", "raw", "--out", "n.json")

    def count() -> int:
        assert inside("gan-eval", *asked).code == 0
        return len(read.receipts_in(Path("n.json")))

    assert [count(), count()] == [1, 1]
    Path("fake/a/007.png").rename("fake/b/!.png")  # in the same order as before
    assert [count(), count()] == [2, 2]
    Path("fake/b").rename("fake/c")
    assert [count(), count()] == [3, 3]
    Image.new("RGB", (4, 4)).save("real/test/a/000.png")
    assert [count(), count()] == [4, 4]
