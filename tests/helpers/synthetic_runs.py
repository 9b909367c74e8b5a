"""Folders that look like runs, written in milliseconds."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw

Settings = dict[str, Any]

DIVERGENCES: dict[str, Settings] = {
    "gan": {"_target_": "gan_cli.divergences.fgan.Gan", "critic_steps": 1, "generator_loss": "non_saturating"},
    "kl": {"_target_": "gan_cli.divergences.fgan.KullbackLeibler", "critic_steps": 1, "generator_loss": "minimax"},
    "wgan_gp": {"_target_": "gan_cli.divergences.wasserstein.Wasserstein", "critic_steps": 5},
}
"""Nodes of the options."""


def numbers(*names: str, value: float = 1.0) -> Settings:
    """The numbers of a receipt."""
    return {name: {"value": value, "error": None, "real": None} for name in names}


def receipt(**changes: Any) -> Settings:
    """One of gan-eval."""
    return {
        "metric": "frechet",
        "target": "gan_cli.metrics.frechet.FrechetDistance",
        "code_sha256": "f" * 64,
        "options": {"samples": 10000},
        "numbers": {"frechet_distance": {"value": 3.2, "error": 0.1, "real": 0.9}},
        "refused": None,
        "samples": {"generated": 10000, "real": 10000, "held_out": 10000},
        "split": "train",
        "extractor": "mnist",
        "extractor_sha256": "e" * 64,
        "weights": "average",
        "step": 100,
        "checkpoint_sha256": "c" * 64,
        "seed": 0,
        "dtype": "float32",
        "versions": {"gan-cli": "0.1.0", "torch": "2.6.0"},
        "git_commit": None,
        "device": "cpu",
        "dataset_sha256": "d" * 64,
        "seconds": 3.1,
        "made": "2026-11-23T08:00:00+00:00",
    } | changes


def metrics(steps: Sequence[int] = range(10, 101, 10), level: float = 1.0, /, **last: Any) -> list[Settings]:
    """The lines of metrics.jsonl; `last` are numbers of the last line alone."""
    lines: list[Settings] = [
        {
            "step": step,
            "images_seen": 64 * step,
            "seconds": step / 100,
            "estimate": level / step,
            "penalty": 0.0,
            "critic_loss": -level / step,
            "critic_gradient_norm": level * step,
            "generator_loss": level,
            "generator_gradient_norm": 10.0 ** (step // 10 % 4),
            "generator_learning_rate": 0.001,
            "critic_learning_rate": 0.001,
            "images_per_second": 6400.0,
        }
        for step in steps
    ]
    lines[-1] |= last
    return lines


def write(
    folder: Path,
    divergence: str = "gan",
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    lines: Sequence[Settings] | None = None,
    receipts: Sequence[Settings] = (),
    pictures: Mapping[int, bytes] | None = None,
    overrides: Sequence[str] = (),
    checkpoints: Mapping[int, str] | None = None,
) -> Path:
    """The folder of a run, done unless `record` tells otherwise."""
    composed: Settings = {
        "seed": seed,
        "name": folder.name,
        "train": {"steps": 100, "batch_size": 64},
        "divergence": DIVERGENCES[divergence] | {"penalty": {"_target_": "gan_cli.divergences.penalties.NoPenalty"}},
        "dataset": {"_target_": "gan_cli.datasets.mixtures.Ring", "modes": 8},
        "metric": {"modes": {"_target_": "gan_cli.metrics.modes.ModeCoverage", "samples": 2500}},
        "study": {},
    } | dict(config or {})
    task = [f"divergence={divergence}", f"seed={seed}", *overrides]
    choices = {"divergence": divergence, "divergence/penalty": "none", "dataset": "ring", "hydra/job": "default"}
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(composed))
    hydra = {"hydra": {"overrides": {"task": task}, "runtime": {"choices": choices}}}
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(hydra))
    done = {
        "status": "done",
        "seed": seed,
        "steps": 100,
        "step": 100,
        "versions": {"gan-cli": "0.1.0"},
        "dataset": None,
    }
    (folder / "run.json").write_text(json.dumps(done | dict(record or {})))
    logged = metrics(modes=seed + 5, exact=0.1 + seed, exact_error=0.01) if lines is None else lines
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    if receipts:
        (folder / "evaluation.json").write_text(json.dumps({"receipts": list(receipts)}))
    (folder / "checkpoints").mkdir()
    for step, digest in (checkpoints or {}).items():
        (folder / "checkpoints" / f"step-{step:07d}.pt.sha256").write_text(f"{digest}  step-{step:07d}.pt\n")
    (folder / "samples").mkdir()
    for step, png in (pictures or {}).items():
        (folder / "samples" / f"step-{step:07d}.png").write_bytes(png)
    return folder


def digits(seed: int) -> bytes:
    """A grid of 64 pictures of 28 × 28 pixels, each pixel drawn 3 × 3: noise, which compresses worse than digits do."""
    grid = np.full((242, 242), 255, dtype=np.uint8)
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 28, 28), dtype=np.uint8)
    for row in range(8):
        for column in range(8):
            grid[2 + 30 * row : 30 + 30 * row, 2 + 30 * column : 30 + 30 * column] = noise[row, column]
    picture = Image.fromarray(grid).convert("RGB")
    return _png(picture.resize((726, 726), Image.Resampling.NEAREST))


def points(seed: int) -> bytes:
    """A plot of 600 × 600 pixels of many points, of about 100 kB."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGBA", (600, 600), "white")
    draw = ImageDraw.Draw(picture)
    for x, y in random.normal(300, 80, (2500, 2)):
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(31, 119, 180, 255))
    shaded = np.asarray(picture).copy()
    shaded[:150] += random.integers(0, 60, shaded[:150].shape, dtype=np.uint8)
    shaded[..., 3] = 255
    return _png(Image.fromarray(shaded))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()
