"""Stacked MNIST: three digits, and the one class that they are together."""

import torch
from torch import Tensor

from gan_cli.datasets.base import Images
from gan_cli.datasets.stacked import StackedMnist


def stacked(digits: Tensor) -> StackedMnist:
    """Pictures of one pixel, whose value is ten times the digit."""
    data = StackedMnist.__new__(StackedMnist)
    data.take(Images((10 * digits).to(torch.uint8).reshape(-1, 1, 1, 1), digits))
    return data


def test_the_class_of_a_stack_is_its_digits_in_order():
    batch = stacked(torch.tensor([0, 3, 7])).batch(200, torch.Generator().manual_seed(0))
    assert batch.labels is not None
    digits = ((batch.samples[:, :, 0, 0] + 1) * 12.75).round().long()
    named = [StackedMnist.classes[label] for label in batch.labels.tolist()]
    assert named == ["".join(map(str, of.tolist())) for of in digits]


def test_shares_of_stacks_are_products_of_those_of_digits():
    shares = stacked(torch.tensor([0, 3, 3, 3])).class_shares()
    by_name = dict(zip(StackedMnist.classes, shares.tolist(), strict=True))
    assert by_name["000"] == 0.25**3
    assert by_name["033"] == 0.25 * 0.75**2
    assert by_name["330"] == 0.75**2 * 0.25
    assert by_name["111"] == 0
    torch.testing.assert_close(shares.sum().item(), 1.0)
