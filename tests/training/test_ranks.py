"""A run on several ranks is the run of one, up to the order of sums."""

from itertools import cycle

import pytest
import torch

from gan_cli import ranks
from gan_cli.errors import ConfigError
from gan_cli.ranks import Place
from gan_cli.training import device
from gan_cli.training.acceleration import choose_mode
from tests.helpers.configs import DIVERGENCES, PENALTIES, TINY
from tests.helpers.ranked import Tasks, on_ranks, trained

IMAGES = (
    *("dataset=mnist5k", "model=dcgan", "model.generator.width=4", "model.critic.width=4", "train.batch_size=16"),
    *("model.generator.latent_size=4", "model.critic.normalization=none"),
)

MODELS = {
    "mlp": TINY,
    "mlp, batch norm": (*TINY, "model.generator.normalization=batch"),
    "dcgan": (*IMAGES, "model.generator.normalization=none"),
    "dcgan, batch norm": IMAGES,
}

PAIRS = dict(zip(DIVERGENCES, cycle(PENALTIES)))
"""Every divergence once, and every penalty."""

COMBINATIONS = {
    f"{divergence}, {penalty}, {model}": (f"divergence={divergence}", f"divergence/penalty={penalty}", *of)
    for (divergence, penalty), (model, of) in zip(PAIRS.items(), cycle(MODELS.items()))
}
CHOICES = {
    "labels": (*IMAGES, "model.conditional=true"),
    "packs": (*TINY, "train.packing=2", "divergence/penalty=r1"),
    "packs between real and fake": (*IMAGES, "train.packing=2", "divergence=wgan_gp"),
    "a share of the batch": (*IMAGES, "divergence/penalty=r1_r2", "divergence.penalty.share=0.5"),
    "augmentation": (*IMAGES, "augmentation=diffaugment", "divergence/penalty=r1"),
    "adaptive augmentation": (*IMAGES, "augmentation=adaptive", "augmentation.probability.images=50"),
    "samples judged once more": (*IMAGES, "train.reuse_samples=true", "divergence=relativistic"),
    "batch norm in the critic": (*IMAGES, "model.critic.normalization=batch", "divergence/penalty=none"),
    "spectral norm": (*IMAGES, "model.critic.normalization=spectral", "divergence=hinge"),
    "mixture of latents": (*TINY, "model.generator.latent=mixture"),
    "noisy data": ("dataset=ring", "model=noisy_data", "train.batch_size=16", "train.generator=frozen"),
}
TASKS = COMBINATIONS | CHOICES

FEW = ("labels", "packs between real and fake", "adaptive augmentation")
"""Which of them every run of the tests has."""


def alone(name, dtype="float64"):
    try:
        return trained(TASKS[name], dtype)
    finally:
        torch.set_default_dtype(torch.float32)


def distance(one, other):
    return (one["weights"] - other["weights"]).norm().item()


def assert_same_run(found, expected):
    assert expected["way"] > 0
    assert distance(found, expected) < 1e-8 * expected["way"]
    assert found["terms"] == pytest.approx(expected["terms"], rel=1e-8, abs=1e-10)


def test_two_ranks_take_the_steps_of_one(tmp_path):
    found = on_ranks(2, {name: (TASKS[name], "float64") for name in FEW}, tmp_path)
    for name in FEW:
        assert_same_run(found[name], alone(name))


@pytest.fixture(scope="module", params=[2, 4])
def on_several(request, tmp_path_factory):
    """What several ranks find, by name and number format."""
    tasks: Tasks = {f"{name} in {dtype}": (of, dtype) for name, of in TASKS.items() for dtype in ("float64", "float32")}
    return on_ranks(request.param, tasks, tmp_path_factory.mktemp("ranks"))


@pytest.mark.thorough
@pytest.mark.parametrize("name", TASKS)
def test_several_ranks_take_the_steps_of_one_in_every_game(name, on_several):
    in_double = alone(name)
    assert_same_run(on_several[f"{name} in float64"], in_double)
    # Adam takes a whole step for a gradient at rounding level, so that some runs in float32 are far from any other.
    in_single = alone(name, "float32")
    rounding = max(1e-3 * in_single["way"], distance(in_single, in_double))
    assert distance(on_several[f"{name} in float32"], in_single) < rounding


@pytest.fixture
def at():
    """`at(rank=…, size=…)`: be that one of several ranks."""
    yield lambda **place: ranks.take(Place(**place))
    ranks.take(Place())


def test_a_rank_has_every_so_manieth_sample_and_its_random_numbers_in_a_step_alone(at):
    at(rank=1, size=3)
    assert ranks.part(torch.arange(9)).tolist() == [1, 4, 7]
    assert (ranks.of_all(3), ranks.own(torch.arange(3)).tolist()) == (3, [0, 1, 2])
    with ranks.sharing_a_batch():
        assert (ranks.of_all(3), ranks.own(torch.arange(9)).tolist()) == (9, [1, 4, 7])
        assert ranks.own(torch.arange(18).view(2, 9), dim=1).tolist() == [[1, 4, 7], [10, 13, 16]]


def test_samples_that_are_judged_together_stay_together(at):
    at(rank=1, size=2, block=2)
    assert ranks.part(torch.arange(8)).tolist() == [2, 3, 6, 7]
    assert ranks.part(torch.arange(4), in_packs=True).tolist() == [1, 3]


def test_steps_of_several_ranks_are_not_captured(at):
    at(rank=0, size=2)
    cuda = torch.device("cuda")
    assert [choose_mode("auto", cuda, steps, False)[0] for steps in (1000, 100_000)] == ["eager", "compile"]
    with pytest.raises(ConfigError, match=r"device\.accelerate=graph: sums over several processes are not captured"):
        choose_mode("graph", cuda, 1000, False)


def test_each_rank_of_a_machine_has_a_device_of_its_own(at, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    at(rank=5, size=8, local_rank=1, local_size=2)
    assert device._of_this_process() == 1
    at(rank=2, size=4, local_rank=2, local_size=4)
    with pytest.raises(ConfigError, match="4 processes cannot share 2 CUDA devices: start with --nproc-per-node=2"):
        device._of_this_process()
