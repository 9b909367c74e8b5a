"""gan-attack: numbers with receipts, pictures, files, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from gan_cli.commands.attack.asked import attacks
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.config.options import CONFIGS
from gan_cli.datasets.folder import Folder
from tests.commands.test_classify import train
from tests.helpers.runs import tree


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("attacked") / "run")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def receipts(run: Path) -> dict[str, dict]:
    found = json.loads((run / "evaluation.json").read_text())["receipts"]
    return {receipt["metric"]: receipt for receipt in found}


def numbers(run: Path) -> dict[str, float]:
    return {name: number["value"] for of in receipts(run).values() for name, number in of["numbers"].items()}


# What is asked


def test_a_list_of_sizes_is_a_curve():
    asked = attacks(["fgsm:epsilon=[0,.05,0.1]:clip=false", "pgd:restarts=10", "rubbish"], [CONFIGS])
    assert [one.name for one in asked] == [
        "fgsm:epsilon=0:clip=false",
        "fgsm:epsilon=0.05:clip=false",
        "fgsm:epsilon=0.1:clip=false",
        "pgd:epsilon=0.3:restarts=10",
        "rubbish",
    ]
    assert [one.curve for one in asked] == ["fgsm:clip=false"] * 3 + ["pgd:restarts=10", "rubbish"]
    assert [one.epsilon for one in asked] == [0, 0.05, 0.1, 0.3, None]


# What is measured


def test_errors_grow_with_the_budget_and_have_receipts_that_answer_the_next_time(inside, run):
    command = [
        "gan-attack",
        str(run),
        "--attack",
        "fgsm:epsilon=[0,0.05,0.2]",
        "--attack",
        "noise:epsilon=0.2",
        "--attack",
        "rubbish",
    ]
    first = inside(*command)
    assert first.code == 0, first.err
    found = numbers(run)
    errors = [found[f"error/fgsm:epsilon={size}"] for size in ("0", "0.05", "0.2")]
    assert sorted(errors) == errors
    accuracy = json.loads((run / "run.json").read_text())["final"]["accuracy"]
    assert errors[0] == pytest.approx(1 - accuracy)
    assert errors[-1] > found["error/noise:epsilon=0.2"] + 0.2 > errors[0] + 0.2
    assert all(0 < value <= 1 for name, value in found.items() if name.startswith("confidence/"))
    assert {receipt["samples"]["held_out"] for receipt in receipts(run).values()} == {40}
    assert {"attacks.png", "adversarial.png"} <= set(tree(run))
    before = (run / "evaluation.json").read_bytes()
    assert inside(*command).out == first.out
    assert (run / "evaluation.json").read_bytes() == before
    assert inside(*command, "--seed=1").code == 0
    assert len(json.loads((run / "evaluation.json").read_text())["receipts"]) == 10


def test_a_target_is_asked_of_the_images_of_other_classes(inside, run):
    finished = inside("gan-attack", str(run), "--attack", "fgsm:target=3:epsilon=0.5")
    assert finished.code == 0, finished.err
    (receipt,) = receipts(run).values()
    assert receipt["samples"] == {"held_out": 36}
    assert receipt["numbers"]["error/fgsm:epsilon=0.5:target=3"]["value"] > 0.2


def test_runs_are_compared_and_examples_of_one_tried_on_another(inside, run, tmp_path):
    other = train(tmp_path / "other", "seed=1")
    finished = inside(
        "gan-attack", str(run), str(other), "--attack", f"transfer:run={other}:epsilon=0.2", "--attack=fgsm:epsilon=0.2"
    )
    assert finished.code == 0, finished.err
    name = f"error/transfer:epsilon=0.2:run={other}"
    # Its own examples are those of the fast gradient sign method.
    assert numbers(other)[name] == numbers(other)["error/fgsm:epsilon=0.2"] >= numbers(run)[name] > 0.3
    assert finished.out.count(str(other)) >= 4


def test_images_are_written_by_class_and_read_back(inside, run, tmp_path):
    out = tmp_path / "made"
    command = ["gan-attack", str(run), "--attack=pgd:epsilon=0.1:steps=2", "--limit=20", "--8-bit", "--out", str(out)]
    assert inside(*command).code == 0
    node = options.option("dataset", f"folder:path={out}:resolution=8:channels=1")
    OmegaConf.resolve(node)
    images: Folder = build(node, Folder, "dataset")
    assert len(images) == 20
    assert set(images.classes) <= set(map(str, range(10)))
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["attack"], manifest["run"]) == ("pgd:epsilon=0.1:steps=2", str(run))
    again = inside(*command)
    assert (again.code, "is not an empty folder" in again.err) == (2, True)


# What speaks for masked gradients


def test_an_attack_that_is_weaker_than_noise_is_told_of(inside, run):
    """No step along the gradient, and the whole range in every pixel."""
    weak = "pgd:epsilon=1.0:step_size=0.0:steps=1:random_start=false"
    finished = inside("gan-attack", str(run), "--attack", weak, "--attack=noise:epsilon=1", "--attack=fgsm:epsilon=1")
    assert finished.code == 0, finished.err
    signs = [line for line in finished.out.splitlines() if line.startswith("gradient masking?")]
    assert any("is weaker than noise:epsilon=1" in sign for sign in signs)
    assert any("may change every pixel into any other, and leaves" in sign for sign in signs)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attack=fgsn"], "--attack fgsn is not an attack: did you mean fgsm?"),
        (["--attack=none"], "--attack none is not an attack"),
        (["--attack=fgsm:epsilon=-0.1"], "fgsm.epsilon=-0.1 must be at least 0"),
        (["--attack=fgsm:epsilon=[0.1,-0.1]"], "fgsm.epsilon=-0.1 must be at least 0"),
        (["--attack=fgsm:epsilon=[]"], "holds no size"),
        (["--attack=fgsm:size=0.1"], "size is not a key of fgsm"),
        (["--attack=fgsm:epsilon=[0.1,0.1]"], "--attack fgsm:epsilon=0.1 is asked for twice"),
        (["--attack=pgd:norm=l7"], "norm=l7"),
        (["--attack=fgsm:target=cat"], "target=cat is not a class"),
        (["--attack=fgsm:restarts=2"], "would all be the same"),
        (["--attack=transfer"], "run has no value: write transfer:run="),
        (["--attack=transfer:run=nowhere"], "nowhere is not the folder of a run"),
        (["--limit=0"], "--limit 0 must be at least 1"),
        (["--limit=41"], "--limit 41 is more than the 40 test images"),
        (["--seed=-1"], "--seed -1 must be at least 0"),
        (["--attack=fgsm:clip=false", "--out=made"], "set clip=true"),
        (["--attack=fgsm:epsilon=[0,1]", "--out=made"], "one attack of one size"),
        (["--device=cuda"], "device.kind=cuda"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(inside, trained, arguments, message, tmp_path, monkeypatch):
    if arguments == ["--device=cuda"] and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    monkeypatch.chdir(tmp_path)
    before = tree(trained)
    finished = inside("gan-attack", str(trained), *arguments)
    assert (finished.code, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert message in line
    assert tree(trained) == before
    assert not list(tmp_path.iterdir())


def test_runs_that_cannot_be_attacked_are_refused(inside, run, tmp_path):
    assert "is not the folder of a run" in inside("gan-attack", str(tmp_path / "nowhere")).err
    found = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(found | {"dataset": "0" * 64}))
    assert "was trained or tested on other data" in inside("gan-attack", str(run)).err
    (run / "run.json").write_text(json.dumps(found | {"status": "interrupted"}))
    finished = inside("gan-attack", str(run))
    assert (finished.code, "is interrupted" in finished.err) == (2, True)
