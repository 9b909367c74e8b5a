"""gan-report's runs: what they are called, which settings are shown, and seeds taken together."""

import math

import numpy as np
import pytest
from scipy import stats

from gan_cli.commands.report import page, seeds
from gan_cli.commands.report.report import make
from tests.helpers import synthetic_runs as synthetic


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
    extractor = {"_target_": "gan_cli.metrics.extractors.classifier.Classifier", "sha256": "e" * 64, "weights": "mnist"}
    for seed, metric in enumerate([{"extractor": extractor}, {"extractor": extractor | {"sha256": None}}, {}]):
        code = {"_target_": f"gan_cli.Run{seed}"}
        synthetic.write(tmp_path / f"run{seed}", config={"metric": metric, **code})
    assert [row.label for row in make([tmp_path]).rows] == ["run0", "run1", "run2"]


def test_a_node_that_some_runs_lack_adds_no_keys_of_its_own(tmp_path):
    extractor = {"_target_": "gan_cli.metrics.extractors.classifier.Classifier", "sha256": "e" * 64}
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
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.seeds == 3
    assert mean.interval == pytest.approx((low, high))
    assert (one.means[index].interval, one.means[index].seeds) == (None, 1)


@pytest.mark.parametrize("value", [0.0, 0.1, 8.0])
def test_equal_numbers_are_not_certain(value, tmp_path, inside):
    """Three times 0.1 add up to more than 0.3."""
    for seed in range(3):
        synthetic.write(tmp_path / str(seed), seed=seed, lines=synthetic.metrics(modes=value))
    report = make([tmp_path])
    index = [column.name for column in report.columns].index("modes")
    mean = report.groups[0].means[index]
    assert mean.value == pytest.approx(value)
    assert (mean.interval, mean.seeds) == (None, 3)
    assert f"| {value:.4g} (3) |" in inside("gan-report", str(tmp_path), "--format", "md").out
    assert "± 0 <small>n = 3" not in page.html(report)


@pytest.mark.parametrize(
    ("name", "values", "ends", "shown"),
    [
        ("high_quality_share", (0.0, 0.2, 0.85), (0, 1), "0.35 [0.00, 1.00] (3)"),
        ("high_quality_share", (0.9, 0.95, 0.99), (0, 1), "0.95 [0.83, 1.00] (3)"),
        ("high_quality_share", (0.4, 0.5, 0.6), (0, 1), "0.50 ± 0.25 (3)"),
        ("class_share_7", (0.0, 0.01, 0.0), (0, 1), "0.003 [0.000, 0.018] (3)"),
        ("recall", (0.0, 0.02, 0.0), (0, 1), "0.007 [0.000, 0.035] (3)"),
        ("frechet_distance", (30.0, 60.0, 240.0), (0, math.inf), "110 [0, 390] (3)"),
        ("classifier_score", (1.0, 1.0, 2.0), (1, math.inf), "1.3 [1.0, 2.8] (3)"),
        ("kernel_distance", (-0.1, 0.1, 0.3), (-math.inf, math.inf), "0.10 ± 0.50 (3)"),
        ("shared", (0.0, 1.0, 0.5), (-math.inf, math.inf), "0.5 ± 1.2 (3)"),
    ],
)
def test_an_interval_ends_where_the_number_does(name, values, ends, shown, tmp_path, inside):
    for seed, value in enumerate(values):
        synthetic.write(tmp_path / str(seed), seed=seed, lines=synthetic.metrics(**{name: value}))
    report = make([tmp_path])
    index = [column.name for column in report.columns].index(name)
    low, high = report.groups[0].means[index].interval
    students = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (low, high) == pytest.approx(tuple(np.clip(students, *ends)))
    assert shown in inside("gan-report", str(tmp_path), "--format", "md").out
    assert shown.removesuffix(" (3)") + " <small>n = 3" in page.html(report)
    assert f'"high": {high}' in inside("gan-report", str(tmp_path), "--format", "json").out


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


@pytest.mark.parametrize(("first", "mean"), [(1.0, math.inf), ("-Infinity", math.nan)])
def test_an_infinite_number_has_no_interval_over_seeds(first, mean, tmp_path):
    for seed, value in enumerate([first, "Infinity"]):
        synthetic.write(tmp_path / str(seed), seed=seed, lines=synthetic.metrics(exact=value))
    report = make([tmp_path])
    (found,) = [m for m, column in zip(report.groups[0].means, report.columns, strict=True) if column.name == "exact"]
    assert found.value == pytest.approx(mean, nan_ok=True)
    assert found.interval is None
