"""What the command line of `gan-eval` asks. Imports no torch."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_cli.config import options
from gan_cli.errors import ConfigError


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
    batch_size: int | None = None
    """Of generation; None: as the run's config has it."""


@dataclass(frozen=True)
class Comparison:
    """What the command line asks of samples without a run."""

    real: str
    """A path, or an option of the group `dataset`."""
    fake: str
    metrics: Sequence[str]
    n: int | None
    seed: int
    extractor: str | None
    device: str
    batch_size: int | None
    out: Path
    """The file of the receipts."""


OF_RUNS = ("run", "split", "step", "weights", "data", "allow")
"""What is not asked of samples."""


def asked(given: dict[str, Any]) -> Question | Comparison:
    """The question of a command line. Raises `ConfigError` for one about a run and about samples at once."""
    if given["n"] is not None and given["n"] < 2:
        raise ConfigError(f"--n {given['n']} must be at least 2")
    if given["seed"] < 0:
        raise ConfigError(f"--seed {given['seed']} must be at least 0")
    if given["batch_size"] is not None and given["batch_size"] < 1:
        raise ConfigError(f"--batch-size {given['batch_size']} must be at least 1")
    real, fake = given.pop("real"), given.pop("fake")
    if real is None and fake is None:
        if given["run"] is None:
            raise ConfigError("name a run, such as outputs/default, or samples with --real A --fake B --out FILE.json")
        return Question(**given | {"weights": given["weights"] or "average"})
    of_runs = {name: given.pop(name) for name in OF_RUNS}
    for name, value in of_runs.items():
        if value not in (None, []):
            what = str(value) if name == "run" else f"--{name}"
            raise ConfigError(f"{what} is for a run, and --real A --fake B are about samples: leave one of both out")
    if real is None or fake is None or given["out"] is None:
        raise ConfigError("--real A --fake B --out FILE.json go together: name all three")
    return Comparison(real=real, fake=fake, **given)


def add_to(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="the folder of a run, such as outputs/default")
    parser.add_argument(
        "--real",
        metavar="DATA",
        help="without a run: a folder, an archive, an .npy, .npz or .csv file, or a data set as mnist:split=test",
    )
    parser.add_argument("--fake", metavar="DATA", help="with --real: the samples to compare with it")
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
    parser.add_argument("--weights", choices=["average", "raw"], help="(default: average)")
    parser.add_argument("--step", type=int, help="of the checkpoint (default: the newest)")
    parser.add_argument("--seed", type=int, default=0, help="seed of latents and chosen real samples (default: 0)")
    parser.add_argument(
        "--extractor",
        metavar="NAME[:KEY=VALUE]",
        help=f"{', '.join(options.names('metric/extractor'))}, as inception:weights=PATH or classifier:run=PATH"
        " (default: the config's; without a run inception for images, raw for points)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="of a game: where the folder that it was trained on is now; of a classifier: label the images of a folder",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="with --real and --fake: the .json of the receipts; with --data of a classifier: the .csv of the classes",
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="samples generated and looked at at a time (default: the config's)"
    )
    parser.add_argument("--device", choices=options.names("device"), default="auto", help="(default: auto)")
