"""Runs whose pictures nobody looks at."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from gan_cli.show import pictures


@contextmanager
def undrawn() -> Iterator[None]:
    """The curves and the points of runs are one pixel each: to draw them takes most of the time of a short run."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, format="png")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("curves", "point_plot"):
            patch.setattr(pictures, name, lambda *_, **__: buffer.getvalue())
        yield
