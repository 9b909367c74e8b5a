"""Yamls and runs from before modules moved mean what they meant."""

import importlib
from typing import Any

import pytest
from omegaconf import OmegaConf

from gan_cli.config import earlier
from gan_cli.config.identity import differences
from gan_cli.config.renamed import GONE, MOVED, renewed, todays
from gan_cli.runs import read
from gan_cli.runs.find import Found
from gan_cli.runs.run import told
from tests.helpers.configs import TINY, compose


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gan_cli.penalties.R1", "gan_cli.divergences.penalties.R1"),
        ("gan_cli.device.Device", "gan_cli.training.device.Device"),
        ("gan_cli.extractors.raw.Raw", "gan_cli.metrics.extractors.raw.Raw"),
        ("gan_cli.extractors.classifier.Classifier", "gan_cli.metrics.extractors.classifier.Classifier"),
        ("gan_cli.models.mlp.Critic", "gan_cli.models.mlp.Critic"),
        ("gan_cli.devices.Device", "gan_cli.devices.Device"),
        ("torch.optim.Adam", "torch.optim.Adam"),
        ("gan_cli.penalties", "gan_cli.penalties"),
    ],
)
def test_an_old_target_has_todays_name(old, new):
    assert todays(old) == new
    assert todays(new) == new


@pytest.mark.parametrize("module", MOVED.values())
def test_the_new_places_are_modules(module):
    importlib.import_module(module)


def test_every_target_of_a_tree_is_renewed_and_nothing_else():
    tree: dict[str, Any] = {
        "a": {"_target_": "gan_cli.device.Device", "name": "gan_cli.device.Device"},
        "b": [{"_target_": None}, 3],
    }
    tree["b"].append({"_target_": "gan_cli.penalties.R1"})
    assert renewed(tree) == {
        "a": {"_target_": "gan_cli.training.device.Device", "name": "gan_cli.device.Device"},
        "b": [{"_target_": None}, 3, {"_target_": "gan_cli.divergences.penalties.R1"}],
    }
    assert tree["a"]["_target_"] == "gan_cli.device.Device"


@pytest.mark.parametrize(("target", "options"), GONE.items())
def test_options_that_are_gone_are_left_out_and_nothing_else(target, options):
    node = {"_target_": target, "samples": 9}
    assert renewed([node | dict.fromkeys(options, 1)]) == [node]
    other = {"_target_": "gan_cli.metrics.kernel.KernelDistance"} | dict.fromkeys(options, 1)
    assert renewed(other) == other


def test_an_old_runs_config_does_not_differ_from_todays(tmp_path):
    config = compose(*TINY)
    text = OmegaConf.to_yaml(config)
    for old, new in MOVED.items():
        assert new in text
        text = text.replace(f"_target_: {new}.", f"_target_: {old}.")
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text(text)
    before = read.config(tmp_path)
    assert before is not None
    assert differences(before, config) == []
    reported = told(Found(tmp_path, "old"))
    assert reported.config["device._target_"] == config.device._target_
    assert reported.config["divergence.penalty._target_"] == config.divergence.penalty._target_


def test_an_old_decay_of_the_average_warms_up_as_it_did():
    """Before the warm-up was a schedule, every decay had it; a number is the same at every step since."""
    then = earlier.modernised({"train": {"average_decay": 0.999}})
    assert then["train"]["average_decay"] == "warm_up:decay=0.999" == compose(*TINY).train.average_decay
    now = {"train": {"average_decay": 0.99}, "augmentation": {"_target_": "gan_cli.augmentations.base.NoAugmentation"}}
    assert earlier.modernised(now) == now
    assert earlier.modernised({"seed": 0}) == {"seed": 0}
    assert earlier.modernised(["no config"]) == ["no config"]
