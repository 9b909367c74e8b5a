"""Runs the commands of docs/reproductions.md, measures what they trained, and writes the tables into the page.

    make reproductions

Runs that are done are not trained again, and what was measured is read from its receipt. --seeds 0 takes one seed,
--only mnist one table, --rows kl some of its rows, --tables trains nothing. A row none of whose runs has ended stays.
"""

import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.recipes import (
    MISSING,
    OUTPUTS,
    Numbers,
    Recipe,
    measured,
    over_seeds,
    parser_of,
    played,
    reproduce,
    rows_before,
    spliced,
)
from gan_cli.config import resolvers
from gan_cli.runs import read
from gan_cli.show import wording

PAGE = Path(__file__).with_name("reproductions.md")
RUNS = OUTPUTS / "reproductions"
ENDED = 2
"""The column that counts runs that are done or diverged."""


@dataclass(frozen=True)
class Table:
    """Recipes that differ in a few overrides and are measured alike."""

    shared: str
    """Overrides of all rows."""
    rows: dict[str, str]
    """Name to further overrides."""
    metrics: tuple[str, ...]
    numbers: tuple[str, ...]
    published: dict[str, str] = field(default_factory=dict)
    """What the literature reports, by row; only figures that were read in the papers."""
    rows_have_data: bool = False
    """Whether each row has data of its own, and so its own numbers of real data."""


R1_R2 = "divergence=relativistic divergence/penalty=r1_r2"

F_DIVERGENCES = (
    *("gan", "js", "js_weighted", "kl", "reverse_kl", "jeffreys", "pearson", "neyman", "squared_hellinger"),
    *("total_variation", "alpha"),
)

FGAN = ("kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jeffreys", "gan")

IMAGE_METRICS = ("frechet", "precision_recall", "class_histogram", "classifier_score")
IMAGE_NUMBERS = ("frechet_distance", "precision", "recall", "classifier_score", "class_share_difference")

TABLES = {
    "digits": Table(
        shared="",
        rows={"mnist5k": "dataset=mnist5k"},
        metrics=(*IMAGE_METRICS, "neighbours"),
        numbers=(
            *("frechet_distance", "precision", "recall", "confident_share", "class_share_difference"),
            *("memorised_share", "closer_than_held_out"),
        ),
    ),
    "decay": Table(
        shared="dataset=mnist5k device.threads=1",
        rows={
            "none": "train.average_decay=0",
            "short": "train.average_decay=0.99",
            "constant": "train.average_decay=0.999",
            "long": "train.average_decay=0.9995",
            "half_life": "train.average_decay=half_life",
        },
        metrics=("frechet",),
        numbers=("frechet_distance",),
    ),
    "mnist": Table(
        shared="dataset=mnist device.threads=1",
        rows={name: f"divergence={name}" for name in F_DIVERGENCES}
        | {"neyman_interpolate": "divergence=neyman divergence/penalty=interpolate"},
        metrics=IMAGE_METRICS,
        numbers=IMAGE_NUMBERS,
    ),
    "mnist_others": Table(
        shared="dataset=mnist device.threads=1",
        rows={"wgan_clip": "divergence=wgan_clip", "wgan_gp": "divergence=wgan_gp", "relativistic": R1_R2},
        metrics=IMAGE_METRICS,
        numbers=IMAGE_NUMBERS,
    ),
    "bf16": Table(
        shared="dataset=mnist device.threads=1 device.precision=bf16",
        rows={"gan": "divergence=gan", "relativistic": R1_R2},
        metrics=IMAGE_METRICS,
        numbers=IMAGE_NUMBERS,
    ),
    "best": Table(
        shared="",
        rows={"mnist": "experiment=mnist"},
        metrics=IMAGE_METRICS,
        numbers=IMAGE_NUMBERS,
    ),
    "conditional": Table(
        shared="",
        rows={"mnist": "experiment=mnist_conditional", "fashion": "experiment=fashion_conditional"},
        metrics=("class_agreement", "frechet", "precision_recall"),
        numbers=("class_agreement", "frechet_distance", "precision", "recall", "coverage"),
        rows_have_data=True,
    ),
    "fgan": Table(
        shared="experiment=fgan_mnist device.threads=1 device.precision=bf16 train.batch_size=256 train.steps=5000",
        rows={name: f"divergence={name}" for name in FGAN},
        metrics=("parzen_fgan",),
        numbers=("log_likelihood_fgan", "bandwidth_fgan"),
    ),
    "toys": Table(
        shared="",
        rows={"ring": "experiment=ring", "grid": "experiment=grid"},
        metrics=("modes",),
        numbers=("modes", "high_quality_share"),
        rows_have_data=True,
        published={
            "ring": "PacGAN4 7.8 modes, 95.9 %; VEEGAN 8 modes, 52.9 %",
            "grid": "PacGAN4 24.8 modes, 93.6 %; VEEGAN 24.6 modes, 40 %",
        },
    ),
    "stacked": Table(
        shared="experiment=stacked_mnist device.threads=1",
        rows={"relativistic": "device.precision=bf16"},
        metrics=("stacked_modes",),
        numbers=("modes", "mode_kl"),
        published={"relativistic": "R3GAN's ablation 1000 modes, 0.078; PacDCGAN2 1000 modes, 0.06"},
    ),
}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--only", choices=TABLES, nargs="+", default=list(TABLES))
    parser.add_argument("--rows", nargs="+", help="these rows of the tables only")
    arguments = parser.parse_args()
    resolvers.register()
    if not arguments.tables:
        recipes = [
            Recipe(folder(table, row, seed), overrides(table, row, seed), TABLES[table].metrics)
            for seed in arguments.seeds
            for table in arguments.only
            for row in TABLES[table].rows
            if arguments.rows is None or row in arguments.rows
        ]
        if not recipes:
            parser.error(f"--rows {' '.join(arguments.rows)}: choose from those of the table, such as kl")
        reproduce(recipes, arguments.jobs)
    page = PAGE.read_text()
    for name in arguments.only:
        page = spliced(page, name, markdown(name, TABLES[name], rows_before(page, name)))
    PAGE.write_text(page)


def folder(table: str, row: str, seed: int) -> Path:
    return RUNS / f"{table}-{row}-s{seed}"


def overrides(table: str, row: str, seed: int) -> list[str]:
    return [*TABLES[table].shared.split(), *TABLES[table].rows[row].split(), f"seed={seed}"]


def markdown(name: str, table: Table, before: Mapping[str, str]) -> str:
    """A row for each recipe, and what real data get; those without a run that has ended are as they were before."""
    heads = [f"`gan-train {table.shared}` …".replace(" `", "`"), "played", "seeds", "diverged"]
    heads += ["steps", "images", "time"]
    heads += ["commit", *(f"`{number}`" for number in table.numbers)] + (["published"] if table.published else [])
    if line_of(heads) not in before.values():
        before = {}  # other columns
    lines = [line_of(heads), line_of(["---"] * len(heads))]
    reals: dict[str, str] = {}
    for row, choice in table.rows.items():
        cells, numbers = row_of(f"`{choice}`", table, sorted(RUNS.glob(f"{name}-{row}-s*")))
        has_ended = cells[ENDED] != "0"
        line = line_of(cells + ([table.published[row]] if table.published else []))
        lines.append(line if has_ended else before.get(cells[0], line))
        head = f"real data of {row}" if table.rows_have_data else "real data"
        shown = [real(numbers[number]) for number in table.numbers] if numbers else []
        if any(shown):
            reals[head] = line_of([head] + [""] * 7 + shown + ([""] if table.published else []))
        elif head in before:
            reals.setdefault(head, before[head])
    return "\n".join([*lines, *reals.values()])


def row_of(head: str, table: Table, runs: list[Path]) -> tuple[list[str], Numbers]:
    """The cells of a recipe (cost, commit, means over seeds or the one seed's numbers), and the first run's numbers."""
    records = {path: read.record(path) for path in runs}
    done = {path: record["final"] for path, record in records.items() if record.get("status") == "done"}
    ended = [record for record in records.values() if record.get("status") in ("done", "diverged")]
    numbers = [measured(path, table.metrics) for path in done]
    finals = list(done.values())
    cells = [head, played(next(iter(runs), None)), str(len(ended)), str(len(ended) - len(done))]
    cells += [f"{finals[0]['step']:,}", f"{finals[0]['images_seen']:,}"] if finals else [MISSING] * 2
    cells.append(wording.duration(statistics.mean(final["seconds"] for final in finals)) if finals else MISSING)
    cells.append(", ".join(sorted({str(record.get("git_commit"))[:7] for record in ended})) or MISSING)
    cells += [over_seeds(number, [one[number] for one in numbers]) for number in table.numbers]
    return cells, next(iter(numbers), {})


def line_of(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def real(number: dict[str, Any]) -> str:
    return "" if number["real"] is None else wording.short(number["real"])


if __name__ == "__main__":
    main()
