"""A quarter of an hour with a GPU: the step of R3GAN at the paper's width, the speed table, CIFAR-10, a profile, tests.

    python bench/gpu.py --photographs cifar10.tar.xz       # all parts, no network
    python bench/gpu.py                                    # CIFAR-10 where torchvision has it
    python bench/gpu.py --parts suite r3gan --minutes 6    # some of them
    python bench/gpu.py --device cpu --quick               # the same script on tiny sizes, to see that it works

Each part is a command of its own with a time limit. The JSON is written after every part, so whatever ends the script
leaves what was measured; what a part was doing is in its log, beside the JSON.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.speed import machine, path_of
from bench.timing import Setting

ROOT = Path(__file__).parents[1]

Json = dict[str, Any]

GRACE = 20
"""Seconds between the request that a command ends and the end."""


@dataclass(frozen=True)
class Part:
    """A command with its time limit in seconds, and what is read from its log, or from the JSON that it writes."""

    limit: int
    command: Sequence[str]
    read: Callable[[str, Path], Json]


def parts(device: str, quick: bool, photographs: Path | None = None) -> Mapping[str, Part]:
    """The parts in the order of their worth; `{json}` is what a command writes, `{folder}` a place for all of them."""
    processes = "1" if quick else str(min(10, os.cpu_count() or 1))
    suite = ["-m", "pytest", *(["tests/test_randomness.py"] if quick else []), "-n", processes, "--dist", "worksteal"]
    suite += ["-o", "addopts=--strict-markers -m 'not slow'", "-p", "no:cacheprovider", "--tb=short", "-v"]
    workloads = ["mlp-28"] if quick else ["resnet-32-w128", "dcgan-32", "mlp-28"]
    ways = ["eager float32"] if device == "cpu" else ["graph bf16", "compile bf16", "compile tf32"]
    speed = ["bench/speed.py", "--device", device, "--sections", "speed", "--json", "{json}", "--contender", *ways]
    few = ["--processes", "1", "--rounds", "2" if quick else "3", *(["--window", "0.1"] if quick else [])]
    r3gan = "r3gan-32-w16-b8" if quick else "r3gan-32-w768-b256"
    profiled = ["bench/operations.py", "--only", "mlp-28" if quick else "resnet-32-w128"]
    fast = [] if device == "cpu" else ["device.precision=bf16", "device.accelerate=compile"]
    recipe = ["-m", "gan_cli", "experiment=cifar10", "scale=small", f"device={device}", "outputs={folder}", "name=run"]
    if quick:
        recipe += ["dataset=mnist5k", "model.generator.width=8", "metric/extractor=raw"]
        recipe += ["train.steps=2", "train.batch_size=8"]
    else:
        recipe += ["train.steps=10000", *fast]  # 1.3 million pictures
        recipe += ["dataset=folder", f"dataset.path={photographs.resolve()}"] if photographs else []
    evaluation = ["-c", "from gan_cli.cli import evaluate; evaluate()", "{folder}/run", "--metric", "frechet"]
    return {
        "r3gan": Part(120, [*speed, *few, "--only", r3gan, "--penalty", "r1_r2"], _written),
        "speed": Part(200, [*speed, *few, "--only", *workloads, "--penalty", "interpolate"], _written),
        "cifar10": Part(180, recipe, partial(_lines, last="step ")),
        "frechet": Part(60, [*evaluation, *(["--n", "200"] if quick else [])], partial(_lines, last="frechet_")),
        "profile": Part(90, [*profiled, "--", f"device={device}", *fast], _printed),
        "suite": Part(250, suite, _outcomes),
    }


def _written(_: str, path: Path) -> Json:
    """The rows of a speed table, without the seconds of each round."""
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return {"rows": [{key: value for key, value in row.items() if key != "seconds_per_step"} for row in rows]}


def _lines(log: str, _: Path, last: str) -> Json:
    """The last line that begins so, of the progress or of the answer of a command."""
    return {"last": [" ".join(line.split()) for line in log.splitlines() if line.startswith(last)][-1:]}


def _printed(log: str, _: Path) -> Json:
    """The lines that a profile prints, less what its libraries say."""
    return {"profile": [line for line in log.splitlines() if re.match(r"[\w-]+, \w+: ", line)]}


def _outcomes(log: str, _: Path) -> Json:
    """How many tests came out how, and the names of those that did not pass."""
    of_test = {test: how for how, test in re.findall(r"^\[gw\d+\] \[ *\d+%\] ([A-Z]+) (\S.*?) *$", log, re.MULTILINE)}
    counts = {how.lower(): sum(of == how for of in of_test.values()) for how in sorted(set(of_test.values()))}
    return {"tests": counts, "failures": sorted(name for name, how in of_test.items() if how in ("FAILED", "ERROR"))}


def carry_out(part: Part, name: str, folder: Path, seconds: float) -> Json:
    """Run a part for so many seconds or for its own limit, and say how it ended and what it found."""
    log, found = folder / f"{name}.log", folder / f"{name}.json"
    found.unlink(missing_ok=True)
    command = [word.format(json=found, folder=folder) for word in part.command]
    limit, start = min(part.limit, seconds), time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # A shell that runs this script in the background has its children ignore the request to end.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        try:
            outcome = _ended(process.wait(limit))
        except subprocess.TimeoutExpired:
            outcome = f"stopped after {limit:.0f} s"
        finally:
            _end(process)
    text = log.read_text(errors="replace")
    said = {"command": " ".join(["python", *command]).replace(str(folder), "…"), "outcome": outcome}
    return said | {"seconds": round(time.monotonic() - start, 1), **part.read(text, found)}


def _ended(code: int) -> str:
    return "done" if code == 0 else f"ended with {code}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a command and its children to end, as Ctrl-C does, and end what does not."""
    for request in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, request)
            process.wait(GRACE)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--photographs", type=Path, help="CIFAR-10 as a folder of pictures or an archive of one")
    parser.add_argument("--parts", nargs="+", choices=parts("cuda", quick=False), help="(default: all)")
    parser.add_argument("--minutes", type=float, default=15, help="for all parts together (default: 15)")
    parser.add_argument("--json", type=Path, help="(default: bench/results/<device>-gpu.json)")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA device: try --device cpu --quick")

    about = machine(Setting(arguments.device, torch.get_num_threads(), workers=0, seed=0))
    path = arguments.json or path_of(f"{about['name']} gpu", arguments.quick)
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * arguments.minutes
    result: Json = {"machine": about, "parts": {}}
    if arguments.parts and path.exists():  # what other parts have found stays
        result["parts"] = json.loads(path.read_text())["parts"]
    for name, part in parts(arguments.device, arguments.quick, arguments.photographs).items():
        left = end - time.monotonic() - GRACE
        if name not in (arguments.parts or [name]) or left <= 0:
            continue
        if name == "cifar10":
            shutil.rmtree(folder / "run", ignore_errors=True)  # a run that is there already would go on
        print(f"{name} …", file=sys.stderr, flush=True)
        result["parts"][name] = carry_out(part, name, folder, left)
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{name}: {result['parts'][name]['outcome']}", flush=True)


if __name__ == "__main__":
    main()
