"""Files kept for the next run: each appears under its name only when it is whole."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_cli.files import replacing, write

logger = logging.getLogger(__name__)


class ImageCache:
    """Decoded images as `<key>.npy` in `folder`, and what was found out about them as `<key>.json`."""

    def __init__(self, folder: Path, key: str) -> None:
        self._pixels = folder / f"{key}.npy"
        self._facts = folder / f"{key}.json"

    def read(self) -> tuple[NDArray[np.uint8], dict[str, Any]] | None:
        """The images, mapped into memory, and the facts; None if they are missing or damaged."""
        if not self._facts.exists():
            return None
        try:
            facts = json.loads(self._facts.read_text())
            # Copy on write, because torch takes no read-only array.
            images = np.load(self._pixels, mmap_mode="c")
            if facts["sha256"] != _digest(images):
                raise ValueError("its SHA-256 is not the one that was recorded")
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            logger.warning("%s is damaged (%s), so the images are read again", self._pixels, error)
            return None
        return images, facts["facts"]

    def write(self, images: NDArray[np.uint8], facts: Mapping[str, Any]) -> None:
        """Keep `images` and `facts`; the facts, written last, vouch for the images. Raises `OSError`."""
        with replacing(self._pixels) as file:
            np.save(file, images)
        write(self._facts, json.dumps({"sha256": _digest(images), "facts": facts}).encode())


def _digest(images: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()
