"""One contest: contenders of a workload, each in a process of its own, take turns for some rounds."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.timing import Contender, ContenderError, Remote, Setting

BASELINE, PLAIN = "tutorial", "eager float32"

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long everything is measured; a window lasts for `window` seconds and for `steps` steps, or longer."""

    processes: int
    """Processes of each contender, in turn: where its memory comes to lie can make it a tenth faster or slower."""
    rounds: int
    """Rounds of each process."""
    window: float
    steps: int
    warm_up: float
    warm_up_steps: int
    jobs: int
    """Contenders that take their first step at the same time, compilation included; then they take turns."""


def contenders(device: str) -> list[str]:
    """All that the device can do, the baseline first."""
    ways = {"cpu": ("eager", "compile"), "cuda": ("eager", "graph", "compile")}[device]
    formats = {"cpu": ("float32", "bf16"), "cuda": ("float32", "tf32", "bf16")}[device]
    return [BASELINE, "tutorial in memory", *(f"{way} {format}" for way in ways for format in formats)]


def number_format(name: str, workload: str, setting: Setting) -> str:
    """What the contender multiplies in, mostly: torch's defaults let convolutions, but no other product, use TF32."""
    if name.startswith(BASELINE):
        return "tf32" if setting.device == "cuda" and not workload.startswith("mlp") else "float32"
    return name.split()[1]


@dataclass(frozen=True)
class Contest:
    """What one process for each contender found, by name."""

    failures: dict[str, str]
    parameters: Json
    first_step: Json
    seconds: dict[str, list[float]]
    """Seconds a step in each round."""
    peaks: dict[str, list[float]]
    """Operations a second in each round, by number format."""
    reports: Json
    operations: Json
    """The operations of a step of the baseline and of the program."""


def contest(workload: str, game: str, names: Sequence[str], setting: Setting, plan: Plan, peak: Remote) -> Contest:
    """Some rounds between contenders that start anew."""
    failures: dict[str, str] = {}
    remotes = {name: Remote(Contender, workload, game, name, setting) for name in names}

    def call(name: str, method: str, *arguments: object) -> Any:
        if name not in failures:
            try:
                return remotes[name].call(method, *arguments)
            except ContenderError as error:
                failures[name] = str(error)
        return None

    def call_all(method: str, jobs: int) -> Json:
        with ThreadPoolExecutor(jobs) as pool:
            return dict(zip(names, pool.map(lambda name: call(name, method), names), strict=True))

    try:
        parameters = call_all("parameters", len(names))
        if len({tuple(sizes) for sizes in parameters.values() if sizes}) > 1:
            raise SystemExit(f"{workload}: the networks are not the same: {parameters}")
        first_step = call_all("start", plan.jobs)
        for name in names:
            call(name, "warm_up", plan.warm_up, plan.warm_up_steps, plan.window, plan.steps)
        formats = sorted({number_format(name, workload, setting) for name in names})
        seconds, peaks = _rounds(call, names, formats, plan, peak)
        reports = {name: call(name, "report") for name in names}
        operations = {name: call(name, "operations") for name in names if name in (BASELINE, PLAIN)}
    finally:
        for remote in remotes.values():
            remote.close()
    return Contest(failures, parameters, first_step, seconds, peaks, reports, operations)


def _rounds(
    call: Callable[..., Any], names: Sequence[str], formats: Sequence[str], plan: Plan, peak: Remote
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds a step of each contender and operations a second of each number format, a window of each a round."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, list[float]] = {name: [] for name in formats}
    for index in range(plan.rounds):
        for name in formats:
            peaks[name].append(peak.call("window", name))
        turn = index % len(names)  # no contender always follows the same other one
        for name in [*names[turn:], *names[:turn]]:
            taken = call(name, "window")
            if taken is not None:
                seconds[name].append(taken)
    return seconds, peaks
