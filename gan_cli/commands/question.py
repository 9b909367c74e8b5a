"""What the command line of `gan-eval` asks. Imports no torch."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_cli.config import options


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
    """Where the data of a game are now, or a folder whose images a classifier is to label."""
    out: Path | None = None
    """The file that the labels are written to."""


def add_to(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run, such as outputs/default")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        dest="metrics",
        metavar="NAME",
        help=f"repeat for several: {', '.join(options.names('metric'))} (default: all that apply)",
    )
    parser.add_argument("-n", "--n", type=int, help="number of samples (default: as each metric's protocol has it)")
    parser.add_argument("--split", choices=["train", "test"], help="part of the real data (default: as in training)")
    parser.add_argument("--weights", choices=["average", "raw"], default="average", help="(default: average)")
    parser.add_argument("--step", type=int, help="of the checkpoint (default: the newest)")
    parser.add_argument("--seed", type=int, default=0, help="seed of latents and chosen real samples (default: 0)")
    parser.add_argument(
        "--extractor",
        metavar="NAME[:KEY=VALUE]",
        help=f"{', '.join(options.names('metric/extractor'))}, as inception:weights=PATH or classifier:run=PATH"
        " (default: the config's)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="of a game: where the folder that it was trained on is now; of a classifier: label the images of a folder",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="with --data: where their classes are written")
    parser.add_argument("--device", choices=options.names("device"), default="auto", help="(default: auto)")
