"""gan-cas from the shell's side: a conditional run of its own, real classifiers, a verdict."""

import json

import pytest

from tests.helpers.cas import images
from tests.helpers.runs import record

OF_FOLDER = ["dataset=folder", "dataset.path=real", "dataset.resolution=8", "dataset.channels=1"]
LITTLE = ["model.generator.width=4", "model.critic.width=4", "train.steps=2", "train.batch_size=4", "metric=[]"]
TEST = "folder:path=test:resolution=8:channels=1"
QUICK = [
    "cas=quick",
    "cas.images_seen=256",
    "cas.few_shot.images_seen=128",
    "cas.few_shot.per_class=[2]",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("cas")
    for seed, (name, count) in enumerate({"real": 8, "test": 4}.items()):
        images(root / name, {"cat": count, "dog": count}, seed)
    return root


@pytest.fixture(autouse=True)
def _there(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setenv("GAN_CLI_DATA", str(root / "data"))


@pytest.mark.thorough
def test_a_run_is_compared_to_its_own_data_and_the_same_command_keeps_what_is_done(inside, root):
    game = inside("gan-train", *OF_FOLDER, *LITTLE, "model.conditional=true", "metric/extractor=raw", "name=g")
    assert game.code == 0, game.err
    (root / "conf" / "classifier").mkdir(parents=True)
    (root / "conf" / "classifier" / "mine.yaml").write_text("_target_: gan_cli.classifiers.softmax.Softmax\n")
    command = [
        "gan-cas",
        "outputs/g",
        *QUICK,
        "--config-dir=conf",
        "classifier=mine",
        "test.data=folder:path=test:resolution=8:channels=1",
    ]
    first = inside(*command)
    assert first.code == 0, first.err
    (folder,) = (root / "outputs" / "cas").iterdir()
    found = json.loads((folder / "findings.json").read_text())
    assert found["missing"] == []
    assert found["verdict"] == first.out.strip().splitlines()[-1]
    assert len(list((folder / "members").iterdir())) == 2 * 3 + 2 * 5
    of_real = record(folder / "members" / "real,seed=0")
    of_synthetic = record(folder / "members" / "synthetic,seed=0")
    # The same number of steps, the same real test images.
    assert of_real["steps"] == of_synthetic["steps"] == 16
    # No batch is larger than the images that there are.
    assert record(folder / "members" / "real,per_class=2,seed=0")["steps"] == 32
    assert of_real["test"] == of_synthetic["test"]
    assert sum(map(sum, of_synthetic["confusion"])) == 8
    assert of_synthetic["origin"]["run"].endswith("outputs/g")
    made = {path: path.stat().st_mtime_ns for path in folder.glob("members/*/checkpoints/*.pt")}
    again = inside(*command)
    assert again.out == first.out
    assert {path: path.stat().st_mtime_ns for path in folder.glob("members/*/checkpoints/*.pt")} == made


def test_an_unconditional_run_is_refused_in_one_line(inside):
    game = inside("gan-train", *OF_FOLDER, *LITTLE, "metric/extractor=raw", "name=u")
    assert game.code == 0, game.err
    refused = inside("gan-cas", "outputs/u", *QUICK)
    assert refused.code == 2
    (line,) = refused.err.splitlines()
    assert "outputs/u is unconditional" in line
