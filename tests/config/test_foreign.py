"""What a run's folder names is not imported while the run is only read."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gan_cli.commands.train import run
from gan_cli.config.foreign import is_within, refuse_foreign
from gan_cli.errors import ConfigError
from tests.helpers.configs import TINY, compose

NOISY = "print('imported')\nfrom gan_cli.models.mlp import Critic, Generator\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ring"
    config = compose(*TINY, "train.steps=1")
    run(config, folder, {"config.yaml": OmegaConf.to_yaml(config)})
    return folder


@pytest.fixture
def ring(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "ring")


def name_in(folder: Path, key: str, target: str | dict[str, str]) -> None:
    path = folder / ".hydra" / "config.yaml"
    config = OmegaConf.load(path)
    OmegaConf.update(config, key, target, force_add=True)
    OmegaConf.save(config, path)


@pytest.mark.parametrize("allowed", [[], ["mine", "other.module"]])
def test_our_classes_and_torchs_optimizers_may_be_named(allowed):
    refuse_foreign(compose(*TINY, "metric=[modes,exact]"), allowed)


@pytest.mark.parametrize(
    "target",
    [
        "this.s",
        "json.tool.x",
        "this",
        "gan_cli_evil.Thing",
        "gan_cli",
        "torch.optimal.Adam",
        "torch.hub.load",
        "gan_cli./tmp/evil.Thing",
        "gan_cli..this.s",
        " gan_cli.models.mlp.Critic",
        "None",
        "3",
    ],
)
def test_nothing_else_may(target):
    config = OmegaConf.create({"model": {"critic": {"_target_": target}}})
    with pytest.raises(ConfigError) as caught:
        refuse_foreign(config, ["mine"])
    assert str(caught.value).startswith(f"model.critic._target_={target} would import code that is not part of gan-cli")


def test_the_remedy_names_the_module():
    with pytest.raises(ConfigError, match="if you trust it, add --allow mine.metrics$".replace(".", r"\.")):
        refuse_foreign(OmegaConf.create({"metric": {"one": {"_target_": "mine.metrics.One"}}}))


def test_nodes_are_found_wherever_they_are():
    deep = OmegaConf.create({"a": [{"b": {"_target_": "gan_cli.x.Y", "c": [[{"_target_": "this.s"}]]}}]})
    with pytest.raises(ConfigError, match=r"^a\[0\]\.b\.c\[0\]\[0\]\._target_=this\.s would"):
        refuse_foreign(deep)


@pytest.mark.parametrize("value", ["${b}", "gan_cli.${b}", '${oc.decode:"{_target_: this.s}"}'])
def test_nothing_is_left_to_a_resolver(value):
    """An escaped interpolation is one after the folder's config was resolved, and could still become a node."""
    with pytest.raises(ConfigError, match=r"^a=\S*\$\{.* is not a value, but refers to one"):
        refuse_foreign(OmegaConf.create({"a": value, "b": "this.s"}))


def test_an_allowed_module_stands_for_its_submodules_and_for_no_other():
    assert is_within("mine.One", ["mine"])
    assert is_within("mine.metrics.One", ["mine"])
    assert not is_within("mine", ["mine"])
    assert not is_within("mine_too.One", ["mine"])
    assert not is_within("mine.One", ["mine.metrics"])


def test_no_module_of_ours_does_anything_when_it_is_imported(monkeypatch):
    """`gan_cli.__main__.X` is a target of ours too."""
    monkeypatch.setattr(sys, "argv", ["gan-train", "--help"])
    sys.modules.pop("gan_cli.__main__", None)
    importlib.import_module("gan_cli.__main__")


READING = {
    "gan-eval": "from gan_cli.cli import evaluate; evaluate()",
    "gan-sample": "from gan_cli.cli import sample; sample()",
    "gan-report": "from gan_cli.cli import report; report()",
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("command", "arguments"),
    [("gan-eval", ["--metric=modes"]), ("gan-sample", ["--out=new.png"]), ("gan-report", ["--out=report.html"])],
)
@pytest.mark.parametrize("key", ["dataset._target_", "model.generator._target_"])
def test_a_run_that_is_read_imports_nothing_that_it_names(ring, environment, command, arguments, key):
    """In a process of its own, where the modules would be new; a package's `__init__` is code as well."""
    (ring.parent / "package").mkdir()
    (ring.parent / "package" / "__init__.py").write_text(NOISY)
    (ring.parent / "package" / "module.py").write_text(NOISY)
    name_in(ring, key, "package.module.Generator")
    name_in(ring, "metric.modes", {"_target_": "package.module.Metric"})
    done = subprocess.run(
        [sys.executable, "-c", READING[command], str(ring), *arguments],
        cwd=ring.parent,
        env=environment | {"PYTHONPATH": os.pathsep.join([str(ring.parent), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert "imported" not in done.stdout + done.stderr
    if command != "gan-report":
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"{command}: {key}=package.module.Generator would import code that is not part")
        assert line.endswith("add --allow package.module")


@pytest.mark.parametrize("command", ["gan-eval", "gan-sample"])
@pytest.mark.parametrize("target", ["this.s", "json.tool.x"])
def test_the_zen_of_python_is_not_printed(ring, inside, command, target, tmp_path):
    name_in(ring, "dataset._target_", target)
    for module in ("this", "json.tool"):
        sys.modules.pop(module, None)
    finished = inside(command, str(ring), *(["--out", str(tmp_path / "new.png")] if command == "gan-sample" else []))
    assert (finished.code, finished.out) == (2, "")
    assert target.rpartition(".")[0] not in sys.modules


@pytest.mark.parametrize(
    ("command", "arguments"), [("gan-eval", ["--metric=modes", "--n=10"]), ("gan-sample", ["--out=new.npy"])]
)
def test_allowed_modules_are_imported(ring, inside, command, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"allowed_by_{command.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(NOISY)
    name_in(ring, "model.generator._target_", f"{module}.Generator")
    name_in(ring, "model.critic._target_", f"{module}.Critic")
    assert inside(command, str(ring), *arguments, "--allow=other").code == 2
    finished = inside(command, str(ring), *arguments, "--allow=other", f"--allow={module}")
    assert finished.code == 0, finished.err
    assert module in sys.modules
