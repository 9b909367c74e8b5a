"""A folder or an archive of images of any size and kind."""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gan_cli.datasets import layout
from gan_cli.datasets.base import Images
from gan_cli.datasets.cache import copied
from gan_cli.datasets.decoding import MANIFEST, Found, unusable
from gan_cli.datasets.images import allocate
from gan_cli.datasets.opening import first_image, opened
from gan_cli.datasets.part import Part
from gan_cli.datasets.picture import TWELVE_BITS, Crop, Target
from gan_cli.errors import ConfigError
from gan_cli.files import shortest
from gan_cli.ranges import Count, Seed

logger = logging.getLogger(__name__)

RECEIPT = ("run", "checkpoint_sha256", "step", "weights", "seed")
"""What the manifest says of where the images come from."""


class Folder(Images):
    """The images in `path`, or in its sub-folders as one class each, made squares, as uint8.

    Raises `ConfigError` if there are none, or if one is damaged and damaged ones are not to be skipped.
    """

    def __init__(
        self,
        path: str,
        *,
        split: Literal["train", "test"] | None = "train",
        resolution: Count | None,
        crop: Crop = "centre",
        crop_seed: Seed = 0,
        channels: int | None,
        white: Count | None = None,
        mirror: bool,
        on_bad_image: Literal["error", "skip"],
        root: str,
        verify: bool = False,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        if channels not in (None, 1, 3):
            raise ValueError(f"channels={channels} must be 1 (grey), 3 (colour) or null (as the images are)")
        allocate(1, channels or 3, resolution or 1)
        self._path, self._root = shortest(path), Path(root).expanduser() / "folder"
        strict, by_split = on_bad_image == "error", split is not None
        crop_seed = crop_seed if crop == "random" else 0

        def load(channels: int, resolution: int) -> Found:
            target = Target(resolution, channels, crop, crop_seed, white)
            self._kept = opened(self._path, target, self._root, strict=strict, by_split=by_split, verify=verify)
            return Found(**self._kept.facts)

        self._found = self._as_they_are(load, channels, resolution)
        # What is read from the cache may have been kept by a run that was asked for something else.
        self._check(strict=strict, by_split=by_split)
        self._splits = layout.splits([*self._found.names, *self._found.bad]) if by_split else {}
        if split == "test" and not self._splits:
            raise ConfigError(f"dataset.split=test: {self._path} has no test/ beside a train/: leave it out")
        self._warn(white)
        self._mirror, self._classes = mirror, classes
        self._take(split, Part(classes, per_class, subset_seed))

    def _as_they_are(self, load: Callable[[int, int], Found], channels: int | None, resolution: int | None) -> Found:
        """What was found, with the channels and the side of the images themselves where none are given."""
        if channels is not None and resolution is not None:
            return load(channels, resolution)
        name, (width, height), is_grey = first_image(self._path)
        if resolution is None and width != height:
            raise self._of_no_one_size(f"{name} has {width}×{height}")
        found = load(channels or (1 if is_grey else 3), resolution or width)
        if channels is None and is_grey and found.grey < len(found.names):
            found = load(3, resolution or width)
        if resolution is None and found.sizes[0] != found.sizes[1]:
            smallest, largest = found.sizes_in_words()
            raise self._of_no_one_size(f"they have {smallest} to {largest}")
        return found

    def _of_no_one_size(self, they: str) -> ConfigError:
        return ConfigError(
            f"dataset.path={self._path} holds images that are no squares of one size ({they} pixels): choose the side"
            " of the squares that they become with resolution=…"
        )

    def _check(self, *, strict: bool, by_split: bool) -> None:
        found = self._found
        layout.check([*found.names, *found.bad], self._path, by_split=by_split)
        if strict:
            for name, reason in found.bad.items():
                raise unusable(f"{self._path}/{name}", reason)

    def _warn(self, white: int | None) -> None:
        found = self._found
        if found.bad or found.left_out:
            logger.warning("%s: left out: %s", self._path, found.in_words())
        if white is None and found.deep and found.brightest[0] <= TWELVE_BITS:
            highest, name = found.brightest
            logger.warning(
                "no pixel of the %d grey images of 16 bits is above %d (%s: %d), so they are nearly black: if %d is"
                " their white, set dataset.white=%d",
                *(found.deep, TWELVE_BITS, name, highest, TWELVE_BITS, TWELVE_BITS),
            )

        if found.deep_colour and found.brightest_colour[0] <= TWELVE_BITS >> 8:
            logger.warning(
                "no pixel of the %d images of 16 bits a channel, in colour or with alpha, is above %d (the brightest is"
                " in %s), so they are nearly black, and dataset.white is for grey ones without alpha: scale them to 8"
                " bits a channel first",
                *(found.deep_colour, TWELVE_BITS, found.brightest_colour[1]),
            )

    def _take(self, split: str | None, part: Part) -> None:
        """Be a part of the images of a split, or of all of them if there are no splits."""
        found = self._found
        self.split = split if self._splits else None
        self._other: Folder | None = None
        folder = self._splits[split] if self._splits and split else ""
        names = layout.within(found.names, folder)
        if not names:
            raise ConfigError(f"dataset.path={self._path}/{folder} holds no image that can be used")
        start = found.names.index(f"{folder}/{names[0]}" if folder else names[0])
        rows = slice(start, start + len(names))
        folders = layout.classes([*names, *layout.within(found.bad, folder)], self._path / folder)
        label = {name: index for index, name in enumerate(folders)}
        labels = torch.tensor([label[name.partition("/")[0]] for name in names]) if folders else None
        manifest = found.manifests.get(MANIFEST, {})
        super().__init__(
            torch.from_numpy(self._kept.images[rows]),
            labels,
            mirror=self._mirror,
            classes=_class_names(manifest, folders),
            part=part,
            digest=self._kept.digest(rows),
        )
        self.files = found.names[rows]
        """The files of all images of the split, relative to the folder."""
        self.origin = {name: manifest[name] for name in RECEIPT if name in manifest} or None

    def at_split(self, split: str) -> "Folder":
        other = self if split == self.split else self.other_split()
        if other is None:
            raise ValueError(f"split={split} is not one of the data: {self._path} has no test/ beside a train/")
        return other

    def other_split(self) -> "Folder | None":
        """All images of the other split, of the same classes: what is held out does not become less by `per_class`."""
        if not self._splits:
            return None
        if self._other is None:
            self._other = copy.copy(self)
            self._other._take("test" if self.split == "train" else "train", Part(self._classes))
        return self._other

    @property
    def description(self) -> str:
        """How many images, of which classes and sizes, and what was left out."""
        words = f"{len(self):,} image{'s' * (len(self) > 1)}"
        if self.labels is not None:
            words += f" in {len(self.classes)} class{'es' * (len(self.classes) > 1)}"
        if self._splits and self.split:
            words += f" of {self._splits[self.split]}/"
        return self._found.described(words, self.sample_shape[-1])

    def _rows(self, images: Tensor, chosen: Tensor) -> Tensor:
        return copied(images, chosen, self._root)


def _class_names(manifest: Mapping[str, Any], folders: list[str]) -> list[str]:
    """The names of the classes in sub-folders: theirs, unless the manifest has others."""
    try:
        names = {str(of["folder"]): str(name) for name, of in manifest["classes"].items()}
    except (KeyError, TypeError, AttributeError):
        names = {}
    return [names.get(name, name) for name in folders]
