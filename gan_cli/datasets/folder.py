"""A folder of images of any size and kind, decoded once and kept for the runs that follow."""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torchvision.datasets.folder import IMG_EXTENSIONS
from tqdm import tqdm

from gan_cli.datasets.base import Images
from gan_cli.datasets.cache import ImageCache
from gan_cli.datasets.images import allocate
from gan_cli.datasets.part import Part
from gan_cli.errors import ConfigError
from gan_cli.ranges import Count, Seed

logger = logging.getLogger(__name__)

SUFFIXES = (*IMG_EXTENSIONS, ".gif")

MANIFEST = "manifest.json"
"""What `gan-sample` writes beside sub-folders of classes, whose names a file system may not take."""

RECEIPT = ("run", "checkpoint_sha256", "step", "weights", "seed")
"""What the manifest says of where the images come from."""

DECODER_VERSION = 1
"""Part of the key of the cache: raise it whenever the same file would become other pixels."""


class Folder(Images):
    """The images in `path`, or in its sub-folders as one class each: scaled, cut to a square, as uint8.

    Raises `ConfigError` if there are none, or if one is damaged and damaged ones are not to be skipped.
    """

    def __init__(
        self,
        path: str,
        resolution: Count,
        channels: int,
        mirror: bool,
        on_bad_image: Literal["error", "skip"],
        root: str,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels={channels} must be 1 (grey) or 3 (colour)")
        folder = Path(path).expanduser()
        files, folders = _find(folder)
        key = _key(folder, files, resolution, channels)
        cache = ImageCache(Path(root).expanduser() / "folder", key)
        images, bad = _load(cache, folder, files, resolution, channels, on_bad_image)
        if bad:
            name, reason = next(iter(bad.items()))
            if on_bad_image == "error":
                raise _unusable(folder / name, reason)
            if len(bad) == len(files):
                raise ConfigError(f"dataset.path={path} holds no image that can be used: {name} {reason}")
            shown = ", ".join([*bad][:5]) + (", …" if len(bad) > 5 else "")
            logger.warning("%d of %d images in %s are left out: %s", len(bad), len(files), path, shown)
        label = {name: index for index, name in enumerate(folders)}
        labels = torch.tensor([label[file.parts[0]] for file in files if str(file) not in bad]) if folders else None
        part = Part(classes, per_class, subset_seed)
        manifest = _manifest(folder)
        names = _class_names(manifest, folders)
        super().__init__(torch.from_numpy(images), labels, mirror=mirror, classes=names, part=part)
        self.files = [file.as_posix() for file in files if str(file) not in bad]
        """The files of all images of the folder, relative to it."""
        self.origin = {name: manifest[name] for name in RECEIPT if name in manifest} or None


def _find(folder: Path) -> tuple[list[Path], list[str]]:
    """The image files, relative to `folder` and in the same order on every machine, and the classes."""
    key = f"dataset.path={folder}"
    try:
        if not folder.exists():
            raise ConfigError(f"{key} does not exist: name the folder that holds the images")
        if not folder.is_dir():
            raise ConfigError(f"{key} is a file: name the folder that holds the images")
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        entries.sort(key=lambda entry: entry.name)
        flat = [Path(entry.name) for entry in entries if _is_image(entry.name) and not entry.is_dir()]
        nested = {entry.name: _below(entry, folder) for entry in entries if entry.is_dir()}
    except OSError as error:
        raise _unreadable(error) from error
    classes = [name for name, files in nested.items() if files]
    if flat and classes:
        raise ConfigError(
            f"{key} holds images ({flat[0]}) beside a folder of images ({classes[0]}): move either elsewhere"
        )
    if not flat and not classes:
        what = "no images" if entries else "nothing"
        raise ConfigError(f"{key} holds {what}: files are taken that end in {', '.join(SUFFIXES)}")
    return flat or [file for name in classes for file in nested[name]], classes


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of `gan-sample`; empty where there is none, or that of somebody else."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _class_names(manifest: Mapping[str, Any], folders: list[str]) -> list[str]:
    """The names of the classes in sub-folders: theirs, unless the manifest has others."""
    try:
        names = {str(of["folder"]): str(name) for name, of in manifest["classes"].items()}
    except (KeyError, TypeError, AttributeError):
        names = {}
    return [names.get(name, name) for name in folders]


def _below(folder: Path, top: Path) -> list[Path]:
    files = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name).relative_to(top) for name in names if _is_image(name)]
    return sorted(files, key=Path.as_posix)


def _raise(error: OSError) -> NoReturn:
    raise error


def _is_image(name: str) -> bool:
    # Names with a leading dot are the litter of file managers, such as macOS's "._photo.jpg".
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _key(folder: Path, files: list[Path], resolution: int, channels: int) -> str:
    """A digest of all that the decoded pixels depend on: names, bytes and options."""

    def digest(file: Path) -> bytes:
        with (folder / file).open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()

    options = {"version": DECODER_VERSION, "resolution": resolution, "channels": channels}
    total = hashlib.sha256(json.dumps(options).encode())
    with ThreadPoolExecutor() as pool:
        try:
            digests = _progress(pool.map(digest, files), files, "checking")
            for file, content in zip(files, digests, strict=True):
                total.update(hashlib.sha256(os.fsencode(file.as_posix())).digest() + content)
        except OSError as error:
            raise _unreadable(error) from error
    return total.hexdigest()


def _load(
    cache: ImageCache,
    folder: Path,
    files: list[Path],
    resolution: int,
    channels: int,
    on_bad_image: Literal["error", "skip"],
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """The usable images, from the cache if it has them, and for each other file what is wrong with it."""
    kept = cache.read()
    if kept is None:
        images, bad = _decode_all(folder, files, resolution, channels, stop=on_bad_image == "error")
        if len(bad) == len(files):
            return images, bad
        try:
            cache.write(images, {"folder": str(folder.absolute()), "bad": bad})
        except OSError as error:
            logger.warning("the decoded images could not be kept for the next run: %s", error)
            return images, bad
        # From here on the mapped file stands in for the images in memory.
        kept = cache.read()
        if kept is None:
            return images, bad
    return kept[0], kept[1]["bad"]


def _decode_all(
    folder: Path, files: list[Path], resolution: int, channels: int, *, stop: bool
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    images = allocate(len(files), channels, resolution)

    def decode_into(index: int) -> str | None:
        path = folder / files[index]
        try:
            images[index] = _decode(path, resolution, channels)
        except UnidentifiedImageError:
            reason = "is no image"
        except Exception as error:  # Pillow's decoders raise errors of any kind
            reason = f"cannot be decoded ({error})"
        else:
            return None
        if stop:
            # Raised here, it keeps the pool from starting on the images that follow.
            raise _unusable(path, reason)
        return reason

    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        # Odd metadata and large photographs deserve no warning.
        warnings.filterwarnings("ignore", module="PIL")
        reasons = list(_progress(pool.map(decode_into, range(len(files))), files, "decoding"))
    bad = {str(file): reason for file, reason in zip(files, reasons, strict=True) if reason is not None}
    return images[[reason is None for reason in reasons]] if bad else images, bad


def _progress(items: Iterable[Any], files: list[Path], task: str) -> Iterable[Any]:
    """`items` behind a bar, which a terminal shows if there is more than a moment to wait."""
    bar: Iterable[Any] = tqdm(items, desc=f"{task} images", total=len(files), leave=False, delay=0.5, disable=None)
    return bar


def _decode(path: Path, resolution: int, channels: int) -> NDArray[np.uint8]:
    """One image `(channels, resolution, resolution)`: its first frame, upright, on white if transparent."""
    with Image.open(path) as opened:
        # JPEG decodes a photograph at ½, ¼ or ⅛ of its size several times faster.
        opened.draft(None, (4 * resolution, 4 * resolution))
        image = _eight_bits(ImageOps.exif_transpose(opened))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    image = ImageOps.fit(image, (resolution, resolution), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(resolution, resolution, channels).transpose(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep grey images scaled to 8 bits; Pillow would cut off all values above 255."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels have more than 16 bits")
    return Image.fromarray((values / 257).round().astype(np.uint8))


def _unusable(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"{path} {reason}: remove it, or leave out such images with dataset.on_bad_image=skip")


def _unreadable(error: OSError) -> ConfigError:
    return ConfigError(f"dataset.path: {error.filename} cannot be read: {error.strerror}")
