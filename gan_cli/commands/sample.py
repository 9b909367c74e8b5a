"""What `gan-sample` writes: grids, folders of pictures, walks through the latents, films of the training, points."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.utils import make_grid

from gan_cli import files, sampling
from gan_cli.commands.film import film
from gan_cli.commands.out import writing
from gan_cli.config import parts
from gan_cli.datasets.base import as_uint8
from gan_cli.errors import ConfigError
from gan_cli.models.base import Generator
from gan_cli.runs import read
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
    of_training: bool = False,
) -> None:
    """Write what the suffix of `out` asks for; with `of_training` the film of the pictures that the run kept.

    Raises `ConfigError` for anything it cannot be.
    """
    if of_training or (out.suffix == ".gif" and len(read.record(run).get("sample_shape", [])) == 1):
        if out.suffix != ".gif":
            raise ConfigError(f"--out {out}: a film can be written as .gif only")
        if (n, seed, step, weights) != (None, 0, None, "average"):
            raise ConfigError(
                "a film shows the pictures that training drew: leave -n, --seed, --step and --weights out"
            )
        content = film(run)
        with writing(out):
            files.write_named(out, content)
        return
    if n is not None and n < 1:
        raise ConfigError(f"-n {n} must be at least 1")
    if seed < 0:
        raise ConfigError(f"--seed {seed} must be at least 0")
    trained = load_run(run, step, allow=allow)
    drawn = Drawn(trained, weights, n, seed)
    files_by_suffix: dict[str, Callable[[], bytes]] = (
        {".png": drawn.grid, ".gif": drawn.walk, ".npy": drawn.array}
        if trained.draws_images
        else {".png": drawn.points, ".npy": drawn.array}
    )
    is_folder = out.suffix == "" and trained.draws_images
    if not is_folder and out.suffix not in files_by_suffix:
        known = ", ".join([*files_by_suffix, "a folder without a suffix" if trained.draws_images else ".gif"])
        raise ConfigError(f"--out {out}: samples of {run} can be written as {known}")
    try:
        with writing(out):
            if is_folder:
                drawn.write_pictures(out)
            else:
                files.write_named(out, files_by_suffix[out.suffix]())
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise ConfigError(f"-n {n}: not enough memory for so many samples: choose fewer") from error
        raise


@dataclass(frozen=True)
class Drawn:
    """Samples of a generator, in the forms that files have."""

    trained: TrainedRun
    weights: str
    """`average` or `raw`."""
    n: int | None
    """The number of samples that was asked for; None: the usual one."""
    seed: int

    @property
    def generator(self) -> Generator:
        return self.trained.sampler(self.weights)

    def grid(self) -> bytes:
        return pictures.image_grid(self._samples(sampling.GRID_IMAGES))

    def points(self) -> bytes:
        is_raw = self.weights == "raw" or samples.draws_raw(self.trained.config)
        title = samples.heading(self.trained.step, is_raw=is_raw)
        dataset = parts.dataset(self.trained.config)
        return samples.picture(self.generator, dataset, seed=self.seed, title=title, n=self.n)

    def array(self) -> bytes:
        """Points as float32; images as uint8 of shape `(n, channels, height, width)`."""
        if self.trained.draws_images:
            drawn = as_uint8(self._samples(sampling.GRID_IMAGES))
        else:
            drawn = self._samples(sampling.PLOTTED_POINTS)
        buffer = io.BytesIO()
        np.save(buffer, drawn.numpy())
        return buffer.getvalue()

    def write_pictures(self, out: Path) -> None:
        """Write each image into a file of its own in a new folder."""
        n = self.n or sampling.GRID_IMAGES
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise ConfigError(f"--out {out} is not empty: choose another folder")
        digits = max(5, len(str(n - 1)))
        index = 0
        # Part by part, so that a folder may hold more samples than memory.
        for latents in sampling.latents(self.generator, n, self.seed).split(500):
            for image in as_uint8(sampling.generate(self.generator, latents)):
                pictures.as_picture(image).save(out / f"{index:0{digits}d}.png")
                index += 1

    def walk(self) -> bytes:
        """An endless film of walks side by side, each along great arcs between random latents and back to the first.

        A walk stays in the Gaussian of a mixture that it begins in: no latent lies between two of them.
        """
        frames = self.n or 96
        size = self.generator.latent_size
        stops = sampling.latents(self.generator, WALKS * WALK_STOPS, self.seed).reshape(WALKS, WALK_STOPS, size)
        centres = self.generator.centre(stops)
        stops, middle = stops - centres, centres[:, 0]
        film = []
        for frame in range(frames):
            leg, position = divmod(frame * WALK_STOPS / frames, 1)
            start, end = stops[:, int(leg)], stops[:, (int(leg) + 1) % WALK_STOPS]
            images = sampling.generate(self.generator, middle + slerp(start, end, position))
            film.append(pictures.enlarged(make_grid(as_uint8(images), nrow=4, padding=2, pad_value=255), 480))
        buffer = io.BytesIO()
        film[0].save(buffer, format="gif", save_all=True, append_images=film[1:], duration=80, loop=0)
        return buffer.getvalue()

    def _samples(self, default: int) -> Tensor:
        return sampling.generate(self.generator, sampling.latents(self.generator, self.n or default, self.seed))


def slerp(start: Tensor, end: Tensor, position: float) -> Tensor:
    """Spherical interpolation, row by row, of shape `(n, size)`: it keeps the length that Gaussian latents have."""
    lengths = start.norm(dim=1, keepdim=True) * end.norm(dim=1, keepdim=True)
    cosine = ((start * end).sum(1, keepdim=True) / lengths).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    straight = torch.lerp(start, end, position)
    curved = (torch.sin((1 - position) * angle) * start + torch.sin(position * angle) * end) / sine
    return torch.where(sine.abs() < 1e-6, straight, curved)
