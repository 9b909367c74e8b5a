"""What attacks show, in words: a table, and signs that a gradient misleads."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from gan_cli.commands.attack.results import Result
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.base import Measured
from gan_cli.show import wording
from gan_cli.show.intervals import PERCENT
from gan_cli.show.tables import aligned


def as_text(results: Sequence[Result]) -> str:
    """A row for each attack on each run, and below it what speaks for masked gradients."""
    runs = {result.run for result in results}
    rows: list[tuple[str, ...]] = [("run", "attack", "error %", "confidence %", "n")]
    for result in results:
        confidence = "" if result.confidence is None else _per_cent(result.confidence)
        rows.append((str(result.run), result.name, _per_cent(result.error), confidence, f"{result.n:,}"))
    if len(runs) == 1:
        rows = [row[1:] for row in rows]
    lines = [aligned(rows, words=1 if len(runs) == 1 else 2)]
    lines.append(
        "error: share of images that end in a wrong class, or in the target; confidence: in that class; ± 95 %, or [its"
        " ends] where 0 or 100 % is one"
    )
    return "\n".join([*lines, *(f"gradient masking? {sign}" for sign in signs_of_masking(results))])


def signs_of_masking(results: Sequence[Result]) -> Iterator[str]:
    """What an attack along the gradient cannot show unless the gradient misleads (Athalye 2018, arXiv 1802.00420).

    It is weaker than noise of the same size, than fewer steps or than the examples of another classifier; or many steps
    do not succeed everywhere although they may change every pixel into any other. Steps that cannot cross the ball, and
    more tries on the other side, say nothing.
    """
    for result in results:
        if not _follows_the_gradient(result):
            continue
        name, run = result.asked.name, result.run
        for other in results:
            if other.run == run and _is_comparable(result, other) and _is_below(result, other):
                yield f"{run}: {name} is weaker than {other.asked.name}"
        can_be_all = (result.asked.epsilon or 0.0) >= 1 and _key(result, "norm") == "linf" and _steps(result) > 1
        if can_be_all and result.error.value < 1:
            yield f"{run}: {name} may change every pixel into any other, and leaves {1 - result.error.value:.1%} right"


def _follows_the_gradient(result: Result) -> bool:
    """Whether it is an attack of ours along this classifier's own gradient, untargeted, with steps across the ball."""
    if result.asked.option not in ("fgsm", "pgd") or _key(result, "target") is not None:
        return False
    step, epsilon = _key(result, "step_size"), result.asked.epsilon or 0.0
    return step is None or _steps(result) * float(str(step)) >= epsilon


def _is_comparable(result: Result, other: Result) -> bool:
    """Whether an attack has the same ball as another that should not be the stronger of the two."""
    same = all(_key(result, key) == _key(other, key) for key in ("epsilon", "norm", "clip"))
    tries, its_tries = (int(of.asked.node.get("restarts", 1)) for of in (result, other))
    if not same or _key(other, "target") is not None or its_tries > tries:
        return False
    is_other = other.asked.option in ("noise", "transfer")
    return is_other or (_follows_the_gradient(other) and _steps(other) < _steps(result))


def _steps(result: Result) -> int:
    return int(result.asked.node.get("steps", 1))


def _key(result: Result, key: str) -> Any:
    return result.asked.node.get(key)


def _is_below(one: Result, other: Result) -> bool:
    """Whether an error is below another by more than both are sure of."""
    spread = math.hypot(one.error.error or 0.0, other.error.error or 0.0)
    return one.error.value < other.error.value - QUANTILE * spread


def _per_cent(number: Measured) -> str:
    half_width = None if number.error is None else 100 * QUANTILE * number.error
    return wording.measured(100 * number.value, half_width, PERCENT)
