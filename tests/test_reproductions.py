"""The tables of docs/reproductions.md and docs/choosing.md: what is not run again stays."""

import json
from dataclasses import replace

import pytest

from docs import choosing, recipes, reproductions
from docs.recipes import Recipe, is_done, rows_before, spliced
from gan_cli.config import options
from tests.helpers.configs import TINY
from tests.helpers.runs import train

TOYS = reproductions.TABLES["toys"]


@pytest.fixture(autouse=True)
def no_runs(tmp_path, monkeypatch):
    for module in (reproductions, choosing):
        monkeypatch.setattr(module, "RUNS", tmp_path)


def committed(name: str) -> str:
    page = reproductions.PAGE.read_text()
    return "\n".join(rows_before(page, name).values())


@pytest.mark.parametrize("name", reproductions.TABLES)
def test_a_table_without_runs_stays_as_it_is(name):
    page = reproductions.PAGE.read_text()
    again = reproductions.markdown(name, reproductions.TABLES[name], rows_before(page, name))
    assert again == committed(name)
    assert spliced(page, name, again) == page


def test_rows_of_other_columns_do_not_stay():
    before = rows_before(reproductions.PAGE.read_text(), "toys")
    again = reproductions.markdown("toys", replace(TOYS, numbers=("modes",)), before)
    assert again.count("\n") == 1 + len(TOYS.rows)
    assert "PacGAN" in again
    assert "real data" not in again


def test_a_run_that_has_not_ended_leaves_its_row(tmp_path):
    run = tmp_path / "toys-ring-s0"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"status": "running"}))
    page = reproductions.PAGE.read_text()
    assert reproductions.markdown("toys", TOYS, rows_before(page, "toys")) == committed("toys")


def test_a_page_without_marks_is_refused():
    with pytest.raises(SystemExit, match="no place for the table toys"):
        spliced("# Page", "toys", "| a |")


def test_a_run_is_done_if_it_has_this_config_and_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "OUTPUTS", tmp_path)
    run = train(tmp_path / "run", "device=auto", *TINY, "train.steps=2")
    recipe = Recipe(run, [*TINY, "train.steps=2"], ("modes",))
    assert is_done(recipe)
    assert not is_done(replace(recipe, choices=[*TINY, "train.steps=3"]))
    assert not is_done(replace(recipe, choices=[*TINY, "train.steps=2", "seed=1"]))
    assert not is_done(replace(recipe, run=tmp_path / "other"))


def test_every_divergence_has_a_row_to_choose_from():
    lines = choosing.markdown({}).splitlines()
    assert sorted(line.split(" | ")[0] for line in lines[2:]) == sorted(
        f"| `{name}`" for name in options.names("divergence")
    )
    assert len({line.count(" | ") for line in lines}) == 1


def test_cells_without_runs_stay_and_others_are_made_anew(tmp_path, monkeypatch):
    page = choosing.PAGE.read_text()
    before = choosing.cells_of(rows_before(page, "choosing"))
    assert spliced(page, "choosing", choosing.markdown(before)) == page
    run = tmp_path / "grid-gan-s0"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"status": "done"}))
    numbers = {"modes": {"value": 3, "error": None}, "high_quality_share": {"value": 0.25, "error": None}}
    monkeypatch.setattr(choosing, "measured", lambda path, metrics: numbers)
    changed = {"grid: modes of 25": "3", "grid: good": "0.25"}
    assert choosing.row("gan", before["`gan`"]) == before["`gan`"] | changed
    (run / "run.json").write_text(json.dumps({"status": "diverged"}))
    assert choosing.row("gan", before["`gan`"])["grid: good"] == "— (1 diverged)"
