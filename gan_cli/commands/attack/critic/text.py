"""What attacks on critics show, in words."""

from collections.abc import Sequence

from gan_cli.commands.attack.critic.results import OfCritic, Unmoved
from gan_cli.commands.attack.masking import signs_of_masking
from gan_cli.divergences.penalties import Promise
from gan_cli.metrics.base import Measured
from gan_cli.show import wording
from gan_cli.show.tables import aligned

HEAD = ("run", "attack", "real down", "in gaps", "generated up", "in gaps", "passed %", "slope real", "generated")
LEGEND = (
    "down, up: how far scores move, also in gaps between their means; passed: generated samples that score above half\n"
    "of the real ones; slope: of scores along the change, in units of [−1, 1]; of none the norm of the gradient; ± 95 %"
)


def as_text(results: Sequence[OfCritic]) -> str:
    """What each critic says of its samples, then a row for each attack, and below what speaks for masked gradients."""
    unmoved = {result.run: result.unmoved for result in results}
    lines: list[str] = []
    rows: list[tuple[str, ...]] = [HEAD]
    for run, of_run in unmoved.items():
        slopes = [_measured(of_run.gradient("real")), _measured(of_run.gradient("generated"))]
        lines.append(f"{run}: {_described(of_run)}")
        rows.append((str(run), "none", "", "", "", "", _per_cent(of_run.passed), *slopes))
        rows += [(str(run), *_cells(result)) for result in results if result.run == run]
    shown = rows if len(unmoved) > 1 else [row[1:] for row in rows]
    signs = (f"gradient masking? {sign}" for sign in signs_of_masking(results))
    return "\n".join([*lines, aligned(shown, words=2 if len(unmoved) > 1 else 1), LEGEND, *signs])


def _described(unmoved: Unmoved) -> str:
    real, generated = (_measured(unmoved.score(side)) for side in ("real", "generated"))
    scores = f"{unmoved.n:,} real samples score {real}, as many generated ones {generated}"
    return f"{scores}; slope {_measured(unmoved.gradient('between'))} between them; {_promised(unmoved.promise)}"


def _promised(promise: Promise | None) -> str:
    """The slope that the penalty pulls to, in words."""
    if promise is None:
        return "no penalty promises a slope"
    places = {"real": "at real samples", "generated": "at generated ones", "between": "between them"}
    bound = "at most " if promise.is_bound else ""
    return f"the penalty promises {bound}{promise.slope:g} {' and '.join(places[place] for place in promise.at)}"


def _cells(result: OfCritic) -> tuple[str, ...]:
    cells = [result.name]
    for side in ("real", "generated"):
        gaps = result.in_gaps(side)
        cells += [_measured(result.moved(side)), "" if gaps is None else f"{gaps.value:.3g}"]
    return *cells, _per_cent(result.passed), _measured(result.slope("real")), _measured(result.slope("generated"))


def _per_cent(number: Measured) -> str:
    return wording.per_cent(number.value, number.half_width)


def _measured(number: Measured | None) -> str:
    return "" if number is None else wording.measured(number.value, number.half_width)
