"""Random affine maps: each motion by hand, all of them against torch's own sampler, and gradients twice over."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gan_cli.assembly.games import assemble
from gan_cli.augmentations import affine
from gan_cli.augmentations.affine import Affine, interpolated
from gan_cli.augmentations.base import Augmentation
from gan_cli.config.build import build
from gan_cli.config.options import option
from gan_cli.errors import ConfigError
from gan_cli.schedules import Linear, Progress, schedules_in
from tests.helpers.configs import compose

SHAPES = [(6, 1, 28, 28), (6, 3, 32, 32), (6, 2, 12, 20), (6, 1, 9, 5)]


def mapped(degrees=0.0, scale=0.0, shift=0.0, mirror=False, background=-1.0) -> Affine:
    return Affine(degrees, scale, shift, mirror, background)


def pictures(*shape: int, dtype=torch.float32) -> Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(7)) * 2 - 1


@pytest.fixture
def extreme(monkeypatch):
    """Every random number at the positive end of its range."""
    monkeypatch.setattr(affine, "_either_side", lambda n, numbers, device: torch.ones(n, numbers, 1))


def test_the_option_of_the_group_moves_digits_a_little():
    node = option("augmentation", "affine")
    built: Affine = build(node, Augmentation, "augmentation")
    assert vars(built) == {"degrees": 10, "scale": 0.1, "shift": 2, "mirror": False, "background": -1}


@pytest.mark.parametrize("shape", SHAPES)
def test_without_motion_pictures_stay_as_they_are(shape):
    images = pictures(*shape)
    torch.testing.assert_close(mapped()(images), images, rtol=0, atol=1e-6)


def by_torchs_sampler(
    images: Tensor, degrees: float, scale: float, shift: float, mirror: bool, background: float
) -> Tensor:
    """The same map as a matrix in coordinates from −1 to 1."""
    n, _, height, width = images.shape
    angle = (torch.rand(n) * 2 - 1) * math.radians(degrees)
    factor = 1 + (torch.rand(n) * 2 - 1) * scale
    flip = torch.randint(2, (n,)) * 2.0 - 1 if mirror else torch.ones(n)
    right, down = ((torch.rand(n, 2) * 2 - 1) * shift).unbind(1)
    cosine, sine = factor * angle.cos(), factor * angle.sin()
    first = torch.stack([cosine * flip, -sine * height / width, right * 2 / width], 1)
    second = torch.stack([sine * flip * width / height, cosine, down * 2 / height], 1)
    grid = affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    return grid_sample(images - background, grid, align_corners=False) + background


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("background", [-1.0, 0.25])
def test_the_map_is_that_of_torchs_sampler_on_the_same_random_numbers(shape, mirror, background):
    images, knobs = pictures(*shape), (40.0, 0.3, 3.0, mirror, background)
    torch.manual_seed(3)
    moved = Affine(*knobs)(images)
    after = torch.rand(1)
    torch.manual_seed(3)
    torch.testing.assert_close(moved, by_torchs_sampler(images, *knobs), rtol=0, atol=1e-4)
    assert torch.equal(torch.rand(1), after)  # both drew as many numbers
    assert (moved - images).abs().max() > 0.1
    for wrong in ((-40.0, *knobs[1:]), (40.0, -0.3, *knobs[2:]), (*knobs[:2], -3.0, *knobs[3:])):
        torch.manual_seed(3)
        assert (moved - by_torchs_sampler(images, *wrong)).abs().max() > 0.1


@pytest.mark.usefixtures("extreme")
def test_a_shift_by_whole_pixels_moves_the_picture_and_lets_the_background_in():
    images = pictures(2, 3, 5, 7)
    moved = mapped(shift=2, background=0.5)(images)
    # What stands at a pixel comes from two to its right and two below it.
    torch.testing.assert_close(moved[..., :3, :5], images[..., 2:, 2:], rtol=0, atol=1e-6)
    assert (moved[..., 3:, :] == 0.5).all()
    assert (moved[..., :, 5:] == 0.5).all()


@pytest.mark.usefixtures("extreme")
def test_a_shift_by_half_a_pixel_averages_neighbours_and_the_background_beyond_the_border():
    images = torch.tensor([[1.0, 0], [0.5, -1]])[None, None]
    expected = torch.tensor([[(1 + 0 + 0.5 - 1) / 4, (0 - 1 - 1 - 1) / 4], [(0.5 - 1 - 1 - 1) / 4, -1]])[None, None]
    torch.testing.assert_close(mapped(shift=0.5)(images), expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("extreme")
@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 9)])
def test_half_a_turn_reverses_both_axes_and_a_quarter_is_that_of_rot90(height, width):
    images = pictures(2, 2, height, width)
    torch.testing.assert_close(mapped(degrees=180)(images), images.flip(2, 3), rtol=0, atol=1e-5)
    if height == width:
        torch.testing.assert_close(mapped(degrees=90)(images), images.rot90(1, (2, 3)), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("extreme")
def test_a_scale_of_a_half_takes_each_pixel_from_half_as_far_again():
    images = torch.arange(7.0).expand(1, 1, 7, 7)  # the column, 3 in the middle
    moved = mapped(scale=0.5, background=9.0)(images)
    # 1.5 · 3 = 4.5 from the middle is more than a pixel beyond the border at 3.
    expected = torch.tensor([9, 0, 1.5, 3, 4.5, 6, 9])
    torch.testing.assert_close(moved[0, 0, 3], expected, rtol=0, atol=1e-5)


def test_half_of_the_pictures_are_mirrored_left_to_right():
    torch.manual_seed(0)
    images = pictures(1, 2, 4, 6).repeat(1000, 1, 1, 1)
    moved = mapped(mirror=True)(images)
    flipped = (moved - images.flip(3)).abs().amax((1, 2, 3)) < 1e-6
    kept = (moved - images).abs().amax((1, 2, 3)) < 1e-6
    assert (flipped ^ kept).all()
    assert flipped.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 1000**0.5)


def test_shifts_fill_their_range_along_both_axes_independently():
    torch.manual_seed(0)
    n = 4000
    ramp = torch.stack(torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing="ij"))
    moved = mapped(shift=3)(ramp.repeat(n, 1, 1, 1))[:, :, 10, 10] - 10  # the shifts down and to the right
    assert moved.abs().max().item() == pytest.approx(3, abs=0.01)
    assert moved.mean(0).tolist() == pytest.approx([0, 0], abs=4 * 3**0.5 / n**0.5)
    assert moved.std(0).tolist() == pytest.approx([3**0.5, 3**0.5], rel=0.04)
    assert torch.corrcoef(moved.T)[0, 1].item() == pytest.approx(0, abs=4 / n**0.5)


@pytest.mark.usefixtures("extreme")
def test_turns_go_to_their_bound_in_degrees():
    ramp = torch.stack(torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing="ij"))[None]
    down, right = (mapped(degrees=30)(ramp)[0, :, 10, 15] - 10).tolist()  # five to the right of the middle
    assert (right, down) == pytest.approx((5 * 3**0.5 / 2, 5 / 2), abs=1e-4)


def test_the_same_seed_moves_pictures_the_same_way_and_each_picture_its_own():
    images = pictures(1, 1, 12, 12).repeat(3, 1, 1, 1)
    augmentation = mapped(10, 0.1, 2, True)
    torch.manual_seed(0)
    first = augmentation(images)
    torch.manual_seed(0)
    assert torch.equal(augmentation(images), first)
    assert not torch.equal(augmentation(images), first)
    assert (first[0] - first[1]).abs().max() > 0.1


def test_gradients_pass_once_and_twice_as_penalties_need():
    augmentation = mapped(30, 0.2, 1.5, True)

    def seeded(images: Tensor) -> Tensor:
        torch.manual_seed(5)
        return augmentation(images)

    images = pictures(2, 2, 5, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(seeded, images)
    assert torch.autograd.gradgradcheck(lambda x: seeded(x).square(), images)
    column, row = (torch.rand(2, 5, 6, dtype=torch.float64) * 4 for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: interpolated(x, column, row, -1.0), images)


def test_a_picture_out_of_sight_is_all_background_and_has_no_gradient():
    images = pictures(2, 1, 4, 4).requires_grad_()
    beyond = torch.full((2, 4, 4), 1e6)
    for column, row in ((beyond, beyond), (-beyond, beyond / 1e6), (torch.full_like(beyond, -1.0), beyond * 0)):
        moved = interpolated(images, column, row, 0.5)
        assert (moved == 0.5).all()
        (gradient,) = torch.autograd.grad(moved.sum(), images)
        assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_type_of_the_pictures_is_kept_and_their_places_are_not_rounded(dtype):
    augmentation, images = mapped(20, 0.2, 3), pictures(4, 1, 28, 28).bfloat16()
    torch.manual_seed(1)
    expected = augmentation(images.float())
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        moved = augmentation(images.to(dtype))
    assert moved.dtype == dtype
    torch.testing.assert_close(moved.float(), expected, rtol=1 / 256 if dtype == torch.bfloat16 else 0, atol=2e-4)


def test_the_reach_of_a_motion_may_follow_a_schedule():
    schedule = Linear(0.0, 3.0, images=None)
    augmentation = Affine(0, 0, schedule, False, -1.0)
    assert schedules_in(augmentation) == [schedule]
    images = pictures(2, 1, 8, 8)
    torch.testing.assert_close(augmentation(images), images, rtol=0, atol=1e-6)
    for held in (False, True):
        if held:
            schedule.keep_on(torch.device("cpu"))
        schedule.write(Progress(step=2, steps=3, images_per_step=1))
        torch.manual_seed(0)
        moved = augmentation(images)
        torch.manual_seed(0)
        torch.testing.assert_close(moved, mapped(shift=2)(images), rtol=0, atol=1e-5)


def test_points_are_refused_with_a_remedy():
    message = r"the affine augmentation takes images, not samples of shape \(2,\): choose augmentation=none"
    with pytest.raises(ValueError, match=message):
        mapped()(torch.zeros(3, 2))
    with pytest.raises(ConfigError, match=message):
        assemble(compose("dataset=ring", "augmentation=affine"))


def test_a_game_with_a_gradient_penalty_takes_a_step_behind_it():
    small = ["dataset=mnist5k", "dataset.resolution=8", "model.generator.width=4", "model.critic.width=4"]
    job = assemble(compose(*small, "divergence=wgan_gp", "augmentation=affine", "train.steps=1", "train.batch_size=4"))
    (terms,) = job.terms()
    assert math.isfinite(terms["penalty"])
    assert terms["penalty"] > 0
