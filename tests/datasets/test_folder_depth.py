"""Images of more than 8 bits in a folder: those that come out dark are warned of."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import colour_16, content, flat, grey_with_alpha_16, open_folder, saved, tiff


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def test_twelve_bits_in_sixteen_are_warned_of_and_white_makes_them_bright(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"a.png": 1606, "b.png": 4095}.items():
        Image.fromarray(np.full((8, 8), value, np.uint16)).save(folder / name)
    dark = open_folder(folder)
    assert dark.images.max() == 16
    (message,) = caplog.messages
    assert message.startswith("no pixel of the 2 grey images of 16 bits is above 4095 (b.png: 4095)")
    assert message.endswith("set dataset.white=4095")
    caplog.clear()
    bright = open_folder(folder, white=4095)
    assert bright.images[:, 0, 0, 0].tolist() == [100, 255]
    assert open_folder(folder, white=2000).images[:, 0, 0, 0].tolist() == [205, 255]
    Image.fromarray(np.full((8, 8), 4096, np.uint16)).save(folder / "c.png")
    open_folder(folder)
    assert caplog.messages == []


@pytest.mark.parametrize(
    "deep",
    [
        pytest.param(colour_16(4095, 300, 0), id="png"),
        pytest.param(colour_16(0, 4095, 0, 65535), id="png with alpha"),
        pytest.param(grey_with_alpha_16(4095, 65535), id="grey png with alpha"),
        pytest.param(tiff(flat(4095, "u2", 3), photometric=2), id="tiff"),
    ],
)
def test_twelve_bits_in_sixteen_of_colour_are_warned_of(
    folder: Path, caplog: pytest.LogCaptureFixture, deep: bytes
) -> None:
    """Pillow keeps the high byte of each."""
    content(colour_16(1, 2, 3))(folder / "a.png")
    content(deep)(folder / "b.tif")
    for _ in range(2):  # the second time from the cache
        dark = open_folder(folder, white=4095)
        assert dark.images.max() == 15
        (message,) = caplog.messages
        assert message == (
            "no pixel of the 2 images of 16 bits a channel, in colour or with alpha, is above 4095 (the brightest is in"
            " b.tif), so they are nearly black, and dataset.white is for grey ones without alpha: scale them to 8 bits"
            " a channel first"
        )
        caplog.clear()
    content(colour_16(4096, 0, 0))(folder / "c.png")
    open_folder(folder)
    assert caplog.messages == []


def test_dark_colours_of_eight_bits_are_no_cause_for_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved((15, 15, 15))(folder / "a.png")
    saved((15, 15, 15))(folder / "b.tif")
    assert open_folder(folder).images.max() == 15
    assert caplog.messages == []
