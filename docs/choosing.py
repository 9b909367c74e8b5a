"""Trains every divergence with its defaults on two toys and on digits, and writes the table of docs/choosing.md.

    make choosing

Within a column all runs have equally many generator steps. Runs that are done are not trained again; --tables trains
nothing, --only digits one trial. A cell whose runs have not ended stays as it is.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.recipes import (
    MISSING,
    OUTPUTS,
    Recipe,
    measured,
    over_seeds,
    parser_of,
    played,
    reproduce,
    rows_before,
    spliced,
)
from gan_cli.config import options, resolvers
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
        ("dataset=mnist5k", "train.steps=1500", "device.precision=bf16"),
        ("frechet", "precision_recall"),
        {"frechet_distance": "digits: Fréchet", "precision": "digits: precision", "recall": "digits: recall"},
    ),
}
RANKED = TRIALS["digits"].columns["frechet_distance"]
"""The column that rows are sorted by."""


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--only", choices=TRIALS, nargs="+", default=list(TRIALS))
    arguments = parser.parse_args()
    resolvers.register()
    if not arguments.tables:
        recipes = [
            Recipe(folder(name, divergence, seed), overrides(name, divergence, seed), trial.metrics)
            for seed in arguments.seeds
            for name, trial in TRIALS.items()
            if name in arguments.only
            for divergence in options.names("divergence")
        ]
        reproduce(recipes, arguments.jobs)
    page = PAGE.read_text()
    PAGE.write_text(spliced(page, "choosing", markdown(cells_of(rows_before(page, "choosing")))))


def folder(trial: str, divergence: str, seed: int) -> Path:
    return RUNS / f"{trial}-{divergence}-s{seed}"


def overrides(trial: str, divergence: str, seed: int) -> list[str]:
    return [f"divergence={divergence}", *TRIALS[trial].overrides, "device.threads=1", f"seed={seed}"]


Cells = dict[str, str]
"""A row of the table, by the heads of its columns."""


def cells_of(lines: Mapping[str, str]) -> dict[str, Cells]:
    """The rows of a table by their first cells."""
    heads, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines.values())
    return {row[0]: dict(zip(heads, row, strict=True)) for row in rows}


def markdown(before: Mapping[str, Cells]) -> str:
    """A row for each divergence, the least Fréchet distance first; a cell whose runs have not ended stays as it was."""
    rows = sorted((row(name, before.get(f"`{name}`", {})) for name in options.names("divergence")), key=_rank)
    lines = [[*rows[0]], ["---"] * len(rows[0]), *([*cells.values()] for cells in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def row(divergence: str, before: Cells) -> Cells:
    """The cells of a divergence; where runs diverged they say how many."""
    cells = {"`divergence=`": f"`{divergence}`"}
    for name, trial in TRIALS.items():
        status = {path: read.record(path).get("status") for path in sorted(RUNS.glob(f"{name}-{divergence}-s*"))}
        numbers = [measured(path, trial.metrics) for path in status if status[path] == "done"]
        diverged = sum(of == "diverged" for of in status.values())
        fresh = {"played on digits": played(next(iter(status), None))} if name == "digits" else {}
        fresh |= {
            head: over_seeds(number, [one[number] for one in numbers]) + (f" ({diverged} diverged)" if diverged else "")
            for number, head in trial.columns.items()
        }
        cells |= fresh if numbers or diverged else {head: before.get(head, MISSING) for head in fresh}
    return cells


def _rank(cells: Cells) -> float:
    number, *_ = cells[RANKED].split()
    return float("inf") if number in (MISSING, "∞") else float(number)


if __name__ == "__main__":
    main()
