"""Runs in folders: trained as `gan-train` does, and read again."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_cli.commands.train import run
from tests.helpers.configs import compose
from tests.helpers.undrawn import undrawn


def train(folder: Path, *overrides: str, pictures: bool = False) -> Path:
    """The folder, with the run of these overrides in it: begun there or continued; undrawn without `pictures`."""
    config = compose(*overrides)
    with nullcontext() if pictures else undrawn():
        run(config, folder, {"config.yaml": OmegaConf.to_yaml(config)})
    return folder


def record(folder: Path) -> dict[str, Any]:
    """run.json."""
    read: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return read


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, as they are written."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below `folder` with its content, every folder with None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
