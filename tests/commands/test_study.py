"""A study through its command: members, continuation, and what goes wrong."""

import contextlib
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gan_cli.assembly.games import assemble
from gan_cli.commands.study import MemberRuns
from gan_cli.commands.train import carry_out
from gan_cli.editions import NEWEST
from tests.helpers.commands import call
from tests.helpers.configs import TINY as ONE_STEP
from tests.helpers.configs import compose
from tests.helpers.runs import record, tree
from tests.helpers.undrawn import undrawn

TINY = [
    "experiment=js_saturation",
    "train.steps=3",
    "train.batch_size=8",
    "model.critic.hidden=[8]",
    "every.checkpoint=2",
    "name=study",
    "study.members.gan=['divergence=gan', 'model.generator.position=0.5,1']",
    "study.members.wgan_gp=['divergence=wgan_gp', 'model.generator.position=0.5,1']",
]
MEMBERS = [f"{name},model.generator.position={position}" for name in ("gan", "wgan_gp") for position in ("0.5", "1")]


@pytest.fixture
def study(inside, tmp_path, monkeypatch, undrawn):
    """The study by its command, with what is changed, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *changes: inside("gan-train", *TINY, *changes)


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory) -> Path:
    """A folder with outputs/study in it, carried out once for all tests that begin there."""
    root = tmp_path_factory.mktemp("carried out")
    with contextlib.chdir(root), undrawn():
        assert call("gan-train", *TINY).code == 0
    return root


@pytest.fixture
def done(carried_out, tmp_path) -> Path:
    """A copy of the study, which is where `study` would put it."""
    return Path(shutil.copytree(carried_out / "outputs" / "study", tmp_path / "outputs" / "study"))


@pytest.mark.thorough
def test_a_study_ends_in_members_numbers_and_a_figure(carried_out):
    folder = carried_out / "outputs" / "study"
    assert sorted(path.name for path in (folder / "members").iterdir()) == MEMBERS
    assert [record(folder / "members" / name)["status"] for name in MEMBERS] == ["done"] * 4
    assert record(folder)["status"] == "done"
    assert record(folder)["final"]["theta"] == [0.5, 1.0]
    assert (folder / "js_saturation.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.thorough
def test_the_same_command_keeps_members_that_are_done_and_makes_up_for_the_others(study, done):
    folder = done
    numbers = record(folder)["final"]
    before = tree(folder / "members" / MEMBERS[0])
    lost = folder / "members" / MEMBERS[3]
    for path in sorted(lost.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    lost.rmdir()
    assert study().code == 0
    after = tree(folder / "members" / MEMBERS[0])
    before.pop("train.log"), after.pop("train.log")
    assert after == before
    assert record(folder)["final"] == numbers


def test_a_member_goes_on_by_the_edition_that_it_began_with(tmp_path):
    configs = {name: compose(*ONE_STEP, "metric=[]", "train.steps=1") for name in ("first", "newest")}
    folder = MemberRuns(configs, tmp_path).folder("first")
    carry_out(assemble(configs["first"], edition=1), folder, {"config.yaml": OmegaConf.to_yaml(configs["first"])})
    members = MemberRuns(configs, tmp_path)
    assert (members["first"].edition, members["newest"].edition) == (1, NEWEST)


@pytest.mark.usefixtures("done")
def test_a_changed_study_is_refused(study):
    finished = study("model.critic.hidden=[9]")
    assert finished.code == 2
    assert "model.critic.hidden" in finished.err


@pytest.mark.thorough
@pytest.mark.usefixtures("undrawn")
def test_a_member_that_diverges_is_named_and_the_others_are_concluded_from(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["train.steps=30", "model.critic.hidden=[8]", "train.batch_size=8", "name=study"]
    bad = "+study.members.bad=['optimizer=sgd', 'optimizer.critic.lr=1e38']"
    finished = inside("gan-train", "experiment=optimal_discriminator", *tiny, bad)
    assert finished.code == 3
    assert "bad" in finished.err
    assert record(tmp_path / "outputs" / "study")["diverged"] == ["bad"]
    assert record(tmp_path / "outputs" / "study")["final"].keys() == {"critic"}


@pytest.mark.parametrize("data", ["dataset=parallel_lines", "dataset=mnist5k", "dataset.deviation=1e-3"])
def test_a_matrix_is_refused_before_training_where_it_could_not_be_measured(inside, tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    members = ["~study.members", "+study.members.kl=[divergence=kl]"]
    finished = inside("gan-train", "experiment=divergence_matrix", "train.steps=1", *members, data)
    assert finished.code == 2, finished.err
    assert len(finished.err.strip().splitlines()) == 1
    assert tree(tmp_path) == {}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("study.members.gan=['divergence=ga']", "study.members.gan: divergence=ga is not an option"),
        ("study.members.gan=['divergence.foo=1']", "divergence.foo is not a key"),
        ("study.members.gan=['nonsense']", "study.members.gan: nonsense cannot be read"),
        ("study.members.gan=['train.batch_size=0']", "gan: train.batch_size=0 must be at least 1"),
        ("study.members.gan=['dataset=mixture1d']", "gan: model.generator: a line lies in the plane"),
        ("study.members.gan=['dataset=ring', 'model=mlp']", "gan must have dataset=parallel_lines and model=line"),
        ("study.members.gan=['dataset.position=1']", "dataset.position=0"),
        ("study.members.gan=['divergence=gan,kl']", "not at 0.5"),
        ("~study.members.gan", "not at"),
        ("study.members.gan=['model.generator.position=0']", "where nothing is apart"),
        ("study.members=[]", "study.members"),
        ("study.member={}", "did you mean members?"),
        ("study._target_=gan_cli.divergences.penalties.R1", "study._target_"),
    ],
)
def test_a_wrong_member_is_refused_before_anything_is_written(study, tmp_path, change, complaint):
    finished = study(change)
    assert finished.code == 2, finished.err
    assert complaint in finished.err
    assert len(finished.err.strip().splitlines()) == 1
    assert tree(tmp_path) == {}


@pytest.mark.thorough
@pytest.mark.usefixtures("undrawn")
def test_a_sweep_of_studies_is_a_sweep_of_runs(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [word.replace("0.5,1", "0.5") for word in TINY if not word.startswith("name=")]
    finished = inside("gan-train", "-m", *arguments, "seed=0,1", "hydra.sweep.dir=sweep")
    assert finished.code == 0, finished.err
    assert len(list((tmp_path / "sweep").glob("*/js_saturation.png"))) == 2


@pytest.mark.usefixtures("done", "study")
def test_gan_sample_of_a_study_names_its_members(inside):
    finished = inside("gan-sample", "outputs/study", "--out", "x.png")
    assert finished.code == 2
    assert "outputs/study/members" in finished.err
