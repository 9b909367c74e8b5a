"""Several processes train one run: real ones, started by torchrun or by hand."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.configs import TINY
from tests.helpers.runs import metrics, record

RUN = (*TINY, "model.generator.normalization=batch", "device.threads=1", "every.log=10", "every.checkpoint=20")

pytestmark = pytest.mark.thorough


class Ended(NamedTuple):
    """How torchrun ended, and what our processes said."""

    code: int
    out: list[str]
    err: list[str]


@pytest.fixture
def torchrun(tmp_path, environment):
    """`torchrun(number, *overrides)`: so many processes of a run, in an empty folder."""

    def start(processes: int, *overrides: str) -> subprocess.Popen[str]:
        options = ("--standalone", f"--nproc-per-node={processes}")
        command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "gan_cli", *overrides]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True)

    return start


def ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=300)
    return Ended(process.returncode, out.splitlines(), [line for line in err.splitlines() if line.startswith("gan-")])


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def has_lines(folder: Path, number: int) -> bool:
    file = folder / "metrics.jsonl"
    return file.exists() and len(file.read_text().splitlines()) >= number


def wait_for_lines(folder: Path, number: int) -> None:
    until = time.monotonic() + 120
    while not has_lines(folder, number):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_first_process_keeps_the_run_of_one(torchrun, gan_train, tmp_path):
    both = ended(torchrun(2, *RUN, "train.steps=40", "name=two"))
    assert (both.code, both.out, both.err) == (0, ["outputs/two/samples.png"], [])
    assert gan_train(*RUN, "train.steps=40", "name=one").code == 0
    one, two = tmp_path / "outputs" / "one", tmp_path / "outputs" / "two"
    assert (record(two)["status"], record(two)["processes"]) == ("done", 2)
    for here, there in zip(metrics(one), metrics(two), strict=True):
        timed = ("seconds", "images_per_second")
        assert {name: value for name, value in there.items() if name not in timed} == pytest.approx(
            {name: value for name, value in here.items() if name not in timed}, rel=1e-3, abs=1e-5
        )
    assert (two / "train.log").read_text().count("communication: ") == 1

    # The same command goes on with another number of processes.
    alone = gan_train(*RUN, "train.steps=60", "name=two")
    assert alone.code == 0
    assert "continuing outputs/two from step 40" in alone.err
    assert gan_train(*RUN, "train.steps=60", "name=one").code == 0
    assert record(two)["final"]["estimate"] == pytest.approx(record(one)["final"]["estimate"], rel=1e-3)


@pytest.mark.parametrize(
    ("overrides", "complaint", "code"),
    [
        (("train.batch_size=15",), "train.batch_size=15 cannot be shared by 2 processes evenly", 2),
        (("train.batchsize=15",), "train.batchsize is not a key", 2),
        (("divergence/penalty=r1", "divergence.penalty.share=0.2"), "divergence.penalty.share=0.2 takes 3 of 16", 2),
        (("-m", "seed=0,1"), "-m: several processes train one run", 2),
        (("experiment=dirac",), "study: several processes train one game", 2),
        (("optimizer.generator.lr=1e30", "train.steps=50"), "diverged: ", 3),
    ],
)
def test_one_process_says_what_is_wrong(overrides, complaint, code, torchrun, tmp_path):
    process = torchrun(2, *RUN, *overrides)
    said = ended(process)
    assert said.code == 1  # torchrun's own, whatever its processes have
    (line,) = said.err
    assert line.startswith(f"gan-train: {complaint}")
    if code == 2:
        assert not (tmp_path / "outputs").exists()
    else:
        (run,) = (tmp_path / "outputs").iterdir()
        assert record(run)["exit_code"] == code


def test_a_folder_in_use_is_said_once(torchrun, tmp_path):
    long = torchrun(2, *RUN, "train.steps=1000000", "name=one")
    wait_for_lines(tmp_path / "outputs" / "one", 1)
    said = ended(torchrun(2, *RUN, "train.steps=1000000", "name=one"))
    assert said.err == ["gan-train: outputs/one is in use by another process: wait for it, or choose another name=…"]
    long.send_signal(signal.SIGTERM)
    assert len(ended(long).err) == 1
    assert record(tmp_path / "outputs" / "one")["status"] == "interrupted"


def test_all_stop_after_one_step_and_go_on_from_there(torchrun, tmp_path):
    process = torchrun(2, *RUN, "train.steps=2000", "name=stopped", "every.log=1000000")
    run = tmp_path / "outputs" / "stopped"
    while not (run / "checkpoints").exists():
        time.sleep(0.01)
    os.kill(children(process)[-1], signal.SIGINT)  # one of them alone
    (line,) = ended(process).err
    kept = record(run)
    assert (kept["status"], kept["exit_code"]) == ("interrupted", 130)
    assert line.startswith(f"gan-train: SIGINT after step {kept['step']}, which is saved")
    assert kept["step"] < 2000

    steps = kept["step"] + 20
    assert ended(torchrun(2, *RUN, f"train.steps={steps}", "name=stopped", "every.log=1000000")).code == 0
    assert ended(torchrun(2, *RUN, f"train.steps={steps}", "name=whole", "every.log=1000000")).code == 0
    assert record(run)["fingerprint"] == record(tmp_path / "outputs" / "whole")["fingerprint"]


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def test_processes_that_no_launcher_started_say_it_once_too(environment, tmp_path):
    command = [sys.executable, "-m", "gan_cli", *RUN, "train.batch_size=15"]
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    both = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environment | meeting | {"RANK": rank}, stderr=subprocess.PIPE, text=True
        )
        for rank in "01"
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [2, 2]
    assert sorted(len(text.splitlines()) for text in said) == [0, 1]


@pytest.mark.slow
def test_a_process_killed_at_any_moment_ends_the_others_and_the_run_goes_on(torchrun, tmp_path):
    arguments = (*RUN, "train.steps=600", "every.checkpoint=10", "every.samples=1000")
    assert ended(torchrun(2, *arguments, "name=whole")).code == 0
    run, chosen = tmp_path / "outputs" / "killed", random.Random(0)
    kills = 0
    for moment in range(10):
        process = torchrun(2, *arguments, "name=killed")
        lines = 1 + 5 * moment  # of 60
        while process.poll() is None and not has_lines(run, lines):
            time.sleep(0.005)
        time.sleep(chosen.uniform(0, 0.1))
        ranks = children(process)
        if len(ranks) == 2:
            os.kill(chosen.choice(ranks), signal.SIGKILL)
            kills += 1
            begun = time.monotonic()
            assert len(ended(process).err) <= 1
            assert time.monotonic() - begun < 15
            assert process.returncode != 0
    assert kills >= 8
    assert ended(torchrun(2, *arguments, "name=killed")).code == 0
    assert record(run)["fingerprint"] == record(tmp_path / "outputs" / "whole")["fingerprint"]
    assert [line["step"] for line in metrics(run)] == list(range(10, 601, 10))
