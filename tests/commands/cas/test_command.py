"""The command with a trainer that learns nothing: what is trained, kept, told of and refused."""

import json
import os
import signal
from concurrent.futures import Executor, Future
from dataclasses import replace

import pytest

from gan_cli.commands.cas.asked import parsed
from gan_cli.commands.cas.command import compare
from gan_cli.commands.cas.material import gathered
from gan_cli.errors import CommandError, ConfigError, DivergedError, InterruptedRunError
from tests.helpers.cas import TRAINER, compose, images
from tests.helpers.runs import record

COUNTS = {"cat": 6, "dog": 6, "owl": 6}


class Here(Executor):
    """Does at once, in this process, what it is asked to do."""

    def submit(self, function, /, *arguments, **named):
        done: Future = Future()
        done.set_result(function(*arguments, **named))
        return done


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    for seed, (name, count) in enumerate({"real": 6, "test": 4, "made": 6}.items()):
        images(tmp_path / name, dict.fromkeys(COUNTS, count), seed)
    return tmp_path


def words(root, *others):
    small = f":resolution=8:channels=1:root={root / 'data'}"
    return [
        f"dataset=folder:path={root / 'real'}{small}",
        f"test.data=folder:path={root / 'test'}{small}",
        "cas.few_shot.per_class=[2]",
        "cas.images_seen=1280",
        "cas.few_shot.images_seen=256",
        "cas.seeds=2",
        "name=it",
        *others,
    ]


def run(root, *others, trainer=TRAINER):
    return compare(root / "made", words(root, *others), compose, trainer, Here())


def trained(root):
    """How often each member was trained."""
    return {
        path.parent.name: len(path.read_text().split()) for path in root.glob("outputs/cas/it/members/*/trained.log")
    }


def test_it_ends_in_a_table_pictures_a_page_and_a_verdict(root):
    with pytest.raises(DivergedError, match=r"synthetic,seed=1; the findings are those of the other members"):
        run(root)
    folder = root / "outputs" / "cas" / "it"
    kept = {path.name for path in folder.iterdir()}
    assert {"cas.txt", "cas.html", "findings.json", "accuracy.png", "confusion.png", "classes.png"} <= kept
    assert record(folder)["status"] == "diverged"
    found = json.loads((folder / "findings.json").read_text())
    assert found["diverged"] == ["synthetic,seed=1"]
    assert found["missing"] == []
    assert found["real_on_synthetic"]["value"] == 0.75
    assert "Diverged, and left out: synthetic,seed=1." in (folder / "cas.txt").read_text()
    assert found["verdict"] in (folder / "cas.html").read_text()


@pytest.mark.thorough
def test_the_same_command_keeps_what_is_done_and_more_seeds_add_to_it(root):
    with pytest.raises(DivergedError):
        run(root)
    first = trained(root)
    assert set(first.values()) == {1}
    with pytest.raises(DivergedError):
        run(root)
    assert trained(root) == first
    with pytest.raises(DivergedError):
        run(root, "cas.few_shot.seeds=6")
    assert trained(root) == {**first, "real,per_class=2,seed=5": 1, "both,per_class=2,seed=5": 1}


def test_other_settings_are_refused_before_anything_is_trained(root):
    with pytest.raises(DivergedError):
        run(root)
    before = trained(root)
    with pytest.raises(ConfigError, match="is of 72 steps, not 143"):
        run(root, "cas.images_seen=2560")
    assert trained(root) == before


def interrupting(config, folder):
    """Train the first member, and be told to stop meanwhile."""
    TRAINER.classifier(config, folder)
    os.kill(os.getpid(), signal.SIGTERM)


def test_an_interruption_leaves_what_is_known_and_the_same_command_goes_on(root):
    with pytest.raises(InterruptedRunError) as error:
        run(root, "cas.workers=1", trainer=replace(TRAINER, classifier=interrupting))
    assert error.value.exit_code == 143
    assert trained(root) == {"real,seed=0": 1}
    found = json.loads((root / "outputs/cas/it/findings.json").read_text())
    assert len(found["missing"]) > 10
    with pytest.raises(DivergedError):
        run(root)
    assert set(trained(root).values()) == {1}


def failing(config, folder):
    raise ConfigError("model.depth=0 must be at least 1")


def test_a_member_that_fails_ends_it_in_its_own_words(root):
    with pytest.raises(CommandError, match=r"real,seed=0: model.depth=0 must be at least 1") as error:
        run(root, "cas.workers=1", trainer=replace(TRAINER, classifier=failing))
    assert error.value.exit_code == 2
    assert trained(root) == {}


@pytest.mark.thorough
def test_members_are_trained_in_processes_of_their_own(root):
    with pytest.raises(DivergedError):
        compare(root / "made", words(root, "cas.workers=2"), compose, TRAINER)
    assert len(trained(root)) == 2 * 3 + 2 * 5


# What is refused


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("seed=3", "cas.seeds"),
        ("train.steps=3", "cas.images_seen"),
        ("train.batch_size=3", "cas.batch_size"),
        ("every.evaluate=3", "no epoch is chosen"),
        ("quick", "KEY=VALUE"),
        ("name=../x", "must be a path below"),
        ("cas=quik", "quick"),
    ],
)
def test_words_that_are_not_the_users(tmp_path, word, said):
    with pytest.raises(ConfigError, match=said):
        parsed(tmp_path, [word])


def test_the_folder_is_named_by_what_changes_the_members(tmp_path):
    source = tmp_path / "digits"
    names = {
        given: parsed(source, given.split()).folder.as_posix()
        for given in ("", "cas=standard", "cas.seeds=5", "cas=quick", "classifier=softmax outputs=o")
    }
    assert names == {
        "": "outputs/cas/digits",
        "cas=standard": "outputs/cas/digits",
        "cas.seeds=5": "outputs/cas/digits",
        "cas=quick": "outputs/cas/digits,cas=quick",
        "classifier=softmax outputs=o": "o/cas/digits,classifier=softmax",
    }


def made_run(folder, **changes):
    """The folder of a conditional run, but for what is changed."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(
        "dataset: {_target_: gan_cli.datasets.images.Mnist5k, resolution: 8}"
    )
    shares = dict.fromkeys(COUNTS, 1 / 3)
    told = {"status": "done", "sample_shape": [1, 8, 8], "classes": shares, **changes}
    (folder / "run.json").write_text(json.dumps(told))
    return folder


def test_a_run_is_material_of_as_many_images_as_are_asked_for(root):
    found = gathered(made_run(root / "run"), words(root)[:2])
    assert found.synthetic_count is None
    assert (found.real_count, found.real_least, found.test_count) == (18, 6, 12)
    assert dict(found.drawn(7, 3).values) == {"run": str(root / "run"), "n": 7, "sample_seed": 3}
    order = gathered(made_run(root / "other", classes=dict.fromkeys(("owl", "dog", "cat"), 1 / 3)), words(root)[:2])
    assert dict(order.synthetic.values)["classes"] == ["cat", "dog", "owl"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": {}}, "is unconditional"),
        ({"status": "running"}, "is running"),
        ({"status": "diverged"}, "is diverged"),
        ({"sample_shape": [2]}, "draws points"),
        ({"sample_shape": [3, 8, 8]}, "the same resolution and channels"),
        ({"classes": {"cat": 0.5, "dog": 0.5}}, "class owl is missing"),
        ({"classes": {"cat": 0.5, "dog": 0.2, "owl": 0.2, "ant": 0.1}}, "class ant is not one"),
        ({"classes": {"cat": 0.5, "dog": 0.5, "owl": 0.0}}, "no image of class owl"),
    ],
)
def test_runs_that_are_refused(root, changes, said):
    with pytest.raises(ConfigError, match=said) as error:
        gathered(made_run(root / "run", **changes), words(root)[:2])
    assert "\n" not in str(error.value)


def small(root, name, kind="dataset"):
    return f"{kind}=folder:path={root / name}:resolution=8:channels=1:root={root / 'data'}"


def test_images_that_are_refused(root):
    images(root / "two", {"cat": 2, "dog": 2}, 5)
    images(root / "one", {"cat": 2}, 6)
    images(root / "one_test", {"cat": 2}, 7)
    (root / "flat").mkdir()
    (root / "flat/0.png").write_bytes((root / "real/cat/0.png").read_bytes())
    real, test = words(root)[:2]
    for source, given, said in (
        ("nowhere", [real, test], "is not a folder"),
        ("made", [test], "name the real images with dataset="),
        ("made", [real], "no test split"),
        ("made", [real, small(root, "nowhere", "test.data")], "^test.data.path=.*nowhere does not exist"),
        ("made", [real, small(root, "real", "test.data")], "holds the images of dataset="),
        ("made", [real, small(root, "two", "test.data")], "class owl is missing"),
        ("two", [real, test], "class owl is missing"),
        ("one", [small(root, "one"), small(root, "one_test", "test.data")], "the one class cat"),
        ("made", [small(root, "flat"), test], "no labelled images"),
        ("flat", [real, test], "no labelled images"),
        ("made", [real, test, test], "twice"),
    ):
        with pytest.raises(ConfigError, match=said) as error:
            gathered(root / source, given)
        assert "\n" not in str(error.value)


def test_a_folder_has_no_gan_to_train(root):
    with pytest.raises(ConfigError, match="needs a run"):
        run(root, "cas.train_gan=true")
