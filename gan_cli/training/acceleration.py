"""The same iteration, executed faster: compiled, or captured as one CUDA graph.

Both compute what `training.iteration` computes, with the same random numbers, to rounding. What cannot be compiled or
captured is executed without it, and a line of the log says why.
"""

import copy
import logging
import warnings
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor
from torch.optim import Optimizer

from gan_cli.datasets.base import Batch
from gan_cli.errors import ConfigError
from gan_cli.ranks import place
from gan_cli.training.loop import EagerIteration, Game, Iteration, Terms
from gan_cli.training.scheduling import Scheduling, keep_on_device, keep_on_host, numbers_on_host
from gan_cli.training.state import TrainState

logger = logging.getLogger(__name__)

WARM_UP = 3
"""Iterations before a capture, in which libraries choose kernels and allocate; they are steps like all others."""

CAPTURE_PAYS = 100
"""Steps from which on a capture, which takes about a second, pays back."""

COMPILATION_PAYS = 20_000
"""Steps from which on compilation, which takes one to two minutes, pays back."""

OF_NO_USE = (
    "capturable",  # optimizers that could be captured advise against running them otherwise, which these steps must
    "Synchronization debug mode is a prototype",
)
"""What torch warns of in the steps before a capture, in part."""


def choose_mode(requested: str, device: torch.device, steps: int, deterministic: bool) -> tuple[str, str]:
    """Which of `eager`, `graph`, `compile` a run of so many steps gets, and the reason in brackets unless as asked."""
    if device.type != "cuda":
        match requested:
            case "auto":
                return "eager", " (device.accelerate=compile may gain on the CPU, under a gradient penalty)"
            case "graph":
                return "eager", " (device.accelerate=graph needs CUDA)"
    elif place().size > 1:
        if requested == "graph":
            raise ConfigError(
                "device.accelerate=graph: sums over several processes are not captured: choose auto, eager or compile"
            )
        if requested == "auto":
            pays = steps >= COMPILATION_PAYS
            return "compile" if pays else "eager", " (sums over several processes are not captured)"
    elif requested == "auto":
        if steps < CAPTURE_PAYS:
            return "eager", f" (train.steps={steps} are too few for a graph to pay back)"
        if deterministic:
            return "graph", " (device.deterministic=true leaves compilation out)"
        if steps < COMPILATION_PAYS:
            return "graph", f" (train.steps={steps} are too few for compilation to pay back)"
        return "compile", f" (compilation pays back over train.steps={steps})"
    return requested, ""


def accelerated(mode: str, device: str, state: TrainState, game: Game, scheduling: Scheduling) -> Iteration:
    """The iteration of a mode that `choose_mode` gave; its own `mode` tells what is left of it if it does not work."""
    for optimizer in (state.generator_optimizer, state.critic_optimizer):
        keep_on_host(optimizer)
    if mode == "eager":
        return EagerIteration(state, game)
    if device != "cuda" or place().size > 1:
        return CompiledIteration(state, game)
    inner = EagerIteration(state, game) if mode == "graph" else CompiledIteration(state, game)
    return CapturedIteration(state, game, scheduling, inner)


def compiled(game: Game) -> Game:
    """The game with each of its functions compiled whole, the exact gradient of the penalty included."""
    # The compiler keeps a limited number of versions of a function, those of the runs before in a sweep among them.
    torch.compiler.reset()
    # It looks for CUDA's compiler, whether or not it needs it, and warns where there is none.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    fast = replace(game)
    for name in ("fake", "critic_loss", "generator_loss"):
        # Random numbers as eager code draws them, so that acceleration changes a run by rounding alone.
        function = torch.compile(getattr(game, name), fullgraph=True, dynamic=False, options={"fallback_random": True})
        setattr(fast, name, function)
    return fast


class CompiledIteration:
    """An iteration of compiled functions, or of plain ones where the compiler cannot take them."""

    def __init__(self, state: TrainState, game: Game) -> None:
        self._state = state
        self._plain = EagerIteration(state, game)
        self._iterate = EagerIteration(state, compiled(game))
        self._is_tried = False
        for schedule in game.schedules:
            schedule.keep_on(next(state.critic.parameters()).device)

    @property
    def mode(self) -> str:
        """`eager` once the compiler has refused."""
        return "eager" if self._iterate is self._plain else "compile"

    def __call__(self, real: Batch, average_weight: Tensor) -> Terms:
        if not self._is_tried:
            self._is_tried = True
            return self._try(real, average_weight)
        return self._iterate(real, average_weight)

    def _try(self, real: Batch, average_weight: Tensor) -> Terms:
        """The first iteration compiles; where that fails midway, it is taken back and taken again."""
        before = copy.deepcopy(self._state.state_dict())
        try:
            devices = [real.samples.device] if real.samples.is_cuda else []
            with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
                # `device.precision` has decided this.
                warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)
                return self._iterate(real, average_weight)
        except Exception as error:  # the compiler's errors have no class in common
            _warn("compiled", error)
        self._state.load_state_dict(before)
        self._iterate = self._plain
        return self._iterate(real, average_weight)


class CapturedIteration:
    """An iteration as one CUDA graph, replayed for every step, or executed where it cannot be captured."""

    def __init__(self, state: TrainState, game: Game, scheduling: Scheduling, iterate: Iteration) -> None:
        self._optimizers = (state.generator_optimizer, state.critic_optimizer)
        self._iterate = iterate
        self._side = torch.cuda.Stream()
        self._waits = False
        self._until_capture = WARM_UP
        self._graph: torch.cuda.CUDAGraph | None = None
        self._options = (scheduling.generator, scheduling.critic)
        for optimizer, options in zip(self._optimizers, self._options, strict=True):
            keep_on_device(optimizer, options)
        for schedule in game.schedules:
            schedule.keep_on(next(state.critic.parameters()).device)

    @property
    def mode(self) -> str:
        """What is captured, `compile` or plain operations, `graph`; how steps go on once the capture has failed."""
        has_failed = self._until_capture < 0 and self._graph is None
        return self._iterate.mode if has_failed or self._iterate.mode == "compile" else "graph"

    def __call__(self, real: Batch, average_weight: Tensor) -> Terms:
        if self._until_capture > 0:
            self._until_capture -= 1
            return self._aside(real, average_weight)
        if self._until_capture == 0:
            self._until_capture = -1
            self._capture(real, average_weight)
        if self._graph is not None and self._numbers != self._numbers_on_host():
            self._give_up("an optimizer reads a number that changes, such as its rate, on the host")
        if self._graph is None:
            return self._iterate(real, average_weight)
        self._real.samples.copy_(real.samples)
        if self._real.labels is not None and real.labels is not None:
            self._real.labels.copy_(real.labels)
        self._average_weight.copy_(average_weight)
        self._graph.replay()
        # The next replay overwrites what this one gave.
        return dict(zip(self._names, self._values.clone().unbind(), strict=True))

    def _aside(self, real: Batch, average_weight: Tensor) -> Terms:
        """On another stream, as a capture needs it of the work before it; notes whether it waits for the device."""
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side), warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                terms = self._iterate(real, average_weight)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        torch.cuda.current_stream().wait_stream(self._side)
        self._waits = False
        for warning in seen:
            if "called a synchronizing" in str(warning.message):
                self._waits = True
            elif not any(part in str(warning.message) for part in OF_NO_USE):
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return terms

    def _capture(self, real: Batch, average_weight: Tensor) -> None:
        """Record an iteration, which executes nothing."""
        # A capture that breaks on one of these would leave torch's allocator and random numbers in disorder.
        if self._waits:
            self._give_up("an operation waits for the device")
            return
        if _counts_on_host(self._optimizers):
            self._give_up("an optimizer that is neither fused nor capturable counts its steps on the host")
            return
        labels = None if real.labels is None else real.labels.clone()
        self._real, self._average_weight = Batch(real.samples.clone(), labels), average_weight.clone()
        self._numbers = self._numbers_on_host()
        graph = torch.cuda.CUDAGraph()
        cause = None
        try:
            # Other threads, such as one that pins memory, may go on with CUDA.
            with torch.cuda.graph(graph, stream=self._side, capture_error_mode="thread_local"):
                try:
                    terms = self._iterate(self._real, self._average_weight)
                    self._values = torch.stack(list(terms.values()))
                except Exception as error:
                    cause = error  # what ends the capture may complain again
                    raise
        except Exception as error:
            self._give_up(cause or error)
        else:
            self._names = list(terms)
            self._graph = graph

    def _numbers_on_host(self) -> list[float]:
        both = zip(self._optimizers, self._options, strict=True)
        return [number for optimizer, options in both for number in numbers_on_host(optimizer, options)]

    def _give_up(self, reason: object) -> None:
        _warn("captured", reason)
        self._graph = None
        for optimizer in self._optimizers:
            keep_on_host(optimizer)


def _counts_on_host(optimizers: Iterable[Optimizer]) -> bool:
    """Whether anything that an optimizer remembers is where a graph would keep it as it was at its capture."""
    states = [item for optimizer in optimizers for item in optimizer.state.items()]
    remembered = [(parameter, value) for parameter, values in states for value in values.values() if value is not None]
    return any(not isinstance(value, Tensor) or value.device != parameter.device for parameter, value in remembered)


def _warn(how: str, reason: object) -> None:
    # A compiler's error begins with a heading, such as "backend='inductor' raised:".
    lines = [line for line in str(reason).splitlines() if line and not line.endswith(":")]
    logger.warning("the step cannot be %s and goes on without: %s", how, lines[0] if lines else type(reason).__name__)
