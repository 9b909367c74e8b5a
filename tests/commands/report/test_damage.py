"""gan-report on runs that did not end well and on files that are damaged: told, and never fatal."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from gan_cli.commands.report import page, text
from gan_cli.commands.report.report import make
from tests.helpers import synthetic_runs as synthetic


def remarks(folder: Path) -> dict[str, list[str]]:
    """What a page says of each run beside its status, pictures included."""
    report = make([folder])
    page.html(report)
    return {row.run.name: row.remarks for row in report.rows}


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
            config={"dataset": {"_target_": "gan_cli.datasets.mixtures.Ring", "note": f"{evil}{name}"}},
            receipts=[synthetic.receipt(numbers={evil: {"value": 1, "error": None, "real": None}})],
            lines=synthetic.metrics(**{evil: 2.0}),
        )
    html = page.html(make([tmp_path]))
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert html.count("</script>") == 2  # the data and the program
    assert "a<b>" not in html
