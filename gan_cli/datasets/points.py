"""Anybody's points, in memory: a table of text, or an array in a file of NumPy's."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_cli.datasets import arrays, table
from gan_cli.datasets.base import Batch, Endless, InMemory
from gan_cli.datasets.part import Part
from gan_cli.files import shortest
from gan_cli.ranges import Count, Seed

logger = logging.getLogger(__name__)

FAR = 10.0
"""Times that coordinates may be larger or smaller than 1 before their scale is remarked on."""


class Points(InMemory, Endless):
    """The points of a file, drawn with replacement for every batch. Their density is not known."""

    def __init__(
        self,
        path: str,
        array: str | None = None,
        labels: str | None = None,
        standardize: bool = False,
        classes: Sequence[str | int] | None = None,
        per_class: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        """Raises `ValueError` for a file that holds no points."""
        file = shortest(path)
        path = str(file)
        values, given = _read(file, path, array, labels)
        known, names = arrays.classes_of(given, len(values), f"labels={labels}")
        part = Part(classes, per_class, subset_seed)
        if not part.is_all:
            taken, known, names = part.of(known, names)
            values = values[taken.numpy()]
        if standardize:
            values = _standardized(values, path)
        else:
            _warn_of_scale(values, path)
        # An array of float32 that is all taken stays mapped into memory.
        self.points = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        """Shape `(n, dimensions)`."""
        self.labels = known
        self.classes = names
        self.sample_shape = tuple(self.points.shape[1:])

    def __len__(self) -> int:
        return len(self.points)

    def at(self, chosen: Tensor) -> Batch:
        return Batch(self.points[chosen], None if self.labels is None else self.labels[chosen])

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.batch(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        device = generator.device
        self.points = self.points.to(device)
        self.labels = None if self.labels is None else self.labels.to(device)
        return self.at(torch.randint(len(self), (n,), generator=generator, device=device))

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.points.cpu().numpy().data).hexdigest()
        return arrays.with_labels(digest, self.labels, self.classes)


def _read(
    file: Path, path: str, array: str | None, labels: str | None
) -> tuple[NDArray[np.floating], arrays.Array | None]:
    """The points, shape `(n, dimensions)`, all finite, and their labels, if these are asked for."""
    found = f"path={path}"
    values: arrays.Array
    given: arrays.Array | None
    if file.suffix.lower() in table.TABLES and file.is_file():
        if array is not None:
            raise ValueError(f"array={array} is for .npz files, which hold several arrays: leave it out")
        values, given = table.read(file, labels)
    elif file.exists() and file.suffix.lower() not in arrays.ARRAYS:
        kinds = ", ".join((*arrays.ARRAYS, *table.TABLES))
        raise ValueError(f"{found} is not a file that ends in {kinds}: save the points as one")
    else:
        values, given = arrays.read(file, array, labels)
    if values.ndim in (3, 4):
        raise ValueError(f"{found} has shape {values.shape}, as images have: choose dataset=array dataset.path={path}")
    if values.ndim != 2 or 0 in values.shape[1:]:
        raise ValueError(f"{found} has shape {values.shape}: save points as (n, dimensions), on the line as (n, 1)")
    if not len(values):
        raise ValueError(f"{found} holds no points: add some")
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{found} holds values of type {values.dtype}: save numbers")
    with np.errstate(over="ignore"):
        finite = np.isfinite(values.astype(np.float32)).all(1)
    if not finite.all():
        row = int(finite.argmin())
        raise ValueError(f"{found}: point {row} of 0 to {len(values) - 1} is not finite: leave it out")
    return values, given


def _standardized(values: NDArray[np.floating], path: str) -> NDArray[np.floating]:
    """The points with the mean 0 and the standard deviation 1 in each column."""
    mean, deviation = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    if constant := [column for column, width in enumerate(deviation.tolist()) if not width]:
        raise ValueError(f"standardize=true: column {constant[0] + 1} of {path} is constant: leave it out of the file")
    standardized: NDArray[np.floating] = (values - mean) / deviation
    return standardized


def _warn_of_scale(values: NDArray[np.floating], path: str) -> None:
    size = float(np.sqrt(np.square(values, dtype=np.float64).mean()))
    if not 1 / FAR <= size <= FAR:
        logger.warning(
            "the coordinates in %s are of size %.3g, and networks learn best near 1: dataset.standardize=true shifts"
            " and scales each column",
            path,
            size,
        )
