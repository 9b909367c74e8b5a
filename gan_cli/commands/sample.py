"""What `gan-sample` writes: grids, folders of pictures, walks through the latents, films of the training, points."""

import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchvision.utils import make_grid

from gan_cli import files, sampling
from gan_cli.commands.film import film
from gan_cli.commands.out import writing
from gan_cli.config import parts
from gan_cli.datasets.base import as_uint8
from gan_cli.datasets.decoding import MANIFEST
from gan_cli.errors import ConfigError, did_you_mean
from gan_cli.models.base import Generator
from gan_cli.runs import read
from gan_cli.runs.load import TrainedRun, load_run
from gan_cli.runs.sources import open_run
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
    classes: str | None = None,
    batch_size: int | None = None,
) -> None:
    """Write what the suffix of `out` asks for; with `of_training` the film of the pictures that the run kept.

    `classes` are names of classes, with commas between them. Raises `ConfigError` for anything it cannot be.
    """
    if of_training or (out.suffix == ".gif" and len(read.record(run).get("sample_shape", [])) == 1):
        if out.suffix != ".gif":
            raise ConfigError(f"--out {out}: a film can be written as .gif only")
        if (n, seed, step, weights, classes) != (None, 0, None, "average", None):
            raise ConfigError(
                "a film shows the pictures that training drew: leave -n, --class, --seed, --step and --weights out"
            )
        content = film(run)
        with writing(out):
            files.write_named(out, content)
        return
    if n is not None and n < 1:
        raise ConfigError(f"-n {n} must be at least 1")
    if seed < 0:
        raise ConfigError(f"--seed {seed} must be at least 0")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"--batch-size {batch_size} must be at least 1")
    trained = load_run(run, step, allow=allow)
    labels = None if classes is None else _labels(trained, weights, classes, n)
    drawn = Drawn(trained, weights, n, seed, labels, batch_size or trained.generation_batch_size)
    files_by_suffix: dict[str, Callable[[], bytes | Iterator[bytes]]] = (
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
        if drawn.mixes_classes and "Expected tensor for argument" in str(error):
            raise ConfigError(f"--class {classes}: the generator takes no mixtures of classes: name one") from error
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise ConfigError(
                f"-n {n}: not enough memory for so many samples: choose fewer, or --batch-size"
            ) from error
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
    chosen: Mapping[str, int] | None = None
    """The labels of the classes that were asked for, by name."""
    batch_size: int = sampling.BATCH_SIZE
    """The number of samples that are made at a time."""

    @property
    def generator(self) -> Generator:
        return self.trained.sampler(self.weights)

    @property
    def mixes_classes(self) -> bool:
        """Whether a walk goes from class to class."""
        return len(self.chosen or ()) > 1

    @property
    def classes(self) -> Mapping[str, int]:
        """The labels of the classes to draw, by name; none if the generator takes no labels."""
        if self.chosen is not None:
            return self.chosen
        return {name: label for label, name in enumerate(self.trained.classes)} if self.generator.conditional else {}

    def counts(self, default: int) -> Mapping[str, int]:
        """The number of samples of each class: as many of each that was asked for, else as frequent as in the data."""
        n = self.n or default
        if self.chosen:
            counts = sampling.allotted(n, [1.0] * len(self.chosen))
        else:
            shares = [self.trained.classes[name] for name in self.classes]
            counts = sampling.allotted(n, shares) if n >= len(shares) else sampling.drawn_counts(n, shares, self.seed)
        return dict(zip(self.classes, counts, strict=True))

    def grid(self) -> bytes:
        if not self.classes:
            return pictures.image_grid(self._samples(sampling.GRID_IMAGES))
        names = list(self.classes) if self.chosen else sampling.shown_classes(list(self.classes))
        counts = sampling.allotted(self.n or len(names) * sampling.GRID_COLUMNS, [1.0] * len(names))
        rows = {name: (self.classes[name], count) for name, count in zip(names, counts, strict=True) if count}
        return samples.class_grid(self.generator, rows, self.seed)

    def points(self) -> bytes:
        is_raw = self.weights == "raw" or samples.draws_raw(self.trained.config)
        title = samples.heading(self.trained.step, is_raw=is_raw)
        dataset = parts.dataset(self.trained.config, open_run)
        given = self.labels(sampling.PLOTTED_POINTS)
        return samples.picture(self.generator, dataset, seed=self.seed, title=title, n=self.n, given=given)

    def array(self) -> Iterator[bytes]:
        """A file of NumPy's: points as float32, images as uint8 of shape `(n, channels, height, width)`."""
        of_images = self.trained.draws_images
        default = sampling.GRID_IMAGES if of_images else sampling.PLOTTED_POINTS
        shape = (self.n or default, *self.trained.sample_shape)
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1" if of_images else "<f4", "fortran_order": False, "shape": shape}
        )
        yield header.getvalue()
        # Part by part, so that a file may hold more samples than memory.
        for part in self._parts(default):
            yield (as_uint8(part) if of_images else part).numpy().tobytes()

    def write_pictures(self, out: Path) -> None:
        """Write each image into a file of its own in a new folder, or in one of its class, with a manifest of these."""
        n = self.n or sampling.GRID_IMAGES
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise ConfigError(f"--out {out} is not empty: choose another folder")
        counts = {name: count for name, count in self.counts(sampling.GRID_IMAGES).items() if count}
        folders = {name: out / folder for name, folder in folder_names(list(counts)).items()}
        for folder in folders.values():
            folder.mkdir()
        places = [folder for name, folder in folders.items() for _ in range(counts[name])] or [out] * n
        digits = max(5, len(str(n - 1)))
        index = 0
        # Part by part, so that a folder may hold more samples than memory.
        for part in self._parts(sampling.GRID_IMAGES):
            for image in as_uint8(part):
                pictures.as_picture(image).save(places[index] / f"{index:0{digits}d}.png")
                index += 1
        if folders:
            self._write_manifest(out, {name: folder.name for name, folder in folders.items()}, counts)

    def _write_manifest(self, out: Path, folders: Mapping[str, str], counts: Mapping[str, int]) -> None:
        """Where the images come from, and the sub-folder and the number of images of each class."""
        trained = self.trained
        manifest = {
            "run": str(trained.path.absolute()),
            "checkpoint_sha256": trained.checkpoint_sha256,
            "step": trained.step,
            "weights": self.weights,
            "seed": self.seed,
            "classes": {name: {"folder": folders[name], "images": counts[name]} for name in folders},
        }
        files.write_named(out / MANIFEST, (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())

    def walk(self) -> bytes:
        """An endless film of walks side by side, each along great arcs between random latents and back to the first.

        A walk stays in the Gaussian of a mixture that it begins in: no latent lies between two of them. It stays in its
        class, or goes from one to the next of those that were asked for, through mixtures of the two.
        """
        frames = self.n or 96
        size, count = self.generator.latent_size, max(WALK_STOPS, len(self.chosen or ()))
        stops = sampling.latents(self.generator, WALKS * count, self.seed).reshape(WALKS, count, size)
        centres = self.generator.centre(stops)
        stops, middle = stops - centres, centres[:, 0]
        labels = self._labels_of_stops(count)
        film = []
        for frame in range(frames):
            leg, position = divmod(frame * count / frames, 1)
            here, there = int(leg), (int(leg) + 1) % count
            latents = middle + slerp(stops[:, here], stops[:, there], position)
            given = None if labels is None else self._between(labels[:, here], labels[:, there], position)
            images = sampling.generate(self.generator, latents, given)
            film.append(pictures.enlarged(make_grid(as_uint8(images), nrow=4, padding=2, pad_value=255), 480))
        buffer = io.BytesIO()
        film[0].save(buffer, format="gif", save_all=True, append_images=film[1:], duration=80, loop=0)
        return buffer.getvalue()

    def _labels_of_stops(self, count: int) -> Tensor | None:
        """The label at each of the stops of each walk, shape `(walks, count)`; None if the generator takes none."""
        if not self.classes:
            return None
        labels = torch.tensor(list(self.classes.values()))
        walk, stop = torch.arange(WALKS)[:, None], torch.arange(count)
        # Classes in turn: from walk to walk, or if some were asked for from stop to stop and back to the first.
        at = stop * len(labels) // count + 0 * walk if self.chosen else walk + 0 * stop
        return labels[at % len(labels)]

    def _between(self, here: Tensor, there: Tensor, position: float) -> Tensor:
        """The labels of two stops, or the weights of a mixture where they differ."""
        if torch.equal(here, there) or position == 0:
            return here
        start, end = (one_hot(labels, len(self.trained.classes)).float() for labels in (here, there))
        return torch.lerp(start, end, position)

    def labels(self, default: int) -> Tensor | None:
        """The label of each sample, one class after the other; None if the generator takes none."""
        if not self.classes:
            return None
        counts = list(self.counts(default).values())
        return torch.tensor(list(self.classes.values())).repeat_interleave(torch.tensor(counts))

    def _parts(self, default: int) -> Iterator[Tensor]:
        """The samples, a batch at a time."""
        latents = sampling.latents(self.generator, self.n or default, self.seed).split(self.batch_size)
        labels = self.labels(default)
        given = [None] * len(latents) if labels is None else labels.split(self.batch_size)
        for part in zip(latents, given, strict=True):
            yield sampling.generate(self.generator, *part, batch_size=self.batch_size)

    def _samples(self, default: int) -> Tensor:
        return torch.cat(list(self._parts(default)))


def _labels(trained: TrainedRun, weights: str, classes: str, n: int | None) -> dict[str, int]:
    """The labels of the classes that `--class` names. Raises `ConfigError` for those that cannot be drawn."""
    if not trained.sampler(weights).conditional:
        raise ConfigError(f"--class {classes}: {trained.path} draws no classes: train with model.conditional=true")
    known = {name: label for label, name in enumerate(trained.classes)}
    chosen = [classes] if classes in known else [name.strip() for name in classes.split(",")]
    for name in chosen:
        if name not in known:
            raise ConfigError(f"--class '{name}' is not a class of {trained.path}: {did_you_mean(name, known)}")
    if n is not None and n < len(chosen):
        raise ConfigError(f"-n {n} is less than the {len(chosen)} classes of --class: choose -n {len(chosen)} or more")
    return {name: known[name] for name in chosen}


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """A name for the folder of each class that every file system takes: its own if possible, and unlike the others."""
    folders: dict[str, str] = {}
    taken = {MANIFEST, "con", "prn", "aux", "nul"}
    for name in classes:
        plain = re.sub(r'[\x00-\x1f<>:"/\\|?*]|^\.+|[. ]+$', "-", name) or "-"
        candidates = (plain if not index else f"{plain}-{index}" for index in itertools.count())
        folders[name] = next(folder for folder in candidates if folder.casefold() not in taken)
        taken.add(folders[name].casefold())
    return folders


def slerp(start: Tensor, end: Tensor, position: float) -> Tensor:
    """Spherical interpolation, row by row, of shape `(n, size)`: it keeps the length that Gaussian latents have."""
    lengths = start.norm(dim=1, keepdim=True) * end.norm(dim=1, keepdim=True)
    cosine = ((start * end).sum(1, keepdim=True) / lengths).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    straight = torch.lerp(start, end, position)
    curved = (torch.sin((1 - position) * angle) * start + torch.sin(position * angle) * end) / sine
    return torch.where(sine.abs() < 1e-6, straight, curved)
