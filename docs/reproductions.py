"""Runs the commands of docs/reproductions.md, measures what they trained, and writes the tables into the page.

    make reproductions

Runs that are done are not trained again, and what was measured is read from its receipt. --seeds 0 takes one seed,
--only mnist one table, --tables trains nothing: the tables then show the runs that there are.
"""

import argparse
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from gan_cli.commands.evaluate import evaluate
from gan_cli.commands.question import Question
from gan_cli.commands.report.seeds import mean_of
from gan_cli.config import options, schema
from gan_cli.config.identity import differences
from gan_cli.runs import read
from gan_cli.show import wording

PAGE = Path(__file__).with_name("reproductions.md")
RUNS = Path("outputs/reproductions")
BIN = Path(sys.executable).parent
MISSING = "—"


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


R1_R2 = "divergence=relativistic divergence/penalty=r1_r2"

F_DIVERGENCES = (
    *("gan", "js", "js_weighted", "kl", "reverse_kl", "jeffreys", "pearson", "neyman", "squared_hellinger"),
    *("total_variation", "alpha"),
)

FGAN = ("kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jeffreys", "js", "gan")

PENALTIES = {
    "NoPenalty": "",
    "Interpolate": "interpolate",
    "InterpolateOneSided": "interpolate_one_sided",
    "R1": "R1",
    "R1R2": "R1 + R2",
}

IMAGE_METRICS = ("frechet", "precision_recall", "class_histogram", "classifier_score")
IMAGE_NUMBERS = ("frechet_distance", "precision", "recall", "classifier_score", "class_share_difference")

TABLES = {
    "mnist": Table(
        shared="dataset=mnist device.threads=1",
        rows={name: f"divergence={name}" for name in F_DIVERGENCES},
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
    "fgan": Table(
        shared="experiment=fgan_mnist device.threads=1 device.precision=bf16 train.batch_size=256 train.steps=10000",
        rows={name: f"divergence={name}" for name in FGAN},
        metrics=("parzen_fgan",),
        numbers=("log_likelihood_fgan", "bandwidth_fgan"),
    ),
    "toys": Table(
        shared="",
        rows={"ring": "experiment=ring", "grid": "experiment=grid"},
        metrics=("modes",),
        numbers=("modes", "high_quality_share"),
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=TABLES, nargs="+", default=list(TABLES))
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--tables", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    schema.register()
    if not arguments.tables:
        tasks = [
            (TABLES[table], row, folder(table, row, seed), seed)
            for seed in arguments.seeds
            for table in arguments.only
            for row in TABLES[table].rows
        ]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda task: reproduce(*task), tasks))
    text = PAGE.read_text()
    for name in arguments.only:
        text = with_table(text, name, TABLES[name])
    PAGE.write_text(text)


def folder(table: str, row: str, seed: int) -> Path:
    return RUNS / f"{table}-{row}-s{seed}"


def reproduce(table: Table, row: str, run: Path, seed: int) -> None:
    """Train the run, unless that is done, and measure it, unless it diverged."""
    overrides = [*table.shared.split(), *table.rows[row].split(), f"seed={seed}", f"name=reproductions/{run.name}"]
    if not is_done(run, overrides):
        code = subprocess.run([BIN / "gan-train", *overrides], check=False).returncode
        if code == 3:
            return
        if code != 0:
            raise SystemExit(f"{run}: gan-train ended with {code}")
    measured(table, run)


def is_done(run: Path, overrides: list[str]) -> bool:
    """Whether such a run is done already."""
    before = read.config(run)
    if before is None or read.record(run).get("status") != "done":
        return False
    with initialize_config_dir(version_base="1.3", config_dir=str(options.CONFIGS)):
        now = compose("config", overrides)
    return not differences(before, now) and before.train.steps == now.train.steps


def measured(table: Table, run: Path) -> dict[str, Any]:
    """The numbers of a run that is done, by name, all measured in the same way."""
    question = Question(
        run, table.metrics, n=None, split=None, weights="average", step=None, seed=0, extractor=None, device="auto"
    )
    answer = evaluate(question)
    if answer.failures:
        raise SystemExit(f"{run}: {next(iter(answer.failures.values()))}")
    return {name: number for receipt in answer.receipts for name, number in receipt["numbers"].items()}


def with_table(text: str, name: str, table: Table) -> str:
    """The page with the table between its marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"{PAGE} has no place for the table {name}")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{markdown(name, table)}\n{end}{after}"


def markdown(name: str, table: Table) -> str:
    """A row for each recipe: seeds, cost, commit, and the mean over seeds or the one seed's own number."""
    heads = [f"`gan-train {table.shared}` …".replace(" `", "`"), "played", "seeds", "diverged"]
    heads += ["steps", "images", "time"]
    heads += ["commit", *(f"`{number}`" for number in table.numbers)] + (["published"] if table.published else [])
    lines = [heads, ["---"] * len(heads)]
    reals: dict[str, list[str]] = {}
    for row, overrides in table.rows.items():
        runs = {path: read.record(path) for path in sorted(RUNS.glob(f"{name}-{row}-s*"))}
        diverged = sum(run.get("status") == "diverged" for run in runs.values())
        finals = [run["final"] for run in runs.values() if run.get("status") == "done"]
        numbers = [measured(table, path) for path, run in runs.items() if run.get("status") == "done"]
        if numbers:
            reals[row] = [_real(numbers[0][number]) for number in table.numbers]
        cells = [f"`{overrides}`", played(next(iter(runs), None)), str(len(finals) + diverged), str(diverged)]
        cells += [f"{finals[0]['step']:,}", f"{finals[0]['images_seen']:,}"] if finals else [MISSING] * 2
        cells.append(wording.duration(statistics.mean(final["seconds"] for final in finals)) if finals else MISSING)
        commits = {str(run.get("git_commit"))[:7] for run in runs.values() if run.get("status") in ("done", "diverged")}
        cells.append(", ".join(sorted(commits)) or MISSING)
        cells += [over_seeds(number, [one[number] for one in numbers]) for number in table.numbers]
        lines.append(cells + ([table.published[row]] if table.published else []))
    # What real data get does not depend on the run, unless the rows have data of their own.
    common = len(set(map(tuple, reals.values()))) == 1
    for row, shown in list(reals.items())[: 1 if common else None]:
        head = "real data" if common else f"real data of {row}"
        if any(shown):
            lines.append([head] + [""] * 7 + shown + ([""] if table.published else []))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def played(run: Path | None) -> str:
    """The form of the generator, the link of the scores and the penalty, as far as the divergence of a run has them."""
    config = None if run is None else read.config(run)
    if config is None:
        return MISSING
    game = config.divergence
    penalty = str(game.penalty._target_).rpartition(".")[2]
    parts = [game.get("generator_loss"), game.get("link"), PENALTIES[penalty]]
    return ", ".join(part.replace("_", "-") for part in parts if part)


def _real(number: dict[str, Any]) -> str:
    return "" if number["real"] is None else wording.short(number["real"])


def over_seeds(name: str, numbers: list[dict[str, Any]]) -> str:
    """The mean over seeds with its interval, or the one seed's number with its own."""
    if not numbers:
        return MISSING
    if len(numbers) == 1:
        error = numbers[0]["error"]
        return wording.measured(numbers[0]["value"], None if error is None else wording.QUANTILE * error)
    mean = mean_of(name, [number["value"] for number in numbers])
    return wording.within(mean.value, mean.interval)


if __name__ == "__main__":
    main()
