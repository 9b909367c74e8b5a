"""gan-report: what it compares and what it keeps apart, what it says of damage, and where it writes."""

import csv
import errno
import io
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from gan_cli import wording
from gan_cli.gan_report import curves, page, samples, seeds, text
from gan_cli.gan_report.report import make
from tests import synthetic_runs as synthetic
from tests.conftest import TINY, tree

RING = {"_target_": "gan_cli.datasets.mixtures.Ring", "modes": 8}


def remarks(folder: Path) -> dict[str, list[str]]:
    """What a page says of each run beside its status, pictures included."""
    report = make([folder])
    page.html(report)
    return {row.run.name: row.remarks for row in report.rows}


# Numbers


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "other"},
        {"target": "mine.FrechetDistance"},
        {"code_sha256": "a" * 64},
        {"code_sha256": None},
        {"options": {"samples": 5000, "bootstraps": 100}},
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
    other = synthetic.receipt(samples=sizes, options={"samples": 500, "bootstraps": 100}, split="test")
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
    synthetic.write(tmp_path / "c", config={"dataset": RING | {"modes": 12}})
    synthetic.write(tmp_path / "d", seed=1)
    modes = [set(column.cells) for column in make([tmp_path]).columns if column.name == "modes"]
    assert modes == [{0, 3}, {1}, {2}]


def test_estimates_of_different_divergences_share_neither_column_nor_panel(tmp_path):
    for divergence in synthetic.DIVERGENCES:
        synthetic.write(tmp_path / divergence, divergence)
    one_sided = {"_target_": "gan_cli.penalties.InterpolateOneSided", "weight": 10}
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


# Configs


def test_only_what_differs_is_shown_of_each_run(tmp_path):
    synthetic.write(tmp_path / "a", seed=0)
    synthetic.write(tmp_path / "b", "kl", seed=1, config={"train": {"steps": 100, "batch_size": 32}})
    comparison = make([tmp_path]).comparison
    assert comparison.differing == ["divergence", "train.batch_size", "seed"]
    assert comparison.following == ["divergence._target_", "divergence.generator_loss"]
    assert comparison.shared["train.steps"] == 100
    assert not comparison.shared.keys() & {*comparison.differing, *comparison.following}


def test_what_was_set_on_the_command_line_is_never_folded_away(tmp_path):
    synthetic.write(tmp_path / "a")
    synthetic.write(tmp_path / "b", "kl", overrides=["divergence.generator_loss=minimax"])
    assert "divergence.generator_loss" in make([tmp_path]).comparison.differing


def test_runs_go_by_what_tells_them_apart(tmp_path):
    for seed in (0, 1, 10, 2):
        synthetic.write(tmp_path / f"seed={seed}", seed=seed)
    assert [row.label for row in make([tmp_path]).rows] == ["seed 0", "seed 1", "seed 2", "seed 10"]


def test_a_run_that_was_given_a_name_goes_by_it(tmp_path):
    synthetic.write(tmp_path / "mine", overrides=["name=mine"])
    synthetic.write(tmp_path / "x", seed=1)
    assert [row.label for row in make([tmp_path]).rows] == ["mine", "seed 1"]


def test_intervals_do_not_label_a_run(tmp_path):
    for every in (10, 20):
        synthetic.write(tmp_path / f"run{every}", config={"every": {"log": every}})
    assert [row.label for row in make([tmp_path]).rows] == ["run10", "run20"]


def test_neither_code_nor_metrics_label_a_run(tmp_path):
    extractor = {"_target_": "gan_cli.extractors.classifier.Classifier", "sha256": "e" * 64, "weights": "mnist"}
    for seed, metric in enumerate([{"extractor": extractor}, {"extractor": extractor | {"sha256": None}}, {}]):
        code = {"_target_": f"gan_cli.Run{seed}"}
        synthetic.write(tmp_path / f"run{seed}", config={"metric": metric, **code})
    assert [row.label for row in make([tmp_path]).rows] == ["run0", "run1", "run2"]


def test_a_node_that_some_runs_lack_adds_no_keys_of_its_own(tmp_path):
    extractor = {"_target_": "gan_cli.extractors.classifier.Classifier", "sha256": "e" * 64}
    synthetic.write(tmp_path / "new", config={"metric": {"extractor": extractor}})
    synthetic.write(tmp_path / "old", config={"metric": {}}, seed=1)
    for name in ("new", "old"):  # both say that it was chosen
        hydra = tmp_path / name / ".hydra" / "hydra.yaml"
        hydra.write_text(hydra.read_text().replace("dataset: ring", "dataset: ring\n      metric/extractor: mnist"))
    report = make([tmp_path])
    assert report.comparison.differing == ["seed"]
    assert set(report.comparison.following) == {"metric.extractor._target_", "metric.extractor.sha256"}
    assert [row.label for row in report.rows] == ["seed 0", "seed 1"]


def test_digests_are_shortened_but_in_tables_to_compute_with(tmp_path, inside):
    for seed, digit in enumerate("ab"):
        synthetic.write(tmp_path / digit, seed=seed, record={"git_commit": digit * 40})
    whole = {form: "a" * 9 in inside("gan-report", str(tmp_path), "--format", form).out for form in ("md", "csv")}
    assert whole == {"md": False, "csv": True}
    assert "a" * 9 not in page.html(make([tmp_path]))


def test_equal_configs_go_by_their_folders(tmp_path):
    for name in ("a/default", "b/default"):
        synthetic.write(tmp_path / name)
    assert [row.label for row in make([tmp_path / "a", tmp_path / "b"]).rows] == ["a/default", "b/default"]


# Seeds


def test_means_over_seeds_carry_students_interval(tmp_path):
    values = [5.0, 6.0, 9.0]
    for seed, value in enumerate(values):
        synthetic.write(tmp_path / str(seed), seed=seed, lines=synthetic.metrics(modes=value))
    synthetic.write(tmp_path / "kl", "kl")
    report = make([tmp_path])
    several, one = report.groups
    index = [column.name for column in report.columns].index("modes")
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    mean = several.means[index]
    assert (mean.value, mean.seeds) == (pytest.approx(np.mean(values)), 3)
    assert mean.half_width == pytest.approx((high - low) / 2)
    assert (one.means[index].half_width, one.means[index].seeds) == (None, 1)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30, 101])
def test_the_quantile_is_students(degrees):
    assert seeds.student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-9)


def test_seeds_that_diverged_or_still_run_are_counted_but_not_averaged(tmp_path):
    for seed, status in enumerate(["done", "done", "diverged", "running"]):
        synthetic.write(tmp_path / str(seed), seed=seed, record={"status": status})
    synthetic.write(tmp_path / "again", seed=1)
    (group,) = make([tmp_path]).groups
    assert (group.seeds, group.ended, group.diverged, group.repeated) == ([0, 1, 2, 3], 3, 1, 1)
    assert {mean.seeds for mean in group.means} == {2}


def test_seeds_are_listed_in_order_whatever_they_are(tmp_path):
    for index, seed in enumerate([10, 1, None, 2]):
        synthetic.write(tmp_path / str(index), config={"seed": seed})
    (group,) = make([tmp_path]).groups
    assert group.seeds == [1, 2, 10, None]


def test_an_infinite_number_has_no_interval_over_seeds(tmp_path):
    for seed, value in enumerate(["Infinity", 1.0]):
        synthetic.write(tmp_path / str(seed), seed=seed, lines=synthetic.metrics(exact=value))
    report = make([tmp_path])
    (mean,) = [m for m, column in zip(report.groups[0].means, report.columns, strict=True) if column.name == "exact"]
    assert (mean.value, mean.half_width) == (math.inf, None)


# Honesty


def test_a_silent_run_is_said_to_be_silent(tmp_path):
    folder = synthetic.write(tmp_path / "a", record={"status": "running", "step": 40, "steps": 500})
    for file in folder.glob("*.json*"):
        os.utime(file, (time.time() - 7200,) * 2)
    silent, dead, progress = remarks(tmp_path)["a"]
    assert silent.startswith("nothing written for 2 h 0 min, since 20")
    assert dead == "its process may be dead"
    assert progress == "step 100 of 500"  # metrics.jsonl is ahead of run.json


@pytest.mark.parametrize("status", ["diverged", "failed", "interrupted"])
def test_a_run_that_did_not_finish_tells_why(tmp_path, status):
    synthetic.write(tmp_path / "a", record={"status": status, "error": "diverged: critic_loss is nan", "step": 7})
    (row,) = make([tmp_path]).rows
    assert row.status.word == status
    assert "diverged: critic_loss is nan" in row.remarks


def test_a_refused_run_without_a_config_is_shown(tmp_path):
    synthetic.write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    record = {"status": "failed", "error": "train.steps=0 must be at least 1", "exit_code": 2}
    (tmp_path / "b" / "run.json").write_text(json.dumps(record))
    report = make([tmp_path])
    assert [row.status.word for row in report.rows] == ["done", "failed"]
    assert report.rows[1].remarks == ["train.steps=0 must be at least 1", "there is no config"]
    assert report.comparison.differing == []  # what is not known does not differ


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("run.json", None, "there is no run.json"),
        ("run.json", b'{"status": "do', "run.json is damaged"),
        ("run.json", b"[1, 2]", "run.json is damaged"),
        ("run.json", b"[" * 100_000, "run.json is damaged"),
        (".hydra/config.yaml", b"a: [", ".hydra/config.yaml is damaged"),
        ("metrics.jsonl", b'{"step": 1, "estimate": 2}\n{"step": 2, "est', "metrics.jsonl: 1 damaged line skipped"),
        ("metrics.jsonl", b'\xff\x00\n[1]\n{"step": "x"}\n', "metrics.jsonl: 3 damaged lines skipped"),
        ("evaluation.json", b'{"receipts": [', "evaluation.json is damaged"),
        ("evaluation.json", b'{"receipts": 3}', "evaluation.json is damaged"),
        ("evaluation.json", b'{"receipts": [{"metric": 1}]}', "evaluation.json: 1 damaged receipt skipped"),
        ("samples/step-0000010.png", b"\x89PNG\r\n", "samples/step-0000010.png is damaged"),
    ],
)
def test_damage_is_named_and_does_not_spread(tmp_path, name, content, said):
    for seed in (0, 1):
        pictures = {10: synthetic.digits(0), 20: synthetic.digits(1)}
        synthetic.write(tmp_path / str(seed), seed=seed, receipts=[synthetic.receipt()], pictures=pictures)
    damaged = tmp_path / "0" / name
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content)
    told = remarks(tmp_path)
    assert said in told["0"]
    assert told["1"] == []
    assert said in page.html(make([tmp_path])) or "samples" in name


def test_no_damage_is_fatal(tmp_path):
    whole = synthetic.write(tmp_path / "runs" / "a", receipts=[synthetic.receipt()], pictures={10: synthetic.digits(0)})
    synthetic.write(tmp_path / "runs" / "b", seed=1)
    random = np.random.default_rng(0)
    for file in [path for path in whole.rglob("*") if path.is_file()]:
        content = file.read_bytes()
        for _ in range(6):
            bad = bytearray(content[: random.integers(1, len(content) + 1)])
            for place in random.integers(0, len(bad), 3):
                bad[place] = random.integers(0, 256)
            file.write_bytes(bad)
            page.html(make([tmp_path / "runs"]))
        file.write_bytes(content)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"null", b"a: [", b'{"a": '])
def test_a_single_run_is_reported_whatever_file_it_lacks(tmp_path, content):
    whole = synthetic.write(tmp_path / "a", receipts=[synthetic.receipt()], pictures={10: b""}, checkpoints={100: ""})
    for file in [path for path in whole.rglob("*") if path.is_file() and path.parent.name != "samples"]:
        before = file.read_bytes()
        file.unlink() if content is None else file.write_bytes(content)
        report = make([tmp_path])
        assert len(report.rows) == 1
        for written in (page.html, text.markdown, text.comma_separated, text.as_json):
            written(report)
        file.write_bytes(before)


@pytest.mark.parametrize("name", ["run.json", "evaluation.json"])
def test_no_value_that_is_out_of_place_is_fatal(tmp_path, name):
    record = {"status": "running", "error": "e", "refused": "r", "git_commit": "a", "device": "cpu", "ended": "now"}
    folder = synthetic.write(tmp_path / "a", receipts=[synthetic.receipt()], record=record)
    content = json.loads((folder / name).read_text())
    node = content["receipts"][0] if name == "evaluation.json" else content
    for key, before in list(node.items()):
        for odd in (None, -1, "x", [1], {"a": [1]}):
            node[key] = odd
            (folder / name).write_text(json.dumps(content))
            report = make([tmp_path])
            for written in (page.html, text.markdown, text.as_json):
                written(report)
        node[key] = before


def test_infinity_is_a_number(tmp_path, inside):
    infinite = synthetic.receipt(numbers={"d": {"value": "Infinity", "error": "NaN", "real": None}})
    synthetic.write(tmp_path / "a", lines=synthetic.metrics(exact="Infinity"), receipts=[infinite])
    assert "∞" in page.html(make([tmp_path]))
    listed = json.loads(inside("gan-report", str(tmp_path), "--format", "json").out)["runs"][0]["numbers"]
    assert {number["name"]: number["value"] for number in listed}["exact"] == "Infinity"


def test_names_and_errors_cannot_break_out_of_the_page(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    for name in ("a<b>&", "c"):
        synthetic.write(
            tmp_path / name,
            record={"status": "failed", "error": evil},
            config={"dataset": RING | {"note": f"{evil}{name}"}},
            receipts=[synthetic.receipt(numbers={evil: {"value": 1, "error": None, "real": None}})],
            lines=synthetic.metrics(**{evil: 2.0}),
        )
    html = page.html(make([tmp_path]))
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert html.count("</script>") == 2  # the data and the program
    assert "a<b>" not in html


# Folders


def test_a_study_stands_for_its_members(tmp_path):
    study = {"_target_": "gan_cli.studies.dirac.Dirac"}
    for name in ("one", "two"):
        synthetic.write(tmp_path / "study" / "members" / name)
    synthetic.write(
        tmp_path / "study" / "x", config={"study": study}
    )  # makes the folder of a study in a place of its own
    for file in (".hydra", "run.json"):
        (tmp_path / "study" / "x" / file).rename(tmp_path / "study" / file)
    report = make([tmp_path / "study"])
    assert [row.run.name for row in report.rows] == ["one", "two"]
    assert [study.name for study, _ in report.studies] == ["study"]


def test_runs_are_found_however_deep_and_each_counts_once(tmp_path):
    synthetic.write(tmp_path / "sweep" / "deep" / "er" / "a")
    synthetic.write(tmp_path / "sweep" / "b", seed=1)
    synthetic.write(tmp_path / "sweep" / "b" / "nested", seed=2)
    (tmp_path / "link").symlink_to(tmp_path / "sweep" / "b")
    (tmp_path / "sweep" / "loop").symlink_to(tmp_path / "sweep")
    folders = [tmp_path / "sweep" / "b", tmp_path / "sweep", tmp_path / "sweep" / "b", tmp_path / "link"]
    assert sorted(row.run.name for row in make(folders).rows) == ["b", "deep/er/a", "nested"]
    assert len(make([tmp_path / "sweep", tmp_path / "link"]).rows) == 3


def test_a_link_to_a_run_is_a_run(tmp_path):
    run = synthetic.write(tmp_path / "outputs" / "a")
    (tmp_path / "chosen").mkdir()
    (tmp_path / "chosen" / "mine").symlink_to(run)
    assert len(make([tmp_path / "chosen"]).rows) == 1


# The command


def test_where_the_page_goes(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthetic.write(tmp_path / "sweep" / "a")
    synthetic.write(tmp_path / "sweep" / "b", seed=1)
    assert inside("gan-report", "sweep").out == "sweep/report.html\n"
    assert inside("gan-report", "sweep/a").out == "report.html\n"
    assert inside("gan-report", "sweep/a", "sweep/b").out == "report.html\n"
    assert inside("gan-report", "sweep", "--out", "x.html").out == "x.html\n"
    pages = {path.name: path.read_text() for path in (tmp_path / "sweep" / "report.html", tmp_path / "x.html")}
    assert all(text.startswith("<!DOCTYPE html>") for text in pages.values())


def run_report(*arguments: str, **streams: Any) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    program = "import sys; from gan_cli import cli; sys.argv[0] = 'gan-report'; cli.report()"
    return subprocess.run([sys.executable, "-c", program, *arguments], check=True, **streams)


def test_an_output_that_is_redirected_is_written_to_and_not_replaced(tmp_path):
    run = str(synthetic.write(tmp_path / "a"))
    with (tmp_path / "kept.html").open("wb") as file:
        before = os.fstat(file.fileno()).st_ino
        file.write(b"first\n")
        file.flush()
        run_report(run, "--out", "/dev/stdout", stdout=file)
    assert (tmp_path / "kept.html").stat().st_ino == before
    written = (tmp_path / "kept.html").read_text()
    assert written.startswith("first\n<!DOCTYPE html>")
    assert written.endswith("</html>")


def test_the_ending_of_the_file_chooses_the_format_unless_that_is_given(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthetic.write(tmp_path / "a")
    starts = {"x.html": "<!DOCTYPE html>", "x.HTM": "<!DOCTYPE", "x": "<!DOCTYPE", "x.md": "| run |", "x.json": "{"}
    for name, start in starts.items():
        assert inside("gan-report", "a", "--out", name).code == 0
        assert Path(name).read_text().startswith(start)
    assert inside("gan-report", "a", "--out", "x.csv").code == 0
    assert next(csv.DictReader(Path("x.csv").read_text().splitlines()))["run"] == "a"
    assert inside("gan-report", "a", "--out", "x.txt", "--format", "md").code == 0
    assert Path("x.txt").read_text().startswith("| run |")


def test_a_pipe_and_a_device_are_written_to(tmp_path, inside):
    run = str(synthetic.write(tmp_path / "a"))
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert inside("gan-report", run, "--format", "md", "--out", str(tmp_path / "pipe")).code == 0
    assert os.read(reader, 1000).startswith(b"| run |")
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    assert inside("gan-report", run, "--out", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is not a folder: name that of a run"),
        (["empty"], "empty holds no runs: name the folder"),
        (["run", "nowhere"], "nowhere is not a folder"),
        (["run/run.json"], "run/run.json is not a folder"),
        (["run", "--out", "missing/x.html"], "there is no folder missing): make it"),
        (["run", "--out", "empty"], "--out empty is not a file"),
        (["run", "--format", "pdf"], "invalid choice: 'pdf'"),
        (["run", "--out", "x.pdf"], "--out x.pdf ends in none of html, md, csv, json: rename it, or give --format too"),
        ([], "RUN | SWEEP"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(tmp_path, inside, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    synthetic.write(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    finished = inside("gan-report", *arguments)
    assert finished.code == 2
    assert finished.out == ""
    (line,) = finished.err.splitlines()
    assert line.startswith("gan-report: ")
    assert said in line
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_the_old_report(tmp_path, inside, monkeypatch):
    synthetic.write(tmp_path / "sweep" / "a")
    (tmp_path / "sweep" / "report.html").write_text("old")
    before = tree(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    finished = inside("gan-report", str(tmp_path / "sweep"))
    assert finished.code == 2
    assert "No space left on device" in finished.err
    assert len(finished.err.splitlines()) == 1
    assert tree(tmp_path) == before


def test_the_tables_hold_every_run_and_number(tmp_path, inside):
    for seed in (0, 1):
        synthetic.write(tmp_path / f"a|{seed}", seed=seed, receipts=[synthetic.receipt()])
    before = tree(tmp_path)
    rows = list(csv.DictReader(io.StringIO(inside("gan-report", str(tmp_path), "--format", "csv").out)))
    assert [(row["run"], row["status"], row["seed"]) for row in rows] == [
        ("seed 0", "done", "0"),
        ("seed 1", "done", "1"),
    ]
    assert [float(row["frechet_distance"]) for row in rows] == [3.2, 3.2]
    assert [float(row["frechet_distance error"]) for row in rows] == [0.1, 0.1]
    assert [float(row["exact [Gan, logged]"]) for row in rows] == [0.1, 1.1]
    listed = json.loads(inside("gan-report", str(tmp_path), "--format", "json").out)
    assert [run["config"] for run in listed["runs"]] == [{"seed": 0}, {"seed": 1}]
    assert listed["shared"]["train.batch_size"] == 64
    markdown = inside("gan-report", str(tmp_path), "--format", "md").out.splitlines()
    table = markdown[: markdown.index("")]
    assert len(table) == 4
    assert len({line.count("|") - line.count("\\|") for line in table}) == 1
    assert tree(tmp_path) == before


def test_torch_is_not_imported(tmp_path):
    synthetic.write(tmp_path / "a", receipts=[synthetic.receipt()], pictures={10: synthetic.digits(0)})
    program = f"""
import sys
from gan_cli import cli
sys.argv = ["gan-report", {str(tmp_path)!r}]
cli.report()
print(sorted({{"torch", "numpy", "matplotlib", "scipy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# Sweeps


@pytest.fixture
def swept(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return inside("gan-train", "-m", *TINY, *arguments, "hydra.sweep.dir=sweep")

    return call


def test_a_sweep_ends_with_its_report(swept, tmp_path):
    finished = swept("train.steps=2", "seed=0,1")
    assert finished.code == 0
    assert finished.out.splitlines()[-1] == "sweep/report.html"
    html = (tmp_path / "sweep" / "report.html").read_text()
    assert "seed 0" in html
    assert "seed 1" in html


def test_a_report_that_cannot_be_written_hides_neither_table_nor_exit_code(swept, tmp_path):
    (tmp_path / "sweep" / "report.html").mkdir(parents=True)
    finished = swept("train.steps=2", "seed=0,-1")
    assert finished.code == 2
    assert "status" in finished.out
    assert [line for line in finished.err.splitlines() if "no report" in line]


# Pictures and curves


def test_a_grid_of_pixels_travels_at_the_size_of_its_pixels(tmp_path):
    (run,) = [row.run for row in make([synthetic.write(tmp_path / "a", pictures={1: synthetic.digits(0)})]).rows]
    ((picture,),) = samples.pictures([run])
    assert (picture.width, picture.height, picture.is_pixels) == (242, 242, True)


def test_a_plot_is_scaled_down(tmp_path):
    (run,) = [row.run for row in make([synthetic.write(tmp_path / "a", pictures={1: synthetic.points(0)})]).rows]
    ((picture,),) = samples.pictures([run])
    assert (picture.width, picture.height, picture.is_pixels) == (samples.WIDTH, samples.WIDTH, False)


@pytest.mark.parametrize("size", [(1, 1), (16, 2), (600, 40), (2000, 3000)])
def test_pictures_of_any_size_are_embedded(tmp_path, size):
    buffer = io.BytesIO()
    Image.new("L", size, 7).save(buffer, format="png")
    (run,) = [row.run for row in make([synthetic.write(tmp_path / "a", pictures={1: buffer.getvalue()})]).rows]
    assert [len(of_run) for of_run in samples.pictures([run])] == [1]
    assert run.problems == []


@pytest.mark.parametrize("draw", [synthetic.digits, synthetic.points])
def test_twenty_runs_fit_in_five_megabytes(tmp_path, draw):
    pictures = {step: draw(step) for step in range(100, 900, 100)}
    for seed in range(20):
        lines = [
            line | {name: number * 1.2345 for name, number in line.items() if name not in ("step", "seconds")}
            for line in synthetic.metrics(range(1, 402), level=math.pi + seed)
        ]
        synthetic.write(tmp_path / str(seed), seed=seed, lines=lines, pictures=pictures, receipts=[synthetic.receipt()])
    html = page.html(make([tmp_path]))
    assert html.count('src="data:image/webp') == 160
    assert len(html.encode()) < 5_000_000


def test_marks_are_explained_where_there_are_several(tmp_path):
    synthetic.write(tmp_path / "a", lines=synthetic.metrics())
    synthetic.write(tmp_path / "b", "kl", lines=synthetic.metrics(exact=1.0))
    sections = curves.by_divergence([row.run for row in make([tmp_path]).rows])
    assert [list(section.panels[0].marks) for section in sections] == [[], ["line", "dots"]]
    assert not any(section.panels[0].name in section.panels[0].marks.values() for section in sections)


def test_thinning_keeps_the_ends_and_the_extremes():
    values = [math.sin(step / 7) for step in range(1000)]
    values[500], values[501], values[777] = 99.0, -99.0, math.inf
    kept = curves.thinned(values, 100)
    assert len(kept) <= 100
    assert {0, 500, 501, 777, 999} <= set(kept)
    assert curves.thinned(values, 1000) == list(range(1000))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, 2.0, 50.0], "linear"),
        ([0.1, 1.0, 100.0], "log"),
        ([-1.0, 0.0, 1.0, -2.0, 1.0, 1000.0], "symlog"),
        ([0.0, 1.0, 8.0], "linear"),
        ([math.inf, math.nan], "linear"),
        ([0.0, 0.0], "linear"),
    ],
)
def test_the_scale_fits_the_values(values, kind):
    assert curves.scale(values)["kind"] == kind
