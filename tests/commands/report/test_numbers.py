"""gan-report's numbers: what may stand in one column, and how it is written."""

import math

import pytest

from gan_cli.commands.report import curves, page
from gan_cli.commands.report.report import make
from gan_cli.show import intervals, wording
from tests.helpers import synthetic_runs as synthetic


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "other"},
        {"target": "mine.FrechetDistance"},
        {"code_sha256": "a" * 64},
        {"code_sha256": None},
        {"options": {"samples": 5000}},
        {"samples": {"generated": 10000, "real": 5000, "held_out": 10000}},
        {"split": "test"},
        {"split": None},
        {"samples": {}},
        {"extractor": "inception"},
        {"extractor_sha256": "f" * 64},
        {"weights": "raw"},
        {"seed": 1},
        {"dtype": "float64"},
        {"dataset_sha256": "a" * 64},
        {"versions": {"gan-cli": "0.2.0", "torch": "2.6.0"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_unlike_receipts_never_stand_in_one_column(tmp_path, change):
    synthetic.write(tmp_path / "a", receipts=[synthetic.receipt()], lines=[])
    synthetic.write(tmp_path / "b", receipts=[synthetic.receipt(**change)], lines=[], seed=1)
    first, second = make([tmp_path]).columns
    assert (set(first.cells), set(second.cells)) == ({0}, {1})
    assert first.distinction != second.distinction
    assert first.title != second.title


@pytest.mark.parametrize(
    "change", [{"step": 50}, {"checkpoint_sha256": "0"}, {"device": "gpu"}, {"seconds": 9.0}, {"git_commit": "abc"}]
)
def test_like_receipts_stand_in_one_column(tmp_path, change):
    synthetic.write(tmp_path / "a", receipts=[synthetic.receipt()], lines=[])
    synthetic.write(tmp_path / "b", receipts=[synthetic.receipt(**change)], lines=[], seed=1)
    (column,) = make([tmp_path]).columns
    assert set(column.cells) == {0, 1}
    assert column.title == "frechet_distance"


def test_the_newest_receipt_counts_and_its_step_is_said_where_it_is_not_the_last(tmp_path):
    old, new = (
        synthetic.receipt(step=step, numbers={"d": {"value": value, "error": None, "real": None}})
        for step, value in ((50, 9.0), (80, 7.0))
    )
    synthetic.write(tmp_path / "a", receipts=[new, old], lines=[])
    synthetic.write(tmp_path / "b", receipts=[old, synthetic.receipt(numbers=old["numbers"])], lines=[])
    (column,) = make([tmp_path]).columns
    assert [(cell.value, cell.step) for cell in column.cells.values()] == [(7.0, 80), (9.0, None)]
    assert "at step 80" in page.html(make([tmp_path]))


def test_a_number_is_shown_with_its_interval_and_its_floor(tmp_path, inside):
    synthetic.write(tmp_path / "a", receipts=[synthetic.receipt()], lines=[])
    out = inside("gan-report", str(tmp_path), "--format", "md").out
    assert "3.20 ± 0.20, real 0.9" in out


@pytest.mark.parametrize(
    ("value", "half_width", "shown"),
    [
        (3.14159, 0.0196, "3.142 ± 0.020"),
        (1234.5, 83.0, "1234 ± 83"),
        (83165.0, 81152.0, "83000 ± 81000"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.12345, None, "0.1235"),
        (math.inf, 0.5, "∞"),
        (-math.inf, None, "-∞"),
        (math.nan, None, "NaN"),
        (2.0, math.inf, "2 ± ∞"),
        (-0.0001, 0.05, "0.000 ± 0.050"),
        (1e-12, 1e-13, "1e-12 ± 1e-13"),
    ],
)
def test_numbers_are_written_to_two_digits_of_their_interval(value, half_width, shown):
    assert wording.measured(value, half_width) == shown


@pytest.mark.parametrize(
    ("name", "value", "half_width", "shown"),
    [
        ("accuracy", 0.5, 0.1, "0.50 ± 0.10"),
        ("accuracy/cat", 1.0, 0.05, "1.000 [0.950, 1.000]"),
        ("error/fgsm:epsilon=0.1", 0.02, 0.061, "0.020 [0.000, 0.081]"),
        ("class_agreement/7", 0.9, 0.2, "0.90 [0.70, 1.00]"),
        ("frechet_distance", 1.0, 2.0, "1.0 [0.0, 3.0]"),
        ("frechet_distance", 1.0, math.inf, "1 [0, ∞]"),
        ("kernel_distance", -0.1, 0.2, "-0.10 ± 0.20"),
        ("batch_accuracy", 1.0, None, "1"),
        ("modes", math.inf, 1.0, "∞"),
    ],
)
def test_an_interval_is_cut_to_what_the_number_can_be(name, value, half_width, shown):
    assert wording.measured(value, half_width, intervals.range_of(name)) == shown


def test_whiskers_are_cut_as_well():
    below, above = intervals.whiskers([0.02, 0.5, 1.0], [0.1, 0.1, 0.1], intervals.SHARE)
    assert below == pytest.approx([0.02, 0.1, 0.1])
    assert above == pytest.approx([0.1, 0.1, 0])


def test_a_metric_that_does_not_apply_is_told_with_its_reason(tmp_path, inside):
    refused = synthetic.receipt(metric="frechet", numbers={}, refused="needs <images>")
    synthetic.write(tmp_path / "a", receipts=[synthetic.receipt()], lines=[])
    synthetic.write(tmp_path / "b", receipts=[refused], lines=[], seed=1)
    report = make([tmp_path])
    assert report.refusals == {("frechet", "needs <images>"): ["seed 1"]}
    assert "frechet: needs &lt;images&gt;" in page.html(report)
    markdown = inside("gan-report", str(tmp_path), "--format", "md").out
    assert "frechet does not apply to seed 1: needs &lt;images>" in markdown


def test_a_refusal_is_told_only_of_a_metric_without_a_number_and_with_its_newest_reason(tmp_path):
    def refused(day: int, **changes) -> dict:
        return synthetic.receipt(numbers={}, made=f"2026-11-{day}T08:00:00+00:00", **changes)

    receipts = [
        synthetic.receipt(),
        refused(23, extractor="other", refused="needs three channels"),
        refused(25, metric="kernel", refused="new", step=50),
        refused(24, metric="kernel", refused="old", step=100),
    ]
    synthetic.write(tmp_path / "a", receipts=receipts, lines=[])
    report = make([tmp_path])
    assert report.rows[0].refusals == {"kernel": "new"}
    assert "needs three channels" not in page.html(report)


def test_receipts_of_weights_that_are_gone_are_marked_and_not_averaged(tmp_path, inside):
    kept = [{100: "0" * 64}, {100: "c" * 64}, {90: "0" * 64}]  # retrained, as measured, pruned
    for seed, checkpoints in enumerate(kept):
        synthetic.write(tmp_path / str(seed), seed=seed, receipts=[synthetic.receipt()], checkpoints=checkpoints)
    report = make([tmp_path])
    index = [column.name for column in report.columns].index("frechet_distance")
    assert [cell.is_of_other_weights for cell in report.columns[index].cells.values()] == [True, False, False]
    assert report.groups[0].means[index].seeds == 2
    assert page.html(report).count(">of other weights<") == 1
    for form, said in (("md", ", of other weights"), ("csv", "of other weights"), ("json", '"of_other_weights": true')):
        assert inside("gan-report", str(tmp_path), "--format", form).out.count(said) == 1


def test_a_number_of_other_weights_hides_no_other(tmp_path):
    receipts = [
        synthetic.receipt(step=step, numbers=synthetic.numbers("modes", value=step), checkpoint_sha256=digest * 64)
        for step, digest in ((50, "a"), (60, "b"), (80, "c"))
    ]
    synthetic.write(tmp_path / "a", receipts=receipts, checkpoints={50: "a" * 64, 60: "0" * 64, 80: "0" * 64})
    synthetic.write(tmp_path / "b", receipts=receipts, checkpoints=dict.fromkeys((50, 60, 80), "0" * 64), seed=1)
    modes = [column for column in make([tmp_path]).columns if column.name == "modes"]
    told = [(column.logged, {run: cell.value for run, cell in column.cells.items()}) for column in modes]
    assert told == [(False, {0: 50, 1: 80}), (True, {1: 6})]


def test_circumstances_are_told_in_few_words(tmp_path):
    receipts = [
        synthetic.receipt(),
        synthetic.receipt(code_sha256="0123456789abcdef" * 4, samples={}, split=None),
        {key: value for key, value in synthetic.receipt().items() if key not in ("target", "code_sha256")},
    ]
    synthetic.write(tmp_path / "a", receipts=receipts, lines=[])
    assert [column.distinction for column in make([tmp_path]).columns] == [
        ["target FrechetDistance", "code ffffffff", "samples.generated 10000", "split train"],
        ["target FrechetDistance", "code 01234567", "no samples.generated", "no split"],
        ["target unknown", "code unknown", "samples.generated 10000", "split train"],
    ]


def test_classes_of_one_name_are_told_by_their_modules(tmp_path):
    for name in ("mine", "yours"):
        receipt = synthetic.receipt(target=f"{name}.Distance")
        synthetic.write(tmp_path / name, receipts=[receipt], lines=[], seed=len(name))
    distinctions = [column.distinction for column in make([tmp_path]).columns]
    assert distinctions == [["target mine.Distance"], ["target yours.Distance"]]


def test_metrics_of_few_numbers_come_first_and_parts_of_one_thing_last(tmp_path, inside):
    shares = [f"class_share_{index}" for index in range(10)]
    alone = {"generated": 10000, "held_out": 10000}
    receipts = [
        synthetic.receipt(metric="class_histogram", numbers=synthetic.numbers(*shares, "class_kl", "classes_seen")),
        synthetic.receipt(metric="classifier_score", numbers=synthetic.numbers("classifier_score"), samples=alone),
        synthetic.receipt(metric="precision_recall", numbers=synthetic.numbers("precision", "recall")),
        synthetic.receipt(metric="kernel", numbers=synthetic.numbers("kernel_distance")),
        synthetic.receipt(),
    ]
    synthetic.write(tmp_path / "a", receipts=receipts, lines=synthetic.metrics(**dict.fromkeys(shares, 0.1), top_5=0.9))
    synthetic.write(tmp_path / "b", seed=1, receipts=receipts[:1])
    report = make([tmp_path])
    assert [report.columns[index].name for index in report.general] == [
        *("frechet_distance", "kernel_distance", "classifier_score", "precision", "recall"),
        *("class_kl", "classes_seen", "top_5", "modes"),
    ]
    assert [column.name for column in report.columns[-10:]] == shares
    assert {family: len(columns) for family, columns in report.families.items()} == {"class_share_": 10}
    html = page.html(report)
    table = html[html.index("<table>") : html.index("</table>")]
    assert "class_share_0" not in table
    assert html.count("<details><summary>class_share_…</summary>") == 3  # the numbers, their means, their curves
    markdown = inside("gan-report", str(tmp_path), "--format", "md").out.split("\n\n")
    assert ["class_share_0" in part for part in markdown[:2]] == [False, True]


def test_what_tells_columns_apart_is_told_once(tmp_path):
    sizes = {"generated": 500, "real": 500, "held_out": 500}
    other = synthetic.receipt(samples=sizes, options={"samples": 500}, split="test")
    synthetic.write(tmp_path / "a", receipts=[synthetic.receipt(), other], lines=[])
    distinctions = [column.distinction for column in make([tmp_path]).columns]
    assert distinctions == [["samples 10000", "split train"], ["samples 500", "split test"]]


def test_what_training_logged_stands_in_for_a_receipt_and_gives_way_to_it(tmp_path):
    measured = synthetic.receipt(metric="modes", numbers={"modes": {"value": 8, "error": 0.5, "real": 8}})
    synthetic.write(tmp_path / "a", receipts=[measured])
    synthetic.write(tmp_path / "b", seed=1)
    modes = [column for column in make([tmp_path]).columns if column.name == "modes"]
    assert [(column.logged, set(column.cells)) for column in modes] == [(False, {0}), (True, {1})]
    assert "logged during training" in page.html(make([tmp_path]))


def test_logged_numbers_of_unlike_data_or_metrics_stand_apart(tmp_path):
    metric = {"_target_": "gan_cli.metrics.modes.ModeCoverage", "samples": 100}
    synthetic.write(tmp_path / "a")
    synthetic.write(tmp_path / "b", config={"metric": {"modes": metric}})
    synthetic.write(tmp_path / "c", config={"dataset": {"_target_": "gan_cli.datasets.mixtures.Ring", "modes": 12}})
    synthetic.write(tmp_path / "d", seed=1)
    modes = [set(column.cells) for column in make([tmp_path]).columns if column.name == "modes"]
    assert modes == [{0, 3}, {1}, {2}]


def test_estimates_of_different_divergences_share_neither_column_nor_panel(tmp_path):
    for divergence in synthetic.DIVERGENCES:
        synthetic.write(tmp_path / divergence, divergence)
    one_sided = {"_target_": "gan_cli.divergences.penalties.InterpolateOneSided", "weight": 10}
    synthetic.write(
        tmp_path / "wgan_lp",
        "wgan_gp",
        config={"divergence": synthetic.DIVERGENCES["wgan_gp"] | {"penalty": one_sided}},
    )
    report = make([tmp_path])
    for name in ("estimate", "exact"):
        assert [set(column.cells) for column in report.columns if column.name == name] == [{0}, {1}, {2, 3}]
    sections = curves.by_divergence([row.run for row in report.rows])
    assert [section.runs for section in sections] == [[0], [1], [2, 3]]
    for section in sections:
        for panel in section.panels:
            assert {series.run for series in panel.series} <= set(section.runs)


def test_estimates_of_packs_and_of_samples_share_no_column(tmp_path):
    for packing in (1, 2):
        synthetic.write(tmp_path / f"packing_{packing}", "gan", config={"train": {"packing": packing}})
    assert [set(column.cells) for column in make([tmp_path]).columns if column.name == "estimate"] == [{0}, {1}]
