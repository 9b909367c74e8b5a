"""The workloads of the benches are runs that today's program takes."""

import pytest

from bench import workloads
from gan_cli.assembly.games import assemble
from tests.helpers.resuming import advance


@pytest.mark.parametrize("game", workloads.GAMES)
def test_a_workload_takes_a_step(game, monkeypatch):
    monkeypatch.setattr(workloads, "PICTURES", 200)
    config = workloads.config_of(workloads.WORKLOADS["mlp-28"], workloads.GAMES[game], "device.threads=1")
    assert advance(assemble(config), 1).state.step == 1
