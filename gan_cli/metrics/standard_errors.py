"""How sure a number is: means and shares by formulas, any statistic by the bootstrap (Efron 1979)."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_cli.metrics.base import Measured
from gan_cli.randomness import stream


def mean_of(values: Tensor) -> Measured:
    """The mean of independent numbers, shape `(n,)`, and its standard error, which is unknown from one number."""
    values = values.double()
    error = values.std(correction=0).item() / math.sqrt(len(values)) if len(values) > 1 else None
    return Measured(values.mean().item(), error)


def share_error(share: float, n: int) -> float:
    """The standard error of a share of n samples.

    Add two successes and two failures, so that 0 % and 100 % have an error too (Agresti & Coull 1998, doi
    10.1080/00031305.1998.10480550).
    """
    shrunk = (share * n + 2) / (n + 4)
    return math.sqrt(shrunk * (1 - shrunk) / (n + 4))


def share_of(share: float, n: int, real: float | None = None) -> Measured:
    """A share of n samples with its `share_error`."""
    return Measured(share, share_error(share, n), real)


def bootstrap(
    statistic: Callable[..., Tensor], sizes: Sequence[int], rounds: int, seed: int, device: torch.device
) -> Tensor:
    """The standard deviation of `statistic(*counts)` over `rounds` resamples.

    `counts` has, for each set of samples, how often each of them is drawn: shape `(size,)`, int64.
    """
    source = torch.Generator().manual_seed(stream(seed, "bootstrap"))  # on the CPU, for the same draws everywhere

    def counts(size: int) -> Tensor:
        return torch.bincount(torch.randint(size, (size,), generator=source), minlength=size).to(device)

    return torch.stack([statistic(*map(counts, sizes)) for _ in range(rounds)]).std(dim=0)
