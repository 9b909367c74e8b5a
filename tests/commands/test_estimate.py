"""`--estimate`: steps, times and operations beside those worked out by hand, and nothing is written."""

import re
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from gan_cli.assembly.games import assemble
from gan_cli.commands import estimate as module
from gan_cli.commands import preview
from gan_cli.commands.estimate import estimate
from gan_cli.commands.signals import TooLongError, limited
from gan_cli.config.schema import EveryConfig
from gan_cli.show.estimates import Besides, Estimate, as_text
from gan_cli.training import cost
from gan_cli.training.cost import Operations, best_rate, paces
from tests.helpers.configs import TINY, compose
from tests.helpers.jobs import Fitting, fitting
from tests.helpers.runs import train, tree

RUN = (*TINY, "device=cpu", "name=run")


class Clock:
    """A clock that is set by hand; the system lets this process run half of the time."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def of_thread(self) -> float:
        return self.now / 2


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    for user in (module, cost):
        monkeypatch.setattr(user, "time", SimpleNamespace(perf_counter=clock, thread_time=clock.of_thread))
    monkeypatch.setattr(module, "best_rate", lambda *_: 6400.0)
    return clock


@dataclass(kw_only=True)
class Timed(Fitting):
    """A fit whose parts take a time of their own: half a second a step, and more for the first evaluation."""

    clock: Clock
    evaluated: int = 0

    def terms(self):
        for terms in super().terms():
            self.clock.now += 0.5
            yield terms

    def numbers(self):
        self.clock.now += 1.0 if self.evaluated else 3.0
        self.evaluated += 1
        return super().numbers()

    def picture(self):
        self.clock.now += 0.25
        return super().picture()


def timed(clock: Clock, steps: int, **changes) -> Timed:
    every = EveryConfig(log=2, samples=50, checkpoint=None, evaluate=25, keep=2)
    return Timed(**vars(fitting(steps, every=every, **changes)), clock=clock)


def test_what_is_left_of_a_run_is_added_up(clock):
    job = timed(clock, 100)
    job.state.step = 10
    run = estimate(job, "fit", seconds=5.0)
    assert (run.taken, run.left, run.images_per_step) == (10, 90, 8)
    assert run.measured.step == pytest.approx(0.5)
    assert run.measured.spread == pytest.approx(0.0)
    assert run.measured.own_share == pytest.approx(0.5)
    # Of eight points in and one number out: 2·8 operations forward, and as many for the weight's gradient.
    assert run.measured.operations == 32
    assert run.measured.share == pytest.approx(32 / 0.5 / 6400)
    # After steps 25, 50, 75 and 100; 50 and 100; 100.
    assert [(of.what, of.times) for of in run.measured.besides] == [
        ("evaluation", 4),
        ("picture", 2),
        ("checkpoint", 1),
    ]
    assert [of.first for of in run.measured.besides] == pytest.approx([3.0, 0.25, 0.0])
    assert [of.later for of in run.measured.besides] == pytest.approx([1.0, 0.25, 0.0])
    assert run.seconds == pytest.approx(90 * 0.5 + 3.0 + 3 * 1.0 + 2 * 0.25)


def test_the_lines_say_where_the_time_goes(clock):
    job = timed(clock, 100)
    job.state.step = 10
    head, *lines = as_text([estimate(job, "fit", seconds=5.0)]).splitlines()
    assert re.fullmatch(r"fit: 90 steps of 8 images, after 10 that are taken, on .+ \(1 thread, float32, eager\)", head)
    memory = lines.pop(5)
    assert lines == [
        "time     51.5 s ± 0 %",
        "         45 s   90 steps of 0.5 s (16 images/s)",
        "         6 s    4 evaluations of 1.5 s",
        "         0.5 s  2 pictures of 0.25 s",
        "         busy: other work leaves the steps 50 % of the time",
        "compute  1 % of the rate of large matrix products (6.4e-08 GFLOP/s of 6.4e-06 GFLOP/s)",
    ]
    assert re.fullmatch(r"memory   [\d.]+ GiB of [\d.,]+ GiB", memory)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_run_of_a_step_or_two_is_measured_by_more_of_them(clock, steps):
    run = estimate(timed(clock, steps), "fit", seconds=5.0)
    assert run.left == steps
    assert [besides.times for besides in run.measured.besides] == [1, 1, 1]
    assert run.seconds == pytest.approx(steps * 0.5 + 3.0 + 0.25)


def test_slow_steps_are_two_the_counted_one_and_the_timed_one(clock):
    job = timed(clock, 100)
    run = estimate(job, "fit", seconds=0.4)
    assert job.state.step == 2
    assert run.measured.spread is None
    assert run.measured.besides[0].first == pytest.approx(3.0)
    assert run.measured.besides[0].later is None
    assert "±" not in as_text([run])


def test_a_run_that_is_done_has_nothing_left():
    job = fitting(10)
    job.state.step = 10
    run = estimate(job, "fit", seconds=5.0)
    assert run == Estimate("fit", taken=10, left=0, images_per_step=8, measured=None)
    assert run.seconds == 0
    assert as_text([run]) == "fit is done; train.steps=… beyond 10 continues it"


def test_several_runs_are_rows_with_their_sum(clock):
    done = Estimate("b", taken=10, left=0, images_per_step=8, measured=None)
    *rows, last = as_text([estimate(timed(clock, 100), "a", seconds=5.0), done]).splitlines()
    assert rows == [
        "run  steps  a step  images/s  compute          time",
        "a      100   0.5 s        16      1 %  56.5 s ± 0 %",
        "b                                              done",
        "all    100                                   56.5 s",
    ]
    assert re.fullmatch(r"on .+; memory [\d.]+ GiB of [\d.,]+ GiB", last)


def test_an_evaluation_that_takes_too_long_is_not_counted_and_says_so(monkeypatch):
    @dataclass(kw_only=True)
    class Endless(Fitting):
        def numbers(self):
            while True:
                pass

    monkeypatch.setattr(module, "PATIENCE", 0.01)
    every = EveryConfig(log=2, samples=50, checkpoint=50, evaluate=25, keep=2)
    run = estimate(Endless(**vars(fitting(100, every=every))), "fit", seconds=0.01)
    assert run.measured.besides[0] == Besides("evaluation", 4, None, None)
    assert run.measured.besides[0].seconds == 0
    assert "not counted  4 evaluations of more than 10 s" in as_text([run])
    assert "not counted: evaluations of more than 10 s" in as_text([run, run])


def test_the_limit_is_one_of_time_and_leaves_nothing_behind():
    with pytest.raises(TooLongError), limited(0.01):
        while True:
            pass
    with limited(60.0):
        pass


# What steps cost


@pytest.mark.parametrize(
    ("seconds_of", "expected", "steps"),
    [
        ([0.1], [0.1] * 10, 1 + 10 * 5),  # parts of half a second
        ([6.0], [6.0], 1),
        ([2.0], [2.0] * 3, 4),  # until the time is over
        ([1.0, 1.0, 3.0], [1.0, 3.0, 1.0], 4),
    ],
)
def test_the_pace_is_that_of_parts(seconds_of, expected, steps):
    taken = 0

    def take(number: int) -> float:
        nonlocal taken
        spent = sum(seconds_of[index % len(seconds_of)] for index in range(taken, taken + number))
        taken += number
        return spent

    assert paces(take, 5.0) == pytest.approx(expected)
    assert taken == steps


N = 16
GENERATOR = 16 * 16 + 16 * 2  # weights of latent → hidden → plane
CRITIC = 2 * 16 + 16 * 1  # of plane → hidden → score


@pytest.mark.parametrize(
    ("penalty", "of_penalty"),
    [
        ("none", 0),
        # Of the gradient at the N real samples, which is (∂v/∂h)·W, both layers; then the gradients of it with respect
        # to the weights of both layers, and through the second product.
        ("r1", 2 * N * (CRITIC + CRITIC + 2 * 16)),
    ],
)
def test_the_operations_of_a_step_are_those_of_its_layers(penalty, of_penalty):
    """Two for each weight and sample; gradients of weights cost what a pass does, as do those of inputs."""
    job = assemble(compose(*TINY, "divergence=gan", f"divergence/penalty={penalty}"))
    with Operations() as counter:
        next(job.terms())
    of_critic = 2 * N * GENERATOR + 2 * 2 * N * (CRITIC + CRITIC + 16)  # a draw; of real and fake samples
    of_generator = 2 * N * (GENERATOR + CRITIC + CRITIC + GENERATOR + 16 * 2)
    assert counter.total == of_critic + of_generator + of_penalty


def test_the_best_rate_is_that_of_matrices_whose_product_takes_a_while(monkeypatch):
    sizes = []

    def product(matrix):
        sizes.append(len(matrix))
        return 2 * len(matrix) ** 3 / (2e10 if len(matrix) > 512 else 1e10)

    monkeypatch.setattr(cost, "_product", product)
    job = fitting(1)
    assert best_rate(job.device, job.state.line.weight.dtype) == pytest.approx(2e10)
    assert sorted(set(sizes)) == [512, 1024]


# The commands


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    for name in ("SECONDS_OF_ONE", "SECONDS_OF_EACH"):
        monkeypatch.setattr(preview, name, 0.01)


@pytest.fixture
def asked(inside, tmp_path, monkeypatch, undrawn):
    """`gan-train … --estimate` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: inside("gan-train", *arguments, "--estimate")


def test_an_estimate_is_printed_and_nothing_is_written(asked, tmp_path):
    finished = asked(*RUN, "train.steps=40")
    assert finished.code == 0, finished.err
    assert re.match(r"outputs/run: 40 steps of 16 images on .+ \(\d+ threads?, float32, eager\)\n", finished.out)
    assert [line.split()[0] for line in finished.out.splitlines() if line[0] != " "][1:] == [
        "time",
        "memory",
        "compute",
    ]
    assert finished.err == "measuring outputs/run\n"
    assert tree(tmp_path) == {}


def test_what_is_left_of_a_run_is_estimated_and_the_run_stays_as_it_is(asked, tmp_path):
    train(tmp_path / "outputs" / "run", *RUN[:-1], "train.steps=4")
    before = tree(tmp_path)
    finished = asked(*RUN, "train.steps=40")
    assert finished.code == 0, finished.err
    assert finished.out.startswith("outputs/run: 36 steps of 16 images, after 4 that are taken, on ")
    assert asked(*RUN, "train.steps=4").out == "outputs/run is done; train.steps=… beyond 4 continues it\n"
    changed = asked(*RUN, "train.steps=40", "seed=1")
    assert changed.code == 2
    assert "seed=0 (now 1)" in changed.err
    assert tree(tmp_path) == before


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("seed=-1",), "gan-train: seed=-1 must be at least 0"),
        (("divergence=nope",), "divergence=nope is not an option"),
        (("-m", "divergence=glob(nope*)"), "found no runs"),
        (("-m", "seed=0,-1"), "seed=-1 must be at least 0"),
        (("--schedules",), "--schedules: expected one argument"),
    ],
)
def test_a_mistake_is_one_line(asked, tmp_path, arguments, complaint):
    finished = asked(*RUN[:-1], "train.steps=4", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert complaint in finished.err
    assert len([line for line in finished.err.splitlines() if not line.startswith("measuring")]) == 1
    assert tree(tmp_path) == {}


def test_a_folder_of_other_things_is_refused(asked, tmp_path):
    other = tmp_path / "outputs" / "run" / "mine.txt"
    other.parent.mkdir(parents=True)
    other.touch()
    finished = asked(*RUN)
    assert finished.code == 2
    assert "holds files that are not a run's" in finished.err


@pytest.mark.thorough
def test_the_runs_of_a_sweep_are_added_up(asked, tmp_path):
    finished = asked(*RUN[:-1], "train.steps=4,8", "-m")
    assert finished.code == 0, finished.err
    head, *rows = finished.out.splitlines()
    assert head.split()[:2] == ["run", "steps"]
    assert [row.split()[:2] for row in rows[:3]] == [["train.steps=4", "4"], ["train.steps=8", "8"], ["all", "12"]]
    assert tree(tmp_path) == {}


@pytest.mark.thorough
def test_the_members_of_a_study_are_added_up(asked, tmp_path):
    members = [
        f"study.members.{name}=['divergence={name}', 'model.generator.position=0.5']" for name in ("gan", "wgan_gp")
    ]
    finished = asked(
        *("experiment=js_saturation", "train.steps=3", "train.batch_size=8", "model.critic.hidden=[8]", "name=study"),
        *members,
    )
    assert finished.code == 0, finished.err
    rows = [row.split()[:2] for row in finished.out.splitlines()[1:4]]
    assert rows == [["outputs/study/gan", "3"], ["outputs/study/wgan_gp", "3"], ["all", "6"]]
    assert tree(tmp_path) == {}


def test_a_classifier_is_estimated_as_well(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("dataset=mnist5k", "dataset.per_class=40", "dataset.resolution=8", "classifier=softmax", "device=cpu")
    finished = inside("gan-classify", *small, "train.steps=40", "train.batch_size=40", "name=digits", "--estimate")
    assert finished.code == 0, finished.err
    assert finished.out.startswith("outputs/digits: 40 steps of 40 images on ")
    assert tree(tmp_path) == {}


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)  # torch's compiler's
@pytest.mark.slow
def test_compiled_steps_are_those_that_are_timed(asked):
    finished = asked(*RUN, "train.steps=40", "device.accelerate=compile")
    assert finished.code == 0, finished.err
    assert "float32, compile)" in finished.out
    assert "until the step is compiled or captured" in finished.out
