"""Activations with a kink: the form that is compiled is the one that is not, at the kink as well."""

import pytest
import torch
from torch import Tensor, nn

from gan_cli.models import layers
from gan_cli.models.layers import nonlinearity

PAIRS = {"relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.2)}


def derivatives(activation: nn.Module) -> list[Tensor]:
    """The values, and the gradients of a score and of a gradient penalty of it, at points on both sides and at 0."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    y = activation(x)
    score = (y + 1).square().sin().sum()
    (slope,) = torch.autograd.grad(score, x, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), x)
    return [y.detach(), slope.detach(), second]


@pytest.fixture
def compiling(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_compiled_for_the_cpu_is_the_same_function(name, compiling):
    torch.testing.assert_close(derivatives(nonlinearity(name)), derivatives(PAIRS[name]), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("is_compiling", [False, True])
def test_a_factor_takes_the_place_of_a_truth_value_only_in_what_is_compiled(name, is_compiling, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: is_compiling)
    monkeypatch.setattr(layers, "kinked", lambda x, slope: torch.full_like(x, slope))
    slope = {"relu": 0.0, "leaky_relu": 0.2}[name]
    assert nonlinearity(name)(torch.ones(1)) == (slope if is_compiling else 1)


@pytest.mark.slow
def test_no_truth_value_is_kept_for_the_backward_pass_of_compiled_layers():
    kept: list[torch.dtype] = []

    def keep(saved: Tensor) -> Tensor:
        kept.append(saved.dtype)
        return saved

    network = nn.Sequential(nn.Linear(8, 8), nonlinearity("leaky_relu"), nn.Linear(8, 8), nonlinearity("relu"))
    compiled = torch.compile(network, fullgraph=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        compiled(torch.randn(4, 8)).sum().backward()
    assert torch.float32 in kept
    assert torch.bool not in kept
