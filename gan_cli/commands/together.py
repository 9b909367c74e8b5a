"""How the processes of a run meet, agree, and part: the first of them keeps the folder, the others help to train."""

import io
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from gan_cli import ranks
from gan_cli.commands.launched import Launch
from gan_cli.errors import CommandError, ConfigError
from gan_cli.ranks import Place, losses_explained, place
from gan_cli.training.state import State

logger = logging.getLogger(__name__)

T = TypeVar("T")

TO_MEET = timedelta(minutes=5)
"""How long a process waits for the others to start."""

TO_WAIT = timedelta(hours=2)
"""How long it waits for the others in a run: the first one may be measuring."""

ADDRESS_OF = 0x8915
"""SIOCGIFADDR of Linux: the address of an interface."""

TO_PART = 5.0
"""Seconds in which the others read why a run has ended."""


class EndedElsewhereError(CommandError):
    """Another process of the run has ended it, and has said why; this one has its exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


class _Meeting:
    """The store that the processes share, and the group that they talk in while a run goes on."""

    def __init__(self, launch: Launch) -> None:
        with _explained(launch):
            if interface := interface_to(os.environ["MASTER_ADDR"]):
                os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
            store, rank, size = next(rendezvous("env://", timeout=TO_MEET))
            self._store = dist.PrefixStore(f"gan_cli/{launch.attempt}", store)  # type: ignore[attr-defined]
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, store=self._store, rank=rank, world_size=size, timeout=TO_WAIT)
            group = dist.new_group(backend="gloo", timeout=TO_WAIT)
            assert isinstance(group, dist.ProcessGroup)
            self.group = group
        self._launch = launch

    def end(self, error: BaseException) -> BaseException:
        """The error that this process ends with: its own if it is the first to end the run."""
        try:
            if self._store.add("ended", 1) == 1:
                self._store.set("code", str(_exit_code(error)))
                return error
            return EndedElsewhereError(int(self._store.get("code")))
        except RuntimeError:  # the store was in a process that is gone
            return error

    def leave(self, *, in_peace: bool) -> None:
        """Close the connections, by which the others notice; one that holds the store waits until they have read it."""
        ranks.take(Place())
        dist.destroy_process_group()
        if in_peace:
            return
        with suppress(RuntimeError):
            left = self._store.add("left", 1)
            until = time.monotonic() + TO_PART
            while self._launch.hosts_store and left < self._launch.size and time.monotonic() < until:
                time.sleep(0.05)
                left = self._store.add("left", 0)


_meeting: _Meeting | None = None


@contextmanager
def joined(launch: Launch | None) -> Iterator[None]:
    """Be one of the processes of a run; the first of them that fails says why, and the others end with its code."""
    global _meeting
    if launch is None:
        yield
        return
    if launch.rank:
        logging.getLogger("gan_cli").setLevel(logging.ERROR)  # what the first one says
    _meeting = _Meeting(launch)
    ranks.take(Place(launch.rank, launch.size, launch.local_rank, launch.local_size))
    in_peace = False
    try:
        yield
        in_peace = True
    except BaseException as error:
        ended_with = _meeting.end(error)
        if ended_with is error:
            raise
        raise ended_with from error
    finally:
        meeting, _meeting = _meeting, None
        meeting.leave(in_peace=in_peace)


def is_first() -> bool:
    """Whether this process keeps the folder of its run."""
    return place().rank == 0


def from_first(value: Callable[[], T]) -> T:
    """What the first process finds, of which the others may not see the files."""
    if _meeting is None:
        return value()
    told: list[Any] = [value() if is_first() else None]
    with losses_explained():
        dist.broadcast_object_list(told, src=0, group=_meeting.group)
    found: T = told[0]
    return found


def share(state: State) -> None:
    """Give the others the state of the first process."""
    if _meeting is None:
        return

    def written() -> bytes:
        content = io.BytesIO()
        torch.save(state.state_dict(), content)
        return content.getvalue()

    content = from_first(written)
    if not is_first():
        state.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))


def wait() -> None:
    """Go on when all processes have come here."""
    if _meeting is not None:
        with losses_explained():
            dist.barrier(group=_meeting.group)


class StopAgreement:
    """Has all processes stop after the same step, whichever of them was told to, and whenever.

    What each has received travels while the next step is taken, so that no step waits for it.
    """

    def __init__(self) -> None:
        self._on_its_way: tuple[dist.Work, torch.Tensor] | None = None

    def __call__(self, received: int | None, *, is_last: bool) -> int | None:
        """The number of the signal to stop for now, if any; to be asked after every step."""
        if _meeting is None:
            return received
        agreed = 0
        with losses_explained():
            if self._on_its_way is not None:
                work, number = self._on_its_way
                work.wait()
                agreed = int(number)
            if not is_last and not agreed:
                number = torch.tensor(received or 0)
                started = dist.all_reduce(number, dist.ReduceOp.MAX, group=_meeting.group, async_op=True)
                assert started is not None
                self._on_its_way = started, number
        return agreed or None


class Communication:
    """Says once which share of the time the sums over processes take."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._is_told = _meeting is None
        self._steps = 0

    def after_step(self) -> None:
        """Count the next step; the first one also warms up."""
        if self._is_told:
            return
        if self._begun is None:
            self._begun = time.perf_counter()
            ranks.waited.is_counted = True
        else:
            self._steps += 1

    def tell(self) -> None:
        """Log the share, if some steps are counted; the device has taken them all."""
        if self._is_told or self._begun is None or not self._steps:
            return
        share = ranks.waited.total() / (time.perf_counter() - self._begun)
        ranks.waited.is_counted, self._is_told = False, True
        logger.info(
            "communication: %.0f %% of the time of %d steps on %d processes, with the waiting for one another",
            *(100 * share, self._steps, place().size),
        )


def interface_to(address: str) -> str | None:
    """The name of the network interface that leads to a host, on Linux; gloo takes that of this host's own name.

    In many a cluster that is the loopback, by which no other machine is reached.
    """
    if sys.platform != "linux":
        return None
    import fcntl

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
        to.connect((address, 9))  # sends nothing
        own = socket.inet_aton(to.getsockname()[0])
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an address
                asked = fcntl.ioctl(to.fileno(), ADDRESS_OF, name.encode().ljust(256, b"\0"))
                if asked[20:24] == own:
                    return name
    return None


def _exit_code(error: BaseException) -> int:
    match error:
        case CommandError():
            return error.exit_code
        case KeyboardInterrupt():
            return 130
        case SystemExit(code=int(code)):
            return code
        case _:
            return 1


@contextmanager
def _explained(launch: Launch) -> Iterator[None]:
    """A meeting that fails, as one line."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"process {launch.rank} of {launch.size} does not meet the others at MASTER_ADDR and MASTER_PORT"
            f" ({reason}): start all of them with the same address, which each can reach"
        ) from error
