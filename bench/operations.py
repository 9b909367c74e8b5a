"""Where the time of a training step goes, by operation.

python bench/operations.py                                   # eager float32
python bench/operations.py --only dcgan-32 --penalty r1_r2 -- device.precision=bf16 device.threads=1
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.workloads import GAMES, ON_CPU, ON_CUDA, WORKLOADS, config_of
from gan_cli.assembly.games import assemble

WARM_UP, STEPS, SHOWN = 5, 10, 8


def shares(workload: str, game: str, overrides: Sequence[str]) -> dict[str, float]:
    """The share of each operation in the time that the device computes, the largest first."""
    job = assemble(config_of(WORKLOADS[workload], GAMES[game], *overrides))
    steps = job.terms()
    list(islice(steps, WARM_UP))
    on_cuda = job.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    with profile(activities=activities) as profiler:
        list(islice(steps, STEPS))
        if on_cuda:
            torch.cuda.synchronize()
    events = profiler.key_averages()
    times = {e.key: e.self_device_time_total if on_cuda else e.self_cpu_time_total for e in events}
    whole = sum(times.values())
    return {name: time / whole for name, time in sorted(times.items(), key=lambda item: -item[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ON_CUDA if torch.cuda.is_available() else ON_CPU
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(default), metavar="WORKLOAD")
    parser.add_argument("--penalty", nargs="+", choices=GAMES, default=["interpolate"])
    parser.add_argument("overrides", nargs="*", help="of the config, after --")
    arguments = parser.parse_args()
    for workload in arguments.only:
        for game in arguments.penalty:
            found = list(shares(workload, game, arguments.overrides).items())[:SHOWN]
            print(f"{workload}, {game}: " + ", ".join(f"{name} {share:.0%}" for name, share in found), flush=True)


if __name__ == "__main__":
    main()
