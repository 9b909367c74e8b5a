"""Sweeps whose members clash, fail or do not exist; and what one member must not leave to the next."""

import pytest
import torch

from gan_cli.commands import sweep
from gan_cli.config.schema import member_name, run_name
from gan_cli.training.device import DEFAULT_THREADS, Device
from tests.helpers.configs import TINY

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def swept(inside, tmp_path, monkeypatch):
    """`gan-train -m …` in an empty folder, and the folder of the sweep."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        finished = inside("gan-train", "-m", *TINY, *arguments, "hydra.sweep.dir=sweep")
        return finished, tmp_path / "sweep"

    return call


def test_members_that_differ_in_steps_alone_have_folders_of_their_own(swept):
    finished, folder = swept("train.steps=1,2")
    assert finished.code == 0
    assert [run["step"] for _, run in sweep.runs(folder)] == [1, 2]


@pytest.mark.thorough
def test_overrides_may_stand_on_both_sides_of_the_flag(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside("gan-train", *TINY, "train.steps=1", "-m", "seed=0,1", "hydra.sweep.dir=sweep").code == 0
    assert [run["seed"] for _, run in sweep.runs(tmp_path / "sweep")] == [0, 1]


def test_members_of_one_name_are_refused_but_for_the_first(swept):
    finished, folder = swept("train.steps=1", "seed=0,1", "name=same")
    assert finished.code == 2
    ((name, run),) = sweep.runs(folder)
    assert (name, run["status"], run["seed"]) == ("same", "done", 0)
    assert "seed=0 (now 1)" in run["refused"]


def test_a_member_stays_inside_the_folder_of_the_sweep(swept, tmp_path):
    finished, folder = swept("train.steps=1", "seed=0", "name=../../evil")
    assert finished.code == 2
    assert {path.name for path in tmp_path.iterdir()} <= {"sweep", "outputs"}
    assert not list(tmp_path.parent.glob("*evil*"))
    assert len(sweep.runs(folder)) == 1


def test_a_sweep_over_nothing_is_refused_and_leaves_nothing(swept, tmp_path):
    finished, folder = swept("divergence=glob(nope*)")
    assert finished.code == 2
    assert "no runs" in finished.err
    assert list(tmp_path.iterdir()) == []
    folder.mkdir()
    (folder / "mine.txt").touch()
    assert swept("divergence=glob(nope*)")[0].code == 2
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_sweep_over_what_is_no_option_leaves_nothing(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", "-m", *TINY, "divergence=kl,nope")
    assert (finished.code, list(tmp_path.iterdir())) == (2, [])
    assert "divergence=nope is not an option" in finished.err


def test_names_leave_out_what_may_change_and_stay_short():
    assert run_name(["train.steps=5", "seed=1", "every.log=3", "divergence=kl"]) == "divergence=kl,seed=1"
    assert run_name(["divergence/penalty=r1"]) == "divergence-penalty=r1"
    assert run_name(["+tracker.x=1", "seed=1"]) == run_name(["tracker.x=1", "seed=1"]) == "seed=1"
    assert run_name([]) == "default"
    assert member_name(["train.steps=5", "seed=1"], "x") == "seed=1,train.steps=5"
    assert member_name(["seed=1", "name=a/b"], "a/b") == "a-b"
    long, other = (run_name([f"model.generator.hidden=[{'9,' * 99}{last}]"]) for last in (1, 2))
    assert len(long) <= 120
    assert long != other


def test_a_thread_count_is_not_left_to_the_next_run():
    before = torch.get_num_threads()
    try:
        Device(kind="cpu", threads=DEFAULT_THREADS + 1, deterministic=False).activate()
        assert torch.get_num_threads() == DEFAULT_THREADS + 1
        Device(kind="cpu", threads=None, deterministic=False).activate()
        assert torch.get_num_threads() == DEFAULT_THREADS
    finally:
        torch.set_num_threads(before)
