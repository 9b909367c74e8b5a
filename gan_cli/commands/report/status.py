"""How a run stands; one that says it is running may be long dead."""

from dataclasses import dataclass
from datetime import datetime

from gan_cli.runs.run import Run
from gan_cli.show import wording

SILENCE = 600
"""Seconds without a line after which a run may no longer be alive."""


@dataclass(frozen=True)
class Status:
    """A word, and what there is to say about it."""

    word: str
    details: list[str]


def of(run: Run, now: datetime) -> Status:
    """The status of a run at a time."""
    word = run.record.get("status")
    details = []
    if not isinstance(word, str):
        word = "unknown"
    if word in ("running", "unknown") and run.last_written is not None:
        silence = max(round((now - run.last_written).total_seconds()), 0)
        details.append(f"nothing written for {wording.duration(silence)}, since {wording.moment(run.last_written)}")
        if word == "running" and silence > SILENCE:
            details.append("its process may be dead")
    steps = run.record.get("steps")
    if word != "done" and isinstance(steps, int) and run.step is not None:
        details.append(f"step {run.step} of {steps}")
    if word != "running" and (error := run.record.get("error")):
        details.append(str(error))
    if refused := run.record.get("refused"):
        details.append(f"a later command was refused: {refused}")
    return Status(word, details)
