"""How long runs will take, in words: one run in a few lines, several in a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from gan_cli.show.tables import aligned, told_apart
from gan_cli.show.wording import duration

PATIENCE = 10.0
"""Seconds that an evaluation, a picture or a checkpoint may take to be counted."""

BUSY = 0.9
"""The share of the time that the system gives to steps, below which other work makes the time what it is."""

NOTHING = 1e-3
"""The share of the time below which a line of its own says nothing."""


@dataclass(frozen=True)
class Besides:
    """What a run does now and then beside its steps."""

    what: str
    times: int
    first: float | None
    """Seconds; None if it took longer than is waited for."""
    later: float | None
    """Seconds of each one after the first, which prepares what all use."""

    @property
    def seconds(self) -> float:
        """Of all of them; 0 where it is not known."""
        if self.first is None:
            return 0.0
        return self.first + (self.times - 1) * (self.first if self.later is None else self.later)


@dataclass(frozen=True)
class Measured:
    """What the steps of a run cost here."""

    device: str
    """Its name, and in brackets how it computes."""
    step: float
    """Seconds of a step: the mean."""
    spread: float | None
    """The standard deviation of the pace between parts of the measurement, as a share; None for a single part."""
    own_share: float | None
    """The share of the time in which the system let the steps run, as far as they were not for a GPU."""
    preparation: float
    """Seconds until the step is compiled or captured."""
    besides: Sequence[Besides]
    memory: int
    """Bytes at the peak: of the GPU, or of the process."""
    memory_there_is: int
    operations: int
    """Floating-point operations of a step, in products of matrices and in convolutions."""
    best: float
    """The rate at which large matrices are multiplied, in operations per second."""

    @property
    def share(self) -> float:
        """The rate of a step as a share of the best."""
        return self.operations / self.step / self.best


@dataclass(frozen=True)
class Estimate:
    """What is left of a run, and what that costs."""

    name: str
    taken: int
    """Steps taken already."""
    left: int
    images_per_step: int
    measured: Measured | None
    """None if no step is left."""

    @property
    def seconds(self) -> float:
        """All that is left."""
        if self.measured is None:
            return 0.0
        measured = self.measured
        return measured.preparation + self.left * measured.step + sum(of.seconds for of in measured.besides)


def as_text(found: Sequence[Estimate]) -> str:
    """One run in a few lines; of several a row each, and the sum."""
    return _of_one(found[0]) if len(found) == 1 else _of_several(found)


def _of_one(run: Estimate) -> str:
    measured = run.measured
    if measured is None:
        return f"{run.name} is done; train.steps=… beyond {run.taken} continues it"
    steps = f"{run.left:,} steps of {run.images_per_step:,} images"
    if run.taken:
        steps = f"{steps}, after {run.taken:,} that are taken,"
    rate = _operations(measured.operations / measured.step)
    lines = [f"{run.name}: {steps} on {measured.device}", f"time     {_time(run)}"]
    lines += [f"         {line}" for line in _where_time_goes(run, measured).splitlines()]
    if measured.own_share is not None and measured.own_share < BUSY:
        lines.append(f"         busy: other work leaves the steps {_per_cent(measured.own_share)} of the time")
    return "\n".join(
        [
            *lines,
            f"memory   {_gib(measured.memory)} of {_gib(measured.memory_there_is)}",
            f"compute  {_per_cent(measured.share)} of the rate of large matrix products ({rate}/s of"
            f" {_operations(measured.best)}/s)",
        ]
    )


def _where_time_goes(run: Estimate, measured: Measured) -> str:
    rate = f"{run.images_per_step / measured.step:,.0f} images/s"
    rows = [(duration(run.left * measured.step), f"{run.left:,} steps of {duration(measured.step)} ({rate})")]
    if measured.preparation:
        rows.append((duration(measured.preparation), "until the step is compiled or captured"))
    for of in measured.besides:
        if of.first is not None and of.seconds < NOTHING * run.seconds:
            continue
        things = f"{of.times:,} {of.what}{'s' * (of.times > 1)}"
        if of.first is None:
            rows.append(("not counted", f"{things} of more than {duration(PATIENCE)}"))
        else:
            rows.append((duration(of.seconds), f"{things} of {duration(of.seconds / of.times)}"))
    return aligned(rows, words=2)


def _of_several(found: Sequence[Estimate]) -> str:
    rows = [("run", "steps", "a step", "images/s", "compute", "time")]
    for name, run in zip(told_apart([run.name for run in found]), found, strict=True):
        if run.measured is None:
            rows.append((name, "", "", "", "", "done"))
            continue
        step, rate = run.measured.step, f"{run.images_per_step / run.measured.step:,.0f}"
        rows.append((name, f"{run.left:,}", duration(step), rate, _per_cent(run.measured.share), _time(run)))
    rows.append(("all", f"{sum(run.left for run in found):,}", "", "", "", duration(sum(run.seconds for run in found))))
    known = [run.measured for run in found if run.measured is not None]
    lines = [aligned(rows)]
    if known:
        memory, there_is = max((of.memory, of.memory_there_is) for of in known)
        lines.append(f"on {known[0].device}; memory {_gib(memory)} of {_gib(there_is)}")
    if slow := {f"{of.what}s" for measured in known for of in measured.besides if of.first is None}:
        lines.append(f"not counted: {' and '.join(sorted(slow))} of more than {duration(PATIENCE)}")
    return "\n".join(lines)


def _time(run: Estimate) -> str:
    spread = run.measured.spread if run.measured is not None else None
    return duration(run.seconds) + ("" if spread is None else f" ± {_per_cent(spread)}")


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 10 * 2**30 else f"{size / 2**30:.2f} GiB"


def _operations(number: float) -> str:
    return f"{number / 1e12:.3g} TFLOP" if number >= 1e12 else f"{number / 1e9:.3g} GFLOP"
