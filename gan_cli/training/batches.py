"""Batches as a function of (seed, index): the order of the data outlives an interruption without saved state."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from gan_cli.datasets.base import Batch, Dataset, Endless, Images, to_unit_range
from gan_cli.editions import NEWEST
from gan_cli.randomness import begin
from gan_cli.ranks import part
from gan_cli.training.affinity import go_anywhere


class Batches(Protocol):
    """The real data of a run: every batch is the same tensor whenever, and with whichever others, it is asked for."""

    description: str
    """How the data come to the device, in words."""

    def __call__(self, first: int, count: int) -> Batch:
        """The batches `first` to `first + count − 1`, this rank's part of each, on the device.

        Their shape is `(count, batch / ranks, *sample_shape)`.
        """


class EndlessBatches:
    """Fresh samples for every index."""

    def __init__(
        self, dataset: Endless, batch_size: int, seed: int, device: torch.device, edition: int = NEWEST
    ) -> None:
        self.description = f"drawn on {device}"
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._edition = edition
        self._generator = torch.Generator(device)

    def __call__(self, first: int, count: int) -> Batch:
        return stacked([self._batch(index) for index in range(first, first + count)])

    def _batch(self, index: int) -> Batch:
        begin(self._generator, self._seed, "data", index, edition=self._edition)
        whole = self._dataset.batch(self._batch_size, self._generator)
        return Batch(part(whole.samples), None if whole.labels is None else part(whole.labels))


def stacked(batches: Sequence[Batch]) -> Batch:
    """The reverse of `Batch.unbind`."""
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return Batch(torch.stack([batch.samples for batch in batches]), torch.stack(labels) if labels else None)


class Draw(NamedTuple):
    """What is drawn from images in memory."""

    images: Tensor
    """uint8, shape `(n, channels, height, width)`."""
    flipped: Tensor | None
    """Which of them to mirror, shape `(n,)`; None for no mirroring at all."""
    labels: Tensor | None
    """Shape `(n,)`, int64; None for data without labels."""


class Shuffled:
    """Epoch after epoch, each in an order of its own, gathered on the device of `images`.

    The remainder of an epoch that does not fill a batch is left out: each epoch leaves out others.
    """

    def __init__(
        self,
        images: Tensor,
        batch_size: int,
        seed: int,
        *,
        mirror: bool,
        labels: Tensor | None = None,
        edition: int = NEWEST,
    ) -> None:
        if batch_size > len(images):
            raise ValueError(
                f"batch_size={batch_size} is larger than the data set of {len(images)} image{'s' * (len(images) > 1)}:"
                f" choose {len(images)} or less"
            )
        self._images = images
        self._labels = labels
        self._batch_size = batch_size
        self._seed = seed
        self._edition = edition
        self._mirror = mirror
        self._epochs: dict[int, tuple[Tensor, Tensor]] = {}

    def __getitem__(self, request: tuple[int, int]) -> Draw:
        """The images of the batches that `(first, count)` names, one after the other."""
        first, count = request
        last = first + count
        per_epoch = len(self._images) // self._batch_size
        chosen, flipped = [], []
        while first < last:
            epoch, position = divmod(first, per_epoch)
            taken = min(last - first, per_epoch - position)
            order, mirrored = self._epoch(epoch)
            its = slice(position * self._batch_size, (position + taken) * self._batch_size)
            chosen.append(order[its])
            flipped.append(mirrored[its])
            first += taken
        at = part(torch.cat(chosen))
        return Draw(
            self._images.index_select(0, at),
            part(torch.cat(flipped)) if self._mirror else None,
            None if self._labels is None else self._labels.index_select(0, at),
        )

    def _epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The order of the images, and which of them to mirror."""
        drawn = self._epochs.get(epoch)
        if drawn is None:
            drawn = self._new_epoch(epoch)
            # Threads ask for two at once where one follows the other.
            self._epochs = {number: known for number, known in self._epochs.items() if number == epoch - 1}
            self._epochs[epoch] = drawn
        return drawn

    def _new_epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        # Drawn on the CPU, so that all devices have the same batches.
        generator = torch.Generator()
        begin(generator, self._seed, "epoch", epoch, edition=self._edition)
        size, device = len(self._images), self._images.device
        order = torch.randperm(size, generator=generator)
        flipped = torch.rand(size, generator=generator) < 0.5
        return order.to(device), flipped.to(device)


class Prefetched:
    """The same draws, made ahead by threads as long as each request goes on where the last one ended.

    A request elsewhere begins anew from there. Threads are enough, since gathering does not hold Python's lock.
    """

    def __init__(self, source: Shuffled, workers: int, *, pinned: bool) -> None:
        self._source = source
        self._pinned = pinned
        self._pool = ThreadPoolExecutor(workers, initializer=go_anywhere)
        self._ahead = 2 * workers
        self._draws: deque[Future[Draw]] = deque()
        self._due: tuple[int, int] | None = None

    def __getitem__(self, request: tuple[int, int]) -> Draw:
        first, count = request
        if request != self._due:
            self._draws.clear()
        while len(self._draws) < self._ahead:
            self._draws.append(self._pool.submit(self._draw, first + len(self._draws) * count, count))
        self._due = first + count, count
        return self._draws.popleft().result()

    def _draw(self, first: int, count: int) -> Draw:
        drawn = self._source[first, count]
        return drawn._replace(images=drawn.images.pin_memory()) if self._pinned else drawn


class ImageBatches:
    """Images drawn as uint8 and, on the device, mirrored and scaled to [−1, 1]."""

    def __init__(self, source: Shuffled | Prefetched, device: torch.device, description: str) -> None:
        self.description = description
        self._source = source
        self._device = device

    def __call__(self, first: int, count: int) -> Batch:
        drawn, flipped, labels = self._source[first, count]
        # Convolutions are fastest with the channels innermost: (n, height, width, channels).
        images = torch.stack(drawn.to(self._device, non_blocking=True).unbind(1), -1)
        if flipped is not None:
            # A choice among whole images costs a fraction of one among pixels, as torch.where makes it.
            sides = torch.cat([images, images.flip(2)])
            chosen = torch.arange(len(images), device=self._device)
            chosen += len(images) * flipped.to(self._device, non_blocking=True)
            images = sides.index_select(0, chosen)
        scaled = to_unit_range(images).unflatten(0, (count, -1))
        if labels is not None:
            labels = labels.to(self._device, non_blocking=True).view(count, -1)
        return Batch(scaled.permute(0, 1, 4, 2, 3), labels)


def batches(
    dataset: Dataset,
    batch_size: int,
    seed: int,
    device: torch.device,
    *,
    data: Literal["auto", "resident", "streamed"] = "auto",
    workers: int = 2,
    edition: int = NEWEST,
) -> Batches:
    """The batches of a run on `device`; whether they stay there or are streamed makes no difference to them.

    Raises `ValueError` when the data do not fill one.
    """
    match dataset:
        case Endless():
            return EndlessBatches(dataset, batch_size, seed, device, edition)
        case Images():
            return _image_batches(dataset, batch_size, seed, device, data, workers, edition)
        case _:
            raise TypeError(f"{type(dataset).__name__} is neither Endless nor Images")


def _image_batches(
    dataset: Images,
    batch_size: int,
    seed: int,
    device: torch.device,
    data: Literal["auto", "resident", "streamed"],
    workers: int,
    edition: int,
) -> ImageBatches:
    size = dataset.images.nbytes
    amount = f"{size / 1e6:,.1f} MB of uint8"
    if data == "auto" and device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if not fits(size, free):
            data, amount = "streamed", f"{amount}, more than half of the {free / 1e6:,.1f} MB free on {device}"
    if data == "streamed":
        shuffled = Shuffled(
            dataset.images, batch_size, seed, mirror=dataset.mirror, labels=dataset.labels, edition=edition
        )
        source = Prefetched(shuffled, workers, pinned=device.type == "cuda")
        return ImageBatches(source, device, f"streamed by {workers} threads ({amount})")
    labels = None if dataset.labels is None else dataset.labels.to(device)
    shuffled = Shuffled(
        dataset.images.to(device), batch_size, seed, mirror=dataset.mirror, labels=labels, edition=edition
    )
    return ImageBatches(shuffled, device, f"resident on {device} ({amount})")


def fits(size_in_bytes: int, free_in_bytes: int) -> bool:
    """Whether data of a size may stay on a device: the networks and their activations need the other half."""
    return size_in_bytes <= free_in_bytes / 2
