"""A folder of images: what is read, what is refused and how, and when the cache stands in for the files."""

import json
import logging
import os
import resource
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gan_cli.datasets import decoding
from gan_cli.datasets.cache import ImageCache
from gan_cli.datasets.folder import Folder
from gan_cli.errors import ConfigError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)

Open = Callable[..., Folder]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def opened(pictures: Path, root: Path) -> Open:
    """The folder `pictures` as a data set of small images, but for the options that are given."""

    def open_folder(**options: Any) -> Folder:
        defaults: dict[str, Any] = {
            "path": str(pictures),
            "resolution": 8,
            "channels": 3,
            "mirror": False,
            "on_bad_image": "error",
            "root": str(root),
        }
        return Folder(**(defaults | options))

    return open_folder


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Once called, makes a test fail that decodes an image."""

    def forbid() -> None:
        def decode(*_: object) -> NDArray[np.uint8]:
            pytest.fail("an image was decoded")

        monkeypatch.setattr(decoding, "decode", decode)

    return forbid


@pytest.fixture
def ordinary_user(opened: Open) -> Iterator[Path]:
    """A folder of a user whom permissions bind, whoever runs the tests."""
    with tempfile.TemporaryDirectory() as path:
        if os.geteuid() != 0:
            yield Path(path)
            return
        nobody = 65534
        os.chown(path, nobody, nobody)
        os.seteuid(nobody)
        try:
            yield Path(path)
        finally:
            os.seteuid(0)


def noise(seed: int, size: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def truncated(path: Path) -> None:
    noise(0, 64).save(path)
    path.write_bytes(path.read_bytes()[:3000])


def bomb(path: Path) -> None:
    """A PNG file whose header promises 2.5 thousand million pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 100) + b"IDAT" + bytes(100))


def text(path: Path) -> None:
    path.write_text("this is no image")


def floats(path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(path, format="tiff")


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncated, "cannot be decoded .*truncated"),
    "bomb": (bomb, "cannot be decoded .*2500000000 pixels"),
    "text": (text, "is no image"),
    "empty": (Path.touch, "is no image"),
    "floats": (floats, "cannot be decoded .*floating-point"),
}


def colour(dataset: Folder) -> tuple[int, ...]:
    """The colour of the only image, which must be of one colour within what JPEG loses."""
    assert len(dataset) == 1
    pixels = dataset.images[0].flatten(1).float()
    centre = pixels.mean(1)
    torch.testing.assert_close(pixels, centre[:, None].expand_as(pixels), atol=2, rtol=0)
    return tuple(centre.round().int().tolist())


def palette(*, transparent: bool) -> Image.Image:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([*RED, *BLUE])
    if transparent:
        image.info["transparency"] = 1
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (Image.new("RGB", (20, 20), BLUE), ".png", BLUE),
        (Image.new("RGB", (20, 20), WHITE), ".jpg", WHITE),
        (Image.new("RGB", (20, 20), BLUE), ".webp", BLUE),
        (Image.new("RGB", (20, 20), BLUE), ".BMP", BLUE),
        (Image.new("RGBA", (20, 20), (*BLUE, 255)), ".png", BLUE),
        (Image.new("RGBA", (20, 20), (*BLUE, 0)), ".png", WHITE),
        (Image.new("RGBA", (20, 20), (*BLUE, 51)), ".png", (204, 204, 255)),
        (Image.new("LA", (20, 20), (0, 0)), ".png", WHITE),
        (palette(transparent=False), ".png", BLUE),
        (palette(transparent=True), ".png", WHITE),
        (palette(transparent=False), ".gif", BLUE),
        (Image.new("L", (20, 20), 100), ".png", (100, 100, 100)),
        (Image.new("1", (20, 20), 1), ".png", WHITE),
        (Image.new("CMYK", (20, 20), (255, 255, 0, 0)), ".tif", BLUE),
        (Image.new("CMYK", (20, 20), (0, 0, 0, 255)), ".jpeg", (0, 0, 0)),
        (Image.fromarray(np.full((20, 20), 100 * 257, np.uint16)), ".png", (100, 100, 100)),
        (Image.fromarray(np.full((20, 20), 100 * 257, np.int32)), ".tiff", (100, 100, 100)),
        (Image.fromarray(np.full((20, 20), 65535, np.uint16)), ".pgm", WHITE),
    ],
)
def test_every_mode_becomes_its_colour(
    pictures: Path, opened: Open, image: Image.Image, suffix: str, expected: tuple[int, ...]
) -> None:
    image.save(pictures / f"image{suffix}")
    assert colour(opened()) == pytest.approx(expected, abs=1)


def test_one_channel_is_the_luminance(pictures: Path, opened: Open) -> None:
    Image.new("RGB", (20, 20), GREEN).save(pictures / "image.png")
    dataset = opened(channels=1)
    assert dataset.sample_shape == (1, 8, 8)
    assert colour(dataset) == (150,)


def test_the_first_frame_of_an_animation_is_taken(pictures: Path, opened: Open) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (BLUE, RED, GREEN)]
    frames[0].save(pictures / "image.gif", save_all=True, append_images=frames[1:])
    assert colour(opened()) == BLUE


def test_a_photograph_is_turned_upright(pictures: Path, opened: Open) -> None:
    image = Image.new("RGB", (80, 80), BLUE)
    image.paste(RED, (0, 0, 80, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right of the sensor
    image.save(pictures / "image.jpg", exif=exif, quality=95, subsampling=0)
    (turned,) = opened().images
    assert turned[:, 4, 7].tolist() == pytest.approx(RED, abs=9)
    assert turned[:, 4, 0].tolist() == pytest.approx(BLUE, abs=9)


@pytest.mark.parametrize("size", [(60, 20), (20, 60)])
def test_the_centre_square_is_cut_out(pictures: Path, opened: Open, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, RED)
    left, top = (size[0] - 20) // 2, (size[1] - 20) // 2
    image.paste(BLUE, (left, top, left + 20, top + 20))
    image.save(pictures / "image.png")
    (cut,) = opened(resolution=16).images
    blue = torch.tensor(BLUE)[:, None, None]
    torch.testing.assert_close(cut[:, 4:-4, 4:-4].int(), blue.expand(3, 8, 8), check_dtype=False)
    # At its edge the filter sees a little of what lies beyond.
    torch.testing.assert_close(cut.int(), blue.expand(3, 16, 16), check_dtype=False, atol=40, rtol=0)


def test_fine_detail_is_averaged_and_a_small_image_enlarged(pictures: Path, opened: Open) -> None:
    checkers = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checkers).save(pictures / "a.png")
    Image.new("RGB", (1, 3), GREEN).save(pictures / "b.png")
    averaged, enlarged = opened(channels=3).images
    assert averaged[:, 1:-1, 1:-1].float().sub(127.5).abs().max() < 4
    assert torch.equal(enlarged, torch.tensor(GREEN, dtype=torch.uint8)[:, None, None].expand(3, 8, 8))


def test_a_large_photograph_is_the_same_however_it_is_stored(pictures: Path, opened: Open) -> None:
    image = noise(0, 6).resize((400, 320), Image.Resampling.BICUBIC)
    image.save(pictures / "a.jpg", quality=98, subsampling=0)
    image.save(pictures / "b.png")
    jpeg, png = opened().images.float()
    torch.testing.assert_close(jpeg, png, atol=4, rtol=0)


def test_flat_images_come_in_the_order_of_their_names_without_labels(pictures: Path, opened: Open) -> None:
    for name, shade in {"b.png": 2, "a.JPG": 1, "c.png": 3}.items():
        Image.new("L", (8, 8), shade).save(pictures / name)
    text(pictures / "notes.txt")
    text(pictures / "._a.jpg")
    (pictures / "empty").mkdir()
    dataset = opened(channels=1)
    assert dataset.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert dataset.labels is None
    assert dataset.classes == []
    assert dataset.images.dtype == torch.uint8
    assert not dataset.mirror
    assert opened(mirror=True).mirror


def test_sub_folders_are_classes_however_deep_their_images_lie(tmp_path: Path, pictures: Path, opened: Open) -> None:
    places = {"cat/a.png": 1, "cat/more/b.png": 2, "dog/a.png": 3, "dog/.trash/x.png": 9, ".git/x.png": 9}
    for name, shade in places.items():
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), shade).save(pictures / name)
    (tmp_path / "elsewhere").mkdir()
    Image.new("L", (8, 8), 4).save(tmp_path / "elsewhere/a.png")
    (pictures / "eel").symlink_to(tmp_path / "elsewhere")
    (pictures / "no images").mkdir()
    text(pictures / "readme.txt")
    dataset = opened(channels=1)
    assert dataset.classes == ["cat", "dog", "eel"]
    assert dataset.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 0, 1, 2]


def test_images_beside_folders_of_images_are_refused(pictures: Path, opened: Open, root: Path) -> None:
    (pictures / "cat").mkdir()
    noise(0).save(pictures / "cat/a.png")
    noise(1).save(pictures / "b.png")
    with pytest.raises(ConfigError, match=rf"dataset.path={pictures} holds images \(b.png\) beside .*\(cat\)"):
        opened()
    assert not root.exists()


def test_a_path_that_holds_no_images_is_refused_for_its_reason(
    tmp_path: Path, pictures: Path, opened: Open, root: Path
) -> None:
    with pytest.raises(ConfigError, match=f"^dataset.path={tmp_path}/none does not exist"):
        opened(path=str(tmp_path / "none"))
    text(tmp_path / "file.png")
    with pytest.raises(ConfigError, match=f"^dataset.path={tmp_path}/file.png is a file"):
        opened(path=str(tmp_path / "file.png"))
    with pytest.raises(ConfigError, match=f"^dataset.path={pictures} holds nothing: .*\\.jpg, .*\\.webp"):
        opened()
    text(pictures / "notes.txt")
    with pytest.raises(ConfigError, match=f"^dataset.path={pictures} holds no images: .*\\.jpg, .*\\.webp"):
        opened()
    assert not root.exists()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_named_with_the_remedy_and_nothing_is_written(
    pictures: Path, opened: Open, root: Path, kind: str
) -> None:
    write, reason = BAD[kind]
    for index in range(3):
        noise(index).save(pictures / f"{index}.png")
    write(pictures / "1bad.png")
    with pytest.raises(ConfigError, match=rf"1bad.png {reason}.*: remove it, or .*dataset.on_bad_image=skip"):
        opened()
    assert not root.exists()


@pytest.mark.parametrize("kind", BAD)
def test_bad_images_that_are_skipped_are_counted_and_take_their_labels_with_them(
    pictures: Path,
    opened: Open,
    no_decoding: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    for shade, name in enumerate(["cat/a", "cat/c", "dog/a", "eel/a"]):
        (pictures / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), shade).save(pictures / f"{name}.png")
    BAD[kind][0](pictures / "cat/b.png")
    BAD[kind][0](pictures / "dog/b.png")
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        dataset = opened(channels=1, on_bad_image="skip")
        assert dataset.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
        assert dataset.labels is not None
        assert dataset.labels.tolist() == [0, 0, 1, 2]
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "2 of 6 images" in record.message
        assert "cat/b.png, dog/b.png" in record.message
        no_decoding()
    with pytest.raises(ConfigError, match=r"cat/b.png .*: remove it"):
        opened(channels=1)


def test_a_folder_of_bad_images_alone_is_refused_even_when_they_may_be_skipped(
    pictures: Path, opened: Open, root: Path
) -> None:
    text(pictures / "a.png")
    truncated(pictures / "b.png")
    with pytest.raises(ConfigError, match=r"holds no image that can be used: a.png is no image"):
        opened(on_bad_image="skip")
    assert not root.exists()


def test_odd_metadata_and_large_images_cause_no_python_warning(
    pictures: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # warned of, up to twice as many
    noise(0).save(pictures / "a.png")
    assert len(opened()) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("resolution", 10**8), ("channels", 2), ("channels", 4)],
)
def test_an_impossible_option_is_refused_by_name(
    pictures: Path, opened: Open, root: Path, option: str, value: int
) -> None:
    noise(0).save(pictures / "a.png")
    with pytest.raises(ValueError, match=f"^{option}={value} must be"):
        opened(**{option: value})
    assert not root.exists()


@pytest.mark.parametrize("forbidden", ["class", "."])
def test_a_folder_without_permission_is_named(ordinary_user: Path, opened: Open, root: Path, forbidden: str) -> None:
    pictures = ordinary_user / "pictures"
    (pictures / "class").mkdir(parents=True)
    noise(0).save(pictures / "class/a.png")
    (pictures / forbidden).chmod(0)
    try:
        with pytest.raises(ConfigError, match=f"^dataset.path=.*: .*{Path(forbidden).name}.* cannot be read: Perm"):
            opened(path=str(pictures), on_bad_image="skip")
    finally:
        (pictures / forbidden).chmod(0o700)


def test_a_file_without_permission_is_a_bad_image(ordinary_user: Path, opened: Open) -> None:
    noise(0).save(ordinary_user / "a.png")
    noise(1).save(ordinary_user / "b.png")
    (ordinary_user / "b.png").chmod(0)
    with pytest.raises(ConfigError, match=r"/b.png cannot be read \(Permission denied\): remove it"):
        opened(path=str(ordinary_user))
    assert opened(path=str(ordinary_user), on_bad_image="skip").files == ["a.png"]


def test_the_second_run_decodes_nothing_and_maps_the_same_pixels(
    pictures: Path, opened: Open, root: Path, no_decoding: Callable[[], None]
) -> None:
    for index in range(5):
        noise(index).save(pictures / f"{index}.png")
    first = opened()
    no_decoding()
    second = opened(mirror=True, on_bad_image="skip")
    assert torch.equal(first.images, second.images)
    (kept,) = (root / "folder").glob("*.npy")
    assert np.load(kept).dtype == np.uint8
    np.testing.assert_array_equal(np.load(kept), first.images.numpy())
    stored = ImageCache(kept.parent, kept.stem).read()
    assert stored is not None
    assert isinstance(stored.images, np.memmap)
    assert sorted(path.suffix for path in kept.parent.iterdir()) == [".json", ".npy"]


def test_a_moved_folder_finds_its_cache(
    tmp_path: Path, pictures: Path, opened: Open, no_decoding: Callable[[], None]
) -> None:
    noise(0).save(pictures / "a.png")
    first = opened()
    pictures.rename(tmp_path / "moved")
    no_decoding()
    assert torch.equal(opened(path=str(tmp_path / "moved")).images, first.images)


def test_the_images_in_memory_may_change_without_changing_the_cache(pictures: Path, opened: Open) -> None:
    noise(0).save(pictures / "a.png")
    expected = opened().images.clone()
    opened().images.zero_()
    assert torch.equal(opened().images, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda pictures: noise(7).save(pictures / "a.png"),
        lambda pictures: noise(7).save(pictures / "c.png"),
        lambda pictures: (pictures / "a.png").unlink(),
        lambda pictures: (pictures / "a.png").rename(pictures / "z.png"),
    ],
    ids=["other bytes", "one more", "one less", "renamed"],
)
def test_a_changed_folder_is_read_anew(
    pictures: Path, opened: Open, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    noise(0).save(pictures / "a.png")
    noise(1).save(pictures / "b.png")
    before = opened().images.clone()
    change(pictures)
    after = opened()
    assert not torch.equal(after.images, before)
    assert torch.equal(after.images, opened(root=str(tmp_path / "another")).images)


def test_each_option_that_changes_pixels_has_a_cache_of_its_own(pictures: Path, opened: Open) -> None:
    noise(0).save(pictures / "a.png")
    for _ in range(2):
        assert opened().sample_shape == (3, 8, 8)
        assert opened(channels=1).sample_shape == (1, 8, 8)
        assert opened(resolution=4).sample_shape == (3, 4, 4)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".npy", flip_a_bit),
        (".npy", lambda path: path.write_bytes(path.read_bytes()[:-100])),
        (".npy", lambda path: path.write_bytes(b"")),
        (".npy", text),
        (".npy", Path.unlink),
        (".json", flip_a_bit),
        (".json", lambda path: path.write_text("[]")),
        (".json", lambda path: path.write_bytes(b"\xff")),
    ],
)
def test_a_damaged_cache_is_built_again(
    pictures: Path,
    opened: Open,
    root: Path,
    no_decoding: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    damage: Callable[[Path], None],
) -> None:
    noise(0).save(pictures / "a.png")
    expected = opened().images.clone()
    (kept,) = (root / "folder").glob(f"*{suffix}")
    damage(kept)
    assert torch.equal(opened().images, expected)
    assert "is damaged" in caplog.text
    no_decoding()
    assert torch.equal(opened().images, expected)


def test_a_full_disk_costs_the_cache_and_not_the_run(
    pictures: Path, opened: Open, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise(0).save(pictures / "a.png")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        dataset = opened(resolution=1024)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "could not be kept for the next run" in caplog.text
    assert not root.exists()
    assert torch.equal(dataset.images, opened(resolution=1024).images)


def test_a_cache_folder_that_cannot_be_made_costs_the_cache_and_not_the_run(
    pictures: Path, opened: Open, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text(root)
    noise(0).save(pictures / "a.png")
    assert len(opened()) == 1
    assert "could not be kept for the next run" in caplog.text


def test_no_bar_is_drawn_where_there_is_no_terminal(
    pictures: Path, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    noise(0).save(pictures / "a.png")
    opened()
    assert capsys.readouterr() == ("", "")


def test_a_home_relative_path_and_root_are_followed(
    tmp_path: Path, pictures: Path, opened: Open, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    noise(0).save(pictures / "a.png")
    assert len(opened(path="~/pictures", root="~/root")) == 1
    assert (root / "folder").is_dir()
    shutil.rmtree(root)


def test_classes_have_the_names_that_a_manifest_gives_them_and_else_those_of_their_folders(pictures, opened):
    for name in ("T-shirt-top", "Bag", "10"):
        (pictures / name).mkdir()
        Image.new("L", (8, 8)).save(pictures / name / "one.png")
    assert opened().classes == ["10", "Bag", "T-shirt-top"]
    listed = {"T-shirt/top": {"folder": "T-shirt-top", "images": 1}, "Bag": {"folder": "Bag", "images": 1}}
    (pictures / "manifest.json").write_text(json.dumps({"classes": listed}))
    assert opened().classes == ["10", "Bag", "T-shirt/top"]
    for other in ("[]", "{", '{"classes": 3}', '{"classes": {"a": 1}}'):
        (pictures / "manifest.json").write_text(other)
        assert opened().classes == ["10", "Bag", "T-shirt-top"]


def test_the_origin_of_the_images_is_what_the_manifest_says_of_it(pictures, opened):
    Image.new("L", (8, 8)).save(pictures / "one.png")
    assert opened().origin is None
    origin = {"run": "/outputs/digits", "checkpoint_sha256": "ab12", "step": 4000, "weights": "raw", "seed": 3}
    (pictures / "manifest.json").write_text(json.dumps(origin | {"classes": {}}))
    assert opened().origin == origin
    (pictures / "manifest.json").write_text('{"classes": {}, "name": "of somebody else"}')
    assert opened().origin is None
