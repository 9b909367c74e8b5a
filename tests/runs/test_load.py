"""A trained run, as commands and pages load it."""

from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from gan_cli.commands.train import run
from gan_cli.config import parts
from gan_cli.errors import ConfigError
from gan_cli.models.base import Generator
from gan_cli.runs import checkpoints, read
from gan_cli.runs.load import load_run
from tests.helpers.configs import TINY, compose


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    config = compose(*TINY, "train.steps=2", "every.checkpoint=1", "seed=3")
    run(config, folder, {"config.yaml": OmegaConf.to_yaml(config)})
    return folder


@pytest.mark.parametrize("step", [1, 2, None])
def test_a_run_has_the_networks_of_its_checkpoint(step: int | None, trained: Path) -> None:
    loaded = load_run(trained, step)
    path, state = checkpoints.newest(trained, step)
    assert (loaded.step, loaded.seed, loaded.sample_shape) == (step or 2, 3, (2,))
    assert (loaded.checkpoint, loaded.checkpoint_sha256) == (path, read.digest_of(path))
    assert not loaded.draws_images
    for name, network in {
        "generator": loaded.generator,
        "average": loaded.average,
        "critic": loaded.critic,
    }.items():
        assert all(torch.equal(tensor, state[name][key]) for key, tensor in network.state_dict().items())
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
    assert loaded.sampler("average") is loaded.average
    assert loaded.sampler("raw") is loaded.generator


def test_only_what_is_asked_for_is_built(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def counting(config: DictConfig, sample_shape: tuple[int, ...], class_count: int) -> Generator:
        built.append("generator")
        return generator(config, sample_shape, class_count)

    generator = parts.generator
    monkeypatch.setattr(parts, "generator", counting)
    monkeypatch.delattr(parts, "critic")
    loaded = load_run(trained)
    assert built == []
    assert loaded.average is loaded.average
    assert built == ["generator"]


def test_a_checkpoint_of_another_model_is_named(trained: Path) -> None:
    loaded = load_run(trained)
    loaded.config.model.critic.hidden = [5]
    with pytest.raises(ConfigError, match=r"step-0000002\.pt does not fit the model that .*config\.yaml describes"):
        _ = loaded.critic
    assert loaded.average.sample_latent(1).shape == (1, loaded.average.latent_size)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not the folder of a run: it has no"):
        load_run(tmp_path)
