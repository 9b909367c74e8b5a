"""docs/extending.md, carried out: its files, out of the tree, through the real command."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Iterator[Path]:
    """The page's files, as a folder on PYTHONPATH that is also the current one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    files = FILE.findall(PAGE.read_text())
    assert len(files) == 20
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield folder


@pytest.mark.parametrize(
    ("choice", "picture"),
    [
        (["divergence=vincze", "dataset=cauchy", "model=sines"], "samples.png"),
        (["divergence=wgan_gp", "divergence/penalty=drift"], "samples.png"),
        (["dataset=ring", "metric=[modes,spread]"], "samples.png"),
        (["divergence=wgan_lp", "+schedule@divergence.penalty.weight=warm"], "samples.png"),
        (["augmentation=jitter", "dataset=ring"], "samples.png"),
        (["experiment=sizes", "dataset=ring", "metric=[]"], "members/deep,seed=1/samples.png"),
    ],
    ids=str,
)
def test_the_page_works_as_written(elsewhere, inside, choice, picture):
    name = choice[0].replace("=", "-")
    finished = inside("gan-train", "--config-dir=conf", "train.steps=3", *choice, f"name={name}")
    assert finished.code == 0, finished.err
    assert (elsewhere / "outputs" / name / picture).exists()


@pytest.mark.usefixtures("elsewhere")
def test_the_pages_classifier_and_attack_are_used_if_their_modules_are_allowed(inside):
    own = ["classifier=sine_layer", "dataset=mnist5k", "train.steps=3", "name=sine-layer"]
    trained = inside("gan-classify", "--config-dir=conf", *own)
    assert trained.code == 0, trained.err
    measure = ["gan-eval", "outputs/sine-layer"]
    assert "add --allow mine_classifier" in inside(*measure).err
    assert "accuracy" in inside(*measure, "--allow", "mine_classifier").out
    attack = ["gan-attack", "outputs/sine-layer", "--config-dir=conf", "--attack=negative", "--allow=mine_classifier"]
    assert "add --allow mine_attack" in inside(*attack).err
    attacked = inside(*attack, "--allow=mine_attack")
    assert attacked.code == 0, attacked.err
    assert re.search(r"^negative +\d", attacked.out, re.MULTILINE)


def test_the_pages_command_line_finds_its_modules(elsewhere):
    """PYTHONPATH is read by a process when it starts."""
    command = [sys.executable, "-c", "from gan_cli.cli import divergence; divergence()", "list", "--config-dir=conf"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(elsewhere), *sys.path])}
    done = subprocess.run([*command, "vincze"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "∫ (p−q)²/(p+q)" in done.stdout


@pytest.mark.usefixtures("elsewhere")
def test_the_pages_divergence_obeys_every_law(inside):
    checked = inside("gan-divergence", "check", "--config-dir=conf", "vincze")
    assert checked.code == 0, checked.err
    assert checked.out.endswith("Every law holds.\n")


@pytest.mark.usefixtures("elsewhere")
def test_the_pages_density_is_that_of_its_samples():
    from mine_data import Cauchy

    x = torch.linspace(-5, 5, 11, dtype=torch.float64)[:, None]
    torch.testing.assert_close(Cauchy(2.0).log_density(x), torch.distributions.Cauchy(0.0, 2.0).log_prob(x[:, 0]))


@pytest.mark.usefixtures("elsewhere")
def test_the_pages_metric_is_measured_of_a_run_if_its_module_is_allowed(inside):
    choice = ["dataset=ring", "metric=[spread]", "train.steps=3", "name=of-mine"]
    trained = inside("gan-train", "--config-dir=conf", *choice)
    assert trained.code == 0, trained.err
    refused = inside("gan-eval", "outputs/of-mine", "--metric=spread")
    assert (refused.code, refused.out) == (2, "")
    assert "metric.spread._target_=mine_metric.Spread" in refused.err
    assert "add --allow mine_metric" in refused.err
    measured = inside("gan-eval", "outputs/of-mine", "--metric=spread", "--allow", "mine_metric")
    assert measured.code == 0, measured.err
    assert "spread" in measured.out


def test_a_divergence_that_chooses_its_penalty_in_the_wrong_way_is_told_the_right_one(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "divergence").mkdir(parents=True)
    yaml = tmp_path / "conf" / "divergence" / "mine.yaml"
    own = "_target_: gan_cli.divergences.fgan.Gan\ncritic_steps: 1\ngenerator_loss: minimax\n"
    command = ["gan-train", "--config-dir=conf", "divergence=mine", "dataset=ring", "train.steps=1", "name=mine"]
    yaml.write_text(f"defaults: [penalty: r1, _self_]\n{own}")
    refused = inside(*command)
    assert refused.code == 2
    (line,) = refused.err.splitlines()
    remedy = re.search(r"write '(.*)' there$", line)
    assert remedy
    yaml.write_text(f"defaults: [{remedy[1]}, _self_]\n{own}")
    assert inside(*command).code == 0
    assert "penalties.R1\n" in (tmp_path / "outputs" / "mine" / ".hydra" / "config.yaml").read_text()
