"""Data that a run draws: of which classes, the same whenever they are drawn, and refused where the run is no source."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_cli import sampling
from gan_cli.assembly.games import assemble
from gan_cli.datasets import cache
from gan_cli.datasets.base import Dataset, Endless, Images, as_uint8
from gan_cli.datasets.generated import Fresh, Generated
from gan_cli.errors import ConfigError
from gan_cli.runs.load import load_run
from gan_cli.runs.sources import open_run
from tests.helpers.configs import TINY, compose
from tests.helpers.resuming import assert_resumes_exactly
from tests.helpers.runs import record, train

SMALL = ("train.batch_size=8", "model.generator.width=4", "model.critic.width=4", "metric=[]")
DIGITS = ("dataset=mnist5k", "dataset.resolution=8", "train.steps=2", *SMALL)


@dataclass(frozen=True)
class Grey:
    """Images of one pixel, whose value as uint8 is ten times the label here, plus what it is given."""

    classes: Mapping[str, float] = field(default_factory=lambda: {"ant": 0.5, "bee": 0.3, "cat": 0.2})
    plus: int = 0
    sample_shape: tuple[int, ...] = (1, 1, 1)
    shows: str | None = "insects"
    is_stacked: bool = False
    identity: str = "grey"
    origin: Mapping[str, Any] = field(default_factory=lambda: {"run": "somewhere"})

    def draw(self, n: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        grey = torch.full((n,), self.plus) if labels is None else 10 * labels + self.plus
        return (grey / 127.5 - 1).reshape(-1, *self.sample_shape)


def generated(run: Any = "somewhere", source: Grey | None = None, **options: Any) -> Dataset:
    return Generated(run, lambda path, step, weights: source or Grey(), **options).made()


def greys(samples: Tensor) -> list[int]:
    return (as_uint8(samples) if samples.is_floating_point() else samples).flatten().tolist()


def batch(data: Dataset, n: int, seed: int = 0) -> tuple[list[int], list[int]]:
    """The grey of each image, and its label."""
    assert isinstance(data, Endless)
    drawn = data.batch(n, torch.Generator().manual_seed(seed))
    assert drawn.labels is not None
    return greys(drawn.samples), drawn.labels.tolist()


# Classes


def test_of_a_fixed_number_each_class_has_what_comes_nearest_to_its_share():
    data = generated(n=7)  # 3.5, 2.1 and 1.4: the seventh goes to the largest remainder
    assert isinstance(data, Images)
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert greys(data.images) == [0, 0, 0, 0, 10, 10, 20]
    assert data.images.dtype == torch.uint8
    torch.testing.assert_close(data.class_shares(), torch.tensor([4, 2, 1]).double() / 7)


def test_of_endless_images_classes_are_as_frequent_as_in_the_run():
    data = generated()
    colours, labels = batch(data, 20_000)
    assert colours == [10 * label for label in labels]
    shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    torch.testing.assert_close(data.class_shares(), shares)
    found = torch.bincount(torch.tensor(labels)).double() / len(labels)
    torch.testing.assert_close(found, shares, atol=0.015, rtol=0)  # four standard errors
    assert labels[:50] != sorted(labels[:50])


@pytest.mark.parametrize("n", [None, 7])
def test_chosen_classes_have_labels_in_the_order_in_which_they_are_named(n):
    data = generated(classes=["cat", "ant"], n=n)
    assert list(data.classes) == ["cat", "ant"]
    if isinstance(data, Images):
        assert greys(data.images) == [20, 20, 0, 0, 0, 0, 0]
        torch.testing.assert_close(data.class_shares(), torch.tensor([2, 5]).double() / 7)
    else:
        colours, labels = batch(data, 50)
        assert colours == [[20, 0][label] for label in labels]
        torch.testing.assert_close(data.class_shares(), torch.tensor([2, 5]).double() / 7)


def test_so_many_of_each_class_are_taken_of_a_fixed_number():
    assert greys(generated(n=20, per_class=2).images) == [0, 0, 10, 10, 20, 20]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"^per_class=2 .* set dataset\.n"):
        generated(per_class=2)


def test_runs_of_a_class_each_draw_that_class_all_as_often():
    sources = {"b": Grey({}, plus=7), "a": Grey({}, plus=9), "c": Grey({}, plus=11)}
    data = Generated(dict(zip("bac", "bac", strict=True)), lambda path, *_: sources[path]).made()
    assert list(data.classes) == ["b", "a", "c"]
    torch.testing.assert_close(data.class_shares(), torch.full((3,), 1 / 3, dtype=torch.float64))
    colours, labels = batch(data, 200)
    assert colours == [[7, 9, 11][label] for label in labels]
    assert set(labels) == {0, 1, 2}
    assert (data.shows, data.origin) == ("insects", {"runs": {name: {"run": "somewhere"} for name in "bac"}})


def test_the_fingerprint_tells_whatever_changes_the_images():
    data = [generated(), generated(n=7), generated(n=8), generated(n=7, sample_seed=1), generated(n=7, per_class=1)]
    data += [generated(classes=order) for order in (["ant", "cat"], ["cat", "ant"])]
    data += [generated(n=9, per_class=1, subset_seed=seed) for seed in (0, 1)]
    data += [generated(source=Grey(identity="other")), generated(n=7, source=Grey(identity="other"))]
    data += [generated({name: name for name in names}, Grey({})) for names in ("ab", "ba")]
    assert len({of.fingerprint() for of in data}) == len(data)
    assert generated(n=7).fingerprint() == generated(n=7).fingerprint()


# Runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder of small runs: of digits with labels, of threes and of sevens without, and of points."""
    folder = tmp_path_factory.mktemp("runs")
    train(folder / "digits", *DIGITS, "dataset.classes=[3,7]", "model.conditional=true")
    train(folder / "threes", *DIGITS, "dataset.classes=[3]")
    train(folder / "sevens", *DIGITS, "dataset.classes=[7]", "dataset.resolution=16")
    train(folder / "points", *TINY, "train.steps=1", "model.conditional=true")
    for status in ("running", "diverged"):
        shutil.copytree(folder / "digits", folder / status)
        (folder / status / "run.json").write_text(json.dumps(record(folder / status) | {"status": status}))
    shutil.copytree(folder / "digits", folder / "bare")
    shutil.rmtree(folder / "bare" / "checkpoints")
    return folder


@pytest.mark.parametrize("weights", ["average", "raw"])
def test_images_are_those_that_the_generator_of_the_run_draws_of_their_labels(runs, weights):
    data = Generated(str(runs / "digits"), open_run, weights=weights).made()
    assert isinstance(data, Fresh)
    labels = torch.tensor([0, 1, 1, 0])
    run = load_run(runs / "digits")
    network = run.sampler(weights)
    latents = network.sample_latent(4, torch.Generator().manual_seed(5))
    drawn = data.of(labels, torch.Generator().manual_seed(5))
    torch.testing.assert_close(drawn, sampling.generate(network, latents, labels))
    assert not torch.allclose(drawn, sampling.generate(network, latents, 1 - labels))
    assert (list(data.classes), data.shows, data.sample_shape) == (["3", "7"], "digits", (1, 8, 8))
    digest = {"checkpoint_sha256": run.checkpoint_sha256, "step": 2, "weights": weights}
    assert data.origin == {"run": str(runs / "digits"), **digest}


@pytest.mark.usefixtures("undrawn")
def test_images_that_are_drawn_once_are_those_of_their_seed(runs):
    torch.manual_seed(0)
    one, again, other = (
        Generated(str(runs / "digits"), open_run, n=600, sample_seed=seed).made() for seed in (3, 3, 4)
    )
    assert isinstance(one, Images)
    assert isinstance(again, Images)
    assert isinstance(other, Images)
    assert torch.equal(one.images, again.images)
    assert not torch.equal(one.images, other.images)
    assert torch.bincount(one.labels).tolist() == [300, 300]
    assert len(one.images.unique(dim=0)) == 600


@pytest.mark.parametrize("n", ["null", 20])
def test_a_game_on_generated_data_resumes_bit_for_bit(runs, n, tmp_path):
    data = ("dataset=generated", f"dataset.run={runs / 'digits'}", f"dataset.n={n}")
    assert_resumes_exactly(3, tmp_path, *data, "model.conditional=true", *SMALL)


def test_a_game_records_the_run_that_drew_its_data_and_is_refused_once_that_has_gone_on(runs, tmp_path, inside):
    source = tmp_path / "digits"
    shutil.copytree(runs / "digits", source)
    game = ["dataset=generated", f"dataset.run={source}", "dataset.n=30", *SMALL]
    train(tmp_path / "game", *game, "train.steps=2")
    before = record(tmp_path / "game")
    digest = load_run(source).checkpoint_sha256
    origin = {"run": str(source), "checkpoint_sha256": digest, "step": 2, "weights": "average"}
    assert before["origin"] == origin | {"images": 30, "seed": 0}
    assert before["shows"] == "digits"
    asked = ("gan-eval", str(tmp_path / "game"), "--metric", "frechet", "--n", "10")
    assert inside(*asked).code == 0
    (receipt,) = json.loads((tmp_path / "game" / "evaluation.json").read_text())["receipts"]
    assert receipt["origin"] == before["origin"]

    train(source, *DIGITS, "dataset.classes=[3,7]", "model.conditional=true", "train.steps=3")
    with pytest.raises(ConfigError, match="was trained on other data"):
        train(tmp_path / "game", *game, "train.steps=3")
    refused = inside(*asked, "--seed", "1")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "other data" in refused.err
    # The step at which it drew them is still there.
    data = Generated(str(source), open_run, step=2, n=30).made()
    assert data.fingerprint() == before["dataset"]


def test_what_a_run_on_generated_data_draws_shows_what_those_do(runs, tmp_path):
    train(
        tmp_path / "second", "dataset=generated", f"dataset.run={runs / 'digits'}", "train.steps=1", *SMALL,
        "model.conditional=true",
    )  # fmt: skip
    assert Generated(str(tmp_path / "second"), open_run).made().shows == "digits"


@pytest.mark.parametrize(
    ("run", "options", "wrong", "remedy"),
    [
        ("running", [], "dataset.run=running ", "wait for its end"),
        ("diverged", [], "dataset.run=diverged ", "choose one that is done"),
        ("bare", [], "has no checkpoint", "wait for its first"),
        ("nowhere", [], "dataset.run=nowhere ", "is not the folder of a run"),
        ("threes", [], "dataset.run=threes takes no labels", "train it with model.conditional=true"),
        ("points", [], "dataset.run=points draws points", "choose a run of images"),
        ("{a:threes,b:digits}", [], "dataset.run.b=digits draws several classes", "dataset.run=digits"),
        ("{a:threes,b:sevens}", [], "dataset.run.b=sevens", "choose runs of one shape"),
        ("{a:threes,b:nowhere}", [], "dataset.run.b=nowhere", "is not the folder of a run"),
        ("{}", [], "dataset.run={} names no run", "name one a class"),
        ("digits", ["dataset.step=7"], "has no checkpoint of step 7", "only of: 2"),
        ("digits", ["dataset.classes=[4]"], "4 is not a class of the data", "choose one of 3, 7"),
        ("digits", ["dataset.per_class=4"], "dataset.per_class=4", "set dataset.n=…"),
        ("digits", ["dataset.n=0"], "dataset.n=0", "at least 1"),
        ("digits", ["dataset.weights=best"], "dataset.weights=best", "one of average, raw"),
        ("digits", ["+dataset.open_run=1"], "dataset.open_run is not an option", "choose one of"),
    ],
)
def test_gan_train_refuses(run, options, wrong, remedy, runs, inside, monkeypatch):
    monkeypatch.chdir(runs)
    before = sorted(path.name for path in runs.iterdir())
    finished = inside("gan-train", "dataset=generated", f"dataset.run={run}", *options)
    assert finished.code == 2, finished.err
    assert finished.err.count("\n") == 1
    assert wrong in finished.err
    assert remedy in finished.err
    assert sorted(path.name for path in runs.iterdir()) == before


def test_the_assembly_opens_runs_for_data_within_data(runs):
    config = compose(
        "dataset=mixed", 'dataset.first="mnist5k:resolution=8:classes=[7,3]"',
        f'dataset.second="generated:run={runs / "digits"}"', *SMALL,
    )  # fmt: skip
    assert assemble(config).dataset.origin == {"second": Generated(str(runs / "digits"), open_run).made().origin}


def test_many_drawn_images_lie_in_a_file_and_are_the_same(monkeypatch):
    whole = generated(n=1100)
    monkeypatch.setattr(cache, "LARGE", 1100)
    made = []
    memmap = np.memmap

    def noted(*given, **named):
        made.append(named["shape"])
        return memmap(*given, **named)

    monkeypatch.setattr(np, "memmap", noted)
    parted = generated(n=1100)
    assert isinstance(whole, Images)
    assert isinstance(parted, Images)
    assert torch.equal(parted.images, whole.images)
    assert made == [(1100, 1, 1, 1)]
