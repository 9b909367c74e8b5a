"""Stacked MNIST: a thousand modes, three digits in the channels of one picture (Metz 2017, arXiv 1611.02163)."""

from itertools import product

import torch
from torch import Tensor

from gan_cli.datasets.base import Batch, Endless, Images, to_unit_range
from gan_cli.datasets.idx import SplitName
from gan_cli.datasets.images import DIGITS, Mnist, Split
from gan_cli.ranges import Count


class StackedMnist(Split, Endless):
    """Pictures of three channels, each a digit drawn uniformly from a split of MNIST."""

    shows = "digits"
    is_stacked = True
    classes = tuple("".join(digits) for digits in product(DIGITS, repeat=3))

    def __init__(self, root: str, split: SplitName, resolution: Count) -> None:
        self.root, self.split, self.resolution = root, split, resolution
        self.take(Mnist(root, split, resolution))

    def take(self, digits: Images) -> None:
        """Stack these from now on."""
        assert digits.labels is not None
        self._digits, self._labels = digits.images[:, 0], digits.labels
        self.sample_shape = (3, *digits.sample_shape[1:])

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self._draw(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        return self._draw(n, generator)

    def class_shares(self) -> Tensor:
        digits = torch.bincount(self._labels.cpu(), minlength=len(DIGITS)).double() / len(self._labels)
        return torch.einsum("i,j,k->ijk", digits, digits, digits).flatten()

    def _draw(self, n: int, generator: torch.Generator) -> Batch:
        device = generator.device
        self._digits, self._labels = self._digits.to(device), self._labels.to(device)
        chosen = torch.randint(len(self._digits), (n, 3), generator=generator, device=device)
        hundreds, tens, ones = self._labels[chosen].unbind(1)  # CUDA multiplies no matrices of whole numbers
        return Batch(to_unit_range(self._digits[chosen]), 100 * hundreds + 10 * tens + ones)
