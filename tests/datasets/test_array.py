"""Images in arrays: the pixels that every layout gives, the names of classes, what is refused rather than guessed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_cli.datasets.array import Array
from gan_cli.datasets.base import Images
from tests.helpers.commands import Command
from tests.helpers.runs import record, tree

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
GREY = PIXELS[..., 0]
LABELS = np.arange(12) % 3
NAMES = np.array(["cat", "ant", "bee"])[LABELS]

Save = Callable[..., str]


@pytest.fixture
def saved(tmp_path: Path) -> Save:
    """The path of a `.npy` file with one array, or of an `.npz` file with several by their names."""

    def save(*array: Any, name: str = "images", **arrays: Any) -> str:
        path = tmp_path / f"{name}{'.npy' if array else '.npz'}"
        if array:
            np.save(path, *array)
        else:
            np.savez(path, **arrays)
        return str(path)

    return save


# The pixels


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (GREY, GREY[:, None]),
        (PIXELS, PIXELS.transpose(0, 3, 1, 2)),
        (PIXELS.transpose(0, 3, 1, 2), PIXELS.transpose(0, 3, 1, 2)),
        (PIXELS[..., :1], GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (np.asfortranarray(GREY), GREY[:, None]),
        (GREY[:3, :3, :3], GREY[:3, None, :3, :3]),
    ],
    ids=["grey", "channels last", "channels first", "one, last", "one, first", "by columns", "as many as pixels"],
)
def test_every_layout_gives_the_same_pixels(saved, stored, expected):
    data = Array(saved(stored))
    assert data.images.dtype == torch.uint8
    np.testing.assert_array_equal(data.images.numpy(), expected)
    assert data.sample_shape == expected.shape[1:]
    assert data.labels is None


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floats_from_0_to_1_are_rounded_to_256_levels(saved, kind):
    levels = np.linspace(0, 1, 256, dtype=kind).reshape(1, 16, 16)
    np.testing.assert_array_equal(Array(saved(levels)).images.flatten().numpy(), np.arange(256))


def test_floats_of_many_images_are_each_in_their_place(saved):
    grey = np.random.default_rng(0).integers(0, 256, (2100, 2, 2), dtype=np.uint8)
    np.testing.assert_array_equal(Array(saved(grey / 255)).images[:, 0].numpy(), grey)


def test_an_array_of_bytes_is_mapped_and_not_read_and_its_file_stays_as_it_is(saved, monkeypatch):
    path = saved(PIXELS)
    before = Path(path).read_bytes()
    mapped: list[Any] = []
    load = np.load

    def noting(*given: Any, **options: Any) -> Any:
        mapped.append(load(*given, **options))
        return mapped[-1]

    monkeypatch.setattr(np, "load", noting)
    data = Array(path)
    (array,) = mapped
    assert isinstance(array, np.memmap)
    assert np.shares_memory(array, data.images.numpy())
    data.images.zero_()
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("channels", [1, 3])
def test_resolution_scales_images(saved, channels):
    colours = np.arange(4 * channels, dtype=np.uint8).reshape(4, channels, 1, 1) * 20
    data = Array(saved(np.broadcast_to(colours, (4, channels, 8, 8))), resolution=5)
    np.testing.assert_array_equal(data.images.numpy(), np.broadcast_to(colours, (4, channels, 5, 5)))


# The classes


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS, ["0", "1", "2"]),
        (LABELS.astype(np.uint8) * 5 + 2, ["2", "7", "12"]),
        (NAMES, ["ant", "bee", "cat"]),
        (NAMES.astype("S"), ["ant", "bee", "cat"]),
    ],
    ids=["whole numbers", "any whole numbers", "text", "bytes"],
)
def test_labels_are_named_by_what_they_are(saved, labels, names):
    inside = Array(saved(x=GREY, y=labels), labels="y")
    saved(labels, name="labels")
    beside = Array(saved(GREY), labels="labels.npy")
    for data in (inside, beside):
        assert data.classes == names
        assert data.labels is not None
        told = [data.classes[label] for label in data.labels]
        assert told == [label.decode() if isinstance(label, bytes) else str(label) for label in labels.tolist()]
        torch.testing.assert_close(data.class_shares(), torch.full((3,), 1 / 3, dtype=torch.float64))


def test_classes_and_numbers_of_each_are_chosen_as_of_other_data(saved):
    data = Array(saved(x=GREY, y=NAMES), labels="y", classes=["cat", "ant"], per_class=2)
    assert data.classes == ["cat", "ant"]
    assert data.labels is not None
    assert sorted(data.labels.tolist()) == [0, 0, 1, 1]
    of_cats = {image.tobytes() for image in GREY[NAMES == "cat"]}
    assert {image.numpy().tobytes() in of_cats for image in data.images[data.labels == 0]} == {True}


def test_one_of_several_arrays_is_named(saved):
    path = saved(x=GREY, other=255 - GREY, y=LABELS)
    np.testing.assert_array_equal(Array(path, array="other", labels="y").images[:, 0].numpy(), 255 - GREY)


def test_the_fingerprint_tells_pixels_and_classes_apart(saved):
    def digest(x, y) -> str:
        return Array(saved(x=x, y=y), labels="y").fingerprint()

    assert digest(GREY, LABELS) == digest(GREY.copy(), LABELS.astype(np.int8))
    assert len({digest(GREY, LABELS), digest(GREY ^ 1, LABELS), digest(GREY, LABELS[::-1]), digest(GREY, NAMES)}) == 4


# What is refused

OBJECTS = np.array([{"code": 1}], dtype=object)
FLOATS = GREY / 255

REFUSED = [
    ({}, [GREY[0]], r"has shape \(8, 8\), as points have: choose dataset=points dataset\.path="),
    ({}, [GREY[0, 0]], r"has shape \(8,\): save square images as \(n, side, side\), "),
    ({}, [GREY[:, :6]], r"has shape \(12, 6, 8\): save square images as"),
    ({}, [PIXELS[..., :2]], r"has shape \(12, 8, 8, 2\): .* with 1 or 3 channels"),
    ({}, [PIXELS[:, :3, :3]], r"has shape \(12, 3, 3, 3\), whose channels may be first or last"),
    ({}, [PIXELS[:, :3, :, :]], r"has shape \(12, 3, 8, 3\), whose channels may be first or last"),
    ({}, [GREY[:0]], r"images\.npy.*: save|has shape \(0, 8, 8\) and holds no images"),
    ({}, [FLOATS * 2 - 1], r"holds floats from -1 to 1, and images take 0 to 1: save \(x \+ 1\) / 2"),
    ({}, [GREY.astype("f4")], r"holds floats from 0 to 255, .* or x\.astype\(numpy\.uint8\) if it is from 0 to 255"),
    ({}, [np.where(GREY > 250, np.nan, FLOATS)], r"holds values that are not finite"),
    ({}, [np.where(GREY > 250, np.inf, FLOATS)], r"holds values that are not finite"),
    ({}, [GREY.astype(np.int64)], r"holds values of type int64: save 0 to 255 with astype\(numpy\.uint8\)"),
    ({}, [GREY > 9], r"holds values of type bool: save 0 to 255"),
    ({}, [GREY // 128], r"holds 0 and 1 alone, .*: multiply them by 255"),
    ({}, [OBJECTS], r"holds Python objects, which are never unpickled: save one array of numbers"),
    ({"array": "x"}, [GREY], r"array=x is for \.npz files, which hold several: leave it out"),
    ({"labels": "none.npy"}, [GREY], r"labels=.*none\.npy does not exist"),
    ({}, {"x": GREY, "y": LABELS}, r"path=.* holds 'x', 'y': set dataset\.array=… .*dataset\.labels=…"),
    ({}, {}, r"path=.* holds no array"),
    ({"array": "z"}, {"x": GREY, "y": LABELS}, r"array=z is not an array in .*: choose one of x, y"),
    ({"array": "imagse"}, {"images": GREY, "y": LABELS}, r"array=imagse is not .*: did you mean images\?"),
    ({"labels": "z"}, {"x": GREY, "y": LABELS}, r"labels=z is not an array in .*: choose one of x, y"),
    ({"array": "x"}, {"x": OBJECTS, "y": LABELS}, r"holds Python objects, which are never unpickled"),
    ({"labels": "y"}, {"x": GREY, "y": OBJECTS}, r"holds Python objects, which are never unpickled"),
    ({"labels": "y"}, {"x": GREY, "y": LABELS[:5]}, r"labels=y has 5 labels for 12 samples"),
    ({"labels": "y"}, {"x": GREY, "y": np.eye(12)}, r"labels=y has shape \(12, 12\): .* argmax\(1\)"),
    ({"labels": "y"}, {"x": GREY, "y": LABELS / 1}, r"labels=y holds labels of type float64: save whole numbers"),
    ({"labels": "y"}, {"x": GREY, "y": LABELS - 1}, r"labels=y holds -1: leave samples without a class out"),
    ({"labels": "y"}, {"x": GREY, "y": np.where(LABELS == 1, " ", NAMES)}, r"labels=y holds an empty label"),
    ({"classes": ["0"]}, {"x": GREY}, r"classes=… needs samples with labels"),
    ({"labels": "y", "classes": ["dog"]}, {"x": GREY, "y": NAMES}, r"classes=\['dog'\]: dog is not a class"),
    ({"labels": "y", "per_class": 5}, {"x": GREY, "y": NAMES}, r"per_class=5: class ant has 4 samples"),
]


@pytest.mark.parametrize(("options", "arrays", "message"), REFUSED, ids=[row[2][:40] for row in REFUSED])
def test_what_cannot_be_told_is_refused(saved, options, arrays, message):
    path = saved(*arrays) if isinstance(arrays, list) else saved(**arrays)
    with pytest.raises(ValueError, match=message) as refused:
        Array(path, **options)
    assert "\n" not in str(refused.value)
    assert re.match(r"(path|array|labels|classes|per_class)=", str(refused.value)), "the gate names the key by it"
    assert "cannot be read" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.npy", None, r"path=.*none\.npy does not exist"),
        ("a.npy", b"", r"path=.*a\.npy cannot be read \("),
        ("a.npz", b"PK\x03\x04 and no more", r"path=.*a\.npz cannot be read \("),
        ("a.npy", b"\x80\x04}.", r"path=.*a\.npy holds Python objects, which are never unpickled"),
        ("a.npz", b"\x80\x04}.", r"path=.*a\.npz holds Python objects, which are never unpickled"),
        ("a.pt", b"PK", r"path=.*a\.pt is no \.npy or \.npz file"),
        ("a.csv", b"1,2\n", r"path=.*a\.csv is a table of points: choose dataset=points dataset\.path=.*a\.csv"),
    ],
)
def test_a_file_that_holds_no_array_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Array(str(tmp_path / name))


@pytest.mark.parametrize(("wrong", "right"), [(".npz", ".npy"), (".npy", ".npz")])
def test_a_file_with_the_suffix_of_another_kind_is_refused(saved, wrong, right):
    path = Path(saved(PIXELS) if right == ".npy" else saved(x=PIXELS))
    with pytest.raises(ValueError, match=rf"path=.*images{wrong} holds .*: name it {right}"):
        Array(str(path.rename(path.with_suffix(wrong))))


@pytest.mark.parametrize("name", ["images.npy", "images.npz"])
def test_a_file_that_was_cut_short_is_refused(saved, tmp_path, name):
    path = Path(saved(PIXELS) if name.endswith("npy") else saved(x=PIXELS))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"path=.*{name} cannot be read \("):
        Array(str(path))


# Through the commands

SMALL = ("dataset=array", "train.batch_size=4", "train.steps=2", "model.generator.width=4", "model.critic.width=4")


@pytest.mark.thorough
@pytest.mark.usefixtures("undrawn")
def test_a_conditional_game_learns_labelled_images_and_refuses_others_at_resume(
    inside: Command, saved, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    command = ["gan-train", *SMALL, f"dataset.path={saved(x=PIXELS, y=NAMES)}", "dataset.labels=y", "name=a"]
    command += ["model.conditional=true"]
    finished = inside(*command)
    assert finished.code == 0, finished.err
    known = record(tmp_path / "outputs" / "a")
    assert known["sample_shape"] == [3, 8, 8]
    assert list(known["classes"]) == ["ant", "bee", "cat"]
    sampled = inside("gan-sample", "outputs/a", "--class", "bee", "-n", "3", "--out", "bees.npy")
    assert sampled.code == 0, sampled.err
    assert np.load(tmp_path / "bees.npy").shape == (3, 3, 8, 8)
    assert inside(*command).code == 0

    for changed in ({"x": PIXELS ^ 1, "y": NAMES}, {"x": PIXELS, "y": NAMES[::-1]}):
        saved(**changed)
        before = tree(tmp_path / "outputs")
        refused = inside(*command, "train.steps=4")
        assert refused.code == 2
        (line,) = refused.err.splitlines()
        assert "other data" in line
        assert tree(tmp_path / "outputs") == before


@pytest.mark.usefixtures("undrawn")
def test_a_classifier_divides_labelled_images(inside: Command, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = [f"dataset.path={saved(x=GREY, y=NAMES)}", "dataset.labels=y"]
    finished = inside(
        "gan-classify", "dataset=array", *data, "classifier=softmax", "train.steps=2", "train.batch_size=4"
    )
    assert finished.code == 0, finished.err
    assert "accuracy" in finished.out + finished.err


def test_arrays_are_images_to_the_rest_of_the_program(saved):
    assert isinstance(Array(saved(GREY)), Images)
    assert Array(saved(GREY)).other_split() is None
