"""gan-report from a shell and at the end of a sweep: what it finds, and where it writes."""

import csv
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gan_cli.commands.report.report import make
from tests.helpers import synthetic_runs as synthetic
from tests.helpers.configs import TINY
from tests.helpers.runs import tree


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
        (["run", "--out", "run/train.log"], "--out run/train.log is where a run keeps its own files"),
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


@pytest.fixture
def swept(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return inside("gan-train", "-m", *TINY, *arguments, "hydra.sweep.dir=sweep")

    return call


@pytest.mark.thorough
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
