"""The plan: compared conditions differ in their images alone."""

import itertools

import pytest

from gan_cli.commands.cas.findings import compared
from gan_cli.commands.cas.plan import Kind
from gan_cli.errors import ConfigError
from tests.helpers.cas import material, plan

OPTIONS = ["cas=quick", "cas=standard", "cas=full"]


def of(planned, name):
    return next(condition for condition in planned.conditions if condition.name == name)


def words(member):
    return dict(word.split("=", 1) for word in member.overrides)


@pytest.mark.parametrize("option", OPTIONS)
def test_what_is_compared_has_seen_as_many_images(option):
    conditions = plan(option).conditions
    pairs = compared(conditions)
    assert pairs
    for one, other in pairs:
        assert one.images_seen == other.images_seen
        assert one.per_class == other.per_class


@pytest.mark.parametrize("option", OPTIONS)
def test_members_of_a_seed_that_are_compared_differ_in_their_data_and_name_alone(option):
    planned = plan(option)
    by_name = {member.name: member for member in planned.members}
    assert len(by_name) == len(planned.members)
    for one, other in compared(planned.conditions):
        seeds = [{m.seed for m in planned.members if m.condition == condition} for condition in (one, other)]
        assert seeds[0] == seeds[1]
        for seed in seeds[0]:
            pair = [by_name[f"{condition.name},seed={seed}"] for condition in (one, other)]
            assert pair[0].steps == pair[1].steps
            given = [{k: v for k, v in words(m).items() if not k.startswith("dataset") and k != "name"} for m in pair]
            assert given[0] == given[1]


def test_no_epoch_is_chosen_by_the_accuracy_on_the_test_set():
    assert all(words(member)["every.evaluate"] == "null" for member in plan().members)


def test_steps_and_batches_make_the_images_that_are_said_to_be_seen():
    for member in plan("cas.images_seen=1000", "cas.batch_size=64").members:
        given = words(member)
        assert int(given["train.steps"]) * int(given["train.batch_size"]) == member.condition.images_seen
    assert of(plan("cas.images_seen=1000", "cas.batch_size=64"), "real").images_seen == 1024


def test_few_images_are_the_same_with_and_without_synthetic_ones_and_others_for_each_seed():
    members = [member for member in plan().members if member.condition.per_class == 50]
    for seed in range(5):
        real, both = (
            next(m for m in members if m.seed == seed and m.condition.kind is k) for k in (Kind.real, Kind.both)
        )
        assert words(real)["dataset.per_class"] == "50"
        assert words(real)["dataset.subset_seed"] == str(seed)
        assert words(both)["dataset.first"] == f'"mnist:per_class=50:subset_seed={seed}"'
        assert words(both)["dataset.second"] == f'"generated:run=/runs/digits:sample_seed={seed}"'
        assert words(both)["dataset.share"] == "0.5"


def test_ten_times_as_many_are_drawn_once_unless_no_more_than_that_are_seen():
    few, many = (plan(f"cas.images_seen={seen}", "cas.synthetic=[1,10]") for seen in (60_000, 120_000))
    assert of(few, "synthetic,times=10").synthetic == few.members[0].condition.images_seen
    assert of(many, "synthetic,times=10").synthetic == 60_000
    drawn = [words(next(m for m in p.members if m.condition.times == 10)).get("dataset.n") for p in (few, many)]
    assert drawn == [None, "60000"]
    assert words(next(m for m in few.members if m.condition.times == 1))["dataset.n"] == "6000"


@pytest.mark.parametrize(("ratio", "share"), [(0.5, 1 / 3), (1.0, 0.5), (3.0, 0.75)])
def test_a_ratio_takes_so_many_synthetic_images_to_every_real_one(ratio, share):
    member = next(m for m in plan(f"cas.ratios=[{ratio}]").members if m.condition.name == f"both,ratio={ratio:g}")
    assert member.condition.synthetic == ratio * member.condition.real
    assert float(words(member)["dataset.share"]) == pytest.approx(share, abs=1e-12)
    assert f":n={round(ratio * 6000)}:" in words(member)["dataset.second"]


def test_each_seed_of_all_comes_before_the_next_of_any():
    seeds = [member.seed for member in plan().members]
    assert seeds == sorted(seeds)
    first = [member.condition.kind for member in plan().members[:2]]
    assert first == [Kind.real, Kind.synthetic]


def test_an_option_of_more_seeds_keeps_the_members_of_one_of_fewer():
    few, many = (plan(f"cas.seeds={seeds}", f"cas.few_shot.seeds={seeds + 5}").members for seeds in (1, 3))
    assert set(few) < set(many)


def test_a_gan_is_trained_anew_where_asked_once_for_each_few_images():
    members = plan("cas.train_gan=true").members
    with_gan = [member for member in members if member.gan]
    assert {m.condition.kind for m in with_gan} == {Kind.both}
    assert {(m.condition.per_class, m.seed) for m in with_gan} == set(itertools.product((50, 500), range(5)))
    assert len({m.gan for m in with_gan}) == len(with_gan)
    for member in with_gan:
        assert f":run=/out/{member.gan}:" in words(member)["dataset.second"]
    assert not any(member.gan for member in plan().members)


def test_the_words_of_the_user_stand_before_ours():
    given = ["classifier=softmax", "device.threads=2", "optimizer=sgd"]
    for member in plan(overrides=given).members:
        keys = [word.split("=")[0] for word in member.overrides]
        assert len(keys) == len(set(keys))
        assert set(given) < set(member.overrides)


def test_a_folder_leaves_out_what_it_is_too_small_for_and_says_so():
    planned = plan("cas.synthetic=[1,10]", "cas.ratios=[0.5,1]", of=material(synthetic=4000))
    names = {condition.name for condition in planned.conditions}
    assert "both,ratio=0.5" in names
    assert not names & {"both,ratio=1", "synthetic,times=10"}
    assert len(planned.notes) == 3
    assert of(planned, "synthetic").synthetic == 4000


def test_more_real_images_of_a_class_than_there_are_are_refused():
    with pytest.raises(ConfigError, match=r"holds 500, and a class of dataset= has 400"):
        plan(of=material(least=400))
    assert plan(of=material(least=500))
