"""The ranks of a run: processes that train it together, each on its part of every batch, all with the same weights.

Everything here is of no effect in a process that trains alone, as most do. What a step needs of the other ranks are two
sums and the scores of all; these are operations of torch's, so that compiled steps hold them as they are.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from gan_cli.errors import CommandError


class LostRankError(CommandError):
    """Another process of the run has ended in the middle of a step."""


@dataclass(frozen=True)
class Place:
    """Which of how many ranks this process is, on all machines and on its own."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    block: int = 1
    """How many neighbours in a batch stay together, as a critic of packs needs it."""


@dataclass
class Waited:
    """The time that this rank has spent on sums over ranks, and on waiting for the others to join in."""

    seconds: float = 0.0
    events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = field(default_factory=list)
    is_counted: bool = False

    @contextmanager
    def counted(self, device: torch.device) -> Iterator[None]:
        """Count the time of what is done inside."""
        if not self.is_counted:
            yield
        elif device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self.events.append((begin, end))
        else:
            begun = time.perf_counter()
            yield
            self.seconds += time.perf_counter() - begun

    def total(self) -> float:
        """Seconds in all; waits for the device."""
        if self.events:
            torch.cuda.synchronize()
        milliseconds: float = sum(begin.elapsed_time(end) for begin, end in self.events)
        return self.seconds + milliseconds / 1000


waited = Waited()

_place = Place()
_shares = False
"""Whether random numbers are drawn for the whole batch."""


def place() -> Place:
    """That of this process."""
    return _place


def take(new: Place) -> None:
    """Give this process its place; a rank among several has joined torch's process group already."""
    global _place
    _place = new


@contextmanager
def sharing_a_batch() -> Iterator[None]:
    """Have random numbers be those of the whole batch, as in a step; pictures and metrics are drawn by one rank."""
    global _shares
    _shares = True
    try:
        yield
    finally:
        _shares = False


# Parts of a batch


def part(whole: Tensor, dim: int = 0, *, in_packs: bool = False) -> Tensor:
    """This rank's samples of a whole batch: of four ranks the second has number 1, 5, 9 and so on.

    So the first n of a rank are among the first n of each, and what is joined from parts is a part of what is joined.
    Samples that a critic judges together stay together; of packs, each of which is one entry, there are no neighbours.
    """
    if _place.size == 1:
        return whole
    block = 1 if in_packs else _place.block
    by_rank: Tensor = whole.unflatten(dim, (-1, _place.size, block))
    return by_rank.select(dim + 1, _place.rank).flatten(dim, dim + 1)


def of_all(n: int) -> int:
    """How many samples random numbers are drawn for where this rank has `n`: in a step those of the whole batch.

    All ranks draw them from the same stream and keep their `own`, so that each sample has the same on however many
    ranks.
    """
    return n * _place.size if _shares else n


def own(drawn: Tensor, dim: int = 0, *, in_packs: bool = False) -> Tensor:
    """The random numbers of this rank's samples among those `of_all`, which lie along `dim`."""
    return part(drawn, dim, in_packs=in_packs) if _shares else drawn


# What ranks tell one another in a step


@torch.library.custom_op("gan_cli::summed", mutates_args=())
def _summed(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    with _together(x.device):
        dist.all_reduce(total)
    return total


@_summed.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _summed_gradient(context: object, gradient: Tensor) -> Tensor:
    summed: Tensor = _summed(gradient)
    return summed


_summed.register_autograd(_summed_gradient)


def gathered(x: Tensor) -> Tensor:
    """The tensors of all ranks, shape `(ranks, *shape)`, which gradients pass back through to each."""
    total: Tensor = _summed(torch.where(_is_own(x), x, 0))
    return total


def everyones(scores: Tensor, *more: Tensor) -> list[Tensor]:
    """The scores of the whole batch in its order, of each tensor of this rank's, all of shape `(n,)`.

    Only this rank's have a gradient: those of the others are theirs to follow, and the sum over ranks is that of all.
    """
    own = [scores, *more]
    if _place.size == 1:
        return own
    together = torch.cat(own)
    every = torch.where(_is_own(together), together, gathered(together.detach()))
    return [of.t().flatten() for of in every.split([len(x) for x in own], dim=1)]


def _is_own(x: Tensor) -> Tensor:
    """Which of the ranks is this one, bools of shape `(ranks, 1, …)` with as many ones as `x` has dimensions."""
    return (torch.arange(_place.size, device=x.device) == _place.rank).view(-1, *[1] * x.dim())


@torch.no_grad()
def sum_up(tensors: Sequence[Tensor]) -> None:
    """Put the sums over ranks in the place of tensors, by one operation on all of them in a row."""
    if _place.size == 1:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _together(flat.device):
        dist.all_reduce(flat)
    sums = flat.split([tensor.numel() for tensor in tensors])
    torch._foreach_copy_(list(tensors), [of.view(tensor.shape) for of, tensor in zip(sums, tensors, strict=True)])


@contextmanager
def _together(device: torch.device) -> Iterator[None]:
    with waited.counted(device), losses_explained():
        yield


@contextmanager
def losses_explained() -> Iterator[None]:
    """What torch says of a sum that has failed, mostly by a connection that has broken, as a `LostRankError`."""
    try:
        yield
    except RuntimeError as error:  # torch has no class of its own for gloo's errors
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise LostRankError(
            f"another process of the run has ended, or is out of reach ({reason}); the same command continues from the"
            " last checkpoint"
        ) from error
