"""What `gan-sample` writes: grids, folders of pictures, walks through the latents, points."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.utils import make_grid

from gan_cli import sampling
from gan_cli.config.build import build
from gan_cli.datasets.base import Dataset, as_uint8
from gan_cli.errors import ConfigError
from gan_cli.runs.load import TrainedRun, load_run
from gan_cli.show import pictures, samples

WALKS = 16
WALK_STOPS = 8


def write_samples(
    run: Path,
    out: Path,
    n: int | None,
    seed: int,
    step: int | None = None,
    weights: str = "average",
    allow: Sequence[str] = (),
) -> None:
    """Write what the suffix of `out` asks for. Raises `ConfigError` for anything it cannot be."""
    if n is not None and n < 1:
        raise ConfigError(f"-n {n} must be at least 1")
    trained = load_run(run, step, weights, allow)
    writers: dict[str, Callable[[TrainedRun, Path, int | None, int], None]] = (
        {".png": _grid, ".gif": _walk, ".npy": _array, "": _folder}
        if trained.draws_images
        else {".png": _points, ".npy": _array}
    )
    if out.suffix not in writers:
        known = ", ".join(suffix or "a folder without a suffix" for suffix in writers)
        raise ConfigError(f"--out {out}: samples of {run} can be written as {known}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        writers[out.suffix](trained, out, n, seed)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error.strerror or error}): choose another place") from error


def _generate(trained: TrainedRun, n: int, seed: int) -> Tensor:
    return sampling.generate(trained.generator, sampling.latents(trained.generator, n, seed))


def _grid(trained: TrainedRun, out: Path, n: int | None, seed: int) -> None:
    out.write_bytes(pictures.image_grid(_generate(trained, n or sampling.GRID_IMAGES, seed)))


def _points(trained: TrainedRun, out: Path, n: int | None, seed: int) -> None:
    dataset: Dataset = build(trained.config.dataset, Dataset, "dataset")
    title = f"step {trained.step}"
    out.write_bytes(samples.picture(trained.generator, dataset, seed=seed, title=title, n=n))


def _array(trained: TrainedRun, out: Path, n: int | None, seed: int) -> None:
    """Points as float32; images as uint8 of shape `(n, channels, height, width)`."""
    if trained.draws_images:
        samples = as_uint8(_generate(trained, n or sampling.GRID_IMAGES, seed))
    else:
        samples = _generate(trained, n or sampling.PLOTTED_POINTS, seed)
    np.save(out, samples.numpy())


def _folder(trained: TrainedRun, out: Path, n: int | None, seed: int) -> None:
    n = n or sampling.GRID_IMAGES
    out.mkdir(exist_ok=True)
    if any(out.iterdir()):
        raise ConfigError(f"--out {out} is not empty: choose another folder")
    digits = max(5, len(str(n - 1)))
    index = 0
    # Part by part, so that a folder may hold more samples than memory.
    for latents in sampling.latents(trained.generator, n, seed).split(500):
        for image in as_uint8(sampling.generate(trained.generator, latents)):
            pictures.as_picture(image).save(out / f"{index:0{digits}d}.png")
            index += 1


def _walk(trained: TrainedRun, out: Path, n: int | None, seed: int) -> None:
    """An endless film of walks side by side, each along great arcs between random latents and back to the first.

    A walk stays in the Gaussian of a mixture that it begins in: no latent lies between two of them.
    """
    frames = n or 96
    size = trained.generator.latent_size
    stops = sampling.latents(trained.generator, WALKS * WALK_STOPS, seed).reshape(WALKS, WALK_STOPS, size)
    centres = trained.generator.centre(stops)
    stops, middle = stops - centres, centres[:, 0]
    film = []
    for frame in range(frames):
        leg, position = divmod(frame * WALK_STOPS / frames, 1)
        start, end = stops[:, int(leg)], stops[:, (int(leg) + 1) % WALK_STOPS]
        images = sampling.generate(trained.generator, middle + slerp(start, end, position))
        film.append(pictures.enlarged(make_grid(as_uint8(images), nrow=4, padding=2, pad_value=255), 480))
    film[0].save(out, save_all=True, append_images=film[1:], duration=80, loop=0)


def slerp(start: Tensor, end: Tensor, position: float) -> Tensor:
    """Spherical interpolation, row by row, of shape `(n, size)`: it keeps the length that Gaussian latents have."""
    lengths = start.norm(dim=1, keepdim=True) * end.norm(dim=1, keepdim=True)
    cosine = ((start * end).sum(1, keepdim=True) / lengths).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    straight = torch.lerp(start, end, position)
    curved = (torch.sin((1 - position) * angle) * start + torch.sin(position * angle) * end) / sine
    return torch.where(sine.abs() < 1e-6, straight, curved)
