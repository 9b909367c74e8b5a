"""A probability that the critic's scores lead: its pace and bounds by hand, its place in a run, and its resumption."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from gan_cli.assembly.games import assemble
from gan_cli.augmentations.adaptive import Adaptive, real_sign
from gan_cli.augmentations.base import Augmentation
from gan_cli.augmentations.diffaugment import DiffAugment
from gan_cli.config.build import build
from gan_cli.config.options import option
from gan_cli.runs import read
from tests.helpers.configs import compose
from tests.helpers.resuming import assert_resumes_exactly
from tests.helpers.runs import metrics, record, train

SMALL = (
    *("dataset=mnist5k", "dataset.resolution=8", "model.generator.width=4", "model.critic.width=4"),
    *("train.batch_size=16", "divergence=hinge"),
)
FAST = (*SMALL, "augmentation=adaptive", "augmentation.probability.target=0.1", "augmentation.probability.images=128")
"""A probability that goes from 0 to 1 in eight updates."""


def following(adaptive: Adaptive, signs: list[float], images: int) -> list[float]:
    return [adaptive.follow(torch.tensor(sign), images).item() for sign in signs]


def test_the_option_of_the_group_has_the_papers_numbers_and_changes_as_diffaugment_does():
    adaptive, plain = (build(option("augmentation", of), Augmentation, of) for of in ("adaptive", "diffaugment"))
    assert isinstance(adaptive, DiffAugment)
    assert adaptive.adaptive is adaptive.probability
    assert (adaptive.adaptive.target, adaptive.adaptive.images) == (0.6, 500_000)
    assert vars(adaptive) | {"probability": 1.0} == vars(plain)
    assert not adaptive.adaptive.value
    images = torch.rand(30, 3, 8, 8)
    for probability in (0.0, 0.5, 1.0):
        adaptive.adaptive.value.fill_(probability)
        torch.manual_seed(0)
        changed = adaptive(images)
        torch.manual_seed(0)
        plain.probability = probability
        assert torch.equal(changed, plain(images))


# The rule


def test_it_rises_and_falls_by_n_of_so_many_images_an_update_whatever_the_distance_from_the_target():
    """Powers of two, so that sums are exact."""
    adaptive = Adaptive(target=0.6, images=1024)
    assert following(adaptive, [1.0, 0.61, 0.7], images=32) == [1 / 32, 2 / 32, 3 / 32]
    assert following(adaptive, [0.59, -1.0], images=64) == [1 / 32, 0]
    assert following(adaptive, [1.0, 0.6, 1.0], images=128) == [1 / 8, 1 / 8, 2 / 8]


def test_it_stays_between_0_and_1_and_does_not_remember_how_long():
    adaptive = Adaptive(target=0.0, images=4)
    assert following(adaptive, [-1.0, -1.0, 1.0], images=1) == [0, 0, 0.25]
    assert following(adaptive, [1.0] * 6 + [-1.0], images=1) == [0.5, 0.75, 1, 1, 1, 1, 0.75]


def test_half_a_million_images_take_it_from_0_to_1():
    adaptive = Adaptive(target=0.6, images=500_000)
    updates = 500_000 // 64
    *_, last = following(adaptive, [1.0] * updates, images=64)
    assert last == pytest.approx(updates * 64 / 500_000, abs=1e-3)


def test_the_numbers_that_it_gives_are_its_own():
    adaptive = Adaptive(target=0.0, images=4)
    first = adaptive.follow(torch.tensor(1.0), 1)
    adaptive.follow(torch.tensor(1.0), 1)
    assert (first.item(), adaptive.value.item()) == (0.25, 0.5)


def test_the_sign_of_real_scores_is_counted_from_the_middle():
    real, fake = torch.tensor([3.0, 1.0, -2.0, 2.0, 6.0]), torch.tensor([-4.0, -2.0, 0.0])  # means 2 and −2
    assert real_sign(real, fake).item() == pytest.approx((4 - 1) / 5)
    assert real_sign(real, fake) == real.sign().mean()  # which is the paper's
    assert real_sign(real + 100, fake + 100) == real_sign(real, fake) != (real + 100).sign().mean()
    assert real_sign(real.abs() + 9, fake) == 1
    assert real_sign(real, real) == 0  # two above their mean, two below it, one at it


def test_no_gradient_passes_through_the_rule():
    real, fake = (torch.randn(8, requires_grad=True) for _ in range(2))
    sign = real_sign(real, fake)
    assert not sign.requires_grad
    adaptive = Adaptive(target=0.0, images=8)
    assert not adaptive.follow(sign, 8).requires_grad
    assert not list(adaptive.parameters())


# In a run


@pytest.mark.parametrize(
    "changes", [(), ("divergence/penalty=r1_r2",), ("train.packing=2",), ("train.reuse_samples=true",)], ids=str
)
def test_every_step_moves_it_as_its_term_says(changes):
    job = assemble(compose(*FAST, "train.steps=6", *changes))
    adaptive, before, moved = job.game.augmentation.adaptive, 0.0, set()
    assert adaptive is not None
    for terms in job.terms():
        assert -1 <= terms["real_sign"] <= 1
        step = 1 / 8 if terms["real_sign"] > 0.1 else -1 / 8
        assert terms["augmentation_probability"].item() == min(1, max(0, before + step))
        before = terms["augmentation_probability"].item()
        assert adaptive.value == before
        moved.add(before)
    assert len(moved) > 1


def test_it_moves_at_every_update_of_the_critic():
    job = assemble(compose(*FAST, "divergence.critic_steps=3", "augmentation.probability.target=-0.99"))
    shares = [terms["augmentation_probability"].item() for terms in islice(job.terms(), 3)]
    assert shares == [3 / 8, 6 / 8, 1]


def test_it_is_a_part_of_the_state_of_its_runs_and_of_no_others():
    adaptive, fixed = (assemble(compose(*SMALL, f"augmentation={of}")) for of in ("adaptive", "diffaugment"))
    assert adaptive.state.state_dict().keys() - fixed.state.state_dict().keys() == {"augmentation"}
    assert fixed.state.state_dict().keys() < adaptive.state.state_dict().keys()
    before = adaptive.state.fingerprint()
    adaptive.state.load_state_dict(adaptive.state.state_dict() | {"augmentation": {"value": torch.tensor(0.5)}})
    assert adaptive.state.fingerprint() != before
    assert adaptive.game.augmentation.adaptive.value == 0.5


def test_it_resumes_bit_for_bit(tmp_path):
    assert_resumes_exactly(4, tmp_path, *FAST)


def test_a_run_that_stops_midway_logs_what_one_that_went_through_logs(tmp_path: Path):
    every = (
        "every.log=2",
        "every.checkpoint=2",
        "every.evaluate=null",
        "every.samples=null",
        "train.schedule=constant",
    )
    whole = train(tmp_path / "whole", *FAST, *every, "train.steps=6")
    train(tmp_path / "parts", *FAST, *every, "train.steps=4")
    parts = train(tmp_path / "parts", *FAST, *every, "train.steps=6")
    assert record(parts)["fingerprint"] == record(whole)["fingerprint"]
    names = ("step", "real_sign", "augmentation_probability")
    logged = [[line[name] for name in names] for line in metrics(whole)]
    assert logged == [[line[name] for name in names] for line in metrics(parts)]
    assert any(share > 0 for *_, share in logged)
    assert len(read.checkpoints(parts)) == 3
