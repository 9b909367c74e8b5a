"""Image files that are odd, broken or none, each made by a function of the path that it is written to."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from gan_cli.datasets.folder import Folder

Write = Callable[[Path], object]

BLUE, WHITE = (0, 0, 255), (255, 255, 255)
GREY = (100, 100, 100)


def open_folder(path: Path, **options: Any) -> Folder:
    """The data set of a path, small, but for the options that are given; its cache lies beside the path."""
    defaults: dict[str, Any] = {
        "resolution": 8,
        "channels": 3,
        "mirror": False,
        "on_bad_image": "error",
        "root": str(path.parent / "root"),
    }
    return Folder(**(defaults | {"path": str(path)} | options))


def saved(colour: Any = BLUE, mode: str = "RGB", size: tuple[int, int] = (20, 20), **options: Any) -> Write:
    """A picture of one colour, in the format that its suffix or `format` says."""
    return lambda path: Image.new(mode, size, colour).save(path, **options)


def content(data: bytes) -> Write:
    return lambda path: path.write_bytes(data)


def beginning(write: Write, share: float) -> Write:
    """The first part of a file."""

    def shortened(path: Path) -> None:
        write(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return shortened


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of rows of samples, each with a filter of 0 in front."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    between = b"".join(chunk(*of) for of in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def grey_with_alpha_16(grey: int, alpha: int) -> bytes:
    return png(4, 4, 16, 4, (b"\0" + struct.pack(">HH", grey, alpha) * 4) * 4)


def colour_16(red: int, green: int, blue: int, alpha: int | None = None) -> bytes:
    """A PNG of one colour with 16 bits a channel."""
    values = [red, green, blue, *([] if alpha is None else [alpha])]
    return png(4, 4, 16, 2 if alpha is None else 6, (b"\0" + struct.pack(f">{len(values)}H", *values) * 4) * 4)


def tiff(pixels: np.ndarray, *, photometric: int = 1, extra: int | None = None, kind: int = 1) -> bytes:
    """An uncompressed TIFF of pixels `(height, width, samples)`; `kind` is 1 unsigned, 2 signed, 3 floating-point."""
    height, width, samples = pixels.shape
    bits = [8 * pixels.itemsize] * samples
    data = pixels.tobytes()
    tags: list[tuple[int, str, Sequence[int]]] = [
        (256, "H", [width]),
        (257, "H", [height]),
        (258, "H", bits),
        (259, "H", [1]),
        (262, "H", [photometric]),
        (273, "I", [0]),
        (277, "H", [samples]),
        (278, "H", [height]),
        (279, "I", [len(data)]),
        *([] if extra is None else [(338, "H", [extra])]),
        (339, "H", [kind] * samples),
    ]
    start = 8 + 2 + 12 * len(tags) + 4
    blobs = [struct.pack(f"<{len(values)}{code}", *values) for _, code, values in tags]
    long = [blob if len(blob) > 4 else b"" for blob in blobs]
    entries = b""
    for index, ((tag, code, values), blob) in enumerate(zip(tags, blobs, strict=True)):
        at = struct.pack("<I", start + len(b"".join(long[:index])))
        if tag == 273:
            blob = struct.pack("<I", start + len(b"".join(long)))
        entries += struct.pack("<HHI", tag, 3 if code == "H" else 4, len(values)) + (
            blob.ljust(4, b"\0") if len(blob) <= 4 else at
        )
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return header + entries + bytes(4) + b"".join(long) + data


def flat(value: float, dtype: str, samples: int = 1) -> np.ndarray:
    return np.full((4, 4, samples), value, np.dtype(dtype).newbyteorder("<"))


def with_text(megabytes: int) -> Write:
    """A blue PNG with so much text, as generators of images leave their settings in."""

    def write(path: Path) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_text("workflow", "x" * (megabytes * 2**20), zip=True)
        Image.new("RGB", (20, 20), BLUE).save(path, format="png", pnginfo=info)

    return write


def bomb() -> bytes:
    """A PNG whose header promises 2.5 thousand million pixels."""
    return png(50_000, 50_000, 8, 2, bytes(100))


def animation(kind: str) -> Write:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (BLUE, WHITE, (255, 0, 0))]
    options = {"lossless": True} if kind == "webp" else {}
    return lambda path: frames[0].save(path, format=kind, save_all=True, append_images=frames[1:], **options)


def encoded(colour: Any = BLUE, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, format=kind)
    return file.getvalue()
