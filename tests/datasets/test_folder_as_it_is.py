"""A folder whose images keep their own side and colours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.datasets.folder import Folder
from gan_cli.errors import ConfigError


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def opened(path: Path, **options: Any) -> Folder:
    given: dict[str, Any] = {"resolution": None, "channels": None, "mirror": False, "on_bad_image": "error"}
    return Folder(str(path), **given | options, root=str(path.parent / "root"))


def save(path: Path, mode: str, size: tuple[int, int] = (6, 6)) -> np.ndarray:
    """A random picture, as what it holds."""
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (*size[::-1], *channels), dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return pixels


def test_shades_of_grey_stay_one_channel(pictures: Path) -> None:
    first, second = save(pictures / "a.png", "L"), save(pictures / "bb.png", "L")
    images = opened(pictures).images
    assert torch.equal(images, torch.from_numpy(np.stack([first, second])[:, None]))


@pytest.mark.parametrize("names", [("a.png", "zz.png"), ("zz.png", "a.png")])
def test_one_coloured_image_makes_three(pictures: Path, names: tuple[str, str]) -> None:
    grey, colour = save(pictures / names[0], "L"), save(pictures / names[1], "RGB")
    images = dict(zip(sorted(names), opened(pictures).images, strict=True))
    assert torch.equal(images[names[1]], torch.from_numpy(colour.transpose(2, 0, 1)))
    assert torch.equal(images[names[0]], torch.from_numpy(grey)[None].expand(3, -1, -1))


def test_what_is_given_is_taken(pictures: Path) -> None:
    save(pictures / "a.png", "L")
    assert opened(pictures, channels=3).sample_shape == (3, 6, 6)
    assert opened(pictures, resolution=4).sample_shape == (1, 4, 4)


def test_grey_with_alpha_is_grey_on_white(pictures: Path) -> None:
    save(pictures / "a.png", "LA")
    assert opened(pictures).sample_shape == (1, 6, 6)


@pytest.mark.parametrize(
    ("second", "told"), [((8, 8), "they have 6×6 to 8×8 pixels"), ((4, 9), "they have 4×9 to 6×6 pixels")]
)
def test_images_of_several_sizes_need_one(pictures: Path, second: tuple[int, int], told: str) -> None:
    save(pictures / "a.png", "L"), save(pictures / "b.png", "L", second)
    with pytest.raises(ConfigError) as raised:
        opened(pictures)
    assert str(raised.value) == (
        f"dataset.path={pictures} holds images that are no squares of one size ({told}): choose the side of the squares"
        " that they become with resolution=…"
    )
    assert opened(pictures, resolution=5).sample_shape == (1, 5, 5)


def test_files_before_the_first_image_are_passed_over(pictures: Path) -> None:
    save(pictures / "z.png", "RGB")
    (pictures / "a.txt").write_text("no picture")
    (pictures / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    assert opened(pictures, on_bad_image="skip").sample_shape == (3, 6, 6)
    (pictures / "z.png").unlink()
    with pytest.raises(ConfigError, match=r"holds no image that can be used: b.png is a damaged image"):
        opened(pictures)
    (pictures / "b.png").unlink()
    with pytest.raises(ConfigError, match=r"holds no image that can be used: name what holds images$"):
        opened(pictures)
