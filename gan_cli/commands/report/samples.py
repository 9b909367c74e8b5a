"""The sample grids of runs, made small enough to travel in one page."""

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from PIL import Image, ImageChops

from gan_cli.runs.run import Run

BUDGET = 2_800_000
"""Bytes for all pictures of a page; in base64 they take a third more."""

PICTURES = 160
"""Pictures on a page, at most, unless the least number for each run makes more."""

A_RUN = (2, 16)
"""Pictures of a run, at least and at most."""

WIDTH = 420
"""The width, in pixels, of a picture that is no grid of the data's pixels."""

QUALITIES: tuple[tuple[dict[str, Any], float], ...] = (
    ({"lossless": True, "quality": 50}, 1.0),
    *(({"quality": quality}, 1.0) for quality in (90, 75, 60, 40)),
    *(({"quality": quality}, scale) for quality, scale in ((60, 0.7), (40, 0.7), (40, 0.5), (30, 0.3))),
)
"""WebP's options and the scale, from the best to the smallest."""

DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for files that are no pictures."""


@dataclass(frozen=True)
class Picture:
    """One grid, as a data URI."""

    step: int
    uri: str
    width: int
    height: int
    is_pixels: bool
    """Whether each pixel is one of the data's, to be shown as a square."""


def pictures(runs: Sequence[Run]) -> list[list[Picture]]:
    """The grids of evenly spaced steps of each run; a damaged one is added to the run's problems."""
    having = sum(bool(run.pictures) for run in runs)
    least, most = A_RUN
    wanted = min(max(PICTURES // max(having, 1), least), most)
    chosen = [_spread(sorted(run.pictures), wanted) for run in runs]
    budget = BUDGET // max(sum(map(len, chosen)), 1)
    with ThreadPoolExecutor() as pool:  # Pillow works without the interpreter's lock
        return list(pool.map(_of_run, runs, chosen, repeat(budget)))


def _of_run(run: Run, steps: Sequence[int], budget: int) -> list[Picture]:
    found = []
    level = 0
    for step in steps:
        try:
            picture, is_pixels = _prepared(run.pictures[step].read_bytes())
            # The pictures of a run are much alike: what fitted the one before is about right.
            encoded, level = _compressed(picture, budget, max(level - 1, 0 if is_pixels else 1))
        except DAMAGED:
            run.problems.append(f"samples/{run.pictures[step].name} is damaged")
            continue
        uri = f"data:image/webp;base64,{base64.b64encode(encoded).decode()}"
        found.append(Picture(step, uri, picture.width, picture.height, is_pixels))
    return found


def _spread(steps: list[int], wanted: int) -> list[int]:
    """`wanted` of the steps at most, evenly spaced, with the first and the last among them."""
    if len(steps) <= wanted:
        return steps
    return [steps[round(index * (len(steps) - 1) / (wanted - 1))] for index in range(wanted)]


def _prepared(png: bytes) -> tuple[Image.Image, bool]:
    """The picture at the size at which it is shown, and whether its pixels are the data's."""
    with Image.open(io.BytesIO(png)) as opened:
        picture = _on_white(opened)
    pixels = _without_enlargement(picture)
    if pixels.width < picture.width:
        return pixels, True
    if picture.width > WIDTH:
        size = WIDTH, max(1, round(picture.height * WIDTH / picture.width))
        return picture.resize(size, Image.Resampling.LANCZOS), False
    return picture, False


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA" or picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert("RGB")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _without_enlargement(picture: Image.Image) -> Image.Image:
    """The picture with one pixel for each square of equal ones."""
    for factor in range(16, 1, -1):
        if picture.width % factor or picture.height % factor:
            continue
        small = picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.NEAREST)
        if ImageChops.difference(picture, small.resize(picture.size, Image.Resampling.NEAREST)).getbbox() is None:
            return small
    return picture


def _compressed(picture: Image.Image, budget: int, level: int) -> tuple[bytes, int]:
    """WebP at the best of `QUALITIES`, from a level on, that fits the budget, or else at the last; and its level."""
    while True:
        options, scale = QUALITIES[level]
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        scaled = picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        scaled.save(buffer, format="webp", method=2, **options)
        if buffer.tell() <= budget or level == len(QUALITIES) - 1:
            return buffer.getvalue(), level
        level += 1
