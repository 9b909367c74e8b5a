"""A film of the pictures that a run kept of its samples, step after step."""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from gan_cli.errors import ConfigError
from gan_cli.runs import read
from gan_cli.show.samples import draws_raw, heading

FRAME, LAST = 250, 2000
"""For how long a picture stands, in milliseconds."""

STRIP = 32
"""Pixels above a grid of images, which has no title of its own."""


def film(run: Path) -> bytes:
    """The pictures in samples/ of a run, oldest first, as an endless GIF; each says its step. Raises `ConfigError`."""
    config = read.config_of_run(run)
    kept = read.pictures(run)
    if len(kept) < 2:
        raise ConfigError(
            f"{run}/samples holds {len(kept) or 'no'} picture{'s' * (len(kept) != 1)}, which makes no film: train with"
            " every.samples=… below train.steps"
        )
    is_raw = draws_raw(config)
    frames = [_opened(path) for path in kept.values()]
    if read.record(run).get("sample_shape", [])[1:]:
        frames = [_headed(frame, heading(step, is_raw=is_raw)) for step, frame in zip(kept, frames, strict=True)]
    first, *others = [ImageOps.pad(frame, frames[0].size, color="white") for frame in frames]
    buffer = io.BytesIO()
    durations = [*[FRAME] * len(others), LAST]
    first.save(buffer, format="gif", save_all=True, append_images=others, duration=durations, loop=0)
    return buffer.getvalue()


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for files that are no pictures
        raise ConfigError(f"{path} is damaged: remove it to make the film without it") from error


def _headed(grid: Image.Image, title: str) -> Image.Image:
    frame = ImageOps.expand(grid, (0, STRIP, 0, 0), fill="white")
    ImageDraw.Draw(frame).text((frame.width / 2, STRIP / 2), title, fill="black", anchor="mm", font_size=STRIP / 2)
    return frame
