"""What a config may build, and from which values."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from gan_cli.config.build import build
from gan_cli.datasets.base import Dataset
from gan_cli.errors import ConfigError
from gan_cli.models import mlp
from gan_cli.models.base import Generator
from gan_cli.training.loop import update_average
from gan_cli.training.state import TrainState, averaged_copy


class Sample(Dataset):
    """A data set with a knob of every kind."""

    def __init__(
        self,
        whole: int = 0,
        real: float = 0.0,
        word: Literal["a", "b"] = "a",
        some: Sequence[float] = (),
        maybe: int | None = None,
        anything: Any = None,
        bare=None,
    ) -> None:
        if real < 0:
            raise ValueError(f"real={real} must be 0 or more")
        if whole < 0:
            raise RuntimeError("out of memory\nwith details")
        self.knobs = (whole, real, word, some, maybe, anything, bare)


def sample(**values):
    return build(OmegaConf.create({"_target_": f"{__name__}.Sample", **values}), Dataset, "dataset")


def test_fitting_values_are_passed_on():
    built = sample(whole=2, real=3, word="b", some=[1, 2.5], maybe=None, anything="x", bare=1)
    assert built.knobs == (2, 3, "b", [1, 2.5], None, "x", 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"whole": 1.5}, "dataset.whole=1.5 must be a whole number"),
        ({"whole": True}, "dataset.whole=True must be a whole number"),
        ({"real": float("nan")}, "dataset.real=nan must be a finite number"),
        ({"real": float("inf")}, "dataset.real=inf must be a finite number"),
        ({"word": "c"}, "dataset.word=c must be one of a, b"),
        ({"some": [1, "x"]}, "must be a list, each item a finite number"),
        ({"maybe": "x"}, "must be a whole number or null"),
        ({"wohle": 1}, "dataset.wohle is not an option of Sample: did you mean whole"),
        ({"real": -1.0}, "dataset.real=-1.0 must be 0 or more"),
        ({"whole": -1}, "dataset: out of memory"),
        ({"some": {"_target_": "tempfile.TemporaryDirectory"}}, "dataset.some must be a list"),
        ({"anything": {"_target_": "tempfile.TemporaryDirectory"}}, "dataset.anything must be"),
    ],
)
def test_other_values_are_refused_by_key_in_one_line(values, message):
    with pytest.raises(ConfigError) as caught:
        sample(**values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_average_of_a_spectral_generator_keeps_its_norms():
    """Its singular vectors are those of the generator, not a blend of old and new ones, which have no unit length."""
    torch.manual_seed(0)
    generator: Generator = mlp.Generator((2,), 4, "normal", [32, 32], "relu", "spectral")
    critic = mlp.Critic((2,), [4], "relu", "none")
    state = TrainState(
        generator,
        critic,
        averaged_copy(generator),
        torch.optim.SGD(generator.parameters()),
        torch.optim.SGD(critic.parameters()),
    )
    for _ in range(40):
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
        generator(generator.sample_latent(4))
        update_average(state, torch.tensor(0.1))
    layers = [layer for layer in state.average.layers if isinstance(layer, nn.Linear) and layer.out_features == 32]
    assert len(layers) == 2
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.15)
