"""The device that is asked for, and how torch is set up for it."""

import os

import pytest
import torch

from gan_cli.errors import ConfigError
from gan_cli.training.device import MOST_THREADS, Device
from gan_cli.training.execution import Plan


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Whatever a device sets is set back."""
    monkeypatch.setitem(os.environ, "CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delitem(os.environ, "CUBLAS_WORKSPACE_CONFIG")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.parametrize(
    ("kind", "available", "expected"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_the_device_is_the_one_asked_for_or_the_best_there_is(kind, available, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert Device(kind, 1, deterministic=False).activate() == torch.device(expected)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"device\.kind=cuda, but torch finds no CUDA device: use device=cpu"):
        Device("cuda", None, deterministic=False).activate()


@pytest.mark.parametrize("deterministic", [True, False])
def test_determinism_takes_torchs_switch_and_a_fixed_workspace_of_cublas(deterministic):
    """The value is one of the two with which cuBLAS is deterministic, says NVIDIA's manual."""
    Device("cpu", 1, deterministic=deterministic).activate()
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (":4096:8" if deterministic else None)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_cudnns_kernels_are_chosen_by_their_time_where_they_may_differ_from_run_to_run(
    asked, deterministic, monkeypatch
):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not asked)
    Device("cpu", 1, deterministic=deterministic, cudnn_benchmark=asked).activate()
    assert torch.backends.cudnn.benchmark == (asked and not deterministic)


def test_a_plan_of_too_many_threads_is_not_taken_from_a_record():
    for threads, usable in ((0, False), (1, True), (MOST_THREADS, True), (MOST_THREADS + 1, False)):
        entry = Plan("cpu", threads, "eager", "float32").record("eager")
        assert (Plan.recorded(entry) is not None) == usable
    assert MOST_THREADS == 1024
