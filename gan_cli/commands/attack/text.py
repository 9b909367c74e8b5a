"""What attacks show, in words: a table, and signs that a gradient misleads."""

import math
from collections.abc import Iterator, Sequence

from gan_cli.commands.attack.results import Result
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.base import Measured
from gan_cli.show import wording
from gan_cli.show.tables import aligned


def as_text(results: Sequence[Result]) -> str:
    """A row for each attack on each run, and below it what speaks for masked gradients."""
    runs = {result.run for result in results}
    rows: list[tuple[str, ...]] = [("run", "attack", "error %", "confidence %", "n")]
    for result in results:
        confidence = "" if result.confidence is None else _per_cent(result.confidence)
        rows.append((str(result.run), result.asked.name, _per_cent(result.error), confidence, f"{result.n:,}"))
    if len(runs) == 1:
        rows = [row[1:] for row in rows]
    lines = [aligned(rows, words=1 if len(runs) == 1 else 2)]
    lines.append("error: share of images whose attack succeeds; confidence: in the class chosen there; ± 95 %")
    return "\n".join([*lines, *(f"gradient masking? {sign}" for sign in signs_of_masking(results))])


def signs_of_masking(results: Sequence[Result]) -> Iterator[str]:
    """What an attack along the gradient cannot show unless the gradient misleads (Athalye 2018, arXiv 1802.00420).

    It is weaker than noise of the same size; with more steps it is weaker than with fewer; or it does not succeed
    everywhere although it may change every pixel into any other.
    """
    by_gradient = [result for result in results if _takes_steps(result) and result.asked.node.get("target") is None]
    for result in by_gradient:
        name, run = result.asked.name, result.run
        for other in results:
            if other.run != run or _ball(other) != _ball(result):
                continue
            if not _takes_steps(other) and other.asked.option == "noise" and _is_below(result, other):
                yield f"{run}: {name} is weaker than {other.asked.name}"
            if other in by_gradient and _steps(result) > _steps(other) and _is_below(result, other):
                yield f"{run}: {name} is weaker than {other.asked.name}, which takes fewer steps"
        budget = result.asked.epsilon or 0.0
        if budget >= 1 and result.asked.node.get("norm") == "linf" and result.error.value < 1:
            yield f"{run}: {name} may change every pixel into any other, and leaves {1 - result.error.value:.1%} right"


def _takes_steps(result: Result) -> bool:
    return result.asked.option != "transfer" and ("steps" in result.asked.node or "step_size" in result.asked.node)


def _steps(result: Result) -> int:
    return int(result.asked.node.get("steps", 1))


def _ball(result: Result) -> tuple[object, ...]:
    return tuple(result.asked.node.get(key) for key in ("epsilon", "norm", "clip"))


def _is_below(one: Result, other: Result) -> bool:
    """Whether an error is below another by more than both are sure of."""
    spread = math.hypot(one.error.error or 0.0, other.error.error or 0.0)
    return one.error.value < other.error.value - QUANTILE * spread


def _per_cent(number: Measured) -> str:
    return wording.measured(100 * number.value, None if number.error is None else 100 * QUANTILE * number.error)
