"""Runs of recipes: trained by `gan-train` unless they are done, and measured alike; and the tables of pages."""

import subprocess
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from gan_cli.commands.evaluate import evaluate
from gan_cli.commands.question import Question
from gan_cli.commands.report.seeds import mean_of
from gan_cli.config import options
from gan_cli.config.identity import differences
from gan_cli.config.taken import taken
from gan_cli.exact.estimated import QUANTILE
from gan_cli.runs import read
from gan_cli.show import wording

OUTPUTS = Path("outputs")
BIN = Path(sys.executable).parent
MISSING = "—"

Numbers = dict[str, dict[str, Any]]


def parser_of(description: str | None) -> ArgumentParser:
    """The options that the commands of pages share."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--tables", action="store_true", help="train nothing")
    return parser


@dataclass(frozen=True)
class Recipe:
    """A run to be trained and measured."""

    run: Path
    """Its folder, within `outputs`."""
    choices: Sequence[str]
    """Its overrides, but for the name."""
    metrics: Sequence[str]

    @property
    def overrides(self) -> list[str]:
        """The overrides of its command."""
        return [*self.choices, f"name={self.run.relative_to(OUTPUTS)}"]


def reproduce(recipes: Sequence[Recipe], jobs: int) -> None:
    """Train and measure all runs, so many side by side; one that is done already is not trained again."""
    left = [(recipe, not is_done(recipe)) for recipe in recipes]  # here, because Hydra composes in one thread only
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(_reproduce, *zip(*left, strict=True)))


def _reproduce(recipe: Recipe, needs_training: bool) -> None:
    if needs_training:
        code = subprocess.run([BIN / "gan-train", *recipe.overrides], check=False).returncode
        if code == 3:
            return
        if code != 0:
            raise SystemExit(f"{recipe.run}: gan-train ended with {code}")
    measured(recipe.run, recipe.metrics)


def is_done(recipe: Recipe) -> bool:
    """Whether the run is done already, with this config."""
    before = read.config(recipe.run)
    if before is None or read.record(recipe.run).get("status") != "done":
        return False
    with initialize_config_dir(version_base="1.3", config_dir=str(options.CONFIGS)):
        now = taken(compose("config", recipe.overrides))
    return not differences(before, now) and before.train.steps == now.train.steps


def measured(run: Path, metrics: Sequence[str]) -> Numbers:
    """The numbers of a run that is done, by name, all measured in the same way."""
    question = Question(
        run, tuple(metrics), n=None, split=None, weights="average", step=None, seed=0, extractor=None, device="auto"
    )
    answer = evaluate(question)
    if answer.failures:
        raise SystemExit(f"{run}: {next(iter(answer.failures.values()))}")
    return {name: number for receipt in answer.receipts for name, number in receipt["numbers"].items()}


def played(run: Path | None) -> str:
    """The form of the generator, the link of the scores and the penalty, as far as the divergence of a run has them."""
    config = None if run is None else read.config(run)
    if config is None:
        return MISSING
    game = config.divergence
    parts = [part.replace("_", "-") for part in (game.get("generator_loss"), game.get("link")) if part]
    nodes = {name: options.option("divergence/penalty", name) for name in options.names("divergence/penalty")}
    kin = [name for name, node in nodes.items() if node._target_ == game.penalty._target_]
    penalty = next((name for name in kin if nodes[name] == game.penalty), None)
    if penalty is None:
        parts.append(f"`{kin[0]}` of weight {wording.setting(game.penalty.weight)}")
    elif penalty != "none":
        parts.append(f"`{penalty}`")
    return ", ".join(parts)


def over_seeds(name: str, numbers: list[dict[str, Any]]) -> str:
    """The mean over seeds with its interval, or the one seed's number with its own."""
    if not numbers:
        return MISSING
    if len(numbers) == 1:
        error = numbers[0]["error"]
        return wording.measured(numbers[0]["value"], None if error is None else QUANTILE * error)
    mean = mean_of(name, [number["value"] for number in numbers])
    return wording.within(mean.value, mean.interval)


def spliced(page: str, name: str, table: str) -> str:
    """The page with the table between its marks replaced. Raises `SystemExit` if it has no such marks."""
    before, after = _around(page, name)
    return f"{before}{table}\n{after}"


def rows_before(page: str, name: str) -> dict[str, str]:
    """The lines of the table between the marks, by their first cells."""
    before, after = _around(page, name)
    lines = page[len(before) : len(page) - len(after)].splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def _around(page: str, name: str) -> tuple[str, str]:
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        raise SystemExit(f"the page has no place for the table {name}")
    before, _, rest = page.partition(begin)
    return before + begin, end + rest.partition(end)[2]
