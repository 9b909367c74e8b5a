"""Photographs of many sizes that torchvision indexes, such as CelebA: decoded once, as a folder of images is."""

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gan_cli.datasets.base import Images
from gan_cli.datasets.cache import Kept, copied
from gan_cli.datasets.decoding import Found, unusable
from gan_cli.datasets.directory import Files, stamped
from gan_cli.datasets.idx import SplitName
from gan_cli.datasets.images import allocate
from gan_cli.datasets.opening import kept
from gan_cli.datasets.part import Part
from gan_cli.datasets.picture import Crop, Target
from gan_cli.datasets.torchvision_files import SETS
from gan_cli.datasets.torchvision_names import listed
from gan_cli.datasets.unpacking import indexed
from gan_cli.errors import ConfigError
from gan_cli.ranges import Count, Seed

logger = logging.getLogger(__name__)


class TorchvisionImages(Images):
    """A data set of torchvision's that is files of images, made squares, by its name there.

    Raises `ConfigError` if its files are damaged or cannot be had.
    """

    def __init__(
        self,
        root: str,
        name: str,
        split: SplitName = "train",
        *,
        attribute: str | None = None,
        resolution: Count,
        crop: Crop = "centre",
        crop_seed: Seed = 0,
        channels: int,
        mirror: bool,
        on_bad_image: Literal["error", "skip"],
        verify: bool = False,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels={channels} must be 1 (grey) or 3 (colour)")
        self._name, self._root = listed(name, SETS), Path(root).expanduser()
        self._known = SETS[self._name]
        if split not in self._known.splits:
            raise ValueError(f"split={split} is not one of {self._name}, which has one part: leave it out")
        if attribute is not None and not self._known.attributes:
            raise ValueError(f"attribute={attribute} is not for {self._name}, whose images have classes: leave it out")
        allocate(1, channels, resolution)
        self._target = Target(resolution, channels, crop, crop_seed if crop == "random" else 0)
        self._strict, self._verify = on_bad_image == "error", verify
        self._indices = indexed(self._known, self._name, self._root, attribute)
        self._mirror, self._chosen = mirror, classes
        self._take(split, Part(classes, per_class, subset_seed))

    def _take(self, split: SplitName, part: Part) -> None:
        """Be a part of the images of a split."""
        self.split: SplitName = split
        self._other: TorchvisionImages | None = None
        index, images = self._indices[split], self._decoded(split)
        self._found = Found(**images.facts)
        label = dict(zip(index.files, index.labels, strict=True)) if index.labels is not None else None
        super().__init__(
            torch.from_numpy(images.images),
            None if label is None else torch.tensor([label[name] for name in self._found.names]),
            mirror=self._mirror,
            classes=index.classes,
            part=part,
            digest=images.digest(slice(0, len(images.images))),
        )

    def _decoded(self, split: SplitName) -> Kept:
        folder = self._root / self._known.folder
        try:
            files = stamped(folder, self._indices[split].files)
        except OSError as error:
            lost = Path(error.filename)
            top = folder / lost.relative_to(folder).parts[0]
            raise ConfigError(
                f"{lost} of {self._name} cannot be read ({error.strerror}): delete {top}, to be unpacked again"
            ) from error

        def arrange(found: Found) -> tuple[list[int], list[int]]:
            if not found.names:
                raise ConfigError(f"{folder} holds no image of {self._name} that can be used: {found.in_words()}")
            return list(range(len(found.names))), [0]

        cache = self._root / "torchvision"
        images = kept(Files(folder, files), self._target, cache, arrange, strict=self._strict, verify=self._verify)
        # What is read from the cache may have been kept by a run that was asked to skip bad ones.
        bad = images.facts["bad"]
        if self._strict and bad:
            raise unusable(f"{folder}/{next(iter(bad))}", next(iter(bad.values())))
        if bad:
            logger.warning("%s: left out: %s", self._name, Found(**images.facts).in_words())
        return images

    def at_split(self, split: str) -> "TorchvisionImages":
        other = self if split == self.split else self.other_split()
        if other is None or split not in self._known.splits:
            raise ValueError(f"split={split} is not one of {self._name}: choose one of {', '.join(self._known.splits)}")
        return other

    def other_split(self) -> "TorchvisionImages | None":
        """All images of the other split, of the same classes: what is held out does not become less by `per_class`."""
        if len(self._known.splits) == 1:
            return None
        if self._other is None:
            other = copy.copy(self)
            other._take("test" if self.split == "train" else "train", Part(self._chosen))
            self._other = other
        return self._other

    @property
    def description(self) -> str:
        """How many images, of which classes and sizes, and what was left out."""
        words = f"{len(self):,} image{'s' * (len(self) > 1)} of {self._name}'s {self.split} split"
        if self.labels is not None:
            words += f" in {len(self.classes)} class{'es' * (len(self.classes) > 1)}"
        return self._found.described(words, self.sample_shape[-1])

    def _rows(self, images: Tensor, chosen: Tensor) -> Tensor:
        return copied(images, chosen, self._root)
