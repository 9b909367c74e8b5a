"""Odd files in a folder of images: each is taken with the right pixels, bad for its reason, or left out."""

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.errors import ConfigError
from tests.helpers.pictures import (
    BLUE,
    GREY,
    WHITE,
    Write,
    animation,
    beginning,
    bomb,
    content,
    encoded,
    flat,
    grey_with_alpha_16,
    open_folder,
    saved,
    tiff,
    with_text,
)

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
NOISE = np.random.default_rng(0).bytes(600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def link(target: str) -> Write:
    return lambda path: path.symlink_to(target)


def elsewhere(write: Write) -> Write:
    """A link to a file outside the folder."""

    def linked(path: Path) -> None:
        target = path.parent.parent / "target"
        write(target)
        path.symlink_to(target)

    return linked


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may have 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


TAKEN: dict[str, tuple[str, Write, tuple[int, ...]]] = {
    "jfif": ("a.jfif", saved(format="jpeg", quality=100), BLUE),
    "jpe": ("a.jpe", saved(format="jpeg", quality=100), BLUE),
    "avif": ("a.avif", saved(quality=100), BLUE),
    "jpeg 2000": ("a.jp2", saved(), BLUE),
    "bare jpeg 2000": ("a.j2k", saved(), BLUE),
    "targa": ("a.tga", saved(), BLUE),
    "icon": ("a.ico", saved(size=(32, 32)), BLUE),
    "dds": ("a.dds", saved(), BLUE),
    "pcx": ("a.pcx", saved(), BLUE),
    "sgi": ("a.rgb", saved(), BLUE),
    "ppm": ("a.ppm", saved(), BLUE),
    "several pictures": ("a.mpo", saved(format="mpo", quality=100), BLUE),
    "no suffix": ("0001", saved(format="png"), BLUE),
    "a suffix of something else": ("a.dat", saved(format="png"), BLUE),
    "another image's suffix": ("a.jpg", saved(format="png"), BLUE),
    "an image's suffix for a text's": ("a.txt", saved(format="png"), BLUE),
    "upper case": ("A.PNG", saved(), BLUE),
    "a line break in its name": ("a\nb.png", saved(), BLUE),
    "no UTF-8 in its name": (os.fsdecode(b"\xff\xfe.png"), saved(), BLUE),
    "one pixel": ("a.png", saved(size=(1, 1)), BLUE),
    "a thread": ("a.png", saved(size=(1, 3000)), BLUE),
    "an animated webp": ("a.webp", animation("webp"), BLUE),
    "an animated png": ("a.apng", animation("png"), BLUE),
    "grey and alpha of 16 bits, opaque": ("a.png", content(grey_with_alpha_16(25700, 65535)), GREY),
    "grey and alpha of 16 bits, clear": ("a.png", content(grey_with_alpha_16(25700, 0)), WHITE),
    "colour of 16 bits": ("a.tif", content(tiff(flat(25700, "u2", 3), photometric=2)), GREY),
    "grey of 16 bits, white is 0": ("a.tif", content(tiff(flat(39835, "u2"), photometric=0)), GREY),
    "grey of 32 bits within 16": ("a.tif", content(tiff(flat(25700, "u4"))), GREY),
    "cmyk with a sample more": ("a.tif", content(tiff(flat(0, "u1", 5), photometric=5, extra=0)), WHITE),
    "cmyk of 16 bits": ("a.tif", content(tiff(flat(0, "u2", 4), photometric=5)), WHITE),
    "five megabytes of text": ("a.png", with_text(5), BLUE),
    "bytes behind its end": ("a.jpg", lambda path: path.write_bytes(encoded(kind="jpeg") + NOISE), BLUE),
    "a link to an image": ("a.png", elsewhere(saved(format="png")), BLUE),
    "a link without a suffix": ("a", elsewhere(saved(format="png")), BLUE),
}

BAD: dict[str, tuple[str, Write, str]] = {
    "half a jpeg": ("b.jpg", beginning(saved(format="jpeg", size=(400, 400)), 0.5), r"cannot be decoded \(.*truncated"),
    "half a png without suffix": ("b", beginning(saved(format="png"), 0.2), r"cannot be decoded \(Truncated"),
    "nothing": ("b.png", Path.touch, "is no image"),
    "a text": ("b.png", content(b"this is no image"), "is no image"),
    "a web page": ("b.jpg", content(b"<!DOCTYPE html><title>404</title>"), "is no image"),
    "a bomb": ("b.png", content(bomb()), r"cannot be decoded \(.*2500000000 pixels"),
    "a bomb without suffix": ("b", content(bomb()), r"cannot be decoded \(.*2500000000 pixels"),
    "too much text": ("b.png", with_text(70), r"cannot be decoded \(.*MAX_TEXT"),
    "floating-point": ("b.tif", content(tiff(flat(0.5, "f4"), kind=3)), "floating-point numbers"),
    "double precision": ("b.tif", content(tiff(flat(0.5, "f8"), kind=3)), "samples of 64 bits"),
    "negative, 16 bits": ("b.tif", content(tiff(flat(-5, "i2"), kind=2)), "has negative pixels"),
    "negative, 32 bits": ("b.tif", content(tiff(flat(-5, "i4"), kind=2)), "has negative pixels"),
    "32 bits": ("b.tif", content(tiff(flat(4e9, "u4"))), r"more than 16 bits \(up to 4000000000;"),
    "grey and alpha of 16 bits": ("b.tif", content(tiff(flat(9, "u2", 2), extra=2)), "samples of 16, 16 bits"),
    "cmyk and alpha": ("b.tif", content(tiff(flat(9, "u1", 5), photometric=5, extra=2)), "samples of 8, 8, 8, 8, 8"),
    "heic under another name": ("b.jpg", content(HEIC), "is a HEIC image, which Pillow does not decode"),
    "a dangling link": ("b.png", link("gone.png"), r"cannot be read \(No such file or directory\)"),
    "a dangling link without suffix": ("b", link("gone"), r"cannot be read \(No such file or directory\)"),
    "a link to itself": ("b.png", link("b.png"), r"cannot be read \(Too many levels of symbolic links\)"),
}

LEFT_OUT: dict[str, tuple[str, Write, str]] = {
    "notes": ("b.txt", content(b"taken in May"), "1 .txt (no image)"),
    "a table": ("b.csv", content(b"file,class\na.png,0\n"), "1 .csv (no image)"),
    "thumbnails of a file manager": ("Thumbs.db", content(OLE), "1 .db (no image)"),
    "a text that begins as a bitmap": ("b.txt", content(b"BMW, a list of cars"), "1 .txt (no image)"),
    "a text that begins as a pixmap": ("b.md", content(b"P6 notes"), "1 .md (no image)"),
    "nothing": ("b", Path.touch, "1 without suffix (no image)"),
    "noise": ("b", content(NOISE), "1 without suffix (no image)"),
    "zeros, as a targa may begin": ("b.bin", content(bytes(500)), "1 .bin (no image)"),
    "an array": ("b.npy", lambda path: np.save(path, np.zeros(9)), "1 .npy (no image)"),
    "a film": ("b.mpg", content(b"\0\0\1\xb3" + bytes(100)), "1 .mpg (no image)"),
    "postscript, which is a program": ("b.eps", content(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "1 .eps (no decoder)"),
    "heic": ("b.heic", content(HEIC), "1 .heic (no decoder)"),
    "a drawing": ("b.svg", content(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "1 .svg (no decoder)"),
    "a raw photograph": ("b.dng", saved(format="tiff"), "1 .dng (no decoder)"),
    "a pipe": ("b.png", os.mkfifo, "1 .png (no regular file)"),
    "a socket": ("b", listening, "1 without suffix (no regular file)"),
    "a device": ("b.png", link("/dev/zero"), "1 .png (no regular file)"),
    "a dangling link to a text": ("b.txt", link("gone.txt"), "1 .txt (unreadable)"),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_an_odd_image_is_taken_with_its_colour(
    folder: Path, kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    name, write, expected = TAKEN[kind]
    write(folder / name)
    dataset = open_folder(folder)
    assert dataset.files == [name]
    pixels = dataset.images[0].flatten(1).int()
    torch.testing.assert_close(pixels, torch.tensor(expected)[:, None].expand_as(pixels).int(), atol=3, rtol=0)
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_refused_for_its_reason_or_skipped(
    folder: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    name, write, reason = BAD[kind]
    saved()(folder / "a.png")
    write(folder / name)
    with pytest.raises(ConfigError, match=rf"^{folder}/{name} .*{reason}") as raised:
        open_folder(folder)
    assert "\n" not in str(raised.value)
    assert "dataset.on_bad_image=skip" in str(raised.value)
    assert not (folder.parent / "root").exists()
    assert open_folder(folder, on_bad_image="skip").files == ["a.png"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message == f"{folder}: left out: 1 of 2 images ({name})"


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_what_is_no_image_is_left_out_and_named(folder: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    name, write, words = LEFT_OUT[kind]
    write(folder / name)
    with pytest.raises(ConfigError, match="holds no images: left out: ") as raised:
        open_folder(folder)
    assert words in str(raised.value)
    saved()(folder / "a.png")
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        dataset = open_folder(folder)
        assert dataset.files == ["a.png"]
        assert caplog.messages == [f"{folder}: left out: {words}"]
        assert dataset.description == f"1 image, 20×20 pixels, made 8×8; left out: {words}"


def test_all_that_is_left_out_is_counted_in_one_line(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.txt", "b.txt", "c.heic", "d"):
        (folder / name).write_text("text")
    for index in range(7):
        (folder / f"bad{index}.png").touch()
    saved()(folder / "good.png")
    open_folder(folder, on_bad_image="skip")
    (message,) = caplog.messages
    assert message == (
        f"{folder}: left out: 7 of 8 images (bad0.png, bad1.png, bad2.png, bad3.png, bad4.png, …),"
        " 1 .heic (no decoder), 2 .txt (no image), 1 without suffix (no image)"
    )


def test_the_description_says_what_was_loaded(folder: Path) -> None:
    for index, size in enumerate([(30, 20), (10, 12), (640, 480)]):
        (folder / f"class {index % 2}").mkdir(exist_ok=True)
        saved(size=size)(folder / f"class {index % 2}" / f"{index}.png")
    assert open_folder(folder).description == "3 images in 2 classes, 10×12 to 640×480 pixels, made 8×8"
    assert open_folder(folder, per_class=1).description == "2 images in 2 classes, 10×12 to 640×480 pixels, made 8×8"


CROPS: dict[str, Callable[[torch.Tensor], bool]] = {
    # Red, green and blue thirds of a picture three times as wide as high.
    "centre": lambda image: bool((image[1, 2:-2, 2:-2] > 250).all() and (image[0, 2:-2, 2:-2] < 5).all()),
    "none": lambda image: bool((image[0, :, 2] > 250).all() and (image[1, :, 2] < 5).all()),
    "pad": lambda image: bool((image[:, :4] == 255).all() and image[0, 8, 2] > 250 and image[1, 8, 2] < 5),
}


@pytest.mark.parametrize("crop", CROPS)
def test_each_crop_shows_its_part_of_the_picture(folder: Path, crop: str) -> None:
    wide = Image.new("RGB", (180, 60), BLUE)
    wide.paste((255, 0, 0), (0, 0, 60, 60))
    wide.paste((0, 255, 0), (60, 0, 120, 60))
    wide.save(folder / "a.png")
    seen = {
        name for name in CROPS for image in open_folder(folder, resolution=16, crop=name).images if CROPS[crop](image)
    }
    assert seen == {crop}


def test_a_random_crop_is_a_function_of_name_and_seed(folder: Path) -> None:
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 4)).reshape(64, 1024)[:, :256])
    for index in range(12):
        ramp.save(folder / f"{index}.png")
    images = open_folder(folder, channels=1, crop="random").images
    lefts = images[:, 0, 4, 0].tolist()
    assert len(set(lefts)) > 6
    assert max(lefts) > 120 > 60 > min(lefts)
    assert torch.equal(open_folder(folder, channels=1, crop="random", root=str(folder.parent / "new")).images, images)
    assert not torch.equal(open_folder(folder, channels=1, crop="random", crop_seed=1).images, images)
    (folder / "0.png").unlink()
    assert torch.equal(open_folder(folder, channels=1, crop="random").images, images[1:])
