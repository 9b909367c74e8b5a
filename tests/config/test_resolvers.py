"""What configs compute: the scale of a machine, and R3GAN's weights between the sides of its table."""

import pytest

from gan_cli.config.resolvers import scale_here
from gan_cli.config.weights import r3gan_weight
from gan_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("devices", "visible", "expected"),
    [
        ([], None, "cpu"),
        (["nvidiactl"], None, "base"),
        (["dxg"], None, "base"),  # Windows' subsystem for Linux
        (["nvidiactl"], "0", "base"),
        (["nvidiactl"], "", "cpu"),
        (["nvidiactl"], "-1", "cpu"),
    ],
)
def test_the_scale_is_that_of_the_machine(devices, visible, expected, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for device in devices:
        (tmp_path / device).touch()
    assert scale_here([], tmp_path) == expected
    assert scale_here(["dataset=folder", "device=cpu"], tmp_path) == "cpu"
    assert scale_here(["device.kind=cpu"], tmp_path) == "cpu"


@pytest.mark.parametrize(
    ("side", "expected"), [(8, 0.05), (32, 0.05), (64, 2.0), (128, 17.0), (256, 150.0), (512, 150.0)]
)
def test_the_weight_of_a_penalty_is_the_papers_at_its_sides_and_between_them_elsewhere(side, expected):
    assert r3gan_weight(side) == pytest.approx(expected, rel=1e-12)
    assert r3gan_weight(side, 0.1) == pytest.approx(expected / 10, rel=1e-12)


@pytest.mark.parametrize("side", [None, "abc", True, [32, 32]])
def test_a_side_that_is_none_is_refused(side):
    with pytest.raises(ConfigError, match="does not tell a penalty the side of the pictures: set it in pixels"):
        r3gan_weight(side)


def test_the_weight_grows_with_the_side():
    weights = [r3gan_weight(side) for side in range(32, 257, 4)]
    assert weights == sorted(weights)
    assert len(set(weights)) > 40
