"""A run and a sweep made by an earlier version, commit ace79c0, go on, are measured and compared.

The folder `before` holds what that version left of them, less curves and most pictures.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch

from gan_cli.assembly.games import assemble
from gan_cli.config.schema import folder_name
from gan_cli.runs import checkpoints, read
from tests.helpers.commands import Command
from tests.helpers.configs import compose
from tests.helpers.resuming import advance

BEFORE = Path(__file__).parent / "before"

TOY = ("dataset=ring", "model.generator.hidden=[4]", "model.critic.hidden=[4]", "model.generator.latent_size=2")
EVERY = ("every.checkpoint=10", "every.log=5", "every.samples=20", "every.evaluate=20")
NO_PENALTY = "divergence/penalty=none"
"""What was the default then."""
RUN = (*TOY, NO_PENALTY, *EVERY, "train.batch_size=16", "metric=[modes]", "name=old", "seed=1")
SWEEP = (*TOY, "train.batch_size=16", "every.log=5", "metric=[]")

FINGERPRINT = "4e0b0fe026d47ffda4163bc5a0dc02f379262d9a3f3e20de4c03d9d141bdcbfb"

on_its_device = pytest.mark.skipif(torch.cuda.is_available(), reason="its bits are those of a CPU")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(BEFORE / "run", tmp_path / "outputs" / "old"))


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its runs are kept under short names, and go by those that their overrides give them."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sweep"
    for divergence in ("gan", "wgan_gp"):
        name = folder_name(sorted([*SWEEP, "train.steps=10", f"divergence={divergence}"]))
        shutil.copytree(BEFORE / "sweep" / divergence, folder / name)
    return folder


def test_it_was_made_by_that_commit():
    for run in (BEFORE / "run", *(BEFORE / "sweep").iterdir()):
        assert read.record(run)["git_commit"].startswith("ace79c0")
    assert read.record(BEFORE / "run")["fingerprint"] == FINGERPRINT


def test_the_run_is_known_to_be_done(old: Path, inside: Command) -> None:
    finished = inside("gan-train", *RUN, "train.steps=20")
    assert finished.code == 0, finished.err
    assert "outputs/old is done; train.steps=… beyond 20 continues it" in finished.err


def test_the_run_goes_on(old: Path, inside: Command) -> None:
    before = (old / "metrics.jsonl").read_text()
    finished = inside("gan-train", *RUN, "train.steps=40")
    assert finished.code == 0, finished.err
    assert "continuing outputs/old from step 20" in finished.err
    assert (old / "metrics.jsonl").read_text().startswith(before)
    lines = read.metrics(old)
    assert [line["step"] for line in lines] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert lines[-1]["modes_of_real"] == 8
    assert read.record(old).items() >= {"status": "done", "step": 40, "steps": 40}.items()
    assert read.record(old)["fingerprint"] != FINGERPRINT


@on_its_device
def test_it_ends_as_that_version_would_have_ended_it(old: Path, inside: Command) -> None:
    left = {}
    for edition in (1, 2):
        job = assemble(compose(*RUN[:-2], "seed=1", "train.steps=40"), edition=edition)
        job.state.load_state_dict(checkpoints.newest(old)[1])
        left[edition] = advance(job, 20).state.fingerprint()
    assert inside("gan-train", *RUN, "train.steps=40").code == 0
    assert read.record(old)["fingerprint"] == left[1] != left[2]


def test_another_config_than_its_own_is_refused(old: Path, inside: Command) -> None:
    finished = inside("gan-train", *RUN, "train.steps=40", "divergence.critic_steps=2")
    assert finished.code == 2
    (line,) = finished.err.splitlines()
    assert "divergence.critic_steps=1 (now 2)" in line
    assert line.count("(now ") == 1


@on_its_device
def test_its_receipts_are_kept_and_shown_and_do_not_answer(old: Path, inside: Command) -> None:
    before = read.receipts(old)
    assert [receipt["metric"] for receipt in before] == ["modes", "sliced_wasserstein"]
    finished = inside("gan-eval", str(old), "--n=200", "--metric=modes", "--metric=sliced_wasserstein")
    assert finished.code == 0, finished.err
    after = read.receipts(old)
    assert after[:2] == before
    assert [receipt["metric"] for receipt in after[2:]] == ["modes", "sliced_wasserstein"]
    for old_receipt, new_receipt in zip(after[:2], after[2:], strict=True):
        if new_receipt["metric"] == "sliced_wasserstein":  # whose error was that of blocks
            for receipt in (old_receipt, new_receipt):
                assert receipt["numbers"]["sliced_wasserstein"].pop("error") > 0
        assert new_receipt["numbers"] == old_receipt["numbers"]
        assert new_receipt["code_sha256"] != old_receipt["code_sha256"]


def test_samples_are_drawn_from_it(old: Path, inside: Command) -> None:
    assert inside("gan-sample", str(old), "--out", "points.npy").code == 0
    assert Path("points.npy").stat().st_size > 2500 * 2 * 4


def test_the_run_and_the_sweep_are_reported_with_their_numbers(old: Path, sweep: Path, inside: Command) -> None:
    finished = inside("gan-report", str(old), str(sweep), "--format=json")
    assert finished.code == 0, finished.err
    report = json.loads(finished.out)
    assert [run["status"] for run in report["runs"]] == ["done"] * 3
    assert [run["details"] for run in report["runs"]] == [[]] * 3
    numbers = [{number["name"]: number["value"] for number in run["numbers"]} for run in report["runs"]]
    assert numbers[0].keys() >= {"estimate", "modes", "high_quality_share", "sliced_wasserstein"}
    assert numbers[0]["estimate"] == -1.4446439743041992
    assert all("estimate" in of_run for of_run in numbers)
    assert [run["config"]["divergence"] for run in report["runs"]] == ["gan", "gan", "wgan_gp"]
    page = inside("gan-report", str(old), str(sweep), "--out", "report.html")
    assert page.code == 0, page.err
    html = Path("report.html").read_text()
    assert "data:image/webp;base64," in html
    assert "sliced_wasserstein" in html


def test_a_run_of_the_sweep_goes_on(sweep: Path, inside: Command) -> None:
    (folder,) = sweep.glob("dataset=ring,divergence=gan,*")
    place = (f"hydra.sweep.dir={sweep}", f"hydra.sweep.subdir='{folder.name}'")  # more steps would give another name
    finished = inside("gan-train", "-m", *SWEEP, NO_PENALTY, "divergence=gan", "train.steps=15", *place)
    assert finished.code == 0, finished.err
    assert f"continuing {folder} from step 10" in finished.err
    assert [line["step"] for line in read.metrics(folder)] == [5, 10, 15]
