"""The findings as a table for a terminal, and as JSON with every number's seeds, interval and method."""

from typing import Any

from gan_cli.commands.cas import findings as found
from gan_cli.commands.cas.findings import METHOD, Difference, Findings, Spread, Summary
from gan_cli.commands.cas.verdict import percent, points
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.standard_errors import share_error
from gan_cli.show.tables import aligned


def table(findings: Findings) -> str:
    """Accuracies, differences, and the accuracies of classes, each block with its heading."""
    blocks = [aligned(accuracies(findings))]
    if findings.differences:
        blocks.append(aligned(differences(findings)))
    if len(rows := per_class(findings)) > 1:
        blocks.append(aligned(rows))
    blocks += [f"note: {note}" for note in findings.notes]
    return "\n\n".join([*blocks, METHOD + "."])


def accuracies(findings: Findings) -> list[tuple[str, ...]]:
    """A row for each condition."""
    rows: list[tuple[str, ...]] = [
        ("trained on", "real", "synthetic", "images seen", "accuracy", "test error", "seeds")
    ]
    for of in findings.summaries.values():
        condition = of.condition
        counts = (f"{condition.real:,}", f"{condition.synthetic:,}", f"{condition.images_seen:,}")
        accuracy, error = percent(of.accuracy), f"± {100 * of.test_error:.2f}"
        rows.append((condition.label, *counts, accuracy, error, str(of.accuracy.n)))
    return rows


def differences(findings: Findings) -> list[tuple[str, ...]]:
    """A row for each comparison."""
    rows: list[tuple[str, ...]] = [("difference", "points", "seeds", "answer")]
    for of in findings.differences:
        names, value = f"{of.of.label} − {of.than.label}", points(of.spread).removesuffix(" points")
        rows.append((names, value, str(of.spread.n), of.answer.value))
    return rows


def per_class(findings: Findings) -> list[tuple[str, ...]]:
    """Each class under real and under synthetic images, the one that loses most first."""
    real, synthetic = found.of_real(findings), found.of_synthetic(findings)
    rows: list[tuple[str, ...]] = [("class", "real", "synthetic", "points")]
    if real is None or synthetic is None:
        return rows
    for label, _ in found.losses(synthetic, real):
        ours, theirs = synthetic.per_class[label], real.per_class[label]
        assert ours is not None
        assert theirs is not None
        rows.append(
            (findings.classes[label], f"{100 * theirs:.2f} %", f"{100 * ours:.2f} %", f"{100 * (ours - theirs):+.2f}")
        )
    return rows


def as_json(findings: Findings, verdict: str) -> dict[str, Any]:
    """All numbers as shares from 0 to 1, each with its seeds, its interval and the method."""
    real, synthetic = found.of_real(findings), found.of_synthetic(findings)
    score = None if synthetic is None else _number(synthetic.accuracy) | {"of": synthetic.condition.name}
    return {
        "verdict": verdict,
        "method": METHOD,
        "classification_accuracy_score": score,
        "gap_to_real": next(
            (
                _difference(of)
                for of in findings.differences
                if real and synthetic and (of.of, of.than) == (synthetic.condition, real.condition)
            ),
            None,
        ),
        "real_on_synthetic": None if findings.real_on_synthetic is None else _number(findings.real_on_synthetic),
        "test_images": findings.test_count,
        "classes": list(findings.classes),
        "conditions": {name: _condition(of, findings) for name, of in findings.summaries.items()},
        "differences": [_difference(of) for of in findings.differences],
        "diverged": list(findings.diverged),
        "missing": list(findings.missing),
        "notes": list(findings.notes),
    }


def _number(spread: Spread) -> dict[str, Any]:
    interval = None if spread.interval is None else list(spread.interval)
    return {"value": spread.mean, "interval": interval, "seeds": spread.n, "method": "Student's t over seeds, 95 %"}


def _condition(of: Summary, findings: Findings) -> dict[str, Any]:
    condition = of.condition
    by_class = {
        name: None
        if accuracy is None
        else {"value": accuracy, "error": QUANTILE * share_error(accuracy, round(sum(row)))}
        for name, accuracy, row in zip(findings.classes, of.per_class, of.confusion, strict=True)
    }
    return {
        "real_images": condition.real,
        "synthetic_images": condition.synthetic,
        "images_seen": condition.images_seen,
        "per_class": condition.per_class,
        "accuracy": _number(of.accuracy) | {"test_error": of.test_error},
        "by_seed": {str(seed): value for seed, value in of.accuracies.items()},
        "class_accuracy": by_class,
        "confusion": [list(row) for row in of.confusion],
    }


def _difference(of: Difference) -> dict[str, Any]:
    return _number(of.spread) | {
        "of": of.of.name,
        "than": of.than.name,
        "answer": of.answer.value,
        "by_seed": {str(seed): value for seed, value in of.by_seed.items()},
    }
