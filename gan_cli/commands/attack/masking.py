"""Signs that a gradient misleads, and with it every attack along it."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from gan_cli.commands.attack.results import Result
from gan_cli.exact.estimated import QUANTILE


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
        if can_be_all and result.left > 0:
            yield f"{run}: {name} may change every pixel into any other, and leaves {result.left:.1%} right"


def _follows_the_gradient(result: Result) -> bool:
    """Whether it is an untargeted attack of ours along the network's own gradient, with steps across the ball."""
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
    """Whether a strength is below that of another attack by more than both are sure of."""
    pairs = zip(one.strengths, other.strengths, strict=True)
    return any(
        low.value < high.value - QUANTILE * math.hypot(low.error or 0.0, high.error or 0.0) for low, high in pairs
    )
