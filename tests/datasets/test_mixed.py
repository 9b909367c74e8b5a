"""Two data sets as one: how many of which, and the label that a class has in both."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_cli.config.identity import differences
from gan_cli.datasets.base import Batch, Dataset, Endless, Images, as_uint8
from gan_cli.datasets.mixed import Mixed
from gan_cli.datasets.mixtures import Ring
from tests.helpers.configs import compose
from tests.helpers.resuming import assert_resumes_exactly
from tests.helpers.runs import train

BASE = {"ant": 10, "bee": 20, "cat": 30}
"""The grey of each class; images of a second data set are a hundred brighter."""


def images(labels: list[int], names: list[str], plus: int = 0, **options: Any) -> Images:
    grey = torch.tensor([BASE[names[label]] + plus for label in labels], dtype=torch.uint8)
    return Images(grey.reshape(-1, 1, 1, 1), torch.tensor(labels), classes=names, **options)


class Fresh(Endless):
    """The second class three times as often as the first."""

    sample_shape = (1, 1, 1)

    def __init__(self, names: list[str], plus: int = 0) -> None:
        self.classes, self.plus = names, plus

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.batch(n, generator).samples

    def batch(self, n: int, generator: torch.Generator) -> Batch:
        labels = (torch.rand(n, generator=generator) < 0.75).long()
        grey = torch.tensor([BASE[name] + self.plus for name in self.classes])[labels]
        return Batch((grey / 127.5 - 1).reshape(-1, 1, 1, 1), labels)

    def class_shares(self) -> Tensor:
        return torch.tensor([0.25, 0.75], dtype=torch.float64)


AB, BA = ["ant", "bee"], ["bee", "ant"]


def of(data: Dataset, n: int = 0, seed: int = 0) -> list[tuple[bool, str, str]]:
    """Of each image whether it is of the second, the class that is seen, and the class that its label names."""
    if isinstance(data, Images):
        drawn = Batch(data.images, data.labels)
    else:
        assert isinstance(data, Endless)
        drawn = data.batch(n, torch.Generator().manual_seed(seed))
        drawn = Batch(as_uint8(drawn.samples), drawn.labels)
    assert drawn.labels is not None
    seen = {grey: name for name, grey in BASE.items()}
    both = zip(drawn.samples.flatten().tolist(), drawn.labels.tolist(), strict=True)
    return [(grey > 100, seen[grey % 100], data.classes[label]) for grey, label in both]


def of_second(data: Dataset, n: int = 0, seed: int = 0) -> int:
    return sum(is_second for is_second, _, _ in of(data, n, seed))


def mixed(first: Dataset, second: Dataset, share: float, **options: Any) -> Dataset:
    return Mixed(first, second, share, **options).made()


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((10, 10), 0.5, (10, 10)),
        ((10, 10), 0.25, (10, 3)),  # 10/3, rounded
        ((10, 4), 0.5, (4, 4)),
        ((10, 4), 0.8, (1, 4)),
        ((3, 12), 0.75, (3, 9)),
        ((10, 4), 0.0, (10, 0)),
        ((10, 4), 1.0, (0, 4)),
    ],
)
def test_two_sets_in_memory_are_the_largest_one_that_has_the_share(counts, share, expected):
    first, second = ([index % 2 for index in range(n)] for n in counts)
    data = mixed(images(first, AB), images(second, AB, 100), share)
    assert isinstance(data, Images)
    assert (len(data) - of_second(data), of_second(data)) == expected
    assert all(seen == named for _, seen, named in of(data))


def test_which_images_are_left_out_is_said_by_a_seed():
    first = Images(torch.arange(100, dtype=torch.uint8).reshape(-1, 1, 1, 1))
    second = Images(torch.full((10, 1, 1, 1), 200, dtype=torch.uint8))
    kept = [mixed(first, second, 0.5, subset_seed=seed) for seed in (0, 0, 1)]
    numbers = [set(data.images.flatten().tolist()) - {200} for data in kept]  # type: ignore[attr-defined]
    assert numbers[0] == numbers[1] != numbers[2]
    assert all(len(of_one) == 10 for of_one in numbers)
    assert [data.fingerprint() == kept[0].fingerprint() for data in kept] == [True, True, False]


MEMBERS: dict[str, Callable[[list[str], int], Dataset]] = {
    "in memory": lambda names, plus: images([0, 1, 1, 1], names, plus),
    "endless": Fresh,
}


@pytest.mark.parametrize("second", MEMBERS)
@pytest.mark.parametrize("first", MEMBERS)
def test_labels_of_the_second_are_those_that_the_first_has_for_the_names(first, second):
    data = mixed(MEMBERS[first](AB, 0), MEMBERS[second](BA, 100), 0.5)
    drawn = of(data, 200)
    assert {(is_second, seen) for is_second, seen, _ in drawn} == {(of, name) for of in (False, True) for name in AB}
    assert all(seen == named for _, seen, named in drawn)
    # A quarter of ants in the first, three quarters in the second.
    torch.testing.assert_close(data.class_shares(), torch.tensor([0.5, 0.5], dtype=torch.float64))


@pytest.mark.parametrize(
    ("first", "second"), [("in memory", "endless"), ("endless", "in memory"), ("endless", "endless")]
)
def test_an_endless_mixture_has_the_share_in_every_batch(first, second):
    data = mixed(MEMBERS[first](AB, 0), MEMBERS[second](AB, 100), 0.25)
    assert isinstance(data, Endless)
    assert {of_second(data, 8, seed) for seed in range(20)} == {2}
    # Of six, one or two, and one and a half on average.
    counts = [of_second(data, 6, seed) for seed in range(400)]
    assert set(counts) == {1, 2}
    assert sum(counts) / len(counts) == pytest.approx(1.5, abs=0.1)
    assert of(data, 50, 1) == of(data, 50, 1) != of(data, 50, 2)
    firsts = [of(data, 8, seed)[0][0] for seed in range(200)]
    assert sum(firsts) / len(firsts) == pytest.approx(0.25, abs=0.12)
    # Ants: a quarter of either.
    torch.testing.assert_close(data.class_shares(), torch.tensor([0.25, 0.75], dtype=torch.float64))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 9)])
def test_at_the_ends_of_a_sweep_one_is_left(share, expected):
    assert of_second(mixed(Fresh(AB), Fresh(BA, 100), share), 9) == expected


def test_shares_of_classes_are_weighed_by_the_share():
    data = mixed(Fresh(AB), Fresh(BA), 0.2)
    torch.testing.assert_close(data.class_shares(), torch.tensor([0.8 * 0.25 + 0.2 * 0.75, 0.6 + 0.05]).double())


def test_images_in_an_endless_mixture_are_mirrored_if_they_are_to_be():
    left = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    for mirror in (False, True):

        class Same(Endless):
            sample_shape = (1, 1, 2)

            def sample(self, n: int, generator: torch.Generator) -> Tensor:
                return torch.full((n, 1, 1, 2), -1.0)

        data = mixed(Images(left, mirror=mirror), Same(), 0.0)
        assert isinstance(data, Endless)
        drawn = data.batch(200, torch.Generator().manual_seed(0))
        assert drawn.labels is None
        flipped = (drawn.samples[:, 0, 0, 0] > 0).float().mean().item()
        assert flipped == pytest.approx(0.5 if mirror else 0, abs=0.14)


def test_mixtures_mix():
    inner = Mixed(images([0, 1], AB), images([0, 1], BA, 100), 0.5)
    assert of_second(mixed(inner, images([0, 1, 0, 1], AB, 100), 0.5)) == 6


def test_it_shows_what_both_show():
    one, other = images([0], AB), images([0], AB)
    one.shows = "digits"
    assert mixed(one, one, 0.5).shows == "digits"
    assert mixed(one, other, 0.5).shows is None


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (images([0], ["ant", "cat"]), r"^second=… has the classes ant, cat, and first=… the classes ant, bee: choose "),
        (Images(torch.zeros(3, 1, 1, 1, dtype=torch.uint8)), r"^second=… has no classes, and first=… the classes"),
        (
            Images(torch.zeros(3, 3, 1, 1, dtype=torch.uint8)),
            r"^second=… has images of shape \(3, 1, 1\), and first=… of",
        ),
        (images([0], AB, mirror=True), r"^first\.mirror and second\.mirror must be equal: set "),
        (Ring(8, 2.0, 0.02), r"^second=… has points of shape \(2,\): choose images"),
    ],
)
def test_data_that_do_not_go_together_are_refused(second, message):
    with pytest.raises(ValueError, match=message):
        mixed(images([0, 1], AB), second, 0.5)


# In configs

SMALL = ("train.batch_size=8", "model.generator.width=4", "model.critic.width=4", "metric=[]", "model=dcgan")
PLAIN = ('dataset.first="mnist5k:resolution=8:per_class=9"', 'dataset.second="mnist5k:resolution=8:subset_seed=3"')


def test_members_are_named_or_composed_and_are_nodes_in_the_config():
    second = 'dataset.second="generated:run=somewhere:n=9"'
    named = compose("dataset=mixed", 'dataset.first="mnist:resolution=8"', second).dataset
    composed = ["+dataset@dataset.first=mnist", "dataset.first.resolution=8"]
    composed += ["+dataset@dataset.second=generated", "dataset.second.run=somewhere", "dataset.second.n=9"]
    assert named == compose("dataset=mixed", *composed).dataset
    assert named.first._target_ == "gan_cli.datasets.images.Mnist"
    assert "${" not in named.first.root


def test_the_files_of_members_may_lie_elsewhere_when_a_game_resumes():
    whole = ["dataset=mixed", "dataset.first=mnist", 'dataset.second="mixed:first=mnist:second=mnist"']
    old = compose(*whole)
    new = compose(*whole)
    new.dataset.first.root = new.dataset.second.first.root = "elsewhere"
    assert differences(old, new) == []
    new.dataset.second.second.split = "test"
    assert differences(old, new) == ["dataset.second.second.split=train (now test)"]


def test_members_of_members_are_named_too():
    inner = '"mixed:first=mnist5k:second=mnist5k:share=0.25"'
    data = compose("dataset=mixed", "dataset.first=mnist5k", f"dataset.second={inner}").dataset
    assert data.second.second._target_ == "gan_cli.datasets.images.Mnist5k"
    assert data.second.share == 0.25


def test_a_mapping_may_stand_within_the_name_of_a_member():
    second = 'dataset.second="generated:run={cat: /outputs/a, dog: /outputs/b}:n=9"'
    data = compose("dataset=mixed", "dataset.first=mnist5k", second).dataset
    assert (dict(data.second.run), data.second.n) == ({"cat": "/outputs/a", "dog": "/outputs/b"}, 9)


def test_a_game_on_a_mixture_resumes_bit_for_bit(tmp_path):
    assert_resumes_exactly(3, tmp_path, "dataset=mixed", *PLAIN, *SMALL, "model.conditional=true")


@pytest.mark.usefixtures("undrawn")
def test_a_game_on_an_endless_mixture_resumes_bit_for_bit(tmp_path):
    train(
        tmp_path / "run", "dataset=mnist5k", "dataset.resolution=8", *SMALL, "model.conditional=true", "train.steps=1"
    )
    second = f'dataset.second="generated:run={tmp_path / "run"}"'
    assert_resumes_exactly(3, tmp_path / "game", "dataset=mixed", PLAIN[0], second, *SMALL, "model.conditional=true")


@pytest.mark.parametrize(
    ("arguments", "wrong", "remedy"),
    [
        (["dataset.share=1.5"], "dataset.share=1.5", "at most 1"),
        (["dataset.share=-0.5"], "dataset.share=-0.5", "at least 0"),
        (["dataset.second=mnits"], "dataset.second=mnits is not a dataset", "did you mean mnist?"),
        (["dataset.second=ring"], "dataset.second=… has points", "choose images"),
        (['dataset.second="mnist5k:classes=[3]:resolution=8"'], "the classes 3, and", "choose the same with classes="),
        (['dataset.second="mnist5k:colour=8"'], "colour is not a key of mnist5k", "choose one of classes"),
        (["dataset.second=mnist5k"], "of shape (1, 28, 28), and first=… of (1, 8, 8)", "same resolution and channels"),
        (["dataset.second=generated"], "dataset.second.run has no value", "set dataset.second.run=…"),
        (['dataset.second="generated:run=nowhere"'], "dataset.second.run=nowhere", "is not the folder of a run"),
        (["dataset.second=7"], "dataset.second=7", "a node with a _target_"),
        (["dataset.second=null"], "dataset.second=null", "a node with a _target_"),
        (
            ["dataset.first.resolution=8"],
            "dataset.first.resolution is not a key",
            "dataset.first=NAME:resolution=VALUE",
        ),
        (["dataset.second=mnist5k:resolution=8"], "needs quotes", """'dataset.second="mnist5k:resolution=8"'"""),
    ],
)
def test_gan_train_refuses(arguments, wrong, remedy, inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", "dataset=mixed", *PLAIN, *arguments)
    assert (finished.code, finished.err.count("\n")) == (2, 1), finished.err
    assert wrong in finished.err
    assert remedy in finished.err
    assert not any(tmp_path.iterdir())


def test_a_resumed_game_may_not_change_a_member(tmp_path, inside, monkeypatch):
    monkeypatch.chdir(tmp_path)
    game = ["dataset=mixed", *PLAIN, *SMALL, "train.steps=1", "name=game"]
    assert inside("gan-train", *game).code == 0
    finished = inside("gan-train", *game, 'dataset.second="mnist5k:resolution=8:subset_seed=4"')
    assert finished.code == 2
    assert "dataset.second.subset_seed=3 (now 4)" in finished.err
