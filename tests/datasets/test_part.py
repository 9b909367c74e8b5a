"""Parts of labelled images: which classes, how many of each, and which."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.assembly.games import assemble
from gan_cli.datasets.base import Images
from gan_cli.datasets.part import Part
from gan_cli.errors import ConfigError
from tests.helpers.configs import compose

NAMES = ["ant", "bee", "cat"]
LABELS = torch.arange(60) % 3
PICTURES = torch.arange(60, dtype=torch.uint8).reshape(60, 1, 1, 1).expand(60, 1, 2, 2)


def taken(*arguments) -> Images:
    return Images(PICTURES, LABELS, classes=NAMES, part=Part(*arguments))


def numbers(images: Images) -> list[int]:
    return images.images[:, 0, 0, 0].tolist()


def test_all_images_are_taken_as_they_are_unless_a_part_is_asked_for():
    whole = taken()
    assert whole.images.data_ptr() == PICTURES.data_ptr()
    assert whole.classes == NAMES


def test_chosen_classes_are_labelled_in_the_order_they_are_named_and_images_keep_theirs():
    part = taken(["cat", "ant"])
    assert part.classes == ["cat", "ant"]
    assert numbers(part) == [index for index in range(60) if index % 3 != 1]
    assert part.labels is not None
    assert part.labels.tolist() == [1 if index % 3 == 0 else 0 for index in numbers(part)]


def test_so_many_of_each_class_and_fewer_are_among_more():
    five, eight = taken(None, 5), taken(None, 8)
    assert torch.bincount(five.labels).tolist() == [5, 5, 5]
    assert set(numbers(five)) < set(numbers(eight))
    assert numbers(five) == sorted(numbers(five))
    # The images of a class do not depend on which other classes are taken.
    assert set(numbers(taken(["bee"], 5))) == {number for number in numbers(five) if number % 3 == 1}


def test_another_seed_takes_others():
    assert numbers(taken(None, 5, 0)) == numbers(taken(None, 5, 0)) != numbers(taken(None, 5, 1))
    assert taken(None, 5, 0).fingerprint() != taken(None, 5, 1).fingerprint()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.classes=[3,cat]"], r"dataset\.classes=\['3', 'cat'\]: cat is not a class of the data: "),
        (["dataset.classes=[3,3]"], r"dataset\.classes=\['3', '3'\]: 3 stands there twice: leave one out"),
        (["dataset.classes=[]"], r"dataset\.classes=\[\] is empty: name some, or leave it out"),
        (["dataset.per_class=501"], r"dataset\.per_class=501: class 0 has 500 samples: choose fewer"),
        (["dataset.per_class=0"], r"dataset\.per_class=0 must be at least 1"),
        (["dataset.subset_seed=-1"], r"dataset\.subset_seed=-1 must be at least 0"),
    ],
)
def test_a_part_that_is_not_there_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        assemble(compose("dataset=mnist5k", *overrides))


def test_images_without_labels_have_no_classes_to_choose(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "one.png")
    with pytest.raises(ConfigError, match=r"dataset\.per_class=… needs samples with labels"):
        assemble(compose("dataset=folder", f"dataset.path={tmp_path}", "dataset.per_class=1"))


def test_a_run_learns_the_classes_that_were_chosen():
    job = assemble(
        compose("dataset=mnist5k", "dataset.classes=[7,3]", "dataset.per_class=50", "model.conditional=true")
    )
    assert isinstance(job.dataset, Images)
    assert len(job.dataset) == 100
    assert job.classes == {"7": 0.5, "3": 0.5}
    batch = job.batches(0, 1)
    assert batch.labels is not None
    assert set(batch.labels.unique().tolist()) == {0, 1}
