"""What the classifiers show, against values worked by hand."""

import math

import pytest

from gan_cli.commands.cas import text
from gan_cli.commands.cas.findings import Answer, Spread, concluded, losses, of_real, of_synthetic, spread
from gan_cli.commands.cas.results import Result, accuracy_of, class_accuracies, is_confusion
from gan_cli.commands.cas.verdict import percent, points, verdict
from tests.helpers.cas import CLASSES, plan, result, results

CONDITIONS = plan().conditions


def conclude(accuracies, **others):
    return concluded(CONDITIONS, results(accuracies), CLASSES, **others)


def answer(findings, of, than="real"):
    (found,) = (d for d in findings.differences if (d.of.name, d.than.name) == (of, than))
    return found


def test_the_interval_is_students():
    # t₀.₉₇₅ of 2 degrees of freedom is 4.302653 (Abramowitz & Stegun, table 26.10: 4.303); 1, 2, 3 deviate by 1.
    found = spread([1.0, 2.0, 3.0])
    assert found.mean == pytest.approx(2, abs=1e-12)
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), abs=1e-5)
    assert found.n == 3


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [0.1 + 0.2, 0.3]])
def test_one_number_and_equal_ones_have_no_interval(values):
    assert spread(values).half_width is None


def test_conditions_are_compared_by_the_seed():
    # Seeds differ by much more than the conditions do, and yet every seed says the same.
    found = answer(conclude({"real": [0.90, 0.95, 0.80], "synthetic": [0.88, 0.932, 0.782]}), "synthetic")
    # −0.020, −0.018, −0.018: mean −0.018667, deviation 0.0011547, half width 4.302653 · 0.0011547 / √3 = 0.0028684
    assert found.spread.mean == pytest.approx(-0.0186667, abs=1e-6)
    assert found.spread.half_width == pytest.approx(0.0028684, abs=1e-6)
    assert found.answer is Answer.worse


def test_only_seeds_of_both_are_compared():
    found = answer(conclude({"real": [0.9, 0.9, 0.9], "synthetic": [0.8, 0.81]}), "synthetic")
    assert sorted(found.by_seed) == [0, 1]
    other = conclude({"real": [0.9], "synthetic": []})
    assert other.differences == []


@pytest.mark.parametrize(
    ("synthetic", "expected"),
    [
        ([0.80, 0.81, 0.82], Answer.worse),
        ([0.95, 0.96, 0.97], Answer.better),
        ([0.88, 0.93, 0.90], Answer.none),
        ([0.90, 0.90, 0.90], Answer.none),
        ([0.80], Answer.unknown),
        ([0.80, 0.80, 0.80], Answer.unknown),
    ],
)
def test_the_answers(synthetic, expected):
    found = conclude({"real": [0.9] * 3, "synthetic": synthetic})
    assert answer(found, "synthetic").answer is expected
    told = verdict(found, train_gan=False)
    words = {answer.value for answer in Answer if answer.value in told}
    assert words == {expected.value}
    assert "\n" not in told


def test_the_verdict_of_few_images_tells_which_is_better_with_its_interval_and_seeds():
    few = {"real,per_class=50": [0.9, 0.91, 0.9, 0.92, 0.9], "both,per_class=50": [0.95, 0.95, 0.96, 0.96, 0.94]}
    told = verdict(conclude({"real": [0.99, 0.98], **few}), train_gan=False)
    # Differences 5, 4, 6, 4, 4: mean 4.6, deviation 0.894427, t₄ 2.776445: half width 1.110578
    assert (
        "At 50 real images a class, real and synthetic images together, compared to real ones alone: better, by" in told
    )
    assert "4.6 ± 1.1 points (5 seeds)" in told
    assert "not trained anew" in told
    anew = verdict(conclude({"real": [0.99, 0.98], **few}), train_gan=True)
    assert "trained anew, on these images alone" in anew


def test_classes_that_lose_most_are_named():
    real = Result("real", 0, 0.9, [[90, 10, 0], [5, 95, 0], [0, 15, 85]])
    synthetic = Result("synthetic", 0, 0.8, [[60, 40, 0], [3, 97, 0], [0, 25, 75]])
    found = concluded(CONDITIONS, [real, synthetic], CLASSES)
    lost = losses(of_synthetic(found), of_real(found))
    assert [label for label, _ in lost] == [0, 2, 1]
    assert [loss for _, loss in lost] == pytest.approx([0.3, 0.1, -0.02], abs=1e-12)
    assert text.per_class(found)[1] == ("cat", "90.00 %", "60.00 %", "-30.00")


def test_a_class_without_test_images_has_no_accuracy():
    assert class_accuracies([[3, 1], [0, 0]]) == [0.75, None]
    assert accuracy_of([[3, 1], [0, 0]]) == 0.75


@pytest.mark.parametrize(
    "value", [None, [], [[1, 0]], [[1, 0], [0]], [[1, -1], [0, 1]], [[0, 0], [0, 0]], [[1.0, 0], [0, 1]], "ab"]
)
def test_what_is_no_confusion(value):
    assert is_confusion([[1, 0], [0, 1]], 2)
    assert not is_confusion(value, 2)


def test_the_test_sets_own_error_is_said_apart():
    (summary,) = conclude({"real": [0.9, 0.9, 0.9]}).summaries.values()
    # 3,000 test images: Agresti–Coull's share is (2700 + 2) / 3004, its error √(p(1−p)/3004).
    share = 2702 / 3004
    assert summary.test_error == pytest.approx(1.96 * math.sqrt(share * (1 - share) / 3004), abs=1e-12)


def test_what_diverged_and_what_is_missing_are_told():
    told = verdict(conclude({"real": [0.9]}, diverged=["synthetic,seed=1"], missing=["a", "b"]), train_gan=False)
    assert "Diverged, and left out: synthetic,seed=1." in told
    assert "Not trained yet: 2" in told


def test_every_number_has_its_seeds_its_interval_and_its_method():
    found = [*results({"real": [0.9, 0.92], "synthetic": [0.8, 0.83]}), result("real", 2, 0.91, on_synthetic=0.75)]
    written = text.as_json(concluded(CONDITIONS, found, CLASSES), "worse")
    score = written["classification_accuracy_score"]
    assert score["value"] == pytest.approx(0.815, abs=1e-12)
    assert score["seeds"] == 2
    assert score["interval"][0] < 0.815 < score["interval"][1]
    assert written["gap_to_real"]["value"] == pytest.approx(-0.095, abs=1e-12)
    assert written["real_on_synthetic"]["value"] == 0.75
    numbers = [score, written["gap_to_real"], written["conditions"]["real"]["accuracy"], *written["differences"]]
    assert all({"value", "interval", "seeds", "method"} <= number.keys() for number in numbers)


def test_the_table_has_a_row_for_each_condition_and_comparison():
    found = conclude({"real": [0.9, 0.92], "synthetic": [0.8, 0.83], "both,ratio=1": [0.91, 0.93]}, notes=["small"])
    told = text.table(found)
    assert all(summary.condition.label in told for summary in found.summaries.values())
    assert "synthetic − real" in told
    assert "note: small" in told


def test_the_interval_of_an_accuracy_is_cut_at_all_and_that_of_a_difference_goes_below_nothing():
    assert percent(Spread(0.999, 0.003, 3)) == "99.90 [99.60, 100.00] %"
    assert points(Spread(0.001, 0.003, 3)) == "0.10 ± 0.30 points"
