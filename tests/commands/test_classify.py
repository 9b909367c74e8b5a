"""gan-classify: a classifier is composed, trained, resumed and read like a game."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_cli.assembly.classifiers import assemble
from gan_cli.augmentations.base import Augmentation
from gan_cli.commands.train import run
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.held_out import divided
from gan_cli.datasets.images import Mnist5k
from gan_cli.errors import ConfigError
from gan_cli.metrics.accuracy import accuracies
from gan_cli.runs.classifiers import open_classifier
from tests.helpers.configs import TINY, compose_classifier
from tests.helpers.runs import metrics, record, tree
from tests.helpers.undrawn import undrawn

LEARNS = "optimizer.classifier.lr=0.05"
SMALL = (
    "dataset=mnist5k",
    "dataset.per_class=40",
    "classifier=softmax",
    "train.steps=40",
    "train.batch_size=40",
    LEARNS,
)
FAST = ("dataset.resolution=8",)


def train(folder: Path, *overrides: str) -> Path:
    """The folder, with the run of a classifier in it."""
    with undrawn():
        run(compose_classifier(*SMALL, *FAST, *overrides), folder, {"config.yaml": _yaml(*overrides)})
    return folder


def _yaml(*overrides: str) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(compose_classifier(*SMALL, *FAST, *overrides))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("classifiers") / "run")


def test_a_run_learns_and_leaves_what_a_game_leaves(trained):
    found = record(trained)
    assert found["status"] == "done"
    assert found["classes"] == {str(digit): 0.1 for digit in range(10)}
    # 36 of 40 images of each class train, 4 test.
    assert sum(map(sum, found["confusion"])) == 40
    assert [sum(row) for row in found["confusion"]] == [4] * 10
    right = sum(found["confusion"][i][i] for i in range(10))
    assert found["final"]["accuracy"] == pytest.approx(right / 40)
    assert found["final"]["accuracy"] > 0.5
    assert set(tree(trained)) >= {"run.json", "metrics.jsonl", "checkpoints/step-0000040.pt", ".hydra/config.yaml"}
    assert [line["step"] for line in metrics(trained)] == [40]


def test_what_is_written_is_the_config_of_a_classifier_alone(trained):
    written = (trained / ".hydra" / "config.yaml").read_text()
    assert "generator" not in written
    assert "reuse_samples" not in written
    assert "divergence" not in written


def needs_a_critic(augmentation: str) -> bool:
    built: Augmentation = build(options.option("augmentation", augmentation), Augmentation, "augmentation")
    return built.adaptive is not None


@pytest.mark.thorough
@pytest.mark.parametrize("augmentation", [of for of in options.names("augmentation") if not needs_a_critic(of)])
def test_a_resumed_run_equals_one_that_went_through_bit_for_bit(tmp_path, augmentation):
    chosen = (f"augmentation={augmentation}", "classifier=small_cnn", "train.schedule=constant")
    whole = train(tmp_path / "whole", *chosen, "train.steps=6")
    train(tmp_path / "parts", *chosen, "train.steps=4")
    parts = train(tmp_path / "parts", *chosen, "train.steps=6")
    assert record(parts)["fingerprint"] == record(whole)["fingerprint"]
    assert (
        record(train(tmp_path / "other", *chosen, "train.steps=6", "seed=1"))["fingerprint"]
        != record(whole)["fingerprint"]
    )


@pytest.mark.thorough
@pytest.mark.parametrize("classifier", options.names("classifier"))
@pytest.mark.parametrize("optimizer", options.names("optimizer"))
def test_every_classifier_takes_a_step_under_every_optimizer(classifier, optimizer):
    classes = ["dataset.classes=[3,7]"] if classifier == "logistic" else []
    overrides = (f"classifier={classifier}", f"optimizer={optimizer}", "dataset.resolution=16", "train.steps=1")
    job = assemble(compose_classifier(*SMALL, *overrides, *classes))
    before = job.state.fingerprint()
    (terms,) = job.terms()
    assert terms.keys() == {"loss", "batch_accuracy", "gradient_norm"}
    assert all(bool(value.isfinite()) for value in terms.values())
    assert job.state.fingerprint() != before


def test_bf16_computes_the_same_to_its_precision():
    losses = []
    for precision in ("float32", "bf16"):
        job = assemble(compose_classifier(*SMALL, "classifier=small_cnn", f"device.precision={precision}"))
        losses.append(float(next(iter(job.terms()))["loss"]))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_permuted_class_names_permute_the_results_and_nothing_else():
    def confusion(names: str) -> torch.Tensor:
        job = assemble(compose_classifier(*SMALL, *FAST, f"dataset.classes={names}", "classifier=logistic"))
        # The scores of a logistic regression that starts at nothing are symmetric in the classes.
        with torch.no_grad():
            for parameter in job.state.classifier.parameters():
                parameter.zero_()
        for _ in job.terms():
            pass
        return torch.tensor(job.findings()["confusion"])

    assert torch.equal(confusion("[3,7]"), confusion("[7,3]").flip(0, 1))


# What is tested on


def test_a_share_of_each_class_is_held_out_and_which_is_a_function_of_the_seed():
    data = Mnist5k(resolution=8, per_class=30)
    train_part, test_part = divided(data, 0.1, seed=0)
    assert (len(train_part), len(test_part)) == (270, 30)
    assert test_part.labels is not None
    assert torch.bincount(test_part.labels).tolist() == [3] * 10
    both = torch.cat([train_part.images, test_part.images]).flatten(1)
    assert torch.equal(both.float().sum(1).sort().values, data.images.flatten(1).float().sum(1).sort().values)
    assert divided(data, 0.1, seed=0)[1].fingerprint() == test_part.fingerprint()
    assert divided(data, 0.1, seed=1)[1].fingerprint() != test_part.fingerprint()


def test_accuracies_are_the_shares_of_the_diagonal():
    measured = accuracies(torch.tensor([[8, 2], [1, 29]]), ["cat", "dog"])
    assert {name: number.value for name, number in measured.items()} == pytest.approx(
        {"accuracy": 37 / 40, "accuracy/cat": 0.8, "accuracy/dog": 29 / 30}
    )
    # Agresti & Coull: (37 + 2) / (40 + 4), and the error of such a share.
    shrunk = 39 / 44
    assert measured["accuracy"].error == pytest.approx((shrunk * (1 - shrunk) / 44) ** 0.5)


def test_test_data_of_ones_own_are_matched_by_the_names_of_the_classes():
    job = assemble(
        compose_classifier(*SMALL, *FAST, "dataset.classes=[3,7]", "test.data='mnist5k:resolution=8:classes=[7,3]'")
    )
    assert job.test.classes == ["3", "7"]
    threes = Mnist5k(resolution=8, classes=["3"])
    assert torch.equal(job.test.images[job.test.labels == 0], threes.images)


# Errors


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("divergence=kl", "divergence is not a key of gan-classify: gan-train trains games"),
        ("model.generator.width=3", "model is not a key of gan-classify: gan-train trains games"),
        ("optimizer.generator.lr=1", "a classifier's is optimizer.classifier"),
        ("train.reuse_samples=true", "train.reuse_samples is not a key of gan-classify"),
        ("train.step=3", "did you mean steps?"),
        ("seed=abc", "seed=abc must be a whole number"),
        ("experiment=mnist", "experiment=mnist is a recipe of gan-train: gan-train experiment=mnist"),
        ("dataset=ring", "classifiers take images"),
        ("dataset.classes=[3]", "dataset has one class, 3: a classifier needs two"),
        ("classifier=logistic", "two classes"),
        ("test.share=1", "test.share=1.0 must be below 1"),
        ("test.data='mnist5k:resolution=8:classes=[1,2]'", "test.data and dataset differ in their classes"),
        ("test.data='mnist5k:resolution=16'", "test.data has images of shape (1, 16, 16)"),
        ("test.data='mnist5k:resolution=8:per_class=2'", "test.data holds images of dataset alone"),
        ("test.data='folder:path=nowhere'", "gan-classify: test.data.path=nowhere does not exist: name the folder"),
        ("test=null", "test=null is no value"),
        ("optimizer.classifier=null", "optimizer.classifier must be a node"),
        ("~classifier", "a classifier's run needs all that it has"),
        ("device.accelerate=compile", "device.accelerate=compile is for games"),
        ("augmentation=adaptive", "a classifier has none: choose augmentation=diffaugment"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(inside, tmp_path, monkeypatch, override, words):
    monkeypatch.chdir(tmp_path)
    given = [word for word in (*SMALL, *FAST) if word.split("=")[0] != override.split("=")[0]]
    if override == "dataset=ring":
        given = [word for word in given if not word.startswith("dataset")]
    finished = inside("gan-classify", *given, override, "name=bad")
    assert finished.code == 2
    (line,) = finished.err.splitlines()
    assert words in line
    assert not (tmp_path / "outputs").exists()


def test_a_classifiers_recipe_is_not_for_gan_train(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", "experiment=mnist_classifier")
    assert finished.code == 2
    assert finished.err.splitlines() == [
        "gan-train: experiment=mnist_classifier is a recipe of gan-classify: gan-classify experiment=mnist_classifier"
    ]


@pytest.mark.thorough
def test_a_sweep_of_classifiers_ends_in_a_table_of_accuracies(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-classify", "-m", *SMALL, *FAST, "train.steps=2", "seed=0,1")
    assert finished.code == 0, finished.err
    assert "accuracy" in finished.out
    assert "estimate" not in finished.out
    assert len(list((tmp_path / "outputs").glob("sweeps/*/*/run.json"))) == 2


# Reading a run


def photos(folder: Path, names: tuple[str, ...] = ("0", "1")) -> Path:
    """A folder of digits, a sub-folder for each class."""
    digits = Mnist5k(resolution=28, classes=["0", "1"], per_class=6)
    assert digits.labels is not None
    for index, (image, label) in enumerate(zip(digits.images, digits.labels.tolist(), strict=True)):
        path = folder / names[label] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)
    return folder


def test_the_accuracy_of_a_run_has_a_receipt_that_answers_the_next_time(inside, trained):
    first = inside("gan-eval", str(trained))
    assert first.code == 0, first.err
    receipts = json.loads((trained / "evaluation.json").read_text())["receipts"]
    assert receipts[-1]["numbers"]["accuracy"]["value"] == record(trained)["final"]["accuracy"]
    assert receipts[-1]["samples"] == {"held_out": 40}
    assert inside("gan-eval", str(trained)).out == first.out
    assert json.loads((trained / "evaluation.json").read_text())["receipts"] == receipts


def test_a_classifier_labels_a_folder(inside, trained, tmp_path):
    out = tmp_path / "predictions.csv"
    finished = inside("gan-eval", str(trained), "--data", str(photos(tmp_path / "photos")), "--out", str(out))
    assert finished.code == 0, finished.err
    assert "12 images" in finished.out
    assert "accuracy" in finished.out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["file"] for row in rows] == sorted(row["file"] for row in rows)
    for row in rows:
        shares = {name: float(value) for name, value in row.items() if name.startswith("p(")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert row["class"] == max(shares, key=shares.__getitem__)[2:-1]
    assert sum(row["class"] == row["file"].split("/")[0] for row in rows) >= 9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metric", "accuracy", "--metric", "frechet"], "--metric is for games"),
        (["--data", "photos"], "--data PATH --out predictions.csv go together"),
        (["--data", "nowhere", "--out", "a.csv"], "--data nowhere does not exist"),
        (["--data", "nowhere", "--out", "a.png"], "predictions are written as .csv"),
    ],
)
def test_what_cannot_be_asked_of_a_classifier_is_refused_in_one_line(inside, trained, words, message):
    finished = inside("gan-eval", str(trained), *words)
    assert finished.code == 2
    (line,) = finished.err.splitlines()
    assert message in line


def test_a_classifier_of_a_folder_serves_as_extractor_with_its_digest(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path / "data"))
    photos(tmp_path / "photos", ("zero", "one"))
    of_folder = ["dataset=folder", "dataset.path=photos", "dataset.resolution=16", "dataset.channels=1"]
    classified = inside(
        "gan-classify", *of_folder, "classifier=resnet", "train.steps=2", "train.batch_size=4", "name=c"
    )
    assert classified.code == 0, classified.err
    little = ["model.generator.width=4", "model.critic.width=4", "train.steps=1", "train.batch_size=4", "metric=[]"]
    game = ["metric/extractor=classifier", "metric.extractor.run=outputs/c", "model.conditional=true"]
    trained = inside("gan-train", *of_folder, *little, *game, "name=g")
    assert trained.code == 0, trained.err
    asked = ["outputs/g", "--metric", "class_agreement", "--n", "10", "--extractor", "classifier:run=outputs/c"]
    measured = inside("gan-eval", *asked)
    assert measured.code == 0, measured.err
    (receipt,) = json.loads(Path("outputs/g/evaluation.json").read_text())["receipts"]
    assert receipt["extractor"] == "TrainedClassifier"
    assert receipt["extractor_sha256"] == open_classifier("outputs/c").sha256
    assert {"class_agreement/zero", "class_agreement/one"} <= receipt["numbers"].keys()
    assert inside("gan-eval", *asked).out == measured.out


@pytest.mark.thorough
def test_the_folder_of_a_game_and_other_test_images_are_refused(inside, tmp_path, monkeypatch, trained):
    monkeypatch.chdir(tmp_path)
    game = inside("gan-train", *TINY, "train.steps=1", "name=game")
    assert game.code == 0, game.err
    refused = inside("gan-classify", *SMALL, *FAST, "name=game")
    assert (refused.code, "outputs/game is a run of gan-train" in refused.err) == (2, True)
    (line,) = inside("gan-cas", str(trained)).err.splitlines()
    assert "is the run of a classifier" in line
    folder = photos(tmp_path / "photos")
    of_test = ["dataset.classes=[0,1]", "test.data='folder:path=photos:resolution=8:channels=1'", "name=c"]
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path / "data"))
    first = inside("gan-classify", *SMALL, *FAST, *of_test)
    assert first.code == 0, first.err
    (folder / "0" / "0.png").unlink()
    changed = inside("gan-classify", *SMALL, *FAST, *of_test)
    assert (changed.code, "outputs/c was tested on other data" in changed.err) == (2, True)


def test_runs_of_games_and_of_classifiers_are_told_apart(inside, trained, tmp_path):
    sampled = inside("gan-sample", str(trained), "--out", str(tmp_path / "a.png"))
    assert (sampled.code, "is the run of a classifier" in sampled.err) == (2, True)
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        open_classifier(tmp_path)
