"""What the command line of `gan-eval` asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """What the command line asks."""

    run: Path
    metrics: Sequence[str]
    """The names of metrics; none: all that apply."""
    n: int | None
    split: str | None
    weights: str
    step: int | None
    seed: int
    extractor: str | None
    device: str
    allow: Sequence[str] = ()
    """Modules, beside our own, that the run's config may name classes of."""
    data: Path | None = None
    """A folder whose images a classifier is to label."""
    out: Path | None = None
    """The file that the labels are written to."""
