"""The critic's estimate is a lower bound of the exact divergence, at every checkpoint of a run."""

import math

import pytest

from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.runs import read
from tests.helpers.configs import DIVERGENCES, divergence
from tests.helpers.runs import record, train

F_DIVERGENCES = [name for name in DIVERGENCES if isinstance(divergence(name), FDivergence)]


def excesses(folder) -> list[float]:
    """By how many standard errors the estimate of fresh samples exceeds the exact value, at each evaluation."""
    lines = [line for line in read.metrics(folder) if "exact" in line]
    assert len(lines) == 10
    # An infinite value has an infinite error: only a finite estimate is certain to fall short of it.
    return [
        -math.inf
        if line["exact"] == math.inf > line["held_out_estimate"]
        else (line["held_out_estimate"] - line["exact"])
        / math.hypot(line["exact_error"], line["held_out_estimate_error"])
        for line in lines
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_estimate_comes_near_the_exact_value_from_below(name, tmp_path):
    """Against a known density, the exact value has no error, and a critic with a head start comes near it."""
    folder = train(
        tmp_path / "run",
        "dataset=mixture1d",
        "model=gaussian",
        "model.generator.mean=1",
        "model.generator.deviation=1.8",
        f"divergence={name}",
        "divergence/penalty=none",
        "divergence.generator_loss=minimax",
        "metric.exact.samples=10000",
        "optimizer.critic.lr=5e-3",
        "optimizer.generator.lr=1e-3",
        "train.steps=400",
        "train.batch_size=256",
        "every.evaluate=40",
    )
    assert max(excesses(folder)) < 4
    last = read.metrics(folder)[-1]
    at_equality = 2 * math.log(2) if name == "gan" else 0.0
    # Total variation's critic ½ tanh v may be stuck at ±½ everywhere, where it has no gradient and an estimate of 0.
    share = 0.0 if name == "total_variation" else 0.5
    assert last["held_out_estimate"] + at_equality > share * (last["exact"] + at_equality)


@pytest.mark.slow
@pytest.mark.parametrize("name", F_DIVERGENCES)
@pytest.mark.parametrize("dataset", ["ring", "grid"])
def test_no_estimate_on_ring_or_grid_exceeds_the_exact_value(dataset, name, gan_train, tmp_path):
    rates = ["optimizer.generator.lr=2e-4", "optimizer.critic.lr=2e-4"] if name == "neyman" else []
    finished = gan_train(
        f"experiment={dataset}",
        f"divergence={name}",
        "train.steps=2000",
        "every.evaluate=200",
        "every.log=200",
        "every.checkpoint=200",
        "name=run",
        *rates,
    )
    assert finished.code == 0, finished.err
    folder = tmp_path / "outputs" / "run"
    assert record(folder)["status"] == "done"
    assert max(excesses(folder)) < 3
