"""The changed images as files, a sub-folder for each true class, with a manifest."""

import json
from pathlib import Path

import torch

from gan_cli import files
from gan_cli.commands.out import writing
from gan_cli.commands.sample import folder_names
from gan_cli.datasets.base import Images, as_uint8
from gan_cli.datasets.folder import MANIFEST
from gan_cli.errors import ConfigError
from gan_cli.metrics.attacked import Attacked
from gan_cli.runs.classifiers import LoadedClassifier
from gan_cli.show import pictures


def prepare(out: Path, attacks: int) -> None:
    """Make the folder that images go to. Raises `ConfigError` unless it is new or empty and there is one attack."""
    if attacks > 1:
        raise ConfigError(f"--out {out} takes the images of one run under one attack of one size: ask for these alone")
    with writing(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"--out {out} is not an empty folder: choose another")
        out.mkdir(parents=True, exist_ok=True)


def write_images(out: Path, run: Path, trained: LoadedClassifier, attack: str, images: Images, found: Attacked) -> None:
    """Write each image as a PNG, and where they come from as a manifest, which `dataset=folder` reads."""
    assert images.labels is not None
    counts = torch.bincount(images.labels, minlength=len(trained.classes)).tolist()
    present = {name: count for name, count in zip(trained.classes, counts, strict=True) if count}
    folders = folder_names(list(present))
    with writing(out):
        for folder in folders.values():
            (out / folder).mkdir(parents=True)
        for index, (image, label) in enumerate(zip(as_uint8(found.images), images.labels.tolist(), strict=True)):
            path = out / folders[trained.classes[label]] / f"{index:05d}.png"
            pictures.as_picture(image).save(path)
        manifest = {
            "run": str(run.absolute()),
            "checkpoint_sha256": trained.sha256,
            "step": trained.step,
            "attack": attack,
            "classes": {name: {"folder": folders[name], "images": count} for name, count in present.items()},
        }
        files.write_named(out / MANIFEST, (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
