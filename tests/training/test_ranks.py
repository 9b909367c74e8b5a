"""A run on several ranks is the run of one, up to the order of sums."""

from itertools import cycle

import pytest
import torch

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
