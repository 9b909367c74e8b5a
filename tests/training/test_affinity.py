"""Where torch's threads run, in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gan_cli.training import execution
from gan_cli.training.affinity import PLACED
from gan_cli.training.execution import Plan

SCRIPT = """
import json, os, sys
import torch
from gan_cli.training import affinity

def places():
    return [sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")]

numbers = json.loads(sys.argv[1])
torch.set_num_threads(max(numbers))
affinity.find_threads()
for number in numbers:
    torch.set_num_threads(number)
    with affinity.on_processors(number):
        inside = places()
print(json.dumps([inside, places()]))
"""

PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
ALL = len(PROCESSORS)

pytestmark = pytest.mark.skipif(ALL < 2, reason="needs Linux and two processors")


def places(*numbers: int, **environment: str) -> tuple[list[list[int]], list[list[int]]]:
    """The processors of each thread of a process, inside and after the context of the last number of threads."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", *PLACED)}
    command = [sys.executable, "-c", SCRIPT, json.dumps(numbers)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=inherited | environment)
    inside, after = json.loads(ended.stdout)
    return inside, after


@pytest.fixture(name="entered")
def _entered(monkeypatch) -> list[int]:
    """The numbers of threads that were to be kept in place."""
    numbers: list[int] = []

    @contextmanager
    def recording(number: int) -> Iterator[None]:
        numbers.append(number)
        yield

    monkeypatch.setattr(execution, "on_processors", recording)
    return numbers


SLOW = pytest.mark.slow


@pytest.mark.thorough
@pytest.mark.parametrize(
    "numbers",
    [(ALL,), (ALL, ALL + 1, ALL), *(pytest.param(of, marks=SLOW) for of in ((1, ALL), (ALL + 1, ALL)))],
    ids=str,
)
def test_as_many_threads_as_processors_have_one_each_and_only_inside(numbers):
    inside, after = places(*numbers)
    assert sorted(place for place in inside if len(place) == 1) == [[one] for one in PROCESSORS]
    assert all(place == PROCESSORS for place in after)


@pytest.mark.thorough
@pytest.mark.parametrize("numbers", [(ALL, 1), *(pytest.param(of, marks=SLOW) for of in ((1,), (ALL + 1,)))], ids=str)
def test_other_numbers_of_threads_go_where_they_like(numbers):
    inside, after = places(*numbers)
    assert all(place == PROCESSORS for place in [*inside, *after])


@pytest.mark.thorough
def test_the_environment_says_where_threads_run():
    inside, after = places(ALL, OMP_PLACES="cores")
    assert inside == after


@pytest.mark.parametrize(
    ("plan", "kept"),
    [
        (Plan("cpu", 2, "eager", "float32"), [2]),
        (Plan("cpu", 2, "compile", "float32"), []),
        (Plan("cuda", 2, "eager", "float32"), []),
    ],
    ids=lambda value: getattr(value, "mode", None),
)
def test_only_eager_steps_on_the_cpu_keep_their_threads_in_place(plan, kept, entered):
    with plan.placed():
        assert entered == kept


def test_a_run_keeps_its_threads_in_place(inside, tmp_path, monkeypatch, entered):
    monkeypatch.chdir(tmp_path)
    trained = inside("gan-train", "dataset=ring", "device=cpu", "device.threads=2", "train.steps=1", "metric=[]")
    assert trained.code == 0, trained.err
    assert entered == [2]


STARTED_INSIDE = f"""
import json, os
from concurrent.futures import ThreadPoolExecutor
import torch
from gan_cli.training import affinity

torch.set_num_threads({ALL})
affinity.find_threads()
with affinity.on_processors({ALL}):
    pools = [ThreadPoolExecutor(1, initializer=begin) for begin in (None, affinity.go_anywhere)]
    print(json.dumps([sorted(pool.submit(os.sched_getaffinity, 0).result()) for pool in pools]))
"""


@pytest.mark.thorough
def test_a_thread_that_starts_inside_may_go_anywhere():
    environment = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", *PLACED)}
    ended = subprocess.run(
        [sys.executable, "-c", STARTED_INSIDE], capture_output=True, text=True, check=True, env=environment
    )
    assert json.loads(ended.stdout) == [PROCESSORS[:1], PROCESSORS]
