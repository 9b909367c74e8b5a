"""What the classifiers show: means, differences by seed and their intervals, and classes that lose.

All classifiers are tested on the same images, and those of one seed begin with the same weights and, at a few images a
class, the same real images. So conditions are compared by the differences between classifiers of one seed, and an
interval is Student's over these. It covers what other seeds would give on this test set; how far another test set
would move an accuracy is said apart, by `test_error`, since it moves all conditions alike.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from gan_cli.commands.cas.plan import Condition, Kind
from gan_cli.commands.cas.results import Confusion, Result, class_accuracies
from gan_cli.commands.report.seeds import student_quantile
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.standard_errors import share_error

METHOD = (
    "95 % intervals are Student's over seeds, for this test set; differences are between classifiers of the same seed;"
    " test error: 1.96 standard errors of an accuracy for the size of the test set (Agresti & Coull 1998)"
)

ROUNDING = 1e-12
"""Differences of accuracies that are smaller are rounding."""


class Answer(Enum):
    """What a difference says."""

    worse = "worse"
    none = "no difference that these seeds can show"
    better = "better"
    unknown = "a difference without an interval"


@dataclass(frozen=True)
class Spread:
    """The mean of a number over seeds, and half the width of its interval.

    A single seed has none, nor have equal numbers, which do not tell how far others lie.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.half_width is None else (self.mean - self.half_width, self.mean + self.half_width)


@dataclass(frozen=True)
class Summary:
    """A condition with the accuracies of its classifiers."""

    condition: Condition
    accuracies: Mapping[int, float]
    """By seed."""
    accuracy: Spread
    test_error: float
    """Half the width of the interval of one accuracy, for the size of the test set."""
    per_class: Sequence[float | None]
    """The means over seeds, by label."""
    confusion: Sequence[Sequence[float]]
    """The mean counts."""


@dataclass(frozen=True)
class Difference:
    """How much more accurate classifiers of one condition are than those of another, seed by seed."""

    of: Condition
    than: Condition
    by_seed: Mapping[int, float]
    spread: Spread

    @property
    def answer(self) -> Answer:
        """`better` or `worse` if the interval does not hold 0."""
        half = self.spread.half_width
        if half is None:
            return Answer.unknown if self.spread.n == 1 or abs(self.spread.mean) > ROUNDING else Answer.none
        if abs(self.spread.mean) <= half:
            return Answer.none
        return Answer.better if self.spread.mean > 0 else Answer.worse


@dataclass(frozen=True)
class Findings:
    """Everything that is known so far."""

    classes: Sequence[str]
    test_count: int
    summaries: Mapping[str, Summary]
    """By the names of the conditions, in the order of tables."""
    differences: Sequence[Difference]
    real_on_synthetic: Spread | None = None
    """The accuracy, on synthetic images, of classifiers trained on real ones."""
    diverged: Sequence[str] = ()
    missing: Sequence[str] = ()
    """Members that are neither done nor diverged."""
    notes: Sequence[str] = field(default_factory=tuple)


def spread(values: Sequence[float]) -> Spread:
    """The mean of one or more numbers with Student's 95 % interval."""
    mean = math.fsum(values) / len(values)
    if max(values) - min(values) < ROUNDING:
        return Spread(mean, None, len(values))
    half = student_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Spread(mean, half, len(values))


def concluded(
    conditions: Sequence[Condition],
    results: Sequence[Result],
    classes: Sequence[str],
    *,
    diverged: Sequence[str] = (),
    missing: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Findings:
    """The findings from the members that are done, one or more."""
    by_condition = {of.name: [result for result in results if result.condition == of.name] for of in conditions}
    summaries = {of.name: summarised(of, by_condition[of.name]) for of in conditions if by_condition[of.name]}
    on_synthetic = [result.on_synthetic for result in results if result.on_synthetic is not None]
    return Findings(
        classes=classes,
        test_count=results[0].test_count,
        summaries=summaries,
        differences=[
            difference
            for of, than in compared([summary.condition for summary in summaries.values()])
            if (difference := _difference(summaries[of.name], summaries[than.name])) is not None
        ],
        real_on_synthetic=spread(on_synthetic) if on_synthetic else None,
        diverged=diverged,
        missing=missing,
        notes=notes,
    )


def compared(conditions: Sequence[Condition]) -> list[tuple[Condition, Condition]]:
    """Each condition with the real images that it is to be compared to: as many a class, of as many images seen.

    More synthetic images are compared to fewer, too.
    """
    pairs = []
    for of in conditions:
        base = [than for than in conditions if than.kind is Kind.real and than.per_class == of.per_class]
        pairs += [(of, than) for than in base if of is not than]
        if of.kind is Kind.synthetic and of.times != 1:
            pairs += [(of, than) for than in conditions if than.kind is Kind.synthetic and than.times == 1]
    return pairs


def summarised(condition: Condition, results: Sequence[Result]) -> Summary:
    """A condition with one or more results."""
    accuracy = spread([result.accuracy for result in results])
    rows = range(len(results[0].confusion))
    return Summary(
        condition=condition,
        accuracies={result.seed: result.accuracy for result in results},
        accuracy=accuracy,
        test_error=QUANTILE * share_error(accuracy.mean, results[0].test_count),
        per_class=[_mean([class_accuracies(result.confusion)[row] for result in results]) for row in rows],
        confusion=_mean_counts([result.confusion for result in results]),
    )


def losses(of: Summary, than: Summary) -> list[tuple[int, float]]:
    """The labels of the classes with how much less accurate `of` is on them, the greatest loss first."""
    pairs = enumerate(zip(of.per_class, than.per_class, strict=True))
    known = [(label, theirs - ours) for label, (ours, theirs) in pairs if ours is not None and theirs is not None]
    return sorted(known, key=lambda loss: -loss[1])


def first(findings: Findings, is_it: Callable[[Condition], bool]) -> Summary | None:
    """The first condition of a kind, if any of its members is done."""
    return next((summary for summary in findings.summaries.values() if is_it(summary.condition)), None)


def of_real(findings: Findings) -> Summary | None:
    """All real images, (a)."""
    return first(findings, lambda of: of.kind is Kind.real and of.per_class is None)


def of_synthetic(findings: Findings) -> Summary | None:
    """Synthetic images alone, (b): as many as the real ones, or else the fewest."""
    return first(findings, lambda of: of.kind is Kind.synthetic)


def _difference(of: Summary, than: Summary) -> Difference | None:
    """The difference over the seeds that both have; None if they share none."""
    by_seed = {seed: of.accuracies[seed] - than.accuracies[seed] for seed in of.accuracies if seed in than.accuracies}
    if not by_seed:
        return None
    return Difference(of.condition, than.condition, by_seed, spread(list(by_seed.values())))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _mean_counts(confusions: Sequence[Confusion]) -> list[list[float]]:
    size = range(len(confusions[0]))
    return [[sum(of[i][j] for of in confusions) / len(confusions) for j in size] for i in size]
