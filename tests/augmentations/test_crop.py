"""Random crops: places by hand, how often each comes, and what passes through."""

from collections import Counter

import pytest
import torch
from torch.autograd import gradgradcheck

from gan_cli.augmentations.base import Augmentation
from gan_cli.augmentations.crop import Crop
from gan_cli.config.build import build
from gan_cli.config.options import option

NUMBERED = torch.arange(1.0, 31.0).view(1, 1, 5, 6)
"""Every pixel another, none of them the background."""


def windows(image: torch.Tensor, shift: int) -> list[torch.Tensor]:
    """Every window of a framed image, by plain slices."""
    _, _, height, width = image.shape
    framed = torch.zeros(1, 1, height + 2 * shift, width + 2 * shift)
    framed[:, :, shift : shift + height, shift : shift + width] = image
    places = [(top, left) for top in range(2 * shift + 1) for left in range(2 * shift + 1)]
    return [framed[0, :, top : top + height, left : left + width] for top, left in places]


def test_the_option_of_the_group_is_that_of_the_paper():
    built: Crop = build(option("augmentation", "crop"), Augmentation, "augmentation")
    assert vars(built) == {"shift": 4, "mirror": True, "background": 0, "hole": 0}


@pytest.mark.parametrize("mirror", [False, True])
def test_each_window_of_the_framed_image_comes_as_often_as_any_other_and_nothing_else_does(mirror):
    torch.manual_seed(0)
    n = 20_000
    crops = Crop(1, mirror, 0.0)(NUMBERED.expand(n, -1, -1, -1))
    expected = windows(NUMBERED, 1)
    if mirror:
        expected += [window.flip(2) for window in expected]
    counts = torch.stack([(crops == window).flatten(1).all(1).sum() for window in expected]).double()
    assert counts.sum() == n
    share = 1 / len(expected)
    assert ((counts / n - share).abs() < 5 * (share / n) ** 0.5).all()


def test_channels_move_together_and_images_apart():
    torch.manual_seed(0)
    images = torch.rand(50, 3, 8, 8) + 1
    images[:, 1], images[:, 2] = images[:, 0] * 2, images[:, 0] * 3
    crops = Crop(2, True, 0.0)(images)
    assert torch.equal(crops[:, 1], crops[:, 0] * 2)
    torch.testing.assert_close(crops[:, 2], crops[:, 0] * 3)
    moved = [tuple((crop[0] == 0).nonzero()[:4].flatten().tolist()) for crop in crops]
    assert len(set(moved)) > 5
    assert crops.shape == images.shape


def test_without_motion_images_stay_as_they_are():
    images = torch.rand(4, 3, 7, 9)
    assert torch.equal(Crop(0, False, 0.0)(images), images)


@pytest.mark.parametrize("hole", [1, 2, 3, 10])
def test_a_hole_about_each_pixel_comes_as_often_as_about_any_other_and_hides_all_channels(hole):
    torch.manual_seed(0)
    n, height, width = 20_000, 5, 6
    images = torch.arange(1.0, 61.0).view(1, 2, height, width)
    hidden = Crop(0, False, -7.0, hole)(images.expand(n, -1, -1, -1))
    rows, columns = torch.arange(height)[:, None], torch.arange(width)

    def covered(pixels: torch.Tensor, middle: int) -> torch.Tensor:
        return (middle - hole // 2 <= pixels) & (pixels < middle - hole // 2 + hole)

    patterns = [covered(rows, row) & covered(columns, column) for row in range(height) for column in range(width)]
    expected = Counter(tuple(pattern.flatten().tolist()) for pattern in patterns)
    found = Counter(map(tuple, (hidden[:, 0] == -7).flatten(1).tolist()))
    assert found.keys() == expected.keys()
    for pattern, places in expected.items():
        share = places / (height * width)
        assert abs(found[pattern] / n - share) <= 5 * (share * (1 - share) / n) ** 0.5
    assert torch.equal(hidden, torch.where((hidden[:, :1] == -7), -7.0, images))


def test_without_a_hole_the_random_numbers_are_those_of_before():
    images = torch.rand(8, 1, 6, 6)
    torch.manual_seed(3)
    Crop(2, True, 0.0)(images)
    following = torch.rand(1)
    torch.manual_seed(3)
    torch.randint(5, (2, 8, 1))
    torch.randint(2, (8, 1))
    assert torch.equal(torch.rand(1), following)


def test_it_is_a_function_of_torchs_seed():
    images = torch.rand(8, 1, 6, 6)
    torch.manual_seed(3)
    first = Crop(2, True, 0.0)(images)
    torch.manual_seed(3)
    assert torch.equal(first, Crop(2, True, 0.0)(images))
    assert not torch.equal(first, Crop(2, True, 0.0)(images))


def test_gradients_pass_twice():
    images = torch.rand(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)

    def squared(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return Crop(1, True, 0.5, 2)(x) ** 2

    assert gradgradcheck(squared, images)


def test_points_are_refused():
    with pytest.raises(ValueError, match=r"the crop augmentation takes images, not samples of shape \(2,\): choose"):
        Crop(1, False, 0.0)(torch.zeros(3, 2))
