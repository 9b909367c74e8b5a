"""The simulation of intervals: every case gives numbers with errors, and what is no interval is found out."""

import math
import sys
from functools import partial

import numpy as np
import pytest

from gan_cli.metrics.base import Measured
from scripts import intervals
from scripts.intervals import EVERY, Case, cases, held

CASES = cases()


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_a_case_measures_the_same_at_every_call_with_one_seed(name):
    measured = CASES[name].measured
    found = measured(0)
    assert found == measured(0) != measured(1)
    for number, of in found.items():
        assert math.isfinite(of.value), number
        assert of.error is not None and of.error > 0, number


@pytest.mark.parametrize(
    ("error", "true", "low", "high"),
    [
        (1.0, 0.0, 0.93, 0.97),
        (1.0, None, 0.93, 0.97),
        (0.5, 0.0, 0.6, 0.75),
        (2.0, 0.0, 0.99, 1.0),
        (1.0, 1.0, 0.8, 0.88),
    ],
)
def test_an_interval_is_held_against_the_true_value_or_the_mean(error, true, low, high):
    values = np.random.default_rng(0).normal(size=1000)
    drawn = [{"number": Measured(value, error)} for value in values]
    assert low < held("number", drawn, true) <= high


@pytest.mark.parametrize(
    ("error", "wide", "narrow", "code"),
    [
        (1.0, (), (), 0),
        (0.5, (), (), 1),
        (2.0, (), (), 1),
        (2.0, ("num",), (), 0),
        (0.5, ("num",), (), 1),
        (0.5, (), EVERY, 0),
    ],
)
def test_what_is_no_interval_ends_the_command_with_an_error(error, wide, narrow, code, monkeypatch):
    monkeypatch.setattr(intervals, "cases", lambda: {"a case": Case(partial(normal, error=error), dict, wide, narrow)})
    monkeypatch.setattr(sys, "argv", ["intervals.py", "--repetitions", "1000"])
    with pytest.raises(SystemExit) as ended:
        intervals.main()
    assert ended.value.code == code


def normal(seed: int, error: float) -> dict[str, Measured]:
    return {"number": Measured(np.random.default_rng(seed).normal(), error)}
