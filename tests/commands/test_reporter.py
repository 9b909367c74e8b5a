"""What a line of metrics.jsonl says of the steps of its interval, beside numbers worked out by hand."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from gan_cli.assembly.games import assemble
from gan_cli.commands import reporter as module
from gan_cli.commands.reporter import Reporter
from gan_cli.commands.train import carry_out
from gan_cli.errors import DivergedError
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
from gan_cli.trackers import Tracker
from tests.helpers.configs import TINY, compose
from tests.helpers.jobs import fitting
from tests.helpers.runs import metrics, train


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def measuring(self) -> dict[str, float]:
        """An evaluation that takes its time and finds nothing."""
        self.now += 1000.0
        return {}


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=clock))
    return clock


class Remembering(Tracker):
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list = []

    def open(self, folder, step):
        self.told.append(("open", folder, step))

    def log(self, step, numbers):
        self.told.append((step, dict(numbers)))

    def close(self):
        self.told.append("close")


def take(reporter: Reporter, job, *errors: float) -> None:
    """Steps with these errors, as the loop takes them."""
    for error in errors:
        job.state.step += 1
        reporter.add({"error": torch.tensor(error)})


def test_a_line_has_the_means_of_its_own_interval(tmp_path):
    job, folder = fitting(10), RunFolder(tmp_path)
    with Reporter(job, folder, []) as reporter:
        for errors in ([1.0, 3.0], [10.0, 20.0, 60.0], [5.0]):
            take(reporter, job, *errors)
            reporter.report(dict)
    assert [line["error"] for line in read.metrics(tmp_path)] == [2.0, 30.0, 5.0]
    assert [line["step"] for line in read.metrics(tmp_path)] == [2, 5, 6]
    assert [line["images_seen"] for line in read.metrics(tmp_path)] == [16, 40, 48]


def test_time_is_that_of_steps_alone_and_the_rate_that_of_the_interval(tmp_path, clock):
    job = fitting(10)
    before = [{"step": 0, "seconds": 5.0}]
    with Reporter(job, RunFolder(tmp_path), before) as reporter:
        for steps, seconds_of_a_step, wait in ((4, 0.5, 0.0), (2, 0.25, 1.5)):
            for _ in range(steps):
                clock.now += seconds_of_a_step
                take(reporter, job, 1.0)
            clock.now += wait  # for the device, which is still at work on the last step
            reporter.report(clock.measuring)
            clock.now += 77.0  # pictures and checkpoints
            reporter.resume_clock()
    assert [line["seconds"] for line in read.metrics(tmp_path)] == [7.0, 9.0]
    # Eight images a step: four steps in two seconds, then two in two.
    assert [line["images_per_second"] for line in read.metrics(tmp_path)] == [16.0, 8.0]


def test_what_is_measured_stands_in_the_lines_that_ask_for_it(tmp_path):
    job = fitting(10)
    with Reporter(job, RunFolder(tmp_path), []) as reporter:
        for measured in ({"slope": 1.5}, {}):
            take(reporter, job, 1.0)
            reporter.report(partial(dict, measured))
    first, second = read.metrics(tmp_path)
    assert first["slope"] == 1.5
    assert "slope" not in second


def test_the_tracker_is_told_each_line_and_closed_whatever_happens(tmp_path):
    tracker = Remembering()
    carry_out(fitting(5, tracker=tracker), RunFolder(tmp_path / "fit"), {"config.yaml": "model: line\n"})
    carry_out(fitting(7, tracker=tracker), RunFolder(tmp_path / "fit"), {"config.yaml": "model: line\n"})
    lines = [(line["step"], line) for line in read.metrics(tmp_path / "fit")]
    opened = [("open", tmp_path / "fit", step) for step in (0, 5)]
    assert tracker.told == [opened[0], *lines[:3], "close", opened[1], *lines[3:], "close"]

    tracker.told.clear()
    with pytest.raises(DivergedError):
        carry_out(fitting(5, tracker=tracker, broken_from=0), RunFolder(tmp_path / "bad"), {"config.yaml": "a: 1\n"})
    assert tracker.told[-1] == "close"


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ([1.0, float("nan"), 2.0], r"error is nan at step 5; last finite numbers: error 1"),
        ([float("inf"), 1.0], r"error is inf at step 4; last finite numbers: step 3, images_seen 24, "),
    ],
)
def test_the_first_bad_number_is_named_with_the_last_good_ones(tmp_path, errors, message):
    job = fitting(10)
    with Reporter(job, RunFolder(tmp_path), []) as reporter:
        take(reporter, job, 0.5, 0.5, 0.5)
        reporter.report(dict)
        take(reporter, job, *errors)
        with pytest.raises(DivergedError, match=message + r".*; last good checkpoint: none"):
            reporter.report(dict)
        with pytest.raises(DivergedError, match=message):
            reporter.check()


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_the_lines_of_a_game_are_the_means_of_its_steps(tmp_path, critic_steps):
    """Beside the same game played again, step by step."""
    asked = [*TINY, "divergence=wgan_gp", f"divergence.critic_steps={critic_steps}", "train.schedule=linear"]
    asked += ["train.steps=5", "every.log=3", "optimizer.critic.lr=0.002"]
    lines = metrics(train(tmp_path / "run", *asked))
    job = assemble(compose(*asked))
    taken = [({name: of.item() for name, of in terms.items()}, job.learning_rates()) for terms in job.terms()]
    assert [line["images_seen"] for line in lines] == [3 * 16 * critic_steps, 5 * 16 * critic_steps]
    for line, steps in zip(lines, (taken[:3], taken[3:]), strict=True):
        for name in steps[0][0]:
            assert line[name] == pytest.approx(sum(terms[name] for terms, _ in steps) / len(steps), rel=1e-6)
        for name, rate in steps[-1][1].items():
            assert line[name] == pytest.approx(rate, rel=1e-12)
    # Linearly to 0: the last of five steps is taken at a fifth of the rate.
    assert lines[-1]["critic_learning_rate"] == pytest.approx(0.002 / 5)
    assert job.images_per_step == 16 * critic_steps


def test_numbers_that_change_are_those_of_the_last_step_and_no_others_are_reported(tmp_path):
    """A constant is none, and the usual decay of the average is what the step tells."""
    plain = [*TINY, "divergence=wgan_gp", "train.steps=6", "every.log=3"]
    changing = [
        "+schedule@divergence.penalty.weight=linear",
        "optimizer.critic.weight_decay={_target_:gan_cli.schedules.Constant,number:0.0}",
        "train.average_decay='warm_up:decay=0.15'",
    ]
    before, after = (metrics(train(tmp_path / name, *plain, *of)) for name, of in (("a", []), ("b", changing)))
    added = [{name: line[name] for name in line.keys() - before[0].keys()} for line in after]
    # The third step begins after two of six; its decay would be (1 + 2)/(10 + 2), if that were not above 0.15.
    assert added == [
        {"penalty_weight": pytest.approx(4 / 6), "average_decay": 0.15},
        {"penalty_weight": pytest.approx(1 / 6), "average_decay": 0.15},
    ]
    assert before[0].keys() == before[1].keys()
    assert not {"average_decay", "penalty_weight"} & before[0].keys()


def test_the_usual_decay_is_that_of_the_config():
    assert assemble(compose(*TINY)).scheduling.average_decay == module.USUAL_DECAY
