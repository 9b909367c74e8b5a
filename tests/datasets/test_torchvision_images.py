"""Sets of image files that torchvision indexes: whose pixels they are, where files may come from, what is refused."""

import inspect
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision import datasets
from torchvision.datasets import utils

from gan_cli.datasets import decoding, picture, torchvision_files
from gan_cli.datasets.torchvision_files import SETS
from gan_cli.datasets.torchvision_images import TorchvisionImages
from gan_cli.errors import ConfigError
from tests.helpers.commands import Command
from tests.helpers.runs import tree
from tests.helpers.torchvision_images import STAND_INS, publish, put

Serve = Callable[[dict[str, bytes]], list[str]]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise URLError("no network in tests")

    monkeypatch.setattr(utils, "_get_redirect_url", unreachable)
    monkeypatch.setattr(utils, "_urlretrieve", unreachable)
    monkeypatch.setattr(torchvision_files, "download_file_from_google_drive", unreachable)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Files that can be fetched by their names; the list of those that are fetched."""

    def serving(files: dict[str, bytes]) -> list[str]:
        fetched: list[str] = []

        def retrieve(url: str, filename: str, *_: object) -> None:
            fetched.append(url.rpartition("/")[2])
            Path(filename).write_bytes(files[fetched[-1]])

        monkeypatch.setattr(utils, "_get_redirect_url", lambda url, **_: url)
        monkeypatch.setattr(utils, "_urlretrieve", retrieve)
        monkeypatch.setattr(
            torchvision_files,
            "download_file_from_google_drive",
            lambda _, folder, name, md5: utils.download_url(f"https://drive/{name}", folder, name, md5),
        )
        return fetched

    return serving


def opened(root: Path, name: str = "Flowers102", split="train", **options) -> TorchvisionImages:
    defaults: dict[str, Any] = {"resolution": 8, "channels": 3, "mirror": False, "on_bad_image": "error"}
    return TorchvisionImages(str(root), name, split, **(defaults | options))


def shades(data: TorchvisionImages) -> list[float]:
    return data.images.float().mean((1, 2, 3)).tolist()


def labels(data: TorchvisionImages) -> list[int]:
    assert data.labels is not None
    return data.labels.tolist()


# The images


def test_every_set_has_a_stand_in():
    assert STAND_INS.keys() == SETS.keys()


@pytest.mark.parametrize("name", SETS)
def test_images_labels_and_names_are_the_published_ones_in_all_splits(tmp_path, monkeypatch, name):
    made = put(name, tmp_path, monkeypatch)
    attribute = "Smiling" if SETS[name].attributes else None
    data = opened(tmp_path, name.lower(), attribute=attribute)
    other = data.other_split()
    for split, of in (("train", data), ("test", other)):
        assert (of is None) == (made.shades[split] == [])
        if of is not None:
            assert shades(of) == pytest.approx(made.shades[split], abs=1)
            assert labels(of) == made.labels[split]
            assert list(of.classes) == list(made.classes)
            assert data.at_split(split) is of
    assert data.sample_shape == (3, 8, 8)


def test_celeba_has_no_labels_unless_an_attribute_is_named_and_needs_no_list_of_them(tmp_path, monkeypatch):
    made = put("CelebA", tmp_path, monkeypatch)
    (tmp_path / "celeba" / "list_attr_celeba.txt").unlink()
    data = opened(tmp_path, "CelebA")
    assert data.labels is None
    assert list(data.classes) == []
    assert shades(data) == pytest.approx(made.shades["train"], abs=1)
    with pytest.raises(ConfigError, match=r"put list_attr_celeba\.txt \(MD5 \w+\) into .*celeba,"):
        opened(tmp_path, "CelebA", attribute="Smiling")


def test_celeba_is_indexed_as_torchvision_indexes_it(tmp_path, monkeypatch):
    """By a reader of its own, as torchvision's takes half a minute for the whole."""
    put("CelebA", tmp_path, monkeypatch)
    opened(tmp_path, "CelebA")
    folder = tmp_path / "celeba"
    names = [line.split()[0] for line in (folder / "list_eval_partition.txt").read_text().splitlines()]
    header = "8\nx y\n"
    lists = {"identity_CelebA.txt": "", "list_bbox_celeba.txt": header, "list_landmarks_align_celeba.txt": header}
    for file, start in lists.items():
        (folder / file).write_text(start + "".join(f"{name} 1\n" for name in names))
    known = [(drive_id, utils.calculate_md5(folder / file), file) for drive_id, _, file in datasets.CelebA.file_list]
    monkeypatch.setattr(datasets.CelebA, "file_list", known)
    for split in ("train", "test"):
        theirs = datasets.CelebA(tmp_path, split)
        ours = SETS["CelebA"].index(tmp_path, split, "Smiling")
        assert ours.files == [f"img_align_celeba/{name}" for name in theirs.filename]
        assert ours.labels == theirs.attr[:, theirs.attr_names.index("Smiling")].tolist()


def test_images_become_what_a_folder_makes_of_them(tmp_path, monkeypatch):
    made = put("Flowers102", tmp_path, monkeypatch)
    data = opened(tmp_path, resolution=16, channels=1, crop="pad", mirror=True)
    assert data.sample_shape == (1, 16, 16)
    assert data.mirror
    wide = data.images[1, 0]
    assert wide[8].float().mean() == pytest.approx(made.shades["train"][1], abs=1)
    assert wide[0].tolist() == [255] * 16, "31 by 20 pixels, on white"
    other = data.other_split()
    assert other is not None
    assert other.sample_shape == (1, 16, 16)


def test_the_other_split_has_all_images_of_the_chosen_classes(tmp_path, monkeypatch):
    put("GTSRB", tmp_path, monkeypatch)
    data = opened(tmp_path, "GTSRB", classes=[1, 0], per_class=1)
    other = data.other_split()
    assert other is not None
    assert [*data.classes] == [*other.classes] == ["1", "0"]
    assert (len(data), len(other)) == (2, 3)
    assert labels(other) == [0, 1, 0]


def test_images_are_decoded_once_and_only_those_of_the_split_that_is_asked_for(tmp_path, monkeypatch):
    made = put("Flowers102", tmp_path, monkeypatch)
    names: list[str] = []
    decode = picture.decode

    def counting(file, name, target):
        names.append(name)
        return decode(file, name, target)

    monkeypatch.setattr(decoding, "decode", counting)
    first = opened(tmp_path)
    assert len(names) == len(made.shades["train"])
    second = opened(tmp_path)
    assert len(names) == len(made.shades["train"])
    assert torch.equal(first.images, second.images)
    assert first.fingerprint() == second.fingerprint()
    second.other_split()
    assert len(names) == len(made.shades["train"]) + len(made.shades["test"])
    assert second.description == (
        "2 images of Flowers102's train split in 102 classes, 31×20 to 26×26 pixels, made 8×8"
    )


# The files


@pytest.mark.parametrize("name", SETS)
def test_missing_files_are_fetched_and_unpacked_whole_and_then_used(tmp_path, monkeypatch, serve, name):
    made, files = publish(name, monkeypatch)
    fetched = serve(files)
    attribute = "Smiling" if SETS[name].attributes else None
    root = tmp_path / "root"
    assert shades(opened(root, name, attribute=attribute)) == pytest.approx(made.shades["train"], abs=1)
    assert sorted(fetched) == sorted(files)
    assert [path for path in root.rglob(".*") if path.name.startswith((".fetching", ".unpacking"))] == []
    fetched.clear()
    opened(root, name, SETS[name].splits[-1], attribute=attribute)
    assert fetched == []


@pytest.mark.parametrize("name", SETS)
def test_what_is_unpacked_needs_its_archive_no_more(tmp_path, monkeypatch, name):
    made = put(name, tmp_path, monkeypatch)
    opened(tmp_path, name)
    for file in SETS[name].files:
        if file.holds:
            (tmp_path / SETS[name].folder / file.name).unlink()
    shutil.rmtree(tmp_path / "torchvision")
    assert shades(opened(tmp_path, name)) == pytest.approx(made.shades["train"], abs=1)


@pytest.mark.parametrize("name", SETS)
def test_without_a_network_one_line_says_which_files_to_put_where(tmp_path, monkeypatch, name):
    _, files = publish(name, monkeypatch)
    attribute = "Smiling" if SETS[name].attributes else None
    with pytest.raises(ConfigError, match="no network in tests") as refused:
        opened(tmp_path / "root", name, attribute=attribute)
    line = str(refused.value)
    assert "\n" not in line
    assert all(f"{file} (MD5 " in line for file in files)
    assert all(file.md5 in line for file in SETS[name].files)
    assert f"into {tmp_path / 'root' / SETS[name].folder}," in line
    assert not (tmp_path / "root").exists()


def test_a_part_that_is_missing_is_missed_at_once(tmp_path, monkeypatch):
    put("GTSRB", tmp_path, monkeypatch)
    (tmp_path / "gtsrb" / "GTSRB_Final_Test_GT.zip").unlink()
    with pytest.raises(ConfigError, match=r"put GTSRB_Final_Test_GT\.zip \(MD5 \w+\) into .*gtsrb,"):
        opened(tmp_path, "GTSRB", "train")


@pytest.mark.parametrize("name", SETS)
def test_files_that_are_not_the_published_ones_are_not_opened(tmp_path, monkeypatch, name):
    put(name, tmp_path, monkeypatch)
    folder = tmp_path / SETS[name].folder
    for file in SETS[name].files:
        path = folder / file.name
        path.write_bytes(path.read_bytes() + b"more")
        before = sorted(folder.iterdir())
        with pytest.raises(ConfigError, match=rf"{file.name} is not the file of {name} \(its MD5 is not \w+\): delete"):
            opened(tmp_path, name)
        assert [each for each in sorted(folder.iterdir()) if each not in before] == []
        path.write_bytes(path.read_bytes()[: -len(b"more")])


def test_a_list_is_verified_though_its_archive_is_unpacked(tmp_path, monkeypatch):
    put("CelebA", tmp_path, monkeypatch)
    opened(tmp_path, "CelebA")
    with (tmp_path / "celeba" / "list_eval_partition.txt").open("a") as file:
        file.write("000009.jpg 0\n")
    with pytest.raises(ConfigError, match=r"list_eval_partition\.txt is not the file of CelebA"):
        opened(tmp_path, "CelebA")


def test_without_gdown_the_line_names_it(tmp_path, monkeypatch):
    publish("CelebA", monkeypatch)
    monkeypatch.setattr(torchvision_files, "download_file_from_google_drive", utils.download_file_from_google_drive)
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(ConfigError, match=r"'gdown' is required.*put img_align_celeba\.zip"):
        opened(tmp_path / "root", "CelebA")


def test_a_refusal_of_google_drive_is_one_line(tmp_path, monkeypatch):
    publish("CelebA", monkeypatch)

    class FileURLRetrievalError(Exception):
        """gdown's own, which is of no common kind."""

    def refuse(*_: object) -> None:
        raise FileURLRetrievalError("Failed to retrieve file url:\n\n\tToo many users have viewed it.\n")

    monkeypatch.setattr(torchvision_files, "download_file_from_google_drive", refuse)
    with pytest.raises(
        ConfigError, match=r"\(Failed to retrieve file url: Too many users have .*: put img_align"
    ) as refused:
        opened(tmp_path / "root", "CelebA")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "lost", "message"),
    [
        (
            "Flowers102",
            "jpg/image_00005.jpg",
            r"image_00005\.jpg of Flowers102 cannot be read .*: delete .*/jpg,",
        ),
        (
            "EuroSAT",
            "2750/River/River_2.jpg",
            r"2750 holds 5 of the 6 images that EuroSAT has to train: delete",
        ),
        (
            "OxfordIIITPet",
            "annotations/test.txt",
            r"OxfordIIITPet cannot be indexed \(.*: delete .*/images and ",
        ),
        ("Food101", "food-101/meta/train.json", r"Food101 cannot be indexed \(.*: delete .*/food-101, to be unpacked"),
    ],
)
def test_what_is_not_unpacked_whole_is_named(tmp_path, monkeypatch, name, lost, message):
    put(name, tmp_path, monkeypatch)
    opened(tmp_path, name)
    (tmp_path / SETS[name].folder / lost).unlink()
    with pytest.raises(ConfigError, match=message):
        opened(tmp_path, name)


def test_a_full_disk_leaves_nothing_half_unpacked(tmp_path, monkeypatch):
    put("EuroSAT", tmp_path, monkeypatch)
    before = tree(tmp_path)

    def full(_, folder: str) -> None:
        (Path(folder) / "2750" / "Forest").mkdir(parents=True)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gan_cli.datasets.unpacking.extract_archive", full)
    with pytest.raises(ConfigError, match=r"EuroSAT\.zip of EuroSAT cannot be unpacked \(.*No space left on device\)"):
        opened(tmp_path, "EuroSAT")
    assert tree(tmp_path) == before


def test_a_bad_image_is_named_or_left_out(tmp_path, monkeypatch, caplog):
    made = put("Flowers102", tmp_path, monkeypatch)
    opened(tmp_path)
    bad = tmp_path / "flowers-102" / "jpg" / "image_00005.jpg"
    bad.write_bytes(bad.read_bytes()[:150])
    with pytest.raises(ConfigError, match=r"image_00005\.jpg .*dataset\.on_bad_image=skip"):
        opened(tmp_path)
    with caplog.at_level(logging.WARNING):
        data = opened(tmp_path, on_bad_image="skip")
    assert "left out: 1 of 2 images (jpg/image_00005.jpg)" in caplog.text
    assert shades(data) == pytest.approx(made.shades["train"][1:], abs=1)
    assert labels(data) == made.labels["train"][1:]
    with pytest.raises(ConfigError, match=r"image_00005\.jpg .*dataset\.on_bad_image=skip"):
        opened(tmp_path)


def test_digests_are_those_of_torchvision():
    """Of two sets torchvision keeps them inside a function."""
    for kind in (datasets.EuroSAT, datasets.GTSRB):
        source = inspect.getsource(kind.download)
        for file in SETS[kind.__name__].files:
            assert f'"{file.md5}"' in source
            assert file.name in source


# The options


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"name": "CIFAR10"},
            ValueError,
            "name=CIFAR10 is read by another option: choose dataset=torchvision ",
        ),
        ({"name": "Flower102"}, ValueError, r"did you mean Flowers102\?"),
        ({"name": "StanfordCars"}, ValueError, r"not among those that can be read, CelebA, .*dataset=folder"),
        ({"channels": 2}, ValueError, "channels=2 must be 1"),
        ({"attribute": "Smiling"}, ValueError, "attribute=Smiling is not for Flowers102, .*leave it out"),
        ({"name": "CelebA", "attribute": "Smilng"}, ConfigError, r"dataset\.attribute=Smilng .*did you mean Smiling\?"),
        ({"name": "EuroSAT", "split": "test"}, ValueError, "split=test is not one of EuroSAT, which has one part"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path, monkeypatch, options, error, message):
    for name in ("Flowers102", "CelebA", "EuroSAT"):
        put(name, tmp_path, monkeypatch)
    with pytest.raises(error, match=message):
        opened(tmp_path, **options)


def test_a_set_of_one_part_has_no_other(tmp_path, monkeypatch):
    put("EuroSAT", tmp_path, monkeypatch)
    data = opened(tmp_path, "EuroSAT")
    assert data.other_split() is None
    with pytest.raises(ValueError, match="split=test is not one of EuroSAT: choose one of train"):
        data.at_split("test")


@pytest.mark.usefixtures("undrawn")
def test_a_game_and_a_classifier_learn_of_it_and_a_bad_start_writes_nothing(inside: Command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path / "data"))
    publish("CelebA", monkeypatch)
    data = ["dataset=torchvision_images", "dataset.resolution=8"]
    game = ["gan-train", *data, "name=game", "train.steps=2", "train.batch_size=4"]
    game += ["model.generator.width=4", "model.critic.width=4"]
    before = tree(tmp_path)
    refused = inside(*game)
    assert refused.code == 2
    (line,) = refused.err.splitlines()
    assert line.startswith("gan-train: CelebA is not on this machine")
    assert tree(tmp_path) == before

    put("CelebA", tmp_path / "data", monkeypatch)
    classify = ["gan-classify", *data, "dataset.attribute=Smiling", "classifier=softmax", "name=faces"]
    for command in (game, [*classify, "train.steps=2", "train.batch_size=4"]):
        finished = inside(*command)
        assert finished.code == 0, finished.err
