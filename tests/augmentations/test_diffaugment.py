"""DiffAugment: each change beside slow loops, how often it comes, gradients twice over, and what it is for."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from gan_cli.assembly.games import assemble
from gan_cli.augmentations.base import Augmentation
from gan_cli.augmentations.diffaugment import Change, DiffAugment, Draw, changed
from gan_cli.config.build import build
from gan_cli.config.options import option
from gan_cli.datasets.base import Batch, Images, to_unit_range
from gan_cli.errors import ConfigError
from gan_cli.jobs import GameJob
from gan_cli.schedules import Linear, Progress, Schedule, schedules_in
from gan_cli.training.loop import critic_step
from tests.helpers.configs import compose

SHAPES = [(4, 1, 16, 16), (4, 3, 12, 20), (4, 2, 9, 5)]
SMALL = ("dataset=mnist5k", "dataset.resolution=8", "model.generator.width=4", "model.critic.width=4")
SWITCHES = ("colour", "translation", "cutout")


def changing(*switches: str, probability: float | Schedule = 1.0, background: float = 0.0) -> DiffAugment:
    """The augmentation with these switches on, or with all of them."""
    on = {name: name in (switches or SWITCHES) for name in SWITCHES}
    return DiffAugment(probability, **on, background=background)


def pictures(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(7)) * 2 - 1


def bits(images: Tensor) -> Tensor:
    return images.contiguous().view(torch.uint8)


def test_the_option_of_the_group_is_the_papers_policy():
    built: DiffAugment = build(option("augmentation", "diffaugment"), Augmentation, "augmentation")
    assert vars(built) == {"probability": 1, "colour": True, "translation": True, "cutout": True, "background": 0}
    assert built.adaptive is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("switch", SWITCHES)
def test_at_probability_0_pictures_keep_their_bits_and_at_1_they_do_not(switch, channels, dtype):
    torch.manual_seed(0)
    images = pictures(20, channels, 12, 12).to(dtype)
    images[0] = -0.0
    kept, changed = (changing(switch, probability=probability)(images) for probability in (0.0, 1.0))
    assert kept.dtype == changed.dtype == dtype
    assert torch.equal(bits(kept), bits(images))
    assert (changed != images).flatten(1).any(1).double().mean() > 0.8


# Each change beside a slow one


def slowly(images: Tensor, *switches: str, background: float) -> Tensor:
    """The same changes of every image, pixel by pixel, on the same random numbers."""
    n, channels, height, width = images.shape
    pixels = {(row, column): None for row in range(height) for column in range(width)}
    images = images.clone()
    if "colour" in switches:
        torch.rand(n)  # whether it happens
        for image, number in zip(images, torch.rand(n), strict=True):
            image += number - 0.5
        torch.rand(n)
        for image, number in zip(images, torch.rand(n), strict=True):
            for row, column in pixels:
                grey = sum(image[:, row, column].tolist()) / channels
                image[:, row, column] = grey + 2 * number * (image[:, row, column] - grey)
        torch.rand(n)
        for image, number in zip(images, torch.rand(n), strict=True):
            mean = sum(image.flatten().tolist()) / image.numel()
            image[:] = mean + (number + 0.5) * (image - mean)
    if "translation" in switches:
        torch.rand(n)
        farthest = [math.floor(side / 8 + 0.5) for side in (height, width)]
        moves = [torch.randint(-most, most + 1, (n,)).tolist() for most in farthest]
        for image, down, right in zip(images, *moves, strict=True):
            before = image.clone()
            for row, column in pixels:
                place = (row + down, column + right)
                image[:, row, column] = before[:, *place] if place in pixels else background
    if "cutout" in switches:
        torch.rand(n)
        holes = [math.floor(side / 2 + 0.5) for side in (height, width)]
        # So many places has a hole whose middle is a pixel, or for an even side a border of one.
        middles = [
            torch.randint(side + (hole % 2 == 0), (n,)).tolist()
            for side, hole in zip((height, width), holes, strict=True)
        ]
        for image, *middle in zip(images, *middles, strict=True):
            for pixel in pixels:
                offsets = [at - centre for at, centre in zip(pixel, middle, strict=True)]
                if all(-(hole // 2) <= offset < hole - hole // 2 for offset, hole in zip(offsets, holes, strict=True)):
                    image[:, *pixel] = background
    return images


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("switches", [("colour",), ("translation",), ("cutout",), SWITCHES], ids=str)
def test_every_change_is_that_of_slow_loops_on_the_same_random_numbers(switches, shape):
    images = pictures(*shape, dtype=torch.float64)
    torch.manual_seed(3)
    changed = changing(*switches, background=0.25)(images)
    after = torch.rand(1)
    torch.manual_seed(3)
    torch.testing.assert_close(changed, slowly(images, *switches, background=0.25), rtol=0, atol=1e-6)
    assert torch.equal(torch.rand(1), after)  # both drew as many numbers
    assert (changed - images).abs().max() > 0.1


def all_changed(images: Tensor, change: tuple[Draw, Change]) -> Tensor:
    draw, of_numbers = change
    return of_numbers(images, *draw(len(images), images.shape[2:], images.device))


def test_a_grey_picture_has_no_saturation_and_a_colourful_one_keeps_its_lightness():
    torch.manual_seed(0)
    grey, colourful = pictures(8, 1, 6, 6), pictures(8, 3, 6, 6)
    saturated = partial(all_changed, change=changing("colour")._changes()[1])
    assert torch.equal(saturated(grey), grey)
    torch.testing.assert_close(saturated(colourful).mean(1), colourful.mean(1))
    assert (saturated(colourful) - colourful).abs().max() > 0.1


def test_changes_fill_the_papers_ranges():
    torch.manual_seed(0)
    n = 20_000
    changes = [partial(all_changed, change=change) for change in changing()._changes()]
    brightened, saturated, contrasted, moved, with_hole = changes
    spread = torch.tensor([1.0, -1.0, 0.0]).view(1, 3, 1, 1).expand(n, 3, 1, 1)
    for change, low, high in ((brightened, 0.5, 1.5), (saturated, 0, 2), (contrasted, 0.5, 1.5)):
        numbers = change(spread)[:, 0].flatten()  # 1 at no change
        assert numbers.min().item() == pytest.approx(low, abs=2e-3)
        assert numbers.max().item() == pytest.approx(high, abs=2e-3)
        assert numbers.mean().item() == pytest.approx(1, abs=5 * (high - low) / (12 * n) ** 0.5)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    shifts = moved(torch.stack([rows, columns]).expand(n, 2, 16, 16))[:, :, 8, 8].long() - 8
    for along in shifts.unbind(1):
        counts = along.add(2).bincount(minlength=5).double()
        assert len(counts) == 5
        assert ((counts / n - 0.2).abs() < 5 * (0.2 * 0.8 / n) ** 0.5).all()
    hidden = (with_hole(torch.ones(n, 1, 16, 16)) == 0).sum((1, 2, 3))
    assert hidden.max() == 64  # a square of half the side, all of it inside
    assert hidden.min() == 16  # a quarter of it, where its middle is a corner


def test_on_a_cpu_the_pictures_that_are_chosen_change_as_all_would():
    """There the others are not computed; elsewhere, and in a compiled step, all are and the chosen ones are taken."""
    images = pictures(8, 3, 6, 6, dtype=torch.float64).requires_grad_()
    torch.manual_seed(0)
    for draw, change in changing()._changes():
        numbers = draw(8, (6, 6), images.device)
        for chosen in ([], [0, 3, 7], range(8)):
            which = torch.tensor([index in chosen for index in range(8)])
            found = changed(change, images, numbers, which)
            expected = torch.where(which[:, None, None, None], change(images, *numbers), images)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
            gradients = [torch.autograd.grad(x.square().sum(), images)[0] for x in (found, expected)]
            torch.testing.assert_close(*gradients, rtol=0, atol=1e-14)


# How often, and on what the random numbers depend


@pytest.mark.parametrize("probability", [0.3, 0.9])
def test_each_change_comes_as_often_as_told_whatever_the_others_do(probability, monkeypatch):
    """Change k adds 2ᵏ, so that the sum tells which of them an image underwent."""
    torch.manual_seed(0)
    changes = [(lambda *_: (), lambda x, k=k: x + 2**k) for k in range(5)]
    monkeypatch.setattr(DiffAugment, "_changes", lambda self: changes)
    n = 20_000
    sums = changing(probability=probability)(torch.zeros(n, 1, 1, 1)).flatten().long()
    shares = sums.bincount(minlength=32).double() / n
    underwent = torch.tensor([bin(total).count("1") for total in range(32)])
    expected = probability**underwent * (1 - probability) ** (5 - underwent)
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt() + 1 / n).all()


def test_the_same_seed_changes_pictures_the_same_way_and_each_picture_its_own():
    images = pictures(1, 3, 12, 12).repeat(4, 1, 1, 1)
    augmentation = changing(probability=0.9)
    torch.manual_seed(0)
    first = augmentation(images)
    torch.manual_seed(0)
    assert torch.equal(augmentation(images), first)
    assert not torch.equal(augmentation(images), first)
    assert (first[0] - first[1]).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_type_of_the_pictures_is_kept_and_only_the_result_is_rounded(dtype):
    images = pictures(6, 3, 16, 16).bfloat16()
    torch.manual_seed(1)
    expected = changing()(images.float())
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        changed = changing()(images.to(dtype))
    assert changed.dtype == dtype
    torch.testing.assert_close(changed.float(), expected, rtol=1 / 256 if dtype == torch.bfloat16 else 0, atol=1e-5)


@pytest.mark.thorough
def test_gradients_pass_once_and_twice_as_penalties_need():
    def seeded(images: Tensor) -> Tensor:
        torch.manual_seed(5)
        return changing(probability=0.8)(images)

    images = pictures(3, 3, 6, 5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(seeded, images)
    assert torch.autograd.gradgradcheck(lambda x: seeded(x).square(), images)


def test_the_probability_may_follow_a_schedule():
    schedule = Linear(0.0, 1.0, images=None)
    augmentation, images = changing(probability=schedule), pictures(40, 1, 8, 8)
    assert schedules_in(augmentation) == [schedule]
    assert torch.equal(augmentation(images), images)
    for held in (False, True):
        if held:
            schedule.keep_on(torch.device("cpu"))
        for step, share in ((0, 0.0), (1, 0.5), (2, 1.0)):
            schedule.write(Progress(step=step, steps=2, images_per_step=1))
            torch.manual_seed(0)
            changed = augmentation(images)
            torch.manual_seed(0)
            assert torch.equal(changed, changing(probability=share)(images))
            assert torch.equal(changed, images) == (share == 0)


# In a game


def test_points_are_refused_with_a_remedy():
    message = r"the diffaugment augmentation takes images, not samples of shape \(2,\): choose augmentation=none"
    with pytest.raises(ValueError, match=message):
        changing()(torch.zeros(3, 2))
    with pytest.raises(ConfigError, match=message):
        assemble(compose("dataset=ring", "augmentation=diffaugment"))


def fingerprint(*overrides: str) -> str:
    job = assemble(compose(*SMALL, "train.steps=2", "train.batch_size=4", "divergence=wgan_gp", *overrides))
    for terms in job.terms():
        assert math.isfinite(terms["critic_loss"])
    return job.state.fingerprint()


def test_a_game_with_a_gradient_penalty_sees_pictures_through_it():
    """At probability 0 the random numbers that it draws are all that is left of it."""
    changed = fingerprint("augmentation=diffaugment")
    assert changed == fingerprint("augmentation=diffaugment")
    left_alone = fingerprint("augmentation=diffaugment", "augmentation.probability=0")
    assert len({changed, left_alone, fingerprint("augmentation=diffaugment", "augmentation.cutout=false")}) == 3


def test_pictures_and_numbers_of_a_run_are_of_samples_as_they_are(monkeypatch):
    measured = ["metric=[kernel]", "metric.kernel.samples=20", "metric/extractor=raw"]
    plain, augmented = (assemble(compose(*SMALL, *measured, f"augmentation={of}")) for of in ("none", "diffaugment"))
    monkeypatch.setattr(DiffAugment, "__call__", lambda self, samples: pytest.fail("it was augmented"))
    assert augmented.picture() == plain.picture()
    assert augmented.real_picture() == plain.real_picture()
    assert augmented.numbers() == plain.numbers()


# What it is for


def held_out_gap(augmentation: str, seed: int) -> float:
    """How much higher a critic scores the 500 digits that it learned of than 500 others, in deviations of the scores.

    The generated samples are digits too, 4,000 others, as a perfect generator's are: only by heart can the critic tell.
    """
    few = ["dataset=mnist5k", "dataset.resolution=16", "model=mlp", "divergence/penalty=none", "optimizer=adam"]
    plain = ["optimizer.critic.lr=1e-3", "device.precision=float32", f"seed={seed}"]
    job: GameJob = assemble(compose(*few, *plain, f"augmentation={augmentation}"))
    assert isinstance(job.dataset, Images)
    torch.manual_seed(seed)
    images = to_unit_range(job.dataset.images[torch.randperm(len(job.dataset))])
    known, generated, other = images.split([500, 4000, 500])
    for _ in range(600):
        real, fake = (of[torch.randint(len(of), (32,))] for of in (known, generated))
        critic_step(job.state, job.game, Batch(real), fake)
    with torch.no_grad():
        of_known, of_other = (job.state.critic(digits) for digits in (known, other))
    return ((of_known.mean() - of_other.mean()) / of_other.std()).item()


@pytest.mark.slow
def test_a_critic_of_few_pictures_learns_less_of_them_by_heart():
    """Each digit was seen 38 times; by chance the gap is 0 ± 0.06."""
    plain, augmented = ([held_out_gap(of, seed) for seed in range(3)] for of in ("none", "diffaugment"))
    assert min(plain) > 2 * max(augmented)
    assert min(plain) > 0.2
