"""Every file of a folder or an archive decoded, each read once."""

import json
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

from tqdm import tqdm

from gan_cli.datasets.picture import (
    BadPictureError,
    NoPictureError,
    Picture,
    Target,
    decode,
    is_named_as_picture,
    suffix,
    tolerant,
)
from gan_cli.datasets.source import Opener, Source
from gan_cli.errors import ConfigError

MANIFEST = "manifest.json"
"""What `gan-sample` writes beside sub-folders of classes, whose names a file system may not take."""

AT_ONCE = 16
"""Files that a thread takes at a time: small ones are decoded faster than they are handed over."""

AHEAD = 16
"""Such groups that may be decoded, or read out of an archive, before they are asked for."""

SMALL = 128**2
"""Pixels below which one thread decodes: of such pictures Python's part of the work, one at a time, is a large one."""

Outcome = Picture | BadPictureError | NoPictureError | dict[str, Any]
"""What became of a file, which may be a manifest."""


@dataclass
class Found:
    """What was found out about the files besides the pixels."""

    names: list[str] = field(default_factory=list)
    """Of the images that can be used, in the order of their pixels."""
    bad: dict[str, str] = field(default_factory=dict)
    """What is wrong with each of the other images."""
    left_out: dict[str, int] = field(default_factory=dict)
    """How many files were no images, by suffix and cause."""
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """Width and height of the smallest and of the largest image before they were scaled."""
    grey: int = 0
    """The number of images whose files hold shades of grey alone."""
    deep: int = 0
    """The number of grey images of more than 8 bits."""
    brightest: tuple[int, str] = (-1, "")
    """The highest value in these, and the image that has it."""
    deep_colour: int = 0
    """The number of images of 16 bits a channel in colour or with alpha."""
    brightest_colour: tuple[int, str] = (-1, "")
    """The highest value in these, as 8 bits, and the image that has it."""
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, picture: Picture) -> None:
        self.names.append(name)
        by_area = sorted([*self.sizes, picture.size], key=lambda size: (size[0] * size[1], size))
        self.sizes = [by_area[0], by_area[-1]]
        self.grey += picture.is_grey
        if picture.brightest is not None:
            self.deep += 1
            self.brightest = max(self.brightest, (picture.brightest, name))
        if picture.brightest_colour is not None:
            self.deep_colour += 1
            self.brightest_colour = max(self.brightest_colour, (picture.brightest_colour, name))

    def sizes_in_words(self) -> tuple[str, str]:
        """The smallest and the largest size, as 640×480."""
        smallest, largest = ("×".join(map(str, size)) for size in self.sizes)
        return smallest, largest

    def described(self, images: str, side: int) -> str:
        """Words on the images with the sizes that they had, the side of the squares they are now, what was left out."""
        smallest, largest = self.sizes_in_words()
        words = f"{images}, {smallest} to {largest} pixels" if smallest != largest else f"{images}, {smallest} pixels"
        if {smallest, largest} != {f"{side}×{side}"}:
            words += f", made {side}×{side}"
        return words + (f"; left out: {self.in_words()}" if self.bad or self.left_out else "")

    def in_words(self) -> str:
        """What was left out and why."""
        words = [f"{count:,} {kind}" for kind, count in sorted(self.left_out.items())]
        if self.bad:
            shown = ", ".join([*self.bad][:5]) + (", …" if len(self.bad) > 5 else "")
            words.insert(0, f"{len(self.bad)} of {len(self.bad) + len(self.names)} images ({shown})")
        return ", ".join(words)


def decode_all(source: Source, target: Target, file: BinaryIO, *, strict: bool) -> Found:
    """Write the pixels of each image to `file`, in the order of the source, and return the rest.

    Raises `ConfigError` for the first image that cannot be used, if `strict`.
    """
    found = Found()
    outcomes = tqdm(_outcomes(source, target), "decoding images", source.count, leave=False, delay=0.5, disable=None)
    for name, outcome in outcomes:
        match outcome:
            case Picture():
                file.write(outcome.pixels.data)
                found.add(name, outcome)
            case BadPictureError() if strict:
                raise unusable(f"{source.path}/{name}", str(outcome))
            case BadPictureError():
                found.bad[name] = str(outcome)
            case NoPictureError():
                kind = f"{suffix(name) or 'without suffix'} ({outcome})"
                found.left_out[kind] = found.left_out.get(kind, 0) + 1
            case _:
                found.manifests[name] = outcome
    return found


def unusable(path: str, reason: str) -> ConfigError:
    return ConfigError(f"{path} {reason}: remove it, or leave out such images with dataset.on_bad_image=skip")


def _outcomes(source: Source, target: Target) -> Iterator[tuple[str, Outcome]]:
    """What becomes of each file, in order, decoded by threads that stay a little ahead."""

    def attempt(group: list[tuple[str, Opener]]) -> list[tuple[str, Outcome]]:
        return [(name, _outcome(name, opener, target)) for name, opener in group]

    groups, waiting = _groups(source.files()), deque[Future[list[tuple[str, Outcome]]]]()
    with tolerant():
        first = attempt(next(groups, []))
        yield from first
        pool = ThreadPoolExecutor(_threads(first))
        try:
            for group in groups:
                waiting.append(pool.submit(attempt, group))
                if len(waiting) > AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _threads(outcomes: list[tuple[str, Outcome]]) -> int | None:
    """One thread for files such as these if they are small: several would wait for one another most of the time."""
    pixels = [math.prod(outcome.size) for _, outcome in outcomes if isinstance(outcome, Picture)]
    return 1 if pixels and sum(pixels) / len(pixels) < SMALL else os.cpu_count()


def _groups(files: Iterable[tuple[str, Opener]]) -> Iterator[list[tuple[str, Opener]]]:
    iterator = iter(files)
    while group := list(islice(iterator, AT_ONCE)):
        yield group


def _outcome(name: str, opener: Opener, target: Target) -> Outcome:
    try:
        with opener() as file:
            if name.rpartition("/")[2] == MANIFEST:
                return _manifest(file)
            return decode(file, name, target)
    except (BadPictureError, NoPictureError) as error:
        return error
    except OSError as error:
        # A file that cannot be opened may be an image, unless its name says that it is something else.
        is_other = suffix(name) and not is_named_as_picture(name)
        return NoPictureError("unreadable") if is_other else BadPictureError(f"cannot be read ({error.strerror})")


def _manifest(file: BinaryIO) -> dict[str, Any]:
    """The manifest of `gan-sample`; empty if it is that of somebody else."""
    try:
        manifest = json.loads(file.read())
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}
