"""What attacks on classifiers show, in words."""

from collections.abc import Sequence

from gan_cli.commands.attack.classifier.results import OfClassifier
from gan_cli.commands.attack.masking import signs_of_masking
from gan_cli.metrics.base import Measured
from gan_cli.show import wording
from gan_cli.show.tables import aligned


def as_text(results: Sequence[OfClassifier]) -> str:
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
    if any(result.asked.option == "rubbish" for result in results):
        lines.append("of rubbish, the error is the share that is called any class with more than ½")
    return "\n".join([*lines, *(f"gradient masking? {sign}" for sign in signs_of_masking(results))])


def _per_cent(number: Measured) -> str:
    return wording.per_cent(number.value, number.half_width)
