"""The workloads of the benches are runs that today's program takes, and the script for a GPU keeps what it finds."""

import json
import subprocess
import sys
import time

import pytest

from bench import gpu, workloads
from gan_cli.assembly.games import assemble
from tests.helpers.resuming import advance


@pytest.mark.parametrize("game", workloads.GAMES)
def test_a_workload_takes_a_step(game, monkeypatch):
    monkeypatch.setattr(workloads, "PICTURES", 200)
    config = workloads.config_of(workloads.WORKLOADS["mlp-28"], workloads.GAMES[game], "device.threads=1")
    assert advance(assemble(config), 1).state.step == 1


LOG = """
tests/a.py::test_one
[gw3] [  1%] PASSED tests/a.py::test_one
[gw0] [ 50%] FAILED tests/b.py::test_two[a b-1.5]
[gw11] [100%] SKIPPED tests/c.py::test_three
[gw11] [100%] ERROR tests/c.py::test_four
FAILED tests/b.py::test_two[a b-1.5] - AssertionError
"""


def test_the_names_of_tests_that_fail_are_read_from_a_log_that_may_have_been_cut(tmp_path):
    assert gpu._outcomes(LOG, tmp_path) == {
        "tests": {"error": 1, "failed": 1, "passed": 1, "skipped": 1},
        "failures": ["tests/b.py::test_two[a b-1.5]", "tests/c.py::test_four"],
    }
    assert gpu._outcomes("", tmp_path) == {"tests": {}, "failures": []}


def lines(log, _):
    return {"lines": log.split()}


@pytest.mark.parametrize(
    ("code", "outcome", "found"),
    [
        ("print('well')", "done", ["well"]),
        ("print('so'); raise SystemExit(3)", "ended with 3", ["so"]),
        ("import time; print('far', flush=True); time.sleep(60)", "stopped after 2 s", ["far"]),
    ],
)
def test_a_part_ends_by_itself_or_at_its_limit_and_its_log_is_read(code, outcome, found, tmp_path):
    start = time.monotonic()
    said = gpu.carry_out(gpu.Part(2, ["-c", code], lines), "part", tmp_path, seconds=100)
    assert said["outcome"] == outcome
    assert said["lines"][: len(found)] == found
    assert time.monotonic() - start < gpu.GRACE


def test_no_part_outlasts_what_is_left_for_all(tmp_path):
    part = gpu.Part(60, ["-c", "import time; time.sleep(60)"], lines)
    assert gpu.carry_out(part, "part", tmp_path, seconds=1)["outcome"] == "stopped after 1 s"


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_to_its_end_on_a_cpu(tmp_path):
    path = tmp_path / "found.json"
    command = [sys.executable, gpu.__file__, "--device", "cpu", "--quick", "--json", str(path)]
    subprocess.run(command, check=True, timeout=600)
    found = json.loads(path.read_text())["parts"]
    assert {name: part["outcome"] for name, part in found.items()} == dict.fromkeys(gpu.parts("cpu", True), "done")
    assert all(row["images_per_second"] > 0 for name in ("r3gan", "speed") for row in found[name]["rows"])
    assert found["profile"]["profile"][0].startswith("mlp-28, interpolate: ")
    assert found["cifar10"]["last"][0].startswith("step 2 of 2: ")
    assert found["frechet"]["last"][0].startswith("frechet_")
    assert found["suite"]["tests"]["passed"] > 5
    assert found["suite"]["failures"] == []
