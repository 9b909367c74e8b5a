"""Measure how fast the program trains, beside a tutorial's script, and what it costs besides: one run, one table.

    python bench/speed.py                          # everything, on the GPU if there is one: an hour or two on a CPU
    python bench/speed.py --quick                  # two workloads without a penalty, in a few minutes
    python bench/speed.py --only mlp-28 --penalty none interpolate --sections speed
    python bench/speed.py --table bench/results/*.json     # the tables of runs that are over

Contenders take turns within every round, so that what else the machine does hits all of them, and start anew after some
rounds; a ratio is the median, over all rounds, of quotients within one round. The tutorial is bench/tutorial.py, with
torch's defaults.
"""

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import costs, table
from bench.contest import BASELINE, PLAIN, Contest, Json, Plan, contenders, contest, number_format
from bench.timing import Peak, Remote, Setting
from bench.workloads import GAMES, ON_CPU, ON_CUDA, QUICK, WORKLOADS
from gan_cli.runs import record


def measure(
    workload: str, game: str, names: Sequence[str], setting: Setting, plan: Plan, peak: Remote
) -> Iterator[Json]:
    """A row for each contender. One that fails says why in its row and leaves the others alone."""
    contests: list[Contest] = []
    for _ in range(plan.processes):
        failed = {name for earlier in contests for name in earlier.failures}
        if left := [name for name in names if name not in failed]:
            contests.append(contest(workload, game, left, setting, plan, peak))
    first = contests[0]
    for name in names:
        row: Json = {"workload": workload, "penalty": game, "contender": name}
        row["failure"] = next((each.failures[name] for each in contests if name in each.failures), None)
        if row["failure"]:
            yield row
            continue
        batch, critic_steps = WORKLOADS[workload].batch_size, GAMES[game].critic_steps
        operations = first.operations[BASELINE if name.startswith(BASELINE) else PLAIN]
        seconds = [taken for each in contests for taken in each.seconds[name]]
        peaks = [reached for each in contests for reached in each.peaks[number_format(name, workload, setting)]]
        pairs = ((each.seconds.get(BASELINE, []), each.seconds[name]) for each in contests)
        yield row | {
            "batch_size": batch,
            "images_per_second": batch * critic_steps / median(seconds),
            "ms_per_step": 1e3 * median(seconds),
            "ratio": _quartiles(a / b for baseline, ours in pairs for a, b in zip(baseline, ours, strict=False)),
            "operations": operations,
            "peak_share": operations and median(operations / s / p for s, p in zip(seconds, peaks, strict=False)),
            "first_step_s": first.first_step[name],
            "parameters": first.parameters[name],
            "seconds_per_step": seconds,
            **first.reports[name],
            "notes": sorted({note for each in contests for note in each.reports[name]["notes"]}),
            "memory_mib": max(each.reports[name]["memory_mib"] for each in contests),
        }


def _quartiles(values: Iterable[float]) -> list[float]:
    values = list(values)
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else 3 * values


def other_costs(sections: Sequence[str], setting: Setting, quick: bool) -> Iterator[Json]:
    """The rows that are not about a workload."""
    repeats = 3 if quick else 5
    parts: list[Callable[[], Iterable[costs.Cost]]] = []
    inside: list[tuple[Any, ...]] = []
    if "costs" in sections:
        parts += [partial(costs.start_up, repeats), partial(costs.first_step, setting, repeats)]
        inside += [("loop", 600 if quick else 2000), ("reports",)]
    if "linear" in sections:
        inside += [("linear", "dcgan-28", 0.5 if quick else 2.0), ("memory", 2000 if quick else 10_000)]
    remote = Remote(costs.Costs, setting, repeats)
    parts += [partial(remote.call, *arguments) for arguments in inside]
    try:
        for part in parts:
            try:
                yield from map(asdict, part())
            except Exception as error:  # such as a data set that is not there; the others can still be measured
                yield {"what": f"failed: {error}", "value": None, "unit": ""}
    finally:
        remote.close()


def machine(setting: Setting) -> Json:
    """The machine, the time and the versions."""
    processor = record.processor()
    on_cuda = setting.device == "cuda"
    return {
        "name": torch.cuda.get_device_name() if on_cuda else processor,
        "processor": processor,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_cuda else None,
        "commit": record.git_commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        **asdict(setting),
    }


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.table:
        for path in arguments.table:
            print(table.of(json.loads(path.read_text())))
        return

    on_cuda = torch.cuda.is_available() and arguments.device != "cpu"
    device = "cuda" if on_cuda else "cpu"
    if arguments.device not in (None, device):
        raise SystemExit("torch finds no CUDA device")
    setting = Setting(device, arguments.threads or torch.get_num_threads(), arguments.workers, arguments.seed)
    names = contenders(device)
    if arguments.contender:
        if unknown := set(arguments.contender) - set(names):
            raise SystemExit(f"--contender {', '.join(unknown)}: not one of {', '.join(names)}")
        names = [name for name in names if name in (BASELINE, PLAIN, *arguments.contender)]
    elif arguments.quick:
        names = [name for name in names if not name.startswith("compile")]
    plan = _plan(arguments, on_cuda)
    workloads = arguments.only or (QUICK if arguments.quick else ON_CUDA if on_cuda else ON_CPU)
    games = arguments.penalty or (["none"] if arguments.quick else list(GAMES))

    result: Json = {"machine": machine(setting), "plan": asdict(plan), "rows": [], "costs": []}
    path = arguments.json or path_of(result["machine"]["name"], arguments.quick)
    if "speed" in arguments.sections:
        peak = Remote(Peak, setting)
        try:
            for workload, game in ((workload, game) for workload in workloads for game in games):
                print(f"{workload}, {game}", file=sys.stderr)
                known = (
                    names if WORKLOADS[workload].networks else [name for name in names if not name.startswith(BASELINE)]
                )
                result["rows"] += measure(workload, game, known, setting, plan, peak)
                _write(path, result)  # what is measured is not lost, whatever comes
        finally:
            peak.close()
    if {"costs", "linear"} & set(arguments.sections):
        print("costs", file=sys.stderr)
        result["costs"] += other_costs(arguments.sections, setting, arguments.quick)
        _write(path, result)
    print(table.of(result))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few short rounds of two workloads, no compilation")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--penalty", nargs="+", choices=GAMES, metavar="PENALTY", help=", ".join(GAMES))
    parser.add_argument("--contender", nargs="+", metavar="NAME", help='as in "graph bf16"; the first two always run')
    parser.add_argument(
        "--sections", nargs="+", choices=["speed", "costs", "linear"], default=["speed", "costs", "linear"]
    )
    parser.add_argument("--processes", type=int, help="of each contender (default: 3; 1 with CUDA or --quick)")
    parser.add_argument("--rounds", type=int, help="of each process (default: 3; 7 with CUDA but without --quick)")
    parser.add_argument("--window", type=float, help="seconds that a contender gets in a round")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="(default: CUDA where there is one)")
    parser.add_argument("--threads", type=int, help="of every contender (default: as torch chooses)")
    parser.add_argument("--workers", type=int, default=0, help="of the tutorial's loader (default: 0, as torch's)")
    parser.add_argument("--jobs", type=int, help="first steps at a time (default: 1; with CUDA a quarter of the cores)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="(default: bench/results/<device>.json)")
    parser.add_argument("--table", nargs="+", type=Path, metavar="PATH", help="print the tables of such files")
    return parser


def _plan(arguments: argparse.Namespace, on_cuda: bool) -> Plan:
    quick = arguments.quick
    jobs = max(1, (os.cpu_count() or 1) // 4) if on_cuda else 1
    window = (0.2 if quick else 0.5) if on_cuda else (0.4 if quick else 1.5)
    return Plan(
        processes=arguments.processes or (1 if on_cuda or quick else 3),
        rounds=arguments.rounds or (7 if on_cuda and not quick else 3),
        window=arguments.window or window,
        steps=10 if on_cuda else 2,
        warm_up=0.3 if quick else 1.0,
        warm_up_steps=10 if on_cuda else 2,
        jobs=arguments.jobs or jobs,
    )


def path_of(device: str, quick: bool) -> Path:
    """Where the results of a device are kept."""
    name = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    return Path(__file__).parent / "results" / f"{name}{'-quick' if quick else ''}.json"


def _write(path: Path, result: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
