"""docs/extending.md, carried out: its files, out of the tree, through the real command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gan_cli.commands.divergence.laws import LAWS

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    files = FILE.findall(PAGE.read_text())
    assert len(files) == 16
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


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
def test_the_page_works_as_written(elsewhere, choice, picture):
    name = choice[0].replace("=", "-")
    command = [sys.executable, "-m", "gan_cli", "--config-dir=conf", "train.steps=3", *choice]
    environment = os.environ | {"PYTHONPATH": str(elsewhere)}
    result = subprocess.run(
        [*command, f"name={name}"], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert (elsewhere / "outputs" / name / picture).exists()


def test_the_pages_metric_is_measured_of_a_run_where_its_module_is_allowed(elsewhere):
    environment = os.environ | {"PYTHONPATH": str(elsewhere)}

    def called(*words):
        return subprocess.run(
            [sys.executable, *words], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
        )

    choice = ["dataset=ring", "metric=[spread]", "train.steps=3", "name=of-mine"]
    trained = called("-m", "gan_cli", "--config-dir=conf", *choice)
    assert trained.returncode == 0, trained.stderr
    words = ["-c", "from gan_cli.cli import evaluate; evaluate()", "outputs/of-mine", "--metric=spread"]
    refused = called(*words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "metric.spread._target_=mine_metric.Spread" in refused.stderr
    assert "add --allow mine_metric" in refused.stderr
    measured = called(*words, "--allow", "mine_metric")
    assert measured.returncode == 0, measured.stderr
    assert "spread" in measured.stdout


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_pages_divergence_obeys_the_laws(elsewhere, monkeypatch, law):
    monkeypatch.syspath_prepend(elsewhere)
    from mine import VinczeLeCam

    divergence = VinczeLeCam(generator_loss="minimax")
    assert law.holds(divergence), law.error(divergence)


@pytest.mark.parametrize(("command", "said"), [("check", "Every law holds."), ("list", "∫ (p−q)²/(p+q)")])
def test_the_pages_divergence_is_found_by_the_command(elsewhere, command, said):
    words = [sys.executable, "-c", "from gan_cli.cli import divergence; divergence()", command, "--config-dir=conf"]
    environment = os.environ | {"PYTHONPATH": str(elsewhere)}
    result = subprocess.run(
        [*words, "vincze"], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert said in result.stdout


def test_the_pages_density_is_that_of_its_samples(elsewhere, monkeypatch):
    monkeypatch.syspath_prepend(elsewhere)
    from mine_data import Cauchy

    x = torch.linspace(-5, 5, 11, dtype=torch.float64)[:, None]
    torch.testing.assert_close(Cauchy(2.0).log_density(x), torch.distributions.Cauchy(0.0, 2.0).log_prob(x[:, 0]))
