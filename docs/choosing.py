"""Trains every divergence with its defaults on two toys and on digits, and writes the table of docs/choosing.md.

    make choosing

Within a column all runs have equally many generator steps. Runs that are done are not trained again; --tables trains
nothing.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.recipes import OUTPUTS, Recipe, measured, over_seeds, parser_of, played, reproduce, spliced
from gan_cli.config import options, schema
from gan_cli.runs import read

PAGE = Path(__file__).with_name("choosing.md")
RUNS = OUTPUTS / "choosing"


@dataclass(frozen=True)
class Trial:
    """What every divergence is trained on, and how that is measured."""

    overrides: tuple[str, ...]
    metrics: tuple[str, ...]
    columns: dict[str, str]
    """The heads of the columns, by the names of the numbers."""


TRIALS = {
    "ring": Trial(("dataset=ring",), ("modes",), {"modes": "ring: modes of 8", "high_quality_share": "ring: good"}),
    "grid": Trial(("dataset=grid",), ("modes",), {"modes": "grid: modes of 25", "high_quality_share": "grid: good"}),
    "digits": Trial(
        ("dataset=mnist5k", "train.steps=2000"),
        ("frechet", "precision_recall"),
        {"frechet_distance": "digits: Fréchet", "precision": "digits: precision", "recall": "digits: recall"},
    ),
}
RANKED = ("digits", "frechet_distance")


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    schema.register()
    if not arguments.tables:
        recipes = [
            Recipe(folder(name, divergence, seed), overrides(name, divergence, seed), trial.metrics)
            for seed in arguments.seeds
            for name, trial in TRIALS.items()
            for divergence in options.names("divergence")
        ]
        reproduce(recipes, arguments.jobs)
    PAGE.write_text(spliced(PAGE.read_text(), "choosing", markdown()))


def folder(trial: str, divergence: str, seed: int) -> Path:
    return RUNS / f"{trial}-{divergence}-s{seed}"


def overrides(trial: str, divergence: str, seed: int) -> list[str]:
    return [f"divergence={divergence}", *TRIALS[trial].overrides, "device.threads=1", f"seed={seed}"]


def markdown() -> str:
    """A row for each divergence, the least Fréchet distance first."""
    heads = ["`divergence=`", "played on digits", "runs", "diverged"]
    heads += [column for trial in TRIALS.values() for column in trial.columns.values()]
    rows = sorted(map(row, options.names("divergence")))
    lines = [heads, ["---"] * len(heads), *(cells for _, cells in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def row(divergence: str) -> tuple[float, list[str]]:
    """What the row is sorted by, and its cells."""
    runs = {trial: sorted(RUNS.glob(f"{trial}-{divergence}-s*")) for trial in TRIALS}
    status = {path: read.record(path).get("status") for paths in runs.values() for path in paths}
    ended = [path for path in status if status[path] in ("done", "diverged")]
    rank, cells = float("inf"), []
    for name, trial in TRIALS.items():
        numbers = [measured(path, trial.metrics) for path in runs[name] if status[path] == "done"]
        cells += [over_seeds(number, [one[number] for one in numbers]) for number in trial.columns]
        if name == RANKED[0] and numbers:
            rank = sum(one[RANKED[1]]["value"] for one in numbers) / len(numbers)
    diverged = sum(status[path] == "diverged" for path in ended)
    return rank, [f"`{divergence}`", played(next(iter(runs["digits"]), None)), str(len(ended)), str(diverged), *cells]


if __name__ == "__main__":
    main()
