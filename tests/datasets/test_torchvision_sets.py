"""Data sets that torchvision reads: whose pixels they are, where the files may come from, and what is refused."""

import gzip
import io
import pickle
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import datasets
from torchvision.datasets import utils

from gan_cli.datasets.base import Images
from gan_cli.datasets.torchvision_sets import TorchvisionSet
from gan_cli.datasets.torchvision_tensors import SETS, STL10_CLASSES
from gan_cli.errors import ConfigError
from tests.helpers import torchvision_files
from tests.helpers.commands import Command
from tests.helpers.runs import tree
from tests.helpers.torchvision_files import cifar10, labels, pixels

DIGITS = [str(digit) for digit in range(10)]

NUMERALS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

STAND_INS = [
    ("CIFAR10", cifar10, (3, 32), [f"class {label}" for label in range(10)]),
    ("SVHN", torchvision_files.svhn, (3, 32), DIGITS),
    ("STL10", torchvision_files.stl10, (3, 96), list(STL10_CLASSES)),
    ("KMNIST", torchvision_files.kmnist, (1, 28), ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]),
    ("EMNIST-letters", torchvision_files.emnist, (1, 28), list("abcdefghijklmnopqrstuvwxyz")),
    ("EMNIST-digits", torchvision_files.emnist, (1, 28), DIGITS),
    ("QMNIST", torchvision_files.qmnist, (1, 28), [f"{digit} - {name}" for digit, name in enumerate(NUMERALS)]),
    ("USPS", torchvision_files.usps, (1, 16), DIGITS),
]

Serve = Callable[[dict[str, bytes]], list[str]]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(url: str, *_: object, **__: object) -> str:
        raise URLError("no network in tests")

    monkeypatch.setattr(utils, "_get_redirect_url", unreachable)
    monkeypatch.setattr(utils, "_urlretrieve", unreachable)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Files that torchvision can fetch by their names; the list of those that it does fetch."""

    def serving(files: dict[str, bytes]) -> list[str]:
        fetched: list[str] = []

        def retrieve(url: str, filename: str, *_: object) -> None:
            name = url.rpartition("/")[2]
            fetched.append(name)
            Path(filename).write_bytes(files[name])

        monkeypatch.setattr(utils, "_get_redirect_url", lambda url, **_: url)
        monkeypatch.setattr(utils, "_urlretrieve", retrieve)
        return fetched

    return serving


def opened(root: Path, name: str = "CIFAR10", split="train", **options) -> TorchvisionSet:
    return TorchvisionSet(str(root), name, split, **options)


# The pixels


@pytest.mark.parametrize(("name", "put", "shape", "names"), STAND_INS, ids=[row[0] for row in STAND_INS])
def test_pixels_labels_and_names_are_the_published_ones_in_both_splits(tmp_path, monkeypatch, name, put, shape, names):
    put(tmp_path, monkeypatch)
    data = opened(tmp_path, name.lower())
    other = data.other_split()
    assert isinstance(other, Images)
    for split, of in (("train", data), ("test", other)):
        np.testing.assert_array_equal(of.images.numpy(), pixels(split, *shape))
        assert of.labels is not None
        assert of.labels.dtype == torch.int64
        assert of.labels.tolist() == labels(split).tolist()
        assert list(of.classes) == names
    assert data.at_split("train") is data
    assert data.at_split("test") is other


def test_cifar100_differs_from_cifar10_in_what_torchvision_says_of_it():
    """So that its own stand-in may be spared."""
    files = SETS["CIFAR100"].files()
    assert set(files) == {f"cifar-100-python/{name}" for name in ("train", "test", "meta")}
    assert files["cifar-100-python/train"] == datasets.CIFAR100.train_list[0][1]
    assert SETS["CIFAR100"].archive() == {"cifar-100-python.tar.gz": datasets.CIFAR100.tgz_md5}


def test_each_variant_of_emnist_is_a_name(tmp_path, monkeypatch):
    variants = {name.partition("-")[2] for name in SETS if name.startswith("EMNIST")}
    assert variants == set(datasets.EMNIST.splits)
    torchvision_files.emnist(tmp_path, monkeypatch)
    balanced = opened(tmp_path, "EMNIST-balanced")
    assert list(balanced.classes) == list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")
    assert balanced.labels is not None
    assert balanced.labels.tolist() == labels("train").tolist()


def test_letters_are_turned_as_one_reads_them(tmp_path, monkeypatch):
    """torchvision's own reader leaves them as they are published, with rows and columns exchanged."""
    published = torchvision_files.emnist(tmp_path, monkeypatch)
    with zipfile.ZipFile(io.BytesIO(published["gzip.zip"])) as archive:
        for file in archive.namelist():
            raw = gzip.decompress(archive.read(file))
            (tmp_path / "EMNIST" / "raw" / Path(file).stem).write_bytes(raw)
    theirs = datasets.EMNIST(tmp_path, "letters")
    ours = opened(tmp_path, "EMNIST-letters")
    torch.testing.assert_close(ours.images[:, 0], theirs.data.transpose(1, 2))
    assert not torch.equal(ours.images[:, 0], theirs.data)
    assert ours.labels is not None
    torch.testing.assert_close(ours.labels, theirs.targets - 1)


def test_other_sizes_and_channels_are_made_of_them(tmp_path, monkeypatch):
    cifar10(tmp_path, monkeypatch)
    small = opened(tmp_path, resolution=16, channels=1, mirror=True)
    assert small.sample_shape == (1, 16, 16)
    assert small.mirror
    other = small.other_split()
    assert isinstance(other, Images)
    assert other.sample_shape == (1, 16, 16)
    weights = np.array([0.299, 0.587, 0.114])
    grey = np.einsum("nchw,c->nhw", pixels("train", 3, 32), weights)
    np.testing.assert_allclose(opened(tmp_path, channels=1).images[:, 0].numpy(), grey, atol=1.1)
    torchvision_files.kmnist(tmp_path, monkeypatch)
    coloured = opened(tmp_path, "KMNIST", channels=3).images.numpy()
    np.testing.assert_array_equal(coloured, pixels("train", 1, 28).repeat(3, 1))


def test_the_other_split_has_all_images_of_the_chosen_classes(tmp_path, monkeypatch):
    cifar10(tmp_path, monkeypatch)
    data = opened(tmp_path, classes=["class 3", "class 0"], per_class=1)
    other = data.other_split()
    assert isinstance(other, Images)
    assert [*data.classes] == [*other.classes] == ["class 3", "class 0"]
    assert (len(data), len(other)) == (2, 2)
    assert len(opened(tmp_path, classes=["class 3", "class 0"])) == 4


# The files


@pytest.mark.parametrize(("name", "put", "shape", "names"), STAND_INS, ids=[row[0] for row in STAND_INS])
def test_missing_files_are_fetched_whole_and_then_used(tmp_path, monkeypatch, serve, name, put, shape, names):
    published = put(tmp_path / "published", monkeypatch)
    fetched = serve(published)
    root = tmp_path / "root"
    data = opened(root, name)
    np.testing.assert_array_equal(data.images.numpy(), pixels("train", *shape))
    assert sorted(set(fetched)) == sorted(published)
    assert {path.name for path in root.rglob("*") if path.is_file()} == {Path(file).name for file in SETS[name].files()}
    fetched.clear()
    opened(root, name, "test")
    assert fetched == []


def test_an_archive_that_lies_under_the_root_is_unpacked_without_a_network(tmp_path, monkeypatch):
    ((name, archive),) = cifar10(tmp_path / "published", monkeypatch).items()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / name).write_bytes(archive)
    np.testing.assert_array_equal(opened(tmp_path / "root").images.numpy(), pixels("train", 3, 32))


def test_an_archive_that_cannot_be_unpacked_is_named(tmp_path, monkeypatch):
    ((name, archive),) = cifar10(tmp_path / "published", monkeypatch).items()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / name).write_bytes(archive)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(utils, "extract_archive", full)
    with pytest.raises(ConfigError, match=r"the archive of CIFAR10 cannot be unpacked \(.*No space left on device\)"):
        opened(tmp_path / "root")


@pytest.mark.parametrize(("name", "put", "shape", "names"), STAND_INS, ids=[row[0] for row in STAND_INS])
def test_without_a_network_one_line_says_which_files_to_put_where(tmp_path, monkeypatch, name, put, shape, names):
    published = put(tmp_path / "published", monkeypatch)
    wanted = SETS[name].archive() or SETS[name].files()
    with pytest.raises(ConfigError, match="no network in tests") as refused:
        opened(tmp_path / "root", name)
    line = str(refused.value)
    assert "\n" not in line
    assert all(file in line for file in published)
    assert all(md5 in line for md5 in wanted.values())
    assert f"into {(tmp_path / 'root' / next(iter(wanted))).parent}," in line
    assert not (tmp_path / "root").exists()


def test_a_split_that_is_missing_is_missed_at_once(tmp_path, monkeypatch):
    torchvision_files.svhn(tmp_path, monkeypatch)
    (tmp_path / "test_32x32.mat").unlink()
    with pytest.raises(ConfigError, match=r"put test_32x32\.mat \(MD5 \w+\) into"):
        opened(tmp_path, "SVHN", "train")


def test_waiting_for_a_server_ends(tmp_path, monkeypatch):
    cifar10(tmp_path / "published", monkeypatch)
    seconds = []

    def waiting(*_: object, **__: object) -> str:
        seconds.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(utils, "_get_redirect_url", waiting)
    with pytest.raises(ConfigError, match="could not be fetched \\(timed out\\)"):
        opened(tmp_path / "root")
    assert seconds
    assert all(given is not None and 1 <= given <= 60 for given in seconds)
    assert socket.getdefaulttimeout() is None


def test_a_fetched_archive_that_is_not_the_published_one_is_refused(tmp_path, monkeypatch, serve):
    ((name, archive),) = cifar10(tmp_path / "published", monkeypatch).items()
    serve({name: archive[:-1]})
    with pytest.raises(ConfigError, match=r"could not be fetched \(File not found or corrupted"):
        opened(tmp_path / "root")
    assert not (tmp_path / "root").exists()


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.write_text, (self.file, "this code ran")


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_that_is_not_the_published_one_is_never_opened(tmp_path, monkeypatch, file):
    cifar10(tmp_path, monkeypatch)
    bad = tmp_path / "cifar-10-batches-py" / file
    bad.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(ConfigError, match=rf"{file} is not the file of CIFAR10 \(its MD5 is not \w+\): delete"):
        opened(tmp_path)
    assert not (tmp_path / "ran").exists()
    pickle.loads(bad.read_bytes())
    assert (tmp_path / "ran").exists(), "it would run if it were opened"


def test_an_archive_that_is_not_the_published_one_is_not_unpacked(tmp_path, monkeypatch):
    ((name, archive),) = cifar10(tmp_path / "published", monkeypatch).items()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / name).write_bytes(archive[:-1])
    with pytest.raises(ConfigError, match=r"cifar-10-python\.tar\.gz is not the file of CIFAR10"):
        opened(tmp_path / "root")
    assert {path.name for path in (tmp_path / "root").iterdir()} == {name}


@pytest.mark.parametrize(
    ("name", "put", "file"),
    [
        ("EMNIST-letters", torchvision_files.emnist, "EMNIST/raw/gzip.zip"),
        ("QMNIST", torchvision_files.qmnist, "QMNIST/raw/qmnist-test-labels-idx2-int.gz"),
    ],
)
def test_a_relative_of_mnist_that_is_not_the_published_one_is_named(tmp_path, monkeypatch, name, put, file):
    put(tmp_path, monkeypatch)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes() + b"more")
    with pytest.raises(ConfigError, match=rf"{file} is not the file of {name} \(its MD5 is not \w+\): delete"):
        opened(tmp_path, name)


# The names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CIFR10", r"name=CIFR10 is not a data set of torchvision: did you mean CIFAR10\?"),
        ("cifr10", r"did you mean CIFAR10\?"),
        ("qmnits", r"did you mean QMNIST\?"),
        (
            "nothing like it",
            r"choose one of CIFAR10, CIFAR100, EMNIST-balanced, .*, QMNIST, STL10, SVHN, USPS$",
        ),
        ("mnist", r"name=mnist is read by another option: choose dataset=mnist$"),
        ("emnist", r"name=emnist has variants: choose one of EMNIST-balanced, .*, EMNIST-letters, EMNIST-mnist$"),
        ("EMNIST-letter", r"did you mean EMNIST-letters\?"),
        ("FashionMNIST", r"choose dataset=fashion_mnist$"),
        ("celeba", r"name=celeba is read by another option: choose dataset=torchvision_images dataset.name=CelebA$"),
        ("FakeData", r"name=FakeData is not among those that can be read, CIFAR10, .*dataset=folder"),
    ],
)
def test_other_names_are_refused_with_the_nearest(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, name)


@pytest.mark.usefixtures("undrawn")
def test_a_game_and_a_classifier_learn_of_it_and_a_bad_start_writes_nothing(inside: Command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path / "data"))
    cifar10(tmp_path / "published", monkeypatch)
    game = ["gan-train", "dataset=torchvision", "dataset.resolution=8", "model.generator.width=4", "name=game"]
    game += ["model.critic.width=4", "train.steps=2", "train.batch_size=4"]
    before = tree(tmp_path)
    refused = inside(*game)
    assert refused.code == 2
    (line,) = refused.err.splitlines()
    assert line.startswith("gan-train: CIFAR10 is not on this machine")
    assert tree(tmp_path) == before

    shutil.move(tmp_path / "published", tmp_path / "data")
    for command in (game, ["gan-classify", "dataset=torchvision", "classifier=softmax", "train.steps=2", *game[-1:]]):
        finished = inside(*command)
        assert finished.code == 0, finished.err
