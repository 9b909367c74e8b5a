"""Small pictures that torchvision reads, such as CIFAR-10: found on disk or fetched, and verified by digest."""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale

from gan_cli.datasets.base import PART, Images
from gan_cli.datasets.idx import SplitName
from gan_cli.datasets.images import Split, allocate, squares
from gan_cli.datasets.part import Part
from gan_cli.datasets.published import FAILURES, missing, no_long_silence, reason, unavailable
from gan_cli.datasets.torchvision_names import listed
from gan_cli.datasets.torchvision_tensors import SETS, Known
from gan_cli.errors import ConfigError
from gan_cli.ranges import Count, Seed


class TorchvisionSet(Split, Images):
    """A data set of torchvision's by its name there. Raises `ConfigError` if its files are damaged or cannot be had."""

    def __init__(
        self,
        root: str,
        name: str,
        split: SplitName,
        resolution: Count | None = None,
        channels: int | None = None,
        mirror: bool = False,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        """`resolution` and `channels` are by default those of the data."""
        if channels not in (None, 1, 3):
            raise ValueError(f"channels={channels} must be 1 (grey), 3 (colour) or null, for those of the data")
        name = listed(name, SETS)
        known = SETS[name]
        folder = Path(root).expanduser()
        self._others = (root, name, resolution, channels, mirror, classes)
        self.root, self.split = root, split
        _have(known, name, folder)
        pixels, labels = known.read(folder, split, False)
        images = _with_channels(_channels_first(pixels), channels)
        images = images if resolution is None else squares(images, resolution)
        self.resolution = images.shape[-1]
        names, part = list(known.names(folder)), Part(classes, per_class, subset_seed)
        super().__init__(images, torch.as_tensor(labels).long(), mirror=mirror, classes=names, part=part)

    def _at(self, split: SplitName) -> Images:
        # All images of the same classes: what is held out does not become less with what trains.
        root, name, resolution, channels, mirror, classes = self._others
        return TorchvisionSet(root, name, split, resolution, channels, mirror, classes)


# The files


def _have(known: Known, name: str, root: Path) -> None:
    """See to it that all files of a data set are under the root, and are the published ones. Raises `ConfigError`."""
    if not missing(known.files(), root, name):
        return
    if known.archive() and not missing(known.archive(), root, name):
        _unpack(known, name, root)
    else:
        _fetch(known, name, root)
    if lacking := missing(known.files(), root, name):
        raise ConfigError(f"{root} still lacks {lacking[0]} of {name}: put it there, or choose another dataset.root")


def _unpack(known: Known, name: str, root: Path) -> None:
    """Let torchvision unpack an archive that is there, for which it asks no network."""
    try:
        known.read(root, "train", True)
    except FAILURES as error:
        raise ConfigError(f"{root}: the archive of {name} cannot be unpacked ({reason(error)}): mend that") from error


def _fetch(known: Known, name: str, root: Path) -> None:
    """Let torchvision fetch a data set, whose files appear under the root when all of them are whole."""
    is_new = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=root) as folder, no_long_silence():
            for split in ("train", "test"):
                known.read(Path(folder), split, True)
            for file in known.files():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(folder, file), root / file)
    except FAILURES as error:
        if is_new:
            with suppress(OSError):
                root.rmdir()
        wanted = known.archive() or {file: known.files()[file] for file in missing(known.files(), root, name)}
        raise unavailable(name, wanted, root, error) from error


# The pixels


def _channels_first(pixels: Any) -> Tensor:
    """The pixels as torchvision has them, grey or with the channels first or last, as `(n, channels, side, side)`."""
    images = torch.as_tensor(pixels)
    if images.dim() == 3:
        images = images[:, None]
    elif images.shape[1] != 3:
        images = images.movedim(3, 1)
    return images.contiguous()


def _with_channels(images: Tensor, channels: int | None) -> Tensor:
    if channels in (None, images.shape[1]):
        return images
    converted = torch.from_numpy(allocate(len(images), channels or 1, images.shape[-1]))
    for part, target in zip(images.split(PART), converted.split(PART), strict=True):
        target.copy_(rgb_to_grayscale(part) if channels == 1 else part.expand(-1, 3, -1, -1))
    return converted
