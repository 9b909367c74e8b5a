"""What one image file becomes: upright, on white, of 8 bits, a square."""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

Crop = Literal["centre", "random", "none", "pad"]

NOT_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
"""What Pillow opens and cannot decode by itself; EPS would start a program."""

BY_SUFFIX = {"IM", "IMT", "PCD", "SPIDER", "TGA"}
"""Formats without a signature: almost any file could be of one, so its suffix has to say so."""

NO_DECODER = {".heic", ".heif", ".jxl", ".svg", ".eps", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2"}
"""Suffixes of pictures that Pillow does not read, or of which it reads a thumbnail alone."""

SIGNATURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"II*\0",
    b"MM\0*",
    b"8BPS",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
)
"""Beginnings that no file has by chance: JPEG, PNG, GIF, TIFF, Photoshop, JPEG 2000."""

LARGEST_TEXT = 64 * 2**20
"""Bytes of text in a PNG, such as the prompt and the workflow that drew it; Pillow's own limit is 1 MiB."""

DEEP_WHITE = 65535
TWELVE_BITS = 4095


class NoPictureError(Exception):
    """A file that holds no picture; the message is the cause in a word or two."""


class BadPictureError(Exception):
    """A picture that cannot be used; the message goes after the name of its file."""


@dataclass(frozen=True)
class Target:
    """What pictures are to become."""

    resolution: int
    channels: int
    crop: Crop = "centre"
    crop_seed: int = 0
    white: int | None = None
    """The value that is white in grey images of more than 8 bits; None: 65535."""


@dataclass(frozen=True)
class Picture:
    """A decoded image."""

    pixels: NDArray[np.uint8]
    """Shape `(channels, resolution, resolution)`."""
    size: tuple[int, int]
    """Width and height before it was scaled."""
    brightest: int | None = None
    """The highest value of a grey image of more than 8 bits; None of all others."""
    is_grey: bool = False
    """Whether its file holds shades of grey alone."""
    brightest_colour: int | None = None
    """The highest value of an image of 16 bits a channel in colour or with alpha, as 8 bits; None of all others."""


@contextmanager
def tolerant() -> Iterator[None]:
    """Have Pillow decode images with long texts, odd metadata and many pixels without a word."""
    before = PngImagePlugin.MAX_TEXT_CHUNK
    PngImagePlugin.MAX_TEXT_CHUNK = LARGEST_TEXT
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")
            yield
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK = before


def decode(file: BinaryIO, name: str, target: Target) -> Picture:
    """The first frame of an image file. Raises `NoPictureError`, or `BadPictureError` with what is wrong with it."""
    try:
        opened = _open(file, name)
        size, is_deep = opened.size, _is_deep_colour(opened)
        # JPEG decodes a photograph at ½, ¼ or ⅛ of its size several times faster.
        opened.draft(None, (4 * target.resolution, 4 * target.resolution))
        image, brightest = _eight_bits(_upright(opened), opened, target.white)
        brightest_colour = int(np.asarray(image.convert("RGB")).max()) if is_deep else None
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        mode = "L" if target.channels == 1 else "RGB"
        image = _square(image if image.mode == mode else image.convert(mode), name, target)
    except (NoPictureError, BadPictureError):
        raise
    except Exception as error:  # Pillow's decoders raise errors of any kind
        raise BadPictureError(f"cannot be decoded ({_in_one_line(error)})") from error
    pixels = np.asarray(image).reshape(target.resolution, target.resolution, target.channels)
    return Picture(np.ascontiguousarray(pixels.transpose(2, 0, 1)), size, brightest, _is_grey(opened), brightest_colour)


def look(file: BinaryIO, name: str) -> tuple[tuple[int, int], bool]:
    """The width and height of an image file, and whether it is grey, undecoded. Raises as `decode` does."""
    try:
        opened = _open(file, name)
    except (NoPictureError, BadPictureError):
        raise
    except Exception as error:  # Pillow's readers raise errors of any kind
        raise BadPictureError(f"cannot be decoded ({_in_one_line(error)})") from error
    return opened.size, _is_grey(opened)


def _is_grey(image: Image.Image) -> bool:
    return image.mode.partition(";")[0] in ("1", "L", "LA", "I", "F")


def is_named_as_picture(name: str) -> bool:
    """Whether the suffix of a file is one of an image that can be decoded."""
    return suffix(name) in _suffixes()


def suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _open(file: BinaryIO, name: str) -> Image.Image:
    if suffix(name) in NO_DECODER:
        raise NoPictureError("no decoder")
    try:
        return Image.open(file, formats=_formats(_suffixes().get(suffix(name))))
    except Exception as error:
        file.seek(0)
        start = file.read(16)
        if not (start.startswith(SIGNATURES) or is_named_as_picture(name)):
            # The beginning of a text may pass for that of an odd format, as "BM" and "P6" do.
            raise NoPictureError("no image") from error
        if not isinstance(error, UnidentifiedImageError):
            raise
        raise BadPictureError(_why_unidentified(file, start)) from error


@cache
def _suffixes() -> dict[str, str]:
    """The format of each suffix."""
    Image.init()
    return {
        suffix: kind
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and kind not in NOT_PICTURES
    }


@cache
def _formats(of_suffix: str | None) -> list[str]:
    """What a file may be, the most frequent first."""
    Image.init()
    usual = ["JPEG", "PNG"]
    others = [kind for kind in Image.OPEN if kind not in {*usual, *NOT_PICTURES, *BY_SUFFIX}]
    return [*usual, *others, *([of_suffix] if of_suffix in BY_SUFFIX else [])]


def _why_unidentified(file: BinaryIO, start: bytes) -> str:
    if start[4:11] in (b"ftyphei", b"ftypmif"):
        return "is a HEIC image, which Pillow does not decode"
    if not start.startswith(SIGNATURES):
        return "is no image"
    if start.startswith((b"II", b"MM")):
        with suppress(Exception):  # Pillow's reader raises any; what follows says what is known of a damaged one
            tags: Any = TiffImagePlugin.ImageFileDirectory_v2(start[:8])
            file.seek(tags.next)
            tags.load(file)
            bits = ", ".join(map(str, tags[TiffImagePlugin.BITSPERSAMPLE]))
            return f"is a TIFF with samples of {bits} bits a pixel, of a kind that Pillow does not decode"
    return "is a damaged image, or of a kind that Pillow does not decode"


def _upright(image: Image.Image) -> Image.Image:
    """The image as its metadata say that it was held. Most say nothing, and are not copied."""
    image.load()  # in a PNG they may come after the pixels
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    return ImageOps.exif_transpose(image) if turned else image


def _eight_bits(image: Image.Image, opened: Image.Image, white: int | None) -> tuple[Image.Image, int | None]:
    """Deep grey images scaled to 8 bits, of which Pillow would cut off all above 255, and their highest value."""
    if image.mode == "F":
        raise BadPictureError("cannot be decoded (its pixels are floating-point numbers)")
    if not image.mode.startswith("I"):
        return image, None
    values = np.asarray(image)
    tags = getattr(opened, "tag_v2", {})
    if image.mode == "I" and tags.get(TiffImagePlugin.SAMPLEFORMAT, (2,))[0] == 1:
        values = values.view(np.uint32)  # Pillow's are signed
    if values.min() < 0:
        raise BadPictureError("has negative pixels")
    highest = int(values.max())
    if white is None and highest > DEEP_WHITE:
        raise BadPictureError(f"has pixels of more than 16 bits (up to {highest}; dataset.white=… says which is white)")
    shades = np.minimum(values / ((white or DEEP_WHITE) / 255), 255).round().astype(np.uint8)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        shades = 255 - shades
    return Image.fromarray(shades), highest


def _is_deep_colour(opened: Image.Image) -> bool:
    """Whether a PNG or TIFF that is not loaded yet has 16 bits a channel, of which Pillow will keep the high 8."""
    tiles = getattr(opened, "tile", [])
    return opened.mode in ("RGB", "RGBA") and any(";16" in str(arguments) for *_, arguments in tiles)


def _square(image: Image.Image, name: str, target: Target) -> Image.Image:
    size = (target.resolution, target.resolution)
    if image.size == size:
        return image
    if target.crop == "none":
        return image.resize(size, Image.Resampling.LANCZOS)
    if target.crop == "pad":
        scale = target.resolution / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        square = Image.new(image.mode, size, "white")
        scaled = image.resize((width, height), Image.Resampling.LANCZOS)
        square.paste(scaled, ((size[0] - width) // 2, (size[1] - height) // 2))
        return square
    place = _place(name, target.crop_seed) if target.crop == "random" else 0.5
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS, centering=(place, place))


def _place(name: str, seed: int) -> float:
    """Where along the longer side the square lies, in [0, 1): a function of the seed and of the file's own name."""
    digest = hashlib.sha256(f"{seed} {PurePosixPath(name).name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
