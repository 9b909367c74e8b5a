"""A run that was stopped, in whatever way, ends as if it never had been."""

import json
import random
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from PIL import Image

from gan_cli.assembly.games import assemble
from gan_cli.commands.train import carry_out
from gan_cli.config.options import CONFIGS
from gan_cli.editions import NEWEST
from gan_cli.errors import ConfigError
from gan_cli.runs import checkpoints, read
from gan_cli.runs.folder import RunFolder
from tests.helpers import runs
from tests.helpers.configs import DIVERGENCES, TINY, compose
from tests.helpers.resuming import advance, assert_resumes_exactly
from tests.helpers.runs import metrics, record, tree

TIMINGS = {"seconds", "images_per_second"}

pytestmark = pytest.mark.usefixtures("undrawn")


def train(folder: Path, *overrides: str) -> str:
    """The fingerprint of a run in `folder`."""
    return str(record(runs.train(folder, *TINY, *overrides))["fingerprint"])


def numbers(folder: Path) -> list[dict[str, Any]]:
    """Every number of a run but those that tell the time."""
    return [{name: value for name, value in line.items() if name not in TIMINGS} for line in metrics(folder)]


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_every_divergence_resumes_bit_for_bit(divergence, tmp_path):
    assert_resumes_exactly(20, tmp_path, *TINY, f"divergence={divergence}")


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", sorted(path.stem for path in (CONFIGS / "optimizer").glob("*.yaml")))
def test_every_optimizer_resumes_bit_for_bit(optimizer, tmp_path):
    changes = ["train.schedule=linear", "divergence=relativistic", "divergence/penalty=r1_r2"]
    assert_resumes_exactly(5, tmp_path, *TINY, f"optimizer={optimizer}", *changes)


def test_running_statistics_and_power_iterations_resume_bit_for_bit(tmp_path):
    """Batch norm in the generator, spectral norm in the critic."""
    assert_resumes_exactly(
        20,
        tmp_path,
        "dataset=mnist5k",
        "dataset.resolution=8",
        "model.generator.width=4",
        "model.critic.width=4",
        "model.generator.normalization=batch",
        "model.critic.normalization=spectral",
        "divergence=hinge",
        "train.batch_size=16",
    )


def test_another_seed_is_another_run():
    """So that equal fingerprints mean something."""
    first, second = (advance(assemble(compose(*TINY, f"seed={seed}", "train.steps=2")), 2) for seed in (0, 1))
    assert first.state.fingerprint() != second.state.fingerprint()


def test_reused_samples_make_another_run_unless_the_generator_is_frozen():
    def fingerprint(*changes: str) -> str:
        return advance(assemble(compose(*TINY, "train.steps=2", *changes)), 2).state.fingerprint()

    assert fingerprint("train.reuse_samples=true") != fingerprint()
    assert fingerprint("train.reuse_samples=true", "train.generator=frozen") == fingerprint("train.generator=frozen")


def test_a_run_from_before_a_setting_came_goes_on(tmp_path):
    whole = train(tmp_path / "whole", "train.steps=8")
    train(tmp_path / "parts", "train.steps=4")
    stored = tmp_path / "parts" / ".hydra" / "config.yaml"
    lines = stored.read_text().splitlines(keepends=True)
    stored.write_text("".join(line for line in lines if "reuse_samples" not in line))
    with pytest.raises(ConfigError, match=r"train.reuse_samples=False \(now True\)"):
        train(tmp_path / "parts", "train.steps=8", "train.reuse_samples=true")
    assert train(tmp_path / "parts", "train.steps=8") == whole


def test_a_run_of_an_earlier_edition_goes_on_by_it(tmp_path):
    """As versions before there were editions left it: run.json names none."""
    config = compose(*TINY, "train.steps=4", "every.checkpoint=2")
    ended = {}
    for edition in range(1, NEWEST + 1):
        ended[edition] = advance(assemble(compose(*TINY, "train.steps=8"), edition=edition), 8).state.fingerprint()
        folder = RunFolder(tmp_path / str(edition))
        carry_out(assemble(config, edition=edition), folder, {"config.yaml": OmegaConf.to_yaml(config)})
        if edition == 1:
            folder.write_record({key: value for key, value in record(folder.path).items() if key != "edition"})
        assert train(folder.path, "train.steps=8", "every.checkpoint=2") == ended[edition]
        assert record(folder.path)["edition"] == edition
    assert len(set(ended.values())) == NEWEST


def test_a_run_without_a_checkpoint_begins_by_the_newest_edition(tmp_path):
    """Its run.json, which a refused member of a sweep has too, names none."""
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path / "run").write_record({"status": "failed"})
    assert read.edition(tmp_path / "run") == NEWEST


@pytest.mark.thorough
@pytest.mark.parametrize("edition", [NEWEST + 1, 0, "2", None, 1.5])
def test_a_run_of_an_unknown_edition_is_refused(edition, tmp_path):
    train(tmp_path / "run", "train.steps=1")
    RunFolder(tmp_path / "run").write_record(record(tmp_path / "run") | {"edition": edition})
    with pytest.raises(ConfigError, match=r"run\.json: edition=.* is of a later version: bring gan-cli up to date"):
        train(tmp_path / "run", "train.steps=2")


def test_a_run_that_is_extended_equals_one_that_was_not_stopped(tmp_path):
    whole = train(tmp_path / "whole", "train.steps=12", "every.log=2", "every.checkpoint=4")
    half = train(tmp_path / "parts", "train.steps=8", "every.log=2", "every.checkpoint=4")
    assert half != whole
    assert train(tmp_path / "parts", "train.steps=12", "every.log=2", "every.checkpoint=4") == whole
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    assert [line["step"] for line in metrics(tmp_path / "parts")] == [2, 4, 6, 8, 10, 12]


def test_a_run_that_is_done_is_left_as_it_is(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["gan-train", *TINY, "train.steps=4", "name=run"]
    assert inside(*command).code == 0
    before = (tmp_path / "outputs/run/run.json").read_bytes()
    finished = inside(*command)
    assert finished.code == 0
    assert "outputs/run is done; train.steps=… beyond 4 continues it" in finished.err
    assert (tmp_path / "outputs/run/run.json").read_bytes() == before


def test_fewer_steps_than_were_taken_are_refused(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside("gan-train", *TINY, "train.steps=4", "name=run").code == 0
    before = tree(tmp_path)
    finished = inside("gan-train", *TINY, "train.steps=3", "name=run")
    assert finished.code == 2
    assert finished.err.startswith("gan-train: train.steps=3, but outputs/run has taken 4: ask for at least as many")
    assert tree(tmp_path) == before


def test_a_run_that_is_done_does_not_start_over_when_its_checkpoints_are_gone(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside("gan-train", *TINY, "train.steps=4", "name=run").code == 0
    for path in (tmp_path / "outputs/run/checkpoints").iterdir():
        path.unlink()
    before = tree(tmp_path)
    finished = inside("gan-train", *TINY, "train.steps=4", "name=run")
    assert finished.code == 2
    assert finished.err.startswith("gan-train: outputs/run is done, but has no checkpoint: restore one, or choose")
    assert tree(tmp_path) == before


def test_metrics_beyond_the_checkpoint_are_taken_back(tmp_path):
    """As a crash leaves them: lines that the checkpoint does not know of, the last of them cut short."""
    every = ["every.log=2", "every.checkpoint=4"]
    train(tmp_path / "whole", "train.steps=10", *every)
    train(tmp_path / "crashed", "train.steps=4", *every)
    whole = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines(keepends=True)
    beyond = json.loads(whole[2])
    assert beyond["step"] == 6
    with (tmp_path / "crashed" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(beyond | {"estimate": 99.0}) + "\n" + whole[3][:40])
    train(tmp_path / "crashed", "train.steps=10", *every)
    assert numbers(tmp_path / "crashed") == numbers(tmp_path / "whole")
    assert [line["step"] for line in metrics(tmp_path / "crashed")] == [2, 4, 6, 8, 10]


@pytest.mark.thorough
@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "no digest"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(damage, tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = train(tmp_path / "whole", "device=auto", "train.steps=12", "every.checkpoint=4")
    command = ["gan-train", *TINY, "every.checkpoint=4", "name=run"]
    assert inside(*command, "train.steps=8").code == 0
    folder = tmp_path / "outputs" / "run"
    newest = folder / "checkpoints" / "step-0000008.pt"
    match damage:
        case "flipped bit":
            flip_a_bit(newest)
        case "cut short":
            newest.write_bytes(newest.read_bytes()[:-1])
        case "no digest":
            newest.with_name("step-0000008.pt.sha256").unlink()
    finished = inside(*command, "train.steps=12")
    assert finished.code == 0
    warning, continued, *_ = finished.err.splitlines()
    assert warning.startswith("warning: outputs/run/checkpoints/step-0000008.pt ")
    assert warning.endswith("; trying the one before")
    assert continued == "continuing outputs/run from step 4"
    assert record(folder)["fingerprint"] == whole
    checkpoints.load(newest)  # whole again


def test_a_run_folder_is_refused_while_another_holds_it(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "run"
    with RunFolder(folder).claimed():
        finished = inside("gan-train", *TINY, "train.steps=1", "name=run")
        assert not (folder / "metrics.jsonl").exists()
    assert finished.code == 2
    (line,) = finished.err.splitlines()
    assert line == ("gan-train: outputs/run is in use by another process: wait for it, or choose another name=…")
    assert inside("gan-train", *TINY, "train.steps=1", "name=run").code == 0


def test_a_run_that_was_killed_before_its_config_was_written_can_start_again(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InterruptedError), RunFolder(folder).claimed():
        raise InterruptedError
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "hydra.yaml").write_text("cut sh")
    assert train(folder, "train.steps=2") == train(tmp_path / "whole", "train.steps=2")


def test_a_changed_config_is_refused_with_every_difference(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside("gan-train", *TINY, "train.steps=2", "name=run").code == 0
    folder = tmp_path / "outputs" / "run"
    before = (folder / "run.json").read_bytes()
    changes = ["seed=1", "optimizer.critic.lr=1e-3", "model.generator.hidden=[17]", "divergence=hinge"]
    finished = inside("gan-train", *TINY, "train.steps=4", "name=run", *changes)
    assert finished.code == 2
    (line,) = finished.err.splitlines()
    for difference in (
        "divergence=gan (now hinge)",
        "model.generator.hidden=[16] (now [17])",
        "optimizer.critic.lr=0.0005 (now 0.001)",
        "seed=0 (now 1)",
    ):
        assert difference in line
    assert line.count("(now ") == 4
    assert (folder / "run.json").read_bytes() == before


def test_another_option_of_a_group_is_named_as_one_types_it(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside("gan-train", *TINY, "train.steps=2", "divergence/penalty=none", "name=run").code == 0
    refused = inside("gan-train", *TINY, "train.steps=4", "divergence/penalty=r1_r2", "name=run")
    assert refused.code == 2
    assert "with another config: divergence/penalty=none (now r1_r2); restore these values" in refused.err
    assert inside("gan-train", *TINY, "train.steps=4", "divergence/penalty=none", "name=run").code == 0


def test_steps_intervals_metrics_and_trackers_may_change(tmp_path):
    folder = tmp_path / "run"
    first = train(folder, "train.steps=2")
    changes = ["every.log=1", "every.samples=3", "every.checkpoint=1", "every.evaluate=2", "every.keep=2"]
    assert train(folder, "train.steps=4", "metric=[modes]", *changes) != first
    assert [line["step"] for line in metrics(folder)] == [2, 3, 4]
    assert "modes" in metrics(folder)[-1]
    assert [path.stem for path in read.checkpoints(folder)] == ["step-0000003", "step-0000004"]


class Killed:
    """A run by `gan-train` that is killed without warning, again and again."""

    # A checkpoint every few milliseconds of training, so that many a kill falls into the writing of one.
    ARGUMENTS = (*TINY, "every.log=2", "every.checkpoint=4", "every.samples=40", "name=killed")

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = environment
        self.folder = root / "outputs" / "killed"

    def start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "gan_cli", *self.ARGUMENTS, "train.steps=1000000"]
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def kill_after_lines(self, count: int) -> None:
        with self.start() as process:
            for line in islice(process.stderr, count):
                assert line.startswith(("continuing", "device", "step", "warning")), line
            process.kill()
        assert process.returncode == -signal.SIGKILL

    def kill_after_seconds(self, seconds: float) -> None:
        with self.start() as process:
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=seconds)
            process.kill()
        assert process.returncode == -signal.SIGKILL

    def assert_ends_as_an_uninterrupted_run(self) -> None:
        newest = read.checkpoints(self.folder)[-1]
        steps = int(newest.stem.removeprefix("step-")) + 6
        for folder in (self.folder, self.root / "whole"):
            runs.train(folder, "device=auto", *self.ARGUMENTS, f"train.steps={steps}")
        assert record(self.folder)["fingerprint"] == record(self.root / "whole")["fingerprint"]
        assert numbers(self.folder) == numbers(self.root / "whole")
        assert not list(self.folder.rglob("*.tmp"))
        for path in read.checkpoints(self.folder):
            checkpoints.load(path)


def test_a_run_survives_kill_9(tmp_path, environment):
    killed = Killed(tmp_path, environment)
    killed.kill_after_lines(20)
    killed.assert_ends_as_an_uninterrupted_run()


@pytest.mark.slow
def test_a_run_survives_kill_9_at_ten_random_moments(tmp_path, environment):
    killed = Killed(tmp_path, environment)
    choice = random.Random(0)
    killed.kill_after_lines(8)
    for _ in range(9):
        killed.kill_after_seconds(choice.uniform(2, 8))
    killed.assert_ends_as_an_uninterrupted_run()


def test_changed_data_are_refused(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for value in range(4):
        Image.new("RGB", (8, 8), (value, 0, 0)).save(tmp_path / "images" / f"{value}.png")
    words = ["gan-train", "dataset=folder", "dataset.path=images", "dataset.resolution=8", "dataset.root=cache"]
    words += ["model.generator.width=2", "model.critic.width=2", "train.batch_size=2", "name=run"]
    assert inside(*words, "train.steps=1").code == 0
    assert inside(*words, "train.steps=2").code == 0
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "images" / "0.png")
    finished = inside(*words, "train.steps=3")
    assert finished.code == 2
    (line,) = finished.err.splitlines()
    assert line.startswith("gan-train: outputs/run was trained on other data: ")


@pytest.mark.thorough
def test_a_schedule_that_steps_have_changed_is_said(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for schedule, warned in (("linear", True), ("constant", False)):
        words = ("gan-train", *TINY, f"train.schedule={schedule}", f"name={schedule}")
        assert inside(*words, "train.steps=2").code == 0
        finished = inside(*words, "train.steps=4")
        assert finished.code == 0
        assert ("a schedule depends on train.steps, which was 2" in finished.err) is warned
