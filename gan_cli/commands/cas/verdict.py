"""The verdict: one paragraph that says of each comparison worse, better, or neither, with its numbers."""

from gan_cli.commands.cas import findings as found
from gan_cli.commands.cas.findings import Answer, Difference, Findings, Spread, Summary
from gan_cli.commands.cas.plan import Condition, Kind
from gan_cli.show.intervals import PERCENT, Ends
from gan_cli.show.wording import measured

MOST_CLASSES = 3
"""The classes that are named for what they lose."""


def verdict(findings: Findings, *, train_gan: bool) -> str:
    """The paragraph. `train_gan`: whether the GAN of the few-shot conditions saw these few images alone."""
    sentences = [*_score(findings), *(_sentence(of) for of in findings.differences if not _is_score(findings, of))]
    if any(of.of.per_class is not None and of.of.kind is Kind.both for of in findings.differences):
        sentences.append(
            "For the few real images a class the GAN was trained anew, on these images alone."
            if train_gan
            else "The GAN was not trained anew for the few real images a class, and knows all that it was trained on:"
            " who has few images only gains what cas.train_gan=true tells, not this."
        )
    if (agreed := findings.real_on_synthetic) is not None:
        sentences.append(f"Classifiers of real images agree with {percent(agreed)} of the labels of synthetic ones.")
    if findings.diverged:
        sentences.append(f"Diverged, and left out: {', '.join(findings.diverged)}.")
    if findings.missing:
        count = len(findings.missing)
        sentences.append(f"Not trained yet: {count} of the classifiers, so this is not the last word.")
    return " ".join(sentences)


def _is_score(findings: Findings, difference: Difference) -> bool:
    """Whether it is the difference that the first sentences tell."""
    synthetic, real = found.of_synthetic(findings), found.of_real(findings)
    return (difference.of, difference.than) == (synthetic and synthetic.condition, real and real.condition)


def _score(findings: Findings) -> list[str]:
    """The classification accuracy score, and how it compares to real images."""
    synthetic, real = found.of_synthetic(findings), found.of_real(findings)
    if synthetic is None:
        return []
    sentences = [
        f"Classifiers trained on {synthetic.condition.synthetic:,} synthetic images alone are right on"
        f" {percent(synthetic.accuracy)} of the real test set: their classification accuracy score."
    ]
    told = [of for of in findings.differences if _is_score(findings, of)]
    if real is None or not told:
        return sentences
    sentences.append(f"On real images alone it is {percent(real.accuracy)}: synthetic ones are {_answer(told[0])}.")
    if told[0].answer is Answer.worse and (lost := _most_lost(findings, synthetic, real)):
        sentences.append(lost)
    return sentences


def _most_lost(findings: Findings, synthetic: Summary, real: Summary) -> str:
    lost = [(label, loss) for label, loss in found.losses(synthetic, real)[:MOST_CLASSES] if loss > 0]
    names = ", ".join(f"{findings.classes[label]} ({100 * loss:.2f} points)" for label, loss in lost)
    return f"Most is lost on {names}." if names else ""


def _sentence(difference: Difference) -> str:
    of, than = difference.of, difference.than
    where = f"At {of.per_class} real images a class, " if of.per_class is not None else ""
    subject = "real and synthetic images together" if where else _noun(of)
    told = f"{where}{subject}, compared to {'real ones alone' if where else _noun(than)}: {_answer(difference)}."
    return told[0].upper() + told[1:]


def _noun(of: Condition) -> str:
    match of.kind:
        case Kind.real:
            return f"{of.real:,} real images"
        case Kind.synthetic:
            return f"{of.synthetic:,} synthetic images alone"
        case Kind.both:
            return f"{of.real:,} real and {of.synthetic:,} synthetic images together"


def _answer(difference: Difference) -> str:
    """The answer with its numbers: `better, by 1.20 ± 0.31 points (5 seeds)`."""
    spread, answer = difference.spread, difference.answer
    seeds = f"{spread.n} seed{'s' if spread.n > 1 else ''}"
    match answer:
        case Answer.better | Answer.worse:
            return f"{answer.value}, by {points(Spread(abs(spread.mean), spread.half_width, spread.n))} ({seeds})"
        case Answer.none:
            return f"{answer.value} ({points(spread)}, {seeds})"
        case Answer.unknown:
            return f"{points(spread)}, {answer.value} ({seeds})"


def percent(spread: Spread) -> str:
    """An accuracy: `97.31 ± 0.12 %`."""
    return f"{_hundredfold(spread, PERCENT)} %"


def points(spread: Spread) -> str:
    """A difference of accuracies: `1.20 ± 0.31 points`."""
    return f"{_hundredfold(spread, (-100.0, 100.0))} points"


def _hundredfold(spread: Spread, ends: Ends) -> str:
    if spread.half_width is None:
        return f"{100 * spread.mean:.2f}"
    return measured(100 * spread.mean, 100 * spread.half_width, ends)
