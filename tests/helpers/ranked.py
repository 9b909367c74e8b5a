"""Runs trained by several ranks: processes that a test starts, and what they bring back."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from gan_cli.assembly.games import assemble
from gan_cli.datasets.base import Batch
from gan_cli.jobs import GameJob
from gan_cli.ranks import Place, take
from tests.helpers.configs import compose

STEPS = 20

Tasks = dict[str, tuple[Sequence[str], str]]
"""The overrides and the number format of a run, by name."""

Found = dict[str, Any]
"""The weights after some steps, how far they went, and the terms of the last step."""


def trained(overrides: Sequence[str], dtype: str) -> Found:
    """What this rank finds after some steps of a run, its numbers in `dtype`."""
    torch.set_default_dtype(torch.float32)
    job = assemble(compose(*overrides, f"train.steps={STEPS}", "metric=[]", "device.threads=1"))
    torch.set_default_dtype(getattr(torch, dtype))  # of latents from now on
    for network in (job.state.generator, job.state.critic, job.state.average):
        network.to(torch.get_default_dtype())
    drawn = job.batches

    def batches(first: int, count: int) -> Batch:
        whole = drawn(first, count)
        return Batch(whole.samples.to(torch.get_default_dtype()), whole.labels)

    job.batches = batches  # type: ignore[assignment]
    before = _weights(job)
    *_, terms = job.terms()
    after = _weights(job)
    numbers = {name: float(value) for name, value in terms.items()}
    return {"weights": after, "way": (after - before).norm().item(), "terms": numbers, "mode": job.mode}


def _weights(job: GameJob) -> torch.Tensor:
    """All parameters and all statistics."""
    state = job.state
    tensors = [t for of in (state.generator, state.critic, state.average) for t in of.state_dict().values()]
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def on_ranks(size: int, tasks: Tasks, folder: Path) -> dict[str, Found]:
    """What `trained` gives on so many ranks for each task, (overrides, dtype), by name; the ranks agree."""
    (folder / "tasks.json").write_text(json.dumps(tasks))
    command = [sys.executable, "-m", "tests.helpers.ranked", str(folder), str(size)]
    ranks = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(size)]
    complaints = [rank.communicate(timeout=600)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * size, "\n".join(complaints)
    found = [torch.load(folder / f"{rank}.pt") for rank in range(size)]
    for name in tasks:
        assert all(torch.equal(of[name]["weights"], found[0][name]["weights"]) for of in found), name
    first: dict[str, Found] = found[0]
    return first


def _main(folder: Path, size: int, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    tasks = json.loads((folder / "tasks.json").read_text())
    found = {}
    for name, (overrides, dtype) in tasks.items():
        take(Place(rank, size))
        found[name] = trained(overrides, dtype)
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
