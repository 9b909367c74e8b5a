"""What the environment says of a process among several."""

import pytest

from gan_cli.commands.launched import Launch, launch, speaks
from gan_cli.errors import ConfigError

ADDRESS = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize("environ", [{}, ADDRESS, {"RANK": "0", "WORLD_SIZE": "1"}])
def test_a_process_is_alone(environ):
    assert launch(environ) is None
    assert speaks(environ)


def test_a_process_of_torchruns():
    environ = ADDRESS | {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    elastic = {"TORCHELASTIC_RESTART_COUNT": "2", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert launch(environ | elastic) == Launch(5, 8, 1, 4, attempt=2, hosts_store=False)
    assert not speaks(environ)


def test_the_first_process_of_another_launcher_holds_the_store():
    environ = ADDRESS | {"RANK": "0", "WORLD_SIZE": "2"}
    assert launch(environ) == Launch(0, 2, 0, 2, attempt=0, hosts_store=True)


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2"}, r"RANK=1 but no MASTER_ADDR, MASTER_PORT: .* torchrun"),
        ({"WORLD_SIZE": "2"} | ADDRESS, "WORLD_SIZE=2 but no RANK: "),
        ({"RANK": "2", "WORLD_SIZE": "2"} | ADDRESS, "RANK=2 must be below WORLD_SIZE=2"),
        ({"RANK": "one", "WORLD_SIZE": "2"} | ADDRESS, "RANK=one must be a whole number"),
        ({"RANK": "0", "WORLD_SIZE": "2"} | ADDRESS | {"MASTER_PORT": "http"}, "MASTER_PORT=http must be a whole"),
    ],
)
def test_an_environment_that_is_incomplete(environ, complaint):
    with pytest.raises(ConfigError, match=complaint):
        launch(environ)
