"""The commands from outside: help, exit codes, signals, sweeps, and the files that a run leaves behind."""

import hashlib
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image

from gan_cli.config.options import CONFIGS
from gan_cli.trackers import Tracker
from tests.helpers.configs import DIVERGENCES, PENALTIES, TINY
from tests.helpers.runs import metrics, record, tree

OPTIONS = {path.relative_to(CONFIGS).with_suffix("") for path in CONFIGS.rglob("*.yaml")} - set(
    map(Path, ("config", "classify", "folders", "games"))
)
# The exponential of f-GAN's KL overflows.
DIVERGES = (
    "divergence=kl",
    "divergence.link=paper",
    "divergence.generator_loss=non_saturating",
    "divergence/penalty=none",
    "optimizer.critic.lr=30",
    "every.checkpoint=1",
    "train.steps=50",
)
REPORTED = {
    "step",
    "images_seen",
    "seconds",
    "estimate",
    "penalty",
    "critic_loss",
    "critic_gradient_norm",
    "generator_loss",
    "generator_gradient_norm",
    "generator_learning_rate",
    "critic_learning_rate",
    "images_per_second",
}


def assert_checkpoints_verify(folder: Path, names: list[str]) -> None:
    """Check the digests by the tool that they are written for."""
    assert sorted(path.name for path in folder.glob("*.pt")) == names
    assert {path.name for path in folder.iterdir()} == {*names, *(f"{name}.sha256" for name in names)}
    digests = [f"{name}.sha256" for name in names]
    subprocess.run(["sha256sum", "--check", "--strict", *digests], cwd=folder, check=True, capture_output=True)


# Help and Hydra's flags


def test_help_lists_every_group_and_option_and_imports_no_torch(environment):
    command = [sys.executable, "-X", "importtime", "-m", "gan_cli", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines()}
    assert "gan_cli.cli" in imported
    assert not {"torch", "torchvision", "matplotlib", "numpy"} & imported
    groups = dict(re.findall(r"^(\S+): (.*)$", done.stdout.split("==")[2], re.MULTILINE))
    for option in OPTIONS:
        text = (CONFIGS / option).with_suffix(".yaml").read_text()
        of_others = option.parent.parts[0] in ("classifier", "attack", "cas")
        if not of_others and not re.search("override /(classifier|attack)", text):
            assert option.name in groups[str(option.parent)].split(", ")
    for key in ("seed", "steps", "batch_size", "average_decay", "checkpoint", "keep"):
        assert re.search(rf"^ *{key}:", done.stdout, re.MULTILINE)


def test_cfg_job_prints_the_whole_config_and_runs_nothing(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", "divergence=wgan_gp", "dataset=ring", "train.steps=7", "--cfg", "job")
    config = OmegaConf.create(finished.out)
    assert finished.code == 0
    assert finished.err == ""
    assert config.divergence.penalty._target_ == "gan_cli.divergences.penalties.Interpolate"
    assert config.dataset._target_ == "gan_cli.datasets.mixtures.Ring"
    assert (config.train.steps, config.every.keep, config.seed) == (7, 3, 0)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("divergence=wgan_", {f"divergence={name}" for name in DIVERGENCES if name.startswith("wgan_")}),
        ("divergence/penalty=r1", {f"divergence/penalty={name}" for name in PENALTIES if name.startswith("r1")}),
        ("train.s", {"train.steps=", "train.schedule="}),
        ("nothing.here", set()),
    ],
)
def test_the_shell_completes_options_and_keys(typed, offered, inside, monkeypatch):
    line = f"gan-train {typed}"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    finished = inside("gan-train", "--shell-completion", "query=bash")
    assert finished.code == 0
    assert set(finished.out.split()) == offered


# Exit codes


def test_a_mistake_is_one_line_without_a_traceback_and_exit_code_2(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", "dataset=ring", "seed=-1")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == "gan-train: seed=-1 must be at least 0\n"
    assert tree(tmp_path) == {}


def test_full_errors_show_the_traceback_of_a_mistake(gan_train):
    finished = gan_train("dataset=ring", "seed=-1", HYDRA_FULL_ERROR="1")
    assert finished.code == 2
    assert finished.err.startswith("Traceback (most recent call last)")
    assert finished.err.endswith("gan-train: seed=-1 must be at least 0\n")


def test_an_error_of_the_program_has_a_traceback_and_exit_code_1(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gan_cli.show.pictures.curves", lambda *_: 1 / 0)
    finished = inside("gan-train", *TINY, "train.steps=1", "name=run")
    assert finished.code == 1
    assert "ZeroDivisionError" in finished.err
    assert (record(tmp_path / "outputs/run")["status"], record(tmp_path / "outputs/run")["exit_code"]) == ("failed", 1)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("log", [1, 50])
def test_a_run_that_diverges_keeps_the_last_good_state_and_says_so(log, inside, tmp_path, monkeypatch):
    """Whether it is a report or the saving of a checkpoint that finds out."""
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", *TINY, *DIVERGES, f"every.log={log}", "name=run")
    folder = tmp_path / "outputs" / "run"
    assert finished.code == 3
    message = finished.err.splitlines()[-1]
    found = re.fullmatch(
        r"gan-train: diverged: (\w+) is (\S+) at step (\d+); last finite numbers: (.*);"
        r" last good checkpoint: outputs/run/checkpoints/step-(\d+)\.pt",
        message,
    )
    assert found, message
    step, good = int(found[3]), int(found[5])
    assert good == step - 1 >= 1
    assert found[2] in ("inf", "-inf", "nan")
    assert "estimate" in found[4]
    assert not re.search(r"\b(inf|nan)\b", found[4])
    kept = record(folder)
    assert (kept["status"], kept["exit_code"], kept["step"]) == ("diverged", 3, step)
    assert f"gan-train: {kept['error']}" == message
    assert [line["step"] for line in metrics(folder)] == [n for n in range(1, step) if n % log == 0]
    assert_checkpoints_verify(folder / "checkpoints", [f"step-{n:07d}.pt" for n in range(max(1, good - 2), good + 1)])


@contextmanager
def files_of_at_most(size: int):
    """A disk that has room for no larger file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("undrawn")
def test_a_full_disk_ends_the_run_in_one_line_and_leaves_the_checkpoint_before(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The checkpoint is 2 MB, the pictures some 100 KB.
    command = ["gan-train", "dataset=ring", "metric=[]", "model.generator.hidden=[256,256]", "name=run"]
    assert inside(*command, "train.steps=2").code == 0
    folder = tmp_path / "outputs" / "run"
    with files_of_at_most(1_000_000):
        finished = inside(*command, "train.steps=4")
    assert finished.code == 1
    complaint = [line for line in finished.err.splitlines() if not line.startswith(("continuing", "device", "step"))]
    assert complaint == [
        "gan-train: outputs/run/checkpoints/step-0000004.pt cannot be written (File too large): free some space or"
        " permit it, then run the same command, which goes on from what is saved"
    ]
    assert record(folder)["status"] == "failed"
    assert not list(folder.rglob("*.tmp"))
    assert_checkpoints_verify(folder / "checkpoints", ["step-0000002.pt"])

    finished = inside(*command, "train.steps=4")
    assert finished.code == 0
    assert "continuing outputs/run from step 2" in finished.err
    assert [line["step"] for line in metrics(folder)] == [2, 4]
    assert_checkpoints_verify(folder / "checkpoints", ["step-0000002.pt", "step-0000004.pt"])


class Raises(Tracker):
    """Sends this process a signal when it is told of step 5."""

    number = signal.SIGTERM

    def open(self, folder: Path, step: int) -> None: ...

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        if step == 5:
            os.kill(os.getpid(), self.number)

    def close(self) -> None: ...


UNTIL_STOPPED = (*TINY, "every.log=5", "every.samples=null", "every.checkpoint=null")


def assert_stopped(number: signal.Signals, code: int, said: str, outputs: Path) -> tuple[Path, int]:
    """The folder of the run, and the step after which it stopped."""
    found = re.fullmatch(
        rf"gan-train: {number.name} after step (\d+), which is saved; the same command continues the run", said
    )
    assert found, said
    step = int(found[1])
    (folder,) = outputs.iterdir()
    kept = record(folder)
    assert (kept["status"], kept["exit_code"], kept["step"]) == ("interrupted", code, step)
    assert metrics(folder)[-1]["step"] == step
    assert_checkpoints_verify(folder / "checkpoints", [f"step-{step:07d}.pt"])
    return folder, step


def test_a_terminated_process_exits_after_a_checkpoint(environment, tmp_path):
    command = [sys.executable, "-m", "gan_cli", *UNTIL_STOPPED, "train.steps=100000000"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # The first lines of the log mean that it trains.
        assert process.stderr.readline().startswith("device: ")
        assert "step" in process.stderr.readline()
        assert "step" in process.stderr.readline()
        process.terminate()
        *_, last = process.stderr.read().splitlines()
    assert process.returncode == 143
    assert_stopped(signal.SIGTERM, 143, last, tmp_path / "outputs")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.usefixtures("undrawn")
def test_a_signal_stops_the_run_and_the_same_command_continues(number, code, inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Raises, "number", number)
    before = signal.getsignal(number)
    finished = inside("gan-train", *UNTIL_STOPPED, "train.steps=1000", f"tracker._target_={__name__}.Raises")
    assert finished.code == code
    folder, step = assert_stopped(number, code, finished.err.splitlines()[-1], tmp_path / "outputs")
    assert signal.getsignal(number) is before
    assert step == 6

    finished = inside("gan-train", *UNTIL_STOPPED, f"train.steps={step + 5}")
    assert finished.code == 0
    assert f"continuing {folder.relative_to(tmp_path)} from step {step}" in finished.err
    assert (record(folder)["status"], record(folder)["step"]) == ("done", step + 5)


# Sweeps


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_goes_on_after_bad_runs_and_ends_with_a_table_of_all(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rates = ("optimizer.critic.lr=-1,30,1e-4", "name=rate-${optimizer.critic.lr}")
    finished = inside("gan-train", "-m", *TINY, *DIVERGES, "every.log=10", *rates)
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    *lines, last = finished.out.split(f"{sweep.name}\n")[1].splitlines()
    assert last == str(sweep.relative_to(tmp_path) / "report.html")
    rows = [line.split() for line in lines]
    assert rows[0] == ["run", "status", "step", "estimate", "seconds", "images/s"]
    by_name = {row[0]: row[1:] for row in rows[1:]}
    statuses = {name: row[0] for name, row in by_name.items()}
    assert statuses == {"rate--1": "failed", "rate-0.0001": "done", "rate-30": "diverged"}
    assert by_name["rate-0.0001"][1] == "50"
    assert float(by_name["rate-0.0001"][2]) == pytest.approx(
        record(sweep / "rate-0.0001")["final"]["estimate"], abs=1e-4
    )
    assert finished.code == 2
    assert [record(sweep / name)["exit_code"] for name in ("rate--1", "rate-30")] == [2, 3]
    # Failures are shown as they happen.
    assert re.search(r"^error: rate--1: optimizer.critic.lr=-1: Invalid learning rate", finished.err, re.MULTILINE)
    assert re.search(r"^error: rate-30: diverged: ", finished.err, re.MULTILINE)
    assert "Traceback" not in finished.err


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_whose_runs_are_all_done_exits_0(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", "-m", *TINY, "train.steps=1", "seed=0,1", "name=seed-${seed}")
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert finished.code == 0
    assert [(record(sweep / f"seed-{n}")["status"], record(sweep / f"seed-{n}")["seed"]) for n in (0, 1)] == [
        ("done", 0),
        ("done", 1),
    ]


# The folder of a run


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A run by `gan-train` in a process of its own: what it printed, and its folder."""
    root = tmp_path_factory.mktemp("finished")
    every = ["every.log=4", "every.samples=8", "every.checkpoint=4", "every.evaluate=8"]
    command = [sys.executable, "-m", "gan_cli", *TINY, "metric=[modes]", "train.steps=18", "seed=3", *every, "name=run"]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return done, root / "outputs" / "run"


def test_a_run_prints_its_picture_and_a_line_an_interval_where_there_is_no_terminal(finished_run):
    done, _ = finished_run
    assert done.stdout == "outputs/run/samples.png\n"
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "device",
        *(f"step {step:2d} of 18" for step in (4, 8, 12, 16, 18)),
    ]


def test_the_folder_of_a_run_holds_its_files_and_no_others(finished_run):
    _, folder = finished_run
    kept = [f"checkpoints/step-00000{step}.pt" for step in (12, 16, 18)]
    assert {name for name, content in tree(folder).items() if content is not None} == {
        ".hydra/config.yaml",
        ".hydra/hydra.yaml",
        ".hydra/overrides.yaml",
        ".lock",
        "curves.png",
        "metrics.jsonl",
        "run.json",
        "samples.png",
        "samples/step-0000008.png",
        "samples/step-0000016.png",
        "samples/step-0000018.png",
        "train.log",
        *kept,
        *(f"{name}.sha256" for name in kept),
    }


def test_the_record_of_a_run_is_complete(finished_run):
    _, folder = finished_run
    kept = record(folder)
    assert (kept["status"], kept["seed"], kept["steps"], kept["step"]) == ("done", 3, 18, 18)
    assert kept["sample_shape"] == [2]
    # 16·16 + 16 and 16·2 + 2 weights from latents of 16; 2·16 + 16 and 16 + 1 of the critic
    assert kept["parameters"] == {"generator": 306, "critic": 65}
    assert set(kept["versions"]) == {"gan-cli", "python", "torch", "torchvision", "numpy"}
    assert kept["device"].startswith(("cpu", "NVIDIA"))
    assert "git_commit" in kept
    assert kept["threads"] >= 1
    assert kept["started"] <= kept["ended"]
    assert kept["final"] == metrics(folder)[-1]
    assert re.fullmatch(r"[0-9a-f]{64}", kept["fingerprint"])


def test_every_line_of_the_metrics_has_every_number(finished_run):
    _, folder = finished_run
    numbers = metrics(folder)
    assert [line["step"] for line in numbers] == [4, 8, 12, 16, 18]
    assert [line["images_seen"] for line in numbers] == [64, 128, 192, 256, 288]
    evaluated = {"modes", "modes_of_real"} | {f"high_quality_share{part}" for part in ("", "_error", "_of_real")}
    for line in numbers:
        assert set(line) == REPORTED | (evaluated if line["step"] in (8, 16, 18) else set())
    seconds = [line["seconds"] for line in numbers]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_the_pictures_of_a_run_open(finished_run):
    _, folder = finished_run
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) >= 400
            assert len(image.convert("L").getcolors()) > 2
    newest = (folder / "samples" / "step-0000018.png").read_bytes()
    assert (folder / "samples.png").read_bytes() == newest
    assert (folder / "samples" / "step-0000008.png").read_bytes() != newest


def test_the_digests_of_the_checkpoints_verify(finished_run):
    _, folder = finished_run
    assert_checkpoints_verify(folder / "checkpoints", [f"step-00000{step}.pt" for step in (12, 16, 18)])
    path = folder / "checkpoints" / "step-0000018.pt"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (folder / "checkpoints" / "step-0000018.pt.sha256").read_text() == f"{digest}  step-0000018.pt\n"


def test_the_config_of_a_run_is_kept_with_what_was_asked_for(finished_run):
    _, folder = finished_run
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    overrides = OmegaConf.load(folder / ".hydra" / "overrides.yaml")
    assert (config.seed, config.train.steps, config.name) == (3, 18, "run")
    assert config.model.generator.hidden == [16]
    assert set(TINY) <= set(overrides)
    assert OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra.runtime.choices.dataset == "ring"
    log = (folder / "train.log").read_text()
    assert re.search(r"^\S+ \S+ DEBUG step 18 of 18: estimate ", log, re.MULTILINE)
