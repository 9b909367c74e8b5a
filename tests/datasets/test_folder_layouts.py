"""Odd folders and archives of images: which classes and splits they hold, and which are refused in one line."""

import hashlib
import io
import json
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gan_cli.datasets import archive
from gan_cli.datasets.folder import Folder
from gan_cli.errors import ConfigError
from tests.helpers.pictures import Write, encoded, open_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


def place(folder: Path, *names: str) -> None:
    """Grey pictures, the first of shade 1, the second of shade 2; a name with a suffix of a text is one."""
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".txt"):
            (folder / name).write_text("text")
        else:
            Image.new("L", (8, 8), index + 1).save(folder / name, format="png")


def seen(dataset: Folder) -> list[tuple[int, str | None]]:
    """The shade and the class of each image."""
    names = [None] * len(dataset) if dataset.labels is None else [dataset.classes[label] for label in dataset.labels]
    return list(zip(dataset.images[:, 0, 0, 0].tolist(), names, strict=True))


# Folders: the names of the pictures, and the shades and classes of the training and of the test images.
LAYOUTS: dict[str, tuple[list[str], list[tuple[int, str | None]], list[tuple[int, str | None]] | None]] = {
    "flat": (["a.png", "b.png"], [(1, None), (2, None)], None),
    "classes": (["cat/a.png", "dog/a.png"], [(1, "cat"), (2, "dog")], None),
    "odd names of classes": (["a#b/a.png", "a b/a.png", "é=1/a.png"], [(2, "a b"), (1, "a#b"), (3, "é=1")], None),
    "a name within another": (["cat 2/a.png", "cat/a.png"], [(2, "cat"), (1, "cat 2")], None),
    "names that differ in case": (["Cat/a.png", "cat/a.png"], [(1, "Cat"), (2, "cat")], None),
    "no suffixes": (["cat/1", "dog/1"], [(1, "cat"), (2, "dog")], None),
    "deep": (["cat/x/y/a.png", "dog/a.png"], [(1, "cat"), (2, "dog")], None),
    "a folder without images": (["cat/a.png", "dog/a.png", "notes/a.txt"], [(1, "cat"), (2, "dog")], None),
    "train and test": (["test/a.png", "train/a.png"], [(2, None)], [(1, None)]),
    "train and val": (["train/x/a.png", "val/x/a.png"], [(1, "x")], [(2, "x")]),
    "train and valid": (["train/a", "valid/a"], [(1, None)], [(2, None)]),
    "Train and Validation": (["Train/a.png", "Validation/a.png"], [(1, None)], [(2, None)]),
    "train, val and test": (["test/a.png", "train/a.png", "val/a.png"], [(2, None)], [(1, None)]),
    "splits of classes": (
        ["test/b/1.png", "test/a/1.png", "train/a/1.png", "train/b/1.png", "train/b/2.png"],
        [(3, "a"), (4, "b"), (5, "b")],
        [(2, "a"), (1, "b")],
    ),
    "splits beside a table and notes": (
        ["train/a.png", "test/a.png", "labels.txt", "notes/a.txt"],
        [(1, None)],
        [(2, None)],
    ),
    "train, test and another": (
        ["test/a.png", "train/a.png", "tram/a.png"],
        [(1, "test"), (2, "train"), (3, "tram")],
        None,
    ),
    "test and val without train": (["test/a.png", "val/a.png"], [(1, "test"), (2, "val")], None),
}


def packed(folder: Path, kind: str) -> Path:
    """An archive of what is in a folder, its members in reverse order."""
    path = folder.parent / f"archive.{kind}"
    files = sorted((file for file in folder.rglob("*") if file.is_file()), reverse=True)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as of_zip:
            for file in files:
                of_zip.write(file, file.relative_to(folder))
        return path
    mode: Any = f"w:{kind.partition('.')[2]}"
    with tarfile.open(path, mode) as of_tar:
        for file in files:
            of_tar.add(file, f"./{file.relative_to(folder)}")
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_has_its_classes_and_splits_also_in_an_archive(folder: Path, layout: str) -> None:
    names, training, test = LAYOUTS[layout]
    place(folder, *names)
    digests = set()
    for path in (folder, packed(folder, "zip"), packed(folder, "tar"), packed(folder, "tar.xz")):
        for _ in range(2):  # the second time from the cache
            dataset = open_folder(path)
            assert seen(dataset) == training
            other = dataset.other_split()
            assert (None if other is None else seen(other)) == test
            digests.add((dataset.fingerprint(), None if other is None else other.fingerprint(), *dataset.files))
            assert dataset.split == (None if test is None else "train")
    assert len(digests) == 1
    if test is None:
        for split in ("train", "test"):
            with pytest.raises(ValueError, match=rf"^split={split} is not one of the data"):
                dataset.at_split(split)
        with pytest.raises(ConfigError, match=r"^dataset.split=test: .*: leave it out"):
            open_folder(folder, split="test")
    else:
        assert dataset.at_split("train") is dataset
        of_test = open_folder(folder, split="test")
        assert of_test.split == "test"
        assert seen(of_test) == test
        assert seen(of_test.other_split()) == training
        # What was recorded of a part of the pixels is what hashing them gives.
        hashed = [hashlib.sha256(of.images.numpy().tobytes()).hexdigest() for of in (dataset, of_test)]
        assert list(next(iter(digests))[:2]) == hashed


def test_a_split_without_another_is_a_class(folder: Path) -> None:
    place(folder, "train/a.png", "train/b.png")
    assert seen(open_folder(folder)) == [(1, "train"), (2, "train")]


def test_a_split_is_what_its_folder_is_alone(folder: Path) -> None:
    place(folder, "train/cat 2/a.png", "train/cat/a.png", "test/cat/a.png", "test/cat 2/a.png")
    for split in ("train", "test"):
        of_split, alone = open_folder(folder, split=split), open_folder(folder / split)
        assert torch.equal(of_split.images, alone.images)
        assert of_split.fingerprint() == alone.fingerprint()
        assert of_split.classes == alone.classes == ["cat", "cat 2"]


def test_splits_are_classes_if_split_is_null(folder: Path) -> None:
    place(folder, "test/a.png", "train/a.png")
    dataset = open_folder(folder, split=None)
    assert seen(dataset) == [(1, "test"), (2, "train")]
    assert dataset.other_split() is None
    assert dataset.fingerprint() == dataset.subset(torch.arange(2)).fingerprint()


def test_the_other_split_has_all_images_of_the_chosen_classes(folder: Path) -> None:
    place(folder, *(f"{split}/{name}/{i}.png" for split in ("test", "train") for name in "abc" for i in range(3)))
    dataset = open_folder(folder, classes=["c", "a"], per_class=1)
    other = dataset.other_split()
    assert (len(dataset), len(other)) == (2, 6)
    assert dataset.classes == other.classes == ["c", "a"]
    assert seen(other) == [(1, "a"), (2, "a"), (3, "a"), (7, "c"), (8, "c"), (9, "c")]
    assert other.other_split().classes == ["c", "a"]


REFUSED: dict[str, tuple[list[str], str]] = {
    "images beside classes": (["a.png", "cat/b.png"], r"holds images \(a.png\) beside a folder of images \(cat\)"),
    "the same without suffixes": (["a", "cat/b"], r"holds images \(a\) beside a folder of images \(cat\)"),
    "the same within a split": (["train/a.png", "train/cat/a.png", "test/a.png"], r"/train holds images .* beside"),
    "splits of other classes": (
        ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"],
        r"train and test differ in their classes \(b, c\): give both the same",
    ),
    "a split without classes": (["train/a/1.png", "test/1.png"], r"train and test differ in their classes \(a\)"),
    "texts": (["a.txt", "b/c.txt"], r"holds no images: left out: 2 .txt \(no image\)"),
}


@pytest.mark.parametrize("layout", REFUSED)
def test_an_unclear_layout_is_refused_in_one_line(folder: Path, layout: str) -> None:
    names, reason = REFUSED[layout]
    place(folder, *names)
    for path in (folder, packed(folder, "zip"), packed(folder, "tar.gz")):
        with pytest.raises(ConfigError, match=reason) as raised:
            open_folder(path)
        assert "\n" not in str(raised.value)
        assert str(raised.value).startswith(f"dataset.path={path}")
    assert not (folder.parent / "root").exists()


def test_linked_folders_are_followed_but_not_in_circles(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    place(folder, "cat/a.png")
    place(folder.parent / "elsewhere", "b.png")
    (folder / "dog").symlink_to(folder.parent / "elsewhere")
    (folder / "cat/again").symlink_to(folder)
    (folder / "cat/self").symlink_to(".")
    (folder.parent / "elsewhere/back").symlink_to(folder / "dog")
    assert open_folder(folder).files == ["cat/a.png", "dog/b.png"]
    (message,) = caplog.messages
    assert message.endswith("left out: 3 without suffix (a folder that holds itself)")


def test_a_class_of_bad_images_alone_keeps_its_place(folder: Path) -> None:
    place(folder, "a/1.png", "c/1.png")
    (folder / "b").mkdir()
    (folder / "b/1.png").write_text("no image")
    dataset = open_folder(folder, on_bad_image="skip")
    assert dataset.classes == ["a", "b", "c"]
    assert seen(dataset) == [(1, "a"), (2, "c")]


def test_one_folder_that_holds_all_of_an_archive_is_looked_through(folder: Path) -> None:
    top = folder.parent / "top"
    place(top / "pictures", "cat/a.png", "dog/a.png")
    (top / "pictures/manifest.json").write_text(json.dumps({"classes": {"The Cat": {"folder": "cat"}}}))
    for kind in ("zip", "tar", "tar.bz2"):
        dataset = open_folder(packed(top, kind))
        assert dataset.files == ["cat/a.png", "dog/a.png"]
        assert seen(dataset) == [(1, "The Cat"), (2, "dog")]


def test_the_last_of_equal_names_in_an_archive_counts(folder: Path) -> None:
    old, new = encoded((1, 1, 1)), encoded((2, 2, 2))
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as of_tar:
        for data in (old, encoded((5, 5, 5)), new):
            info = tarfile.TarInfo("a.png" if data != encoded((5, 5, 5)) else "b.png")
            info.size = len(data)
            of_tar.addfile(info, io.BytesIO(data))
    assert seen(open_folder(path)) == [(2, None), (5, None)]


def test_nothing_of_an_archive_is_unpacked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(folder, "cat/a.png", "dog/a.png", "a.txt")
    path = packed(folder, "tar.gz").rename(folder.parent / "without a suffix")
    monkeypatch.chdir(folder.parent)
    before = {*folder.parent.rglob("*")}
    assert len(open_folder(path)) == 2
    new = {file.suffix for file in {*folder.parent.rglob("*")} - before if file.is_file()}
    assert new == {".npy", ".json"}


def in_zip(name: str, data: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("a.png", encoded())
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            opened.writestr(info, data, zipfile.ZIP_DEFLATED)

    return write


def in_tar(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, mode: Any = "w") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tarfile.open(path, mode) as opened:
            data = encoded()
            for info, content in ((tarfile.TarInfo("a.png"), data), (tarfile.TarInfo(name), bytes(size))):
                info.size = len(content)
                info.type = kind if content is not data else tarfile.REGTYPE
                info.linkname = "/etc/passwd" if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
                opened.addfile(info, io.BytesIO(content))

    return write


def encrypted(path: Path) -> None:
    in_zip("b.png")(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)  # the second member, in the directory of the archive
    data[at + 8] |= 1
    path.write_bytes(data)


def cut(write: Callable[[Path], None], length: int) -> Callable[[Path], None]:
    def shortened(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[:length])

    return shortened


HOSTILE: Mapping[str, tuple[Write, str]] = {
    "a link in a zip": (in_zip("b.png", b"/etc/passwd", stat.S_IFLNK | 0o777), "b.png is a link: pack"),
    "a pipe in a zip": (in_zip("b.png", mode=stat.S_IFIFO | 0o644), "b.png is a device: pack"),
    "a way up in a zip": (in_zip("../b.png"), r"\.\./b.png leads out of the archive"),
    "a way up with backslashes": (in_zip(r"x\..\..\b.png"), "leads out of the archive"),
    "a path from the root in a zip": (in_zip("/tmp/b.png"), "/tmp/b.png leads out of the archive"),
    "a bomb in a zip": (in_zip("b.png", bytes(10**7)), "unpacks to more than 200 times its size: unpack it yourself"),
    "an encrypted member": (encrypted, "b.png is encrypted"),
    "a link in a tar": (in_tar("b.png", tarfile.SYMTYPE), "b.png is a link: pack"),
    "a hard link in a tar": (in_tar("b.png", tarfile.LNKTYPE), "b.png is a link: pack"),
    "a device in a tar": (in_tar("b.png", tarfile.CHRTYPE), "b.png is a device: pack"),
    "a pipe in a tar": (in_tar("b.png", tarfile.FIFOTYPE), "b.png is a device: pack"),
    "a way up in a tar": (in_tar("x/../../b.png"), "leads out of the archive"),
    "a path from the root in a tar": (in_tar("/b.png"), "/b.png leads out of the archive"),
    "a bomb in a tar": (in_tar("b.png", size=10**7, mode="w:gz"), "unpacks to more than 200 times its size"),
    "half a tar": (cut(in_tar("b.png", size=9000), 5000), "is a damaged archive"),
    "half a compressed tar": (cut(in_tar("b.png", size=9000, mode="w:xz"), 120), "is a damaged archive"),
    "an empty zip": (lambda path: zipfile.ZipFile(path, "w").close(), "holds nothing"),
    "an empty tar": (lambda path: tarfile.open(path, "w").close(), "holds nothing"),
    "a text": (lambda path: path.write_text("text"), r"is a file and no archive \(.zip, .tar, "),
    "a picture": (lambda path: path.write_bytes(encoded()), "is a file and no archive"),
    "nothing": (Path.touch, "is a file and no archive"),
    "a pipe": (os.mkfifo, "is a file and no archive"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_that_is_hostile_damaged_or_none_is_refused_in_one_line(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "HARMLESS", 10**6)
    write, reason = HOSTILE[kind]
    write(folder)
    before = {*folder.parent.rglob("*")}
    with pytest.raises(ConfigError, match=reason) as raised:
        open_folder(folder)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"dataset.path={folder}")
    assert {*folder.parent.rglob("*")} == before


def test_a_damaged_member_is_a_bad_image(folder: Path) -> None:
    with zipfile.ZipFile(folder, "w") as opened:
        opened.writestr("a.png", encoded())
        opened.writestr("b.png", encoded((1, 2, 3)))
    data = folder.read_bytes().replace(b"IDAT", b"IDAX")
    folder.write_bytes(data.replace(b"IDAX", b"IDAT", 1))
    with pytest.raises(ConfigError, match=r"/b.png cannot be read \(Bad CRC-32.*\): remove it"):
        open_folder(folder)
    assert open_folder(folder, on_bad_image="skip").files == ["a.png"]
