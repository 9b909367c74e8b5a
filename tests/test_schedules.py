"""Numbers that change over a run: their formulas, where they are found, and who writes and reads them."""

import math
from dataclasses import dataclass

import pytest
import torch

from gan_cli.assembly.classifiers import assemble as assemble_classifier
from gan_cli.assembly.games import assemble
from gan_cli.augmentations.base import NoAugmentation
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Batch
from gan_cli.divergences.penalties import R1, Interpolate
from gan_cli.divergences.wasserstein import Wasserstein
from gan_cli.errors import ConfigError
from gan_cli.schedules import (
    Constant,
    Cosine,
    HalfLife,
    Linear,
    OneCycle,
    Progress,
    Schedule,
    WarmUp,
    moments,
    named,
    now,
    schedules_in,
    varies,
)
from gan_cli.training.scheduling import OptimizerNumbers, depends_on_steps, keep_on_device, keep_on_host
from tests.helpers.configs import TINY, compose, compose_classifier


def at(schedule: Schedule, step: int, steps: int = 100, images_per_step: int = 32) -> float:
    return schedule.at(Progress(step, steps, images_per_step))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(0.3), {0: 0.3, 50: 0.3, 99: 0.3}),
        (Linear(2.0, 1.0, None), {0: 2.0, 25: 1.75, 50: 1.5, 100: 1.0}),
        (Linear(0.0, 1.0, 320), {0: 0.0, 5: 0.5, 10: 1.0, 99: 1.0}),
        (Cosine(1.0, 0.0, None), {0: 1.0, 25: (1 + math.sqrt(0.5)) / 2, 50: 0.5, 100: 0.0}),
        (Cosine(0.05, 0.005, 640), {0: 0.05, 10: 0.0275, 20: 0.005, 99: 0.005}),
        (OneCycle(2.0, 0.4, None), {0: 0.0, 20: 1.0, 40: 2.0, 70: 1.0, 100: 0.0}),
        (OneCycle(1.0, 0.0, 320), {0: 1.0, 5: 0.5, 10: 0.0, 99: 0.0}),
        (WarmUp(0.999), {0: 0.1, 8: 0.5, 90: 0.91, 10**6: 0.999}),
        (HalfLife(640, None), {0: 0.5**0.05, 99: 0.5**0.05}),
        # Ten steps' images, of which 0.05 are half a step's: its weight halves twice in a step.
        (HalfLife(640, 0.05), {0: 0.0, 10: 0.25, 400: 0.5**0.05, 500: 0.5**0.05}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Schedule) else "",
)
def test_the_numbers_are_those_of_the_formulas(schedule, expected):
    assert {step: at(schedule, step) for step in expected} == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 7, 100])
def test_the_last_step_of_a_run_is_short_of_the_end(steps):
    """The end is for the step after it; a schedule in images has it at the step that begins with so many seen."""
    assert at(Linear(1.0, 0.0, None), steps - 1, steps) == pytest.approx(1 / steps)
    assert at(Cosine(1.0, 0.0, None), steps - 1, steps) == pytest.approx((1 - math.cos(math.pi / steps)) / 2)
    for schedule in (Linear(1.0, 0.0, 32 * steps), Cosine(1.0, 0.0, 32 * steps)):
        assert at(schedule, steps - 1, 2 * steps) > 0
        assert at(schedule, steps, 2 * steps) == 0


def test_a_step_of_a_half_life_leaves_half_after_so_many_images():
    kept = at(HalfLife(20_000, None), 1000, images_per_step=50) ** (20_000 / 50)
    assert kept == pytest.approx(0.5)


def test_what_is_written_is_read_as_a_float_or_where_it_lies_on_the_device():
    schedule = Linear(1.0, 0.0, None)
    assert now(schedule) == 1.0
    schedule.write(Progress(25, 100, 1))
    assert now(schedule) == 0.75
    assert isinstance(now(schedule), float)
    schedule.keep_on(torch.device("cpu"))
    lies_at = now(schedule)
    schedule.write(Progress(50, 100, 1))
    assert now(schedule) is lies_at
    assert lies_at.item() == 0.5
    assert now(3.0) == 3.0


def test_schedules_are_found_in_a_part_and_in_the_parts_of_it():
    weight = Constant(1.0)
    assert schedules_in(Wasserstein(penalty=R1(weight))) == [weight]
    assert schedules_in(Wasserstein(penalty=R1(1.0))) == []
    assert schedules_in([NoAugmentation(), Interpolate(weight)]) == [weight]
    network = torch.nn.Linear(1, 1)
    vars(network).update(probability={"flip": weight}, itself=[network])
    assert schedules_in(network) == [weight]


@pytest.mark.parametrize("name", options.names("schedule"))
@pytest.mark.parametrize("images_per_step", [1, 64])
def test_every_schedule_is_the_same_number_to_eager_and_to_compiled_steps(name, images_per_step):
    """At the beginning, where its images are over, and at the end of the run; also of a run that goes on from there."""
    node = options.option("schedule", name)
    if node.get("images", 1) is None:
        node.images = 3000
    steps = 2 * math.ceil(node.get("images", 9000) / images_per_step)
    schedule = build(node, Schedule, name)
    reads = torch.compile(lambda x: x * now(schedule), fullgraph=True, dynamic=False, backend="eager")
    one = torch.ones(())
    schedule.keep_on(torch.device("cpu"))
    for step in (0, steps // 2 - 1, steps // 2, steps - 1):
        progress = Progress(step, steps, images_per_step)
        on_host, again = (build(node, Schedule, name) for _ in range(2))
        on_host.write(progress)
        schedule.write(progress)
        again.write(progress)
        assert isinstance(now(on_host), float)
        assert math.isfinite(now(on_host))
        assert float(reads(one)) == pytest.approx(now(on_host), rel=1e-6, abs=1e-9)
        assert now(again) == now(on_host) == on_host.at(progress)


def test_numbers_go_by_the_last_two_names_on_the_way_to_them():
    weight, decay, rate, other = (Linear(1.0, float(end), None) for end in range(4))
    parts = {
        "average_decay": decay,
        "critic": {"betas": [0.5, rate]},
        "divergence": Wasserstein(penalty=R1(weight)),
        "augmentation": {"first": {"place": {"shift": other}}, "second": {"place": {"shift": Constant(1.0)}}},
        "frozen": 0.9,
    }
    found = named(parts)
    assert {name: found[name] for name in ("average_decay", "critic_beta2", "penalty_weight")} == {
        "average_decay": decay,
        "critic_beta2": rate,
        "penalty_weight": weight,
    }
    assert found["augmentation_first_place_shift"] is other
    assert "augmentation_second_place_shift" in found
    assert len(found) == 5


def test_what_varies_is_known():
    assert [varies(schedule, 100, 32) for schedule in (Linear(1.0, 0.0, None), WarmUp(0.999), HalfLife(640, 0.05))] == [
        True
    ] * 3
    assert [varies(schedule, 100, 32) for schedule in (Constant(0.3), Linear(2.0, 2.0, 64), HalfLife(640, None))] == [
        False
    ] * 3
    assert not varies(Linear(1.0, 0.0, None), 1, 32)


@pytest.mark.parametrize(("steps", "expected"), [(1, [0]), (3, [0, 1, 2]), (1001, [0, 250, 500, 750, 1000])])
def test_moments_are_spread_over_all_steps(steps, expected):
    assert moments(steps, most=5) == expected


@dataclass(frozen=True)
class Halving(Schedule):
    """A frozen part, as most are."""

    start: float = 1.0

    def at(self, progress: Progress) -> float:
        return self.start / 2**progress.step


def test_a_frozen_schedule_is_written_like_any_other():
    schedule = Halving()
    schedule.write(Progress(3, 4, 1))
    assert now(schedule) == 0.125
    assert schedule == Halving()


def test_whether_more_steps_change_the_first_ones_is_known():
    assert not depends_on_steps([0.999, Constant(1.0), WarmUp(0.99), Linear(1.0, 0.0, 1000), [0.0, 0.9]])
    assert depends_on_steps([Linear(1.0, 0.0, None)])
    assert depends_on_steps([0.5, [0.0, Cosine(0.9, 0.99, None)]])


# In optimizers


def adam(**options) -> torch.optim.Adam:
    return torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))], **options)


def test_rates_and_other_numbers_are_written_into_the_groups_of_an_optimizer():
    optimizer = adam(lr=0.1, betas=(0.5, 0.9))
    numbers = OptimizerNumbers(optimizer, {"betas": [0.5, Linear(0.9, 1.0, None)]}, factor=Linear(1.0, 0.0, None))
    for step, rate, beta in ((0, 0.1, 0.9), (50, 0.05, 0.95), (75, 0.025, 0.975)):
        numbers.write(Progress(step, 100, 1))
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"]) == (pytest.approx(rate), (0.5, pytest.approx(beta)))


def test_a_rate_of_its_own_is_scaled_by_the_factor_of_all():
    optimizer = adam(lr=0.1)
    numbers = OptimizerNumbers(optimizer, {"lr": Linear(0.2, 0.4, None)}, factor=Linear(1.0, 0.0, None))
    numbers.write(Progress(50, 100, 1))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.3 * 0.5)


def test_on_the_device_the_same_numbers_are_followed_and_what_is_saved_is_as_before():
    optimizer = adam(lr=0.1, betas=(0.5, 0.9), fused=True)
    before = optimizer.state_dict()["param_groups"][0] | {"lr": 0.05, "betas": (0.5, 0.95), "initial_lr": 0.1}
    changing: dict[str, list[float | Schedule]] = {"betas": [0.5, Linear(0.9, 1.0, None)]}
    keep_on_device(optimizer, changing)
    (group,) = optimizer.param_groups
    rate, (_, beta) = group["lr"], group["betas"]
    assert (group["capturable"], group["fused"]) == (True, False)  # a fused kernel would keep β₂ as it was
    OptimizerNumbers(optimizer, changing, factor=Constant(0.5)).write(Progress(50, 100, 1))
    assert group["lr"] is rate
    assert group["betas"][1] is beta
    torch.testing.assert_close(torch.stack([rate, beta]), torch.tensor([0.05, 0.95]))
    keep_on_host(optimizer)
    after = optimizer.state_dict()["param_groups"][0]
    assert after.keys() == before.keys()
    assert (after["lr"], after["betas"]) == (pytest.approx(before["lr"]), pytest.approx(before["betas"]))
    assert {name: after[name] for name in after if name not in ("lr", "betas")} == {
        name: before[name] for name in before if name not in ("lr", "betas")
    }


# In the config


def node(name: str, **numbers: object) -> str:
    return "{_target_:gan_cli.schedules." + name + "".join(f",{key}:{value}" for key, value in numbers.items()) + "}"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "override",
    [
        f"optimizer.generator.lr={node('Linear', start=0.01, end=0.0, images=320)}",
        "optimizer.generator.betas=[0.0," + node("Linear", start=0.9, end=0.99, images=320) + "]",
        f"divergence.penalty.weight={node('Cosine', start=1.0, end=0.1, images='null')}",
        "train.average_decay=half_life",
        'train.average_decay="half_life:images=100"',
        "+schedule@train.average_decay=half_life train.average_decay.images=100",
        f"train.average_decay={node('HalfLife', images=100, warm_up='null')}",
        f"optimizer.critic.weight_decay={node('Linear', start=1.0, end=0.0, images=320)}",
        "train.average_decay=0.5",
        f"train.schedule={node('Cosine', start=1.0, end=0.5, images=64)}",
        "train.schedule=linear",
    ],
)
def test_a_schedule_stands_in_the_place_of_a_number(override):
    """It changes the run, and a run that goes on meets the same numbers."""
    chosen = override.split(" ")
    plain = [*TINY, "divergence=wgan_gp", "train.steps=6"]

    def fingerprint(*overrides: str, pause: bool = False) -> str:
        job = assemble(compose(*plain, *overrides))
        steps = list(zip(range(3), job.terms(), strict=False))
        assert len(steps) == 3
        if pause:
            saved, job = job.state.state_dict(), assemble(compose(*plain, *overrides))
            job.state.load_state_dict(saved)
        list(job.terms())
        return job.state.fingerprint()

    assert fingerprint(*chosen) != fingerprint()
    assert fingerprint(*chosen, pause=True) == fingerprint(*chosen)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            f"divergence.penalty.weight={node('Constant', number=-10)}",
            "divergence.penalty.weight=-10.0 must be at least 0",
        ),
        (
            f"divergence.penalty.weight={node('Linear', start=1, end=-5, images='null')}",
            "weight=-5.0 must be at least 0",
        ),
        (
            f"train.average_decay={node('Linear', start=0.9, end=2, images=10)}",
            "train.average_decay=2.0 must be below 1",
        ),
        (f"train.schedule={node('Linear', start=1, end=-2, images='null')}", "train.schedule=-2.0 must be at least 0"),
        (f"optimizer.generator.lr={node('Linear', start=0.1, end=-1, images='null')}", "Invalid learning rate: -1"),
        ("optimizer.critic.betas=[0.5," + node("Linear", start=0.9, end=2, images=10) + "]", "Invalid beta parameter"),
        (f"train.schedule={node('Linear', start=1, end=0, images=-5)}", "train.schedule.images=-5 must be at least 1"),
        (f"train.schedule={node('Cosine', start=1, end=0, images=0)}", "train.schedule.images=0 must be at least 1"),
        (f"train.schedule={node('OneCycle', peak=1, rise=1, images=9)}", "train.schedule.rise=1 must be below 1"),
        (
            f"train.schedule={node('OneCycle', peak=1, rise=-1, images=9)}",
            "train.schedule.rise=-1 must be at least 0",
        ),
        (f"train.average_decay={node('HalfLife', images=-1, warm_up='null')}", "images=-1 must be above 0"),
        ("train.schedule=sinus", "train.schedule=sinus is not a schedule"),
        (f"train.schedule={node('Linear', start=1.0)}", "train.schedule.end is missing"),
        ("train.average_decay=2", "train.average_decay=2 must be"),
        ("train.average_decay=fast", "train.average_decay=fast is not a schedule: choose one of constant"),
        (f"train.average_decay={node('WarmUp', decay='fast')}", "train.average_decay.decay=fast must be"),
        ("train.average_decay={_target_:gan_cli.divergences.penalties.NoPenalty}", "is not a concrete Schedule"),
        (f"optimizer.critic.lr={node('Constant', number='x')}", "optimizer.critic.lr.number=x must be"),
    ],
)
def test_a_wrong_schedule_is_refused_by_its_key(override, said):
    with pytest.raises(ConfigError) as refused:
        assemble(compose(*TINY, "divergence=wgan_gp", override))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_numbers_of_a_game_that_change_have_plain_names():
    overrides = [
        "train.schedule=cosine",
        "train.average_decay=half_life",
        "+schedule@divergence.penalty.weight=linear",
        "optimizer.generator.betas=[0.0," + node("Linear", start=0.9, end=0.99, images=64) + "]",
        f"optimizer.critic.lr={node('Linear', start=0.2, end=0.4, images='null')}",
    ]
    job = assemble(compose(*TINY, "divergence=wgan_gp", "train.steps=11", *overrides))
    half_way = Progress(5, 10, job.images_per_step)
    assert {name: of.at(half_way) for name, of in job.changing().items()} == pytest.approx(
        {
            "average_decay": 0.5 ** (80 / (0.05 * 400)),
            "generator_learning_rate": 0.5 * job.learning_rates()["generator_learning_rate"],
            "generator_beta2": 0.99,
            "critic_learning_rate": 0.5 * 0.3,
            "penalty_weight": 0.5,
        }
    )
    assert list(assemble(compose(*TINY, "train.steps=11")).changing()) == ["average_decay"]
    assert list(assemble(compose(*TINY, "train.steps=11", "train.average_decay=0.5")).changing()) == []


def test_the_numbers_of_a_classifier_that_change_have_plain_names():
    images = ("dataset=mnist5k", "dataset.per_class=40", "dataset.resolution=8", "classifier=softmax")
    chosen = [*images, "augmentation=affine", f"augmentation.degrees={node('Linear', start=0, end=9, images='null')}"]
    job = assemble_classifier(compose_classifier(*chosen, "train.batch_size=40", "train.steps=11"))
    assert {name: of.at(Progress(5, 10, 40)) for name, of in job.changing().items()} == pytest.approx(
        {"learning_rate": 0.5 * job.learning_rates()["learning_rate"], "augmentation_degrees": 4.5}
    )


def test_real_samples_seen_are_counted_over_all_critic_steps():
    job = assemble(compose(*TINY, "divergence=wgan_gp", "train.steps=3"))
    asked = []

    class Spy(Schedule):
        def at(self, progress):
            asked.append((progress.step, progress.steps, progress.images))
            return 1.0

    job.game.divergence.penalty.__dict__["weight"] = Spy()
    list(job.terms())
    assert asked == [(step, 3, step * 16 * 5) for step in range(3)]
    assert isinstance(job.batches(0, 1), Batch)


def test_counts_of_steps_become_float32_tensors_where_a_graph_reads_them():
    """As torch keeps them, whatever an optimizer or a checkpoint had."""
    optimizer = adam(lr=0.1)
    (parameter,) = optimizer.param_groups[0]["params"]
    optimizer.state[parameter]["step"] = 3
    keep_on_device(optimizer, {})
    step = optimizer.state[parameter]["step"]
    assert (step.item(), step.dtype) == (3, torch.float32)
    optimizer.state[parameter]["step"] = 4
    keep_on_host(optimizer)
    assert optimizer.state[parameter]["step"].item() == 4
