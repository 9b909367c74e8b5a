"""gan-report's numbers under attack: a table and curves for each attack, with its sizes side by side."""

import csv
import io

import pytest

from gan_cli.commands.report import curves, page
from gan_cli.commands.report.attacks import trained_against
from gan_cli.commands.report.report import Report, make
from tests.helpers import synthetic_runs as synthetic


def receipt(name: str, error: float, confidence: float | None = None, seed: int = 0, **options) -> dict:
    """One of gan-attack, with standard errors of 1 %."""
    numbers = {f"error/{name}": {"value": error, "error": 0.01, "real": None}}
    if confidence is not None:
        numbers[f"confidence/{name}"] = {"value": confidence, "error": 0.01, "real": None}
    return synthetic.receipt(metric=f"attack {name}", options=options, numbers=numbers, seed=seed)


def fgsm(*errors: float, suffix: str = "", seed: int = 0) -> list[dict]:
    sizes = (0.25, 0, 0.1)
    return [
        receipt(f"fgsm:epsilon={size}{suffix}", error, 0.9, seed, epsilon=size)
        for size, error in zip(sizes, errors, strict=False)
    ]


ATTACKS = {
    "none": {"_target_": "gan_cli.attacks.base.NoAttack"},
    "fgsm": {"_target_": "gan_cli.attacks.gradient.FastGradient", "epsilon": 0.1},
}


def compared(tmp_path) -> Report:
    """Two runs that differ in what they were trained against, and one that was not attacked."""
    rubbish = [receipt("rubbish", error, mean=0.0) for error in (0.5, 0.505)]
    for name, receipts in {
        "none": [*fgsm(1.0, 0.02, 0.6), rubbish[0]],
        "fgsm": [*fgsm(0.4, 0.03, 0.1), rubbish[1]],
    }.items():
        synthetic.write(tmp_path / name, config={"attack": ATTACKS[name]}, receipts=receipts, lines=[])
    synthetic.write(tmp_path / "other", seed=1)
    return make([tmp_path])


def test_the_sizes_of_an_attack_stand_side_by_side_in_order(tmp_path):
    report = compared(tmp_path)
    assert [(of.title, [size.heading for size in of.sizes]) for of in report.attacks] == [
        ("fgsm", ["ε = 0", "ε = 0.1", "ε = 0.25"]),
        ("rubbish", ["error"]),
    ]
    assert report.attacked == [0, 1]
    shown = {report.columns[index].name for indices in (report.general, *report.families.values()) for index in indices}
    assert not any("/" in name for name in shown)


def test_the_least_error_is_marked_with_those_that_cannot_be_told_from_it(tmp_path):
    report = compared(tmp_path)
    labels = [[report.rows[run].run.name for run in size.least] for of in report.attacks for size in of.sizes]
    assert labels == [[], ["fgsm"], ["fgsm"], []]  # 2 and 3 % cannot be told apart, nor can 50 and 50.5 %
    three = [0.1, 0.11, 0.3]
    for index, error in enumerate(three):
        synthetic.write(tmp_path / "three" / str(index), receipts=fgsm(error), lines=[], seed=index)
    ((size,),) = (of.sizes for of in make([tmp_path / "three"]).attacks)
    assert size.least == {0, 1}


def test_tables_tell_what_each_run_was_trained_against(tmp_path, inside):
    compared(tmp_path)
    out = inside("gan-report", str(tmp_path), "--format", "md").out
    assert "| run | trained against | ε = 0 | ε = 0.1 | ε = 0.25 |" in out
    assert "NoAttack | 2.0 ± 2.0 (90.0 ± 2.0) | 60.0 ± 2.0 (90.0 ± 2.0) | 100.0 [98.0, 100.0] (90.0 ± 2.0) |\n" in out
    assert (
        "FastGradient:epsilon=0.1 | 3.0 ± 2.0 (90.0 ± 2.0) | **10.0 ± 2.0** (90.0 ± 2.0) | **40.0 ± 2.0** (90.0" in out
    )
    assert "FastGradient:epsilon=0.1 | 50.5 ± 2.0 |" in out
    html = page.html(make([tmp_path]))
    assert "<td>FastGradient:epsilon=0.1</td>" in html
    assert '<th scope="colgroup" class="first" colspan="3">fgsm</th>' in html
    assert "<strong>40.0 ± 2.0</strong><small>confidence 90.0 ± 2.0</small>" in "".join(html.splitlines())
    (head, *rows) = csv.reader(io.StringIO(inside("gan-report", str(tmp_path), "--format", "csv").out))
    assert {row[head.index("error/fgsm:epsilon=0.1")] for row in rows} == {"0.6", "0.1", ""}
    assert trained_against({"attack": "fgsm", "attack.epsilon": 0.1}) == "fgsm:epsilon=0.1"
    assert trained_against({}) == "none"


def test_curves_are_the_errors_over_the_size(tmp_path):
    report = compared(tmp_path)
    (panel,) = curves.under_attack(report.attacks, report.columns)
    assert (panel.name, panel.axis) == ("error under fgsm (%)", "ε")
    points = {report.rows[of.run].run.name: of.points for of in panel.series}
    assert points["none"] == [(0, 2), (0.1, 60), (0.25, 100)]
    (data,) = curves.as_data([panel])
    assert (data["ends"], data["series"][0]["errors"]) == ([0, 100], [1, 1, 1])


@pytest.mark.parametrize("change", [{"suffix": ":clip=false"}, {"seed": 1}])
def test_unlike_attacks_stand_apart(tmp_path, change):
    synthetic.write(tmp_path / "a", receipts=[*fgsm(0.5, 0.1), *fgsm(0.6, **change)], lines=[])
    synthetic.write(tmp_path / "b", receipts=fgsm(0.4, 0.1, **change), lines=[], seed=1)
    first, second = make([tmp_path]).attacks
    assert first.title != second.title
    assert [len(of.sizes) for of in (first, second)] == [2, 2]


def test_means_over_seeds_have_a_table_for_each_attack(tmp_path, inside):
    for seed in range(3):
        synthetic.write(tmp_path / str(seed), receipts=fgsm(0.9 + 0.04 * seed), lines=[], seed=seed)
    out = inside("gan-report", str(tmp_path), "--format", "md").out
    assert out.count("| 0.940 [0.841, 1.000] (3) |") == 1
    assert "<summary>under fgsm</summary>" in page.html(make([tmp_path]))


def test_reports_without_attacks_tell_of_none(tmp_path, inside):
    synthetic.write(tmp_path / "a")
    assert "attack" not in inside("gan-report", str(tmp_path), "--format", "md").out
    assert 'id="attacks"' not in page.html(make([tmp_path]))
