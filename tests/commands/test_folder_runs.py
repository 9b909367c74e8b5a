"""Runs on a folder of images: what the start says, measured from elsewhere, and after the folder has moved."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image

from gan_cli.runs import read
from tests.helpers.commands import Command, call
from tests.helpers.runs import record, tree
from tests.helpers.undrawn import undrawn

WORDS = ("dataset=folder", "dataset.path=images", "dataset.resolution=8", "dataset.root=cache", "name=run")
SMALL = ("model.generator.width=2", "model.critic.width=2", "train.batch_size=2", "metric=[]")
QUESTION = ("--metric", "frechet", "--n", "4", "--extractor", "raw")


def pictures(folder: Path, *shades: int) -> Path:
    folder.mkdir()
    for shade in shades:
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(folder / f"{shade}.png")
    return folder


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run of one step on the images beside it."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "images", *range(20))
    (tmp_path / "images/notes.txt").write_text("text")
    with undrawn():
        finished = call("gan-train", *WORDS, *SMALL, "train.steps=1")
    assert finished.code == 0
    lines = [line for line in finished.err.splitlines() if "notes" in line or "loaded" in line or "left out" in line]
    assert lines == [
        "warning: images: left out: 1 .txt (no image)",
        "loaded: 20 images, 8×8 pixels; left out: 1 .txt (no image)",
    ]
    return tmp_path


def test_a_run_is_measured_from_another_folder(trained: Path, monkeypatch: pytest.MonkeyPatch, inside: Command) -> None:
    assert read.config_of_run(trained / "outputs/run").dataset.path == str(trained / "images")
    (trained / "elsewhere").mkdir()
    monkeypatch.chdir(trained / "elsewhere")
    finished = inside("gan-eval", "../outputs/run", *QUESTION)
    assert (finished.code, finished.err.count("\n")) == (0, 2)
    (receipt,) = read.receipts(trained / "outputs/run")
    assert receipt["metric"] == "frechet"


@pytest.mark.thorough
@pytest.mark.parametrize("split", [None, "train"])
def test_numbers_are_of_a_split_only_if_the_folder_has_splits(
    trained: Path, inside: Command, split: str | None
) -> None:
    if split is not None:
        for name, shades in (("train", range(20)), ("test", range(20, 40))):
            (trained / "apart").mkdir(exist_ok=True)
            pictures(trained / "apart" / name, *shades)
        with undrawn():
            words = ("dataset.path=apart", "name=apart")
            assert inside("gan-train", *WORDS[:1], *WORDS[2:-1], *words, *SMALL, "train.steps=1").code == 0
    run = "outputs/run" if split is None else "outputs/apart"
    first, again = (inside("gan-eval", run, *QUESTION) for _ in range(2))
    assert first.code == 0
    assert ("train split, " in first.out) == (split is not None)
    (receipt,) = read.receipts(trained / run)
    assert receipt["split"] == split
    assert (again.out, again.err) == (first.out, "")  # from the receipt


def test_a_receipt_of_before_that_names_a_split_of_a_folder_without_any_is_an_answer(
    trained: Path, inside: Command
) -> None:
    first = inside("gan-eval", "outputs/run", *QUESTION)
    path = trained / "outputs/run/evaluation.json"
    path.write_text(path.read_text().replace('"split": null', '"split": "train"', 1))
    (receipt,) = read.receipts(trained / "outputs/run")
    assert (receipt["split"], receipt["asked"]["split"]) == ("train", None)
    again = inside("gan-eval", "outputs/run", *QUESTION)
    assert again.out == first.out.replace("average weights, seed", "average weights, train split, seed")
    assert again.err == ""


@pytest.mark.thorough
def test_a_run_goes_on_whether_its_path_was_recorded_from_the_root_or_not(trained: Path, inside: Command) -> None:
    with undrawn():
        assert inside("gan-train", *WORDS, *SMALL, "train.steps=2").code == 0
        path = trained / "outputs/run/.hydra/config.yaml"
        config = OmegaConf.load(path)
        config.dataset.path = "images"
        for key in ("split", "crop", "crop_seed", "white", "verify"):  # which runs of before do not have
            del config.dataset[key]
        OmegaConf.save(config, path)
        assert inside("gan-train", *WORDS, *SMALL, "train.steps=3").code == 0
    assert record(trained / "outputs/run")["step"] == 3


def test_data_that_moved_are_pointed_at(trained: Path, inside: Command) -> None:
    (trained / "images").rename(trained / "moved")
    (said,) = inside("gan-eval", "outputs/run", *QUESTION).err.splitlines()
    assert said == (
        "gan-eval: the data of outputs/run, dataset.path=images, do not exist: restore them, or name where they are now"
        " with --data PATH"
    )
    pictures(trained / "images", *range(5))
    (said,) = inside("gan-eval", "outputs/run", *QUESTION).err.splitlines()
    assert said == (
        "gan-eval: outputs/run was trained on other data than dataset.path=images holds: restore them, or name where"
        " they are now with --data PATH"
    )
    assert inside("gan-eval", "outputs/run", *QUESTION, "--data", "moved").code == 0
    (receipt,) = read.receipts(trained / "outputs/run")
    assert receipt["dataset_sha256"] == record(trained / "outputs/run")["dataset"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--data", "others"], "outputs/run was trained on other data than --data "),
        (["--data", "nowhere"], "--data nowhere does not exist"),
        (
            ["--split", "train"],
            "--split=train is not one of the data: images has no test/ beside a train/: leave --split",
        ),
        (["--data", "images", "--out", "a.csv"], "--out is for classifiers, and outputs/run is a game"),
    ],
)
def test_other_data_are_refused_in_one_line(trained: Path, inside: Command, arguments: list[str], reason: str) -> None:
    pictures(trained / "others", *range(5))
    before = tree(trained / "outputs")
    finished = inside("gan-eval", "outputs/run", *QUESTION, *arguments)
    assert finished.code == 2
    (line,) = [line for line in finished.err.splitlines() if not line.startswith("warning: ")]
    assert line.startswith(f"gan-eval: {reason}")
    assert tree(trained / "outputs") == before


def test_data_of_no_path_have_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Command) -> None:
    monkeypatch.chdir(tmp_path)
    with undrawn():
        words = ("dataset=ring", "metric=[]", "model.generator.hidden=[16]", "model.critic.hidden=[16]", "name=ring")
        assert inside("gan-train", *words, "train.steps=1").code == 0
    finished = inside("gan-eval", "outputs/ring", "--extractor", "raw", "--data", "images")
    assert finished.code == 2
    assert "--data is for runs on data of a path" in finished.err


def test_a_classifier_is_tested_on_the_other_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 6), ("val", 3)):
        for name in ("cat", "dog"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for index in range(count):
                shade = index + 100 * (name == "dog") + 10 * (split == "val")
                Image.new("RGB", (8, 8), (shade, 0, 0)).save(tmp_path / "images" / split / name / f"{index}.png")
    finished = inside("gan-classify", *WORDS, "train.steps=1", "train.batch_size=4", "classifier=softmax")
    assert finished.code == 0
    assert "loaded: 12 images in 2 classes of train/, 8×8 pixels" in finished.err
    assert inside("gan-eval", "outputs/run").code == 0
    (receipt,) = read.receipts(tmp_path / "outputs/run")
    assert receipt["samples"] == {"held_out": 6}
