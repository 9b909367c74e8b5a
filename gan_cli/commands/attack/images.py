"""The changed images as files, a sub-folder for each class, with a manifest."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_cli import files
from gan_cli.commands.out import writing
from gan_cli.commands.sample import folder_names
from gan_cli.datasets.base import as_uint8
from gan_cli.datasets.decoding import MANIFEST
from gan_cli.errors import ConfigError
from gan_cli.show import pictures


def prepare(out: Path, attacks: int) -> None:
    """Make the folder that images go to. Raises `ConfigError` unless it is new or empty and there is one attack."""
    if attacks > 1:
        raise ConfigError(f"--out {out} takes the images of one run under one attack of one size: ask for these alone")
    with writing(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"--out {out} is not an empty folder: choose another")
        out.mkdir(parents=True, exist_ok=True)


def write_images(out: Path, images: Tensor, labels: Tensor, classes: Sequence[str], origin: Mapping[str, Any]) -> None:
    """Write each image in [−1, 1] as a PNG, and its origin in a manifest, which `dataset=folder` reads."""
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    present = {name: count for name, count in zip(classes, counts, strict=True) if count}
    folders = folder_names(list(present))
    with writing(out):
        for folder in folders.values():
            (out / folder).mkdir(parents=True)
        for index, (image, label) in enumerate(zip(as_uint8(images), labels.tolist(), strict=True)):
            pictures.as_picture(image).save(out / folders[classes[label]] / f"{index:05d}.png")
        of_classes = {name: {"folder": folders[name], "images": count} for name, count in present.items()}
        manifest = json.dumps({**origin, "classes": of_classes}, indent=2, ensure_ascii=False) + "\n"
        files.write_named(out / MANIFEST, manifest.encode())
