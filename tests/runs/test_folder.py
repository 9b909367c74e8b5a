"""What is written into a run's folder, and what strangers may have planted there."""

import logging
from pathlib import Path

import pytest

from gan_cli.errors import CommandError, ConfigError
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder, is_own
from tests.helpers.runs import tree

WRITES = {
    "run.json": lambda folder: folder.write_record({"status": "done"}),
    ".hydra/config.yaml": lambda folder: folder.write_config({"config.yaml": "seed: 0"}),
    "metrics.jsonl": lambda folder: folder.rewind_metrics(0),
    "evaluation.json": lambda folder: folder.add_receipt({"metric": "m", "numbers": {}, "samples": {}}, {}),
    "figure.png": lambda folder: folder.add_receipt(
        {"metric": "m", "numbers": {}, "samples": {}}, {"figure.png": b"png"}
    ),
    "curves.png": lambda folder: folder.write_curves(b"png"),
    "real.png": lambda folder: folder.write_findings("real.png", b"png"),
    "samples.png": lambda folder: folder.write_picture("samples", 1, b"png"),
    "samples/step-0000001.png": lambda folder: folder.write_picture("samples", 1, b"png"),
    "checkpoints/step-0000001.pt": lambda folder: folder.write_checkpoint(1, b"weights", keep=1),
    "checkpoints/step-0000001.pt.sha256": lambda folder: folder.write_checkpoint(1, b"weights", keep=1),
}
"""By the file that each writes."""


def plant(path: Path, victim: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(victim)


@pytest.mark.parametrize("name", WRITES)
def test_links_in_a_runs_folder_are_replaced_and_not_followed(name, tmp_path):
    run, victim = tmp_path / "run", tmp_path / "victim"
    victim.write_text('{"receipts": []}')
    plant(run / name, victim)
    WRITES[name](RunFolder(run))
    assert victim.read_text() == '{"receipts": []}'
    assert (run / name).exists()
    assert not (run / name).is_symlink()


@pytest.mark.parametrize("suffix", [".tmp", "~", ".1.tmp"])
@pytest.mark.parametrize("name", WRITES)
def test_links_where_temporary_files_might_be_are_not_followed(name, suffix, tmp_path):
    run, victim = tmp_path / "run", tmp_path / "victim"
    victim.write_text("precious")
    for start in ("", "."):
        plant((run / name).with_name(f"{start}{Path(name).name}{suffix}"), victim)
    WRITES[name](RunFolder(run))
    assert victim.read_text() == "precious"
    assert (run / name).is_file()


@pytest.mark.parametrize("name", ["train.log", "metrics.jsonl"])
def test_what_is_appended_to_is_no_link(name, tmp_path):
    run, victim = tmp_path / "run", tmp_path / "victim"
    victim.write_text("precious\n")
    plant(run / ".hydra" / ".." / name, victim)
    (run / ".hydra" / "config.yaml").write_text("seed: 0")
    folder = RunFolder(run)
    with pytest.raises(CommandError, match=f"{name} cannot be written"), folder.claimed():
        folder.append_metrics({"step": 1})
    assert victim.read_text() == "precious\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run/samples.png", True),
        ("run/real.png", True),
        ("run/neighbours.png", True),
        ("run/checkpoints/new.npy", True),
        ("run/grid.png", False),
        ("run/mine/samples.png", False),
        ("study/figure.png", True),
        ("study/run.json", True),
        ("study/report.html", False),
        ("study/members/new.png", True),
        ("study/members/kl/neighbours.png", True),
        ("study/members/kl/grid.png", False),
        ("samples.png", False),
    ],
)
def test_what_a_run_keeps_is_its_own_and_a_study_keeps_its_pictures_and_members(name, expected, tmp_path):
    for folder in ("run", "study", "study/members/kl"):
        RunFolder(tmp_path / folder).write_config({"config.yaml": "seed: 0"})
    assert is_own(tmp_path / name) == expected


def test_what_killed_writers_left_is_gone_once_the_folder_is_claimed(tmp_path):
    names = [".0123456789abcdef.tmp", "checkpoints/.0123456789abcdef.tmp", ".hydra/.0123456789abcdef.tmp"]
    RunFolder(tmp_path).write_config({"config.yaml": "seed: 0"})
    (tmp_path / "checkpoints").mkdir()
    for name in names:
        (tmp_path / name).write_text("half of a fi")
    with RunFolder(tmp_path).claimed():
        assert not any((tmp_path / name).exists() for name in names)


def test_the_log_is_kept_beside_the_run(tmp_path):
    for text in ("first", "second"):
        with RunFolder(tmp_path / "run").claimed():
            logging.getLogger("gan_cli.tests").warning(text)
        RunFolder(tmp_path / "run").write_config({"config.yaml": "seed: 0"})
    lines = (tmp_path / "run" / "train.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["WARNING first", "WARNING second"]


def test_lines_beyond_a_step_are_taken_back_and_damaged_ones_dropped(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.append_metrics({"step": step, "estimate": float("inf")})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "est')
    assert folder.rewind_metrics(2) == [{"step": 1, "estimate": float("inf")}, {"step": 2, "estimate": float("inf")}]
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 2
    assert read.metrics(tmp_path) == folder.rewind_metrics(9)


def test_metrics_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(ConfigError, match=r"metrics\.jsonl cannot be read \(Is a directory\): mend that"):
        RunFolder(tmp_path).rewind_metrics(1)


@pytest.mark.parametrize("name", [".hydra", "checkpoints", "samples"])
def test_a_link_in_the_place_of_a_folder_of_a_run_is_refused(tmp_path: Path, name: str) -> None:
    """Else the files of another run would be replaced."""
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    RunFolder(path).write_config({"config.yaml": "seed: 0\n"})
    if name == ".hydra":
        (path / name).rename(elsewhere / name)
        elsewhere = elsewhere / name
    (path / name).symlink_to(elsewhere)
    before = tree(elsewhere)
    with pytest.raises(ConfigError, match=f"{name} is no folder: move it away"), RunFolder(path).claimed():
        pass
    assert tree(elsewhere) == before


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "real.png", "samples.png", "curves.png", "train.log"])
def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_trained(tmp_path: Path, name: str) -> None:
    path = tmp_path / "run"
    (path / name).mkdir(parents=True)
    (path / ".hydra").mkdir()
    (path / ".hydra" / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(ConfigError, match=f"{name} is a folder: move it away"), RunFolder(path).claimed():
        pass


def test_the_log_of_other_programs_is_not_that_of_the_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.claimed():
        logging.getLogger("elsewhere").warning("a stranger's")
        logging.getLogger("gan_cli.training").warning("ours")
    log = (tmp_path / "run" / "train.log").read_text()
    assert "ours" in log
    assert "stranger" not in log
