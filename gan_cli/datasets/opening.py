"""The images of a folder or an archive, decoded or as an earlier run kept them."""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from gan_cli.datasets import layout
from gan_cli.datasets.archive import archive
from gan_cli.datasets.cache import Filled, ImageCache, Kept, in_memory
from gan_cli.datasets.decoding import Found, decode_all
from gan_cli.datasets.directory import Directory
from gan_cli.datasets.picture import BadPictureError, NoPictureError, Target, look, tolerant
from gan_cli.datasets.source import Source
from gan_cli.errors import ConfigError

logger = logging.getLogger(__name__)

DECODER_VERSION = 3
"""Part of the key of the cache: raise it whenever the same file would become other pixels."""

Arrange = Callable[[Found], tuple[list[int], list[int]]]
"""Puts the names of images in order; the order, and where parts of it begin, as `Filled` has them."""


def opened(path: Path, target: Target, root: Path, *, strict: bool, by_split: bool, verify: bool) -> Kept:
    """The images of a path and what `Found` tells of them, kept in `root` for the next run if it can be written.

    Raises `ConfigError` if there are none, if the folders leave the classes unclear, or if one cannot be used where
    `strict` demands it; nothing is written then.
    """
    source = _source(path)

    def arrange(found: Found) -> tuple[list[int], list[int]]:
        if source.is_archive:
            _remove_top(found)
        layout.check([*found.names, *found.bad], path, by_split=by_split)
        _refuse_without_images(found, path)
        order = layout.ordered(found.names)
        found.names = [found.names[index] for index in order]
        return order, _starts(found.names)

    return kept(source, target, root, arrange, strict=strict, verify=verify)


def kept(source: Source, target: Target, root: Path, arrange: Arrange, *, strict: bool, verify: bool) -> Kept:
    """The images of a source, decoded or as an earlier run kept them in `root`. Raises as `opened` does."""
    image_shape = (target.channels, target.resolution, target.resolution)

    def fill(file: BinaryIO) -> Filled:
        found = decode_all(source, target, file, strict=strict)
        order, starts = arrange(found)
        return Filled(image_shape, order, starts, vars(found))

    options = {"version": DECODER_VERSION, **asdict(target), "files": source.identity(verify=verify)}
    cache = ImageCache(root, hashlib.sha256(json.dumps(options).encode()).hexdigest())
    if images := cache.read(verify=verify):
        return images
    most = None if source.count is None else source.count * math.prod(image_shape)
    try:
        with cache.claimed():
            # Another process may have written it by now.
            if (images := cache.read(verify=verify)) is None:
                cache.write(fill, most)
                images = cache.read()
    except OSError as error:
        logger.warning("the decoded images could not be kept for the next run: %s", error)
        images = None
    return images or in_memory(fill)


def first_image(path: Path) -> tuple[str, tuple[int, int], bool]:
    """The name, the width and height, and whether it is grey, of the first image that can be opened.

    Raises `ConfigError` if there is none.
    """
    why = "name what holds images"
    for name, opener in _source(path).files():
        try:
            with opener() as file, tolerant():
                return name, *look(file, name)
        except BadPictureError as error:
            why = f"{name} {error}"
        except (NoPictureError, OSError):
            continue
    raise ConfigError(f"dataset.path={path} holds no image that can be used: {why}")


def _source(path: Path) -> Source:
    key = f"dataset.path={path}"
    try:
        if path.is_dir():
            return Directory(path)
        if not path.exists():
            raise ConfigError(f"{key} does not exist: name the folder or the archive that holds the images")
        found = archive(path) if path.is_file() else None
    except OSError as error:
        raise ConfigError(f"{key} cannot be read: {error.strerror}") from error
    if found is None:
        raise ConfigError(
            f"{key} is a file and no archive (.zip, .tar, .tar.gz, .tar.xz, …): name the folder or the archive that"
            " holds the images"
        )
    return found


def _remove_top(found: Found) -> None:
    """Look through the one folder that holds all of an archive, as one looks into what unpacking gives."""
    top = layout.common_folder([*found.names, *found.bad])
    found.names = [name.removeprefix(top) for name in found.names]
    found.bad = {name.removeprefix(top): reason for name, reason in found.bad.items()}
    found.manifests = {name.removeprefix(top): manifest for name, manifest in found.manifests.items()}


def _refuse_without_images(found: Found, path: Path) -> None:
    if found.names:
        return
    for name, reason in found.bad.items():
        raise ConfigError(f"dataset.path={path} holds no image that can be used: {name} {reason}")
    what = f"no images: left out: {found.in_words()}" if found.left_out else "nothing"
    raise ConfigError(f"dataset.path={path} holds {what}: name what holds images (.jpg, .png, .tif, .webp, …)")


def _starts(names: Sequence[str]) -> list[int]:
    """Where the images of each split begin; else the beginning alone."""
    if not layout.splits(names):
        return [0]
    tops = [name.partition("/")[0] for name in names]
    return [index for index, top in enumerate(tops) if index == 0 or top != tops[index - 1]]
