"""gan-attack: numbers with receipts, pictures, files, and what it refuses."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from gan_cli.assembly.classifiers import known_test_images
from gan_cli.attacks.gradient import FastGradient
from gan_cli.commands.attack import trial
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.folder import Folder
from gan_cli.errors import ConfigError
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
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


# What is measured


@pytest.mark.thorough
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
    assert inside(*command, "--8-bit").code == 2
    command = [*command[:4], "--attack=rubbish:clip=true"]
    assert inside(*command, "--limit=30").code == inside(*command, "--8-bit").code == 0
    assert len(json.loads((run / "evaluation.json").read_text())["receipts"]) == 18
    assert "error/fgsm:epsilon=0.2, first 30" in numbers(run)


def test_a_number_of_another_version_of_a_library_is_measured_anew(inside, run, monkeypatch):
    monkeypatch.setattr(FastGradient, "library", "a-library")
    for number in ("1.0", "1.0", "2.0"):
        monkeypatch.setattr(trial, "version", {"a-library": number}.__getitem__)
        assert inside("gan-attack", str(run)).code == 0
    found = json.loads((run / "evaluation.json").read_text())["receipts"]
    assert [receipt["options"]["library"] for receipt in found] == ["a-library 1.0", "a-library 2.0"]


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
    (warning,) = finished.err.splitlines()
    assert warning.endswith(f"the examples are those of {other} itself: nothing is transferred to it")


@pytest.mark.parametrize("made", [Path.symlink_to, lambda copy, run: shutil.copytree(run, copy)])
def test_a_classifier_is_not_tried_on_examples_of_its_own(inside, run, tmp_path, made):
    other = tmp_path / "other"
    made(other, run)
    finished = inside("gan-attack", str(run), "--attack", f"transfer:run={other}/../other")
    assert (finished.code, finished.out) == (2, "")
    assert f"the examples are those of {run} itself, as fgsm and pgd make them: name another run" in finished.err
    assert not (run / "evaluation.json").exists()


def test_an_interval_ends_at_nothing_and_at_all_and_equal_numbers_have_none(inside, run):
    finished = inside("gan-attack", str(run), "--attack=fgsm:epsilon=[0.0,1]", "--limit=1")
    assert re.findall(r"(\d+ \[\d+, \d+\])(?: +(\S+))? +1$", finished.out, re.MULTILINE) == [
        ("0 [0, 43]", ""),
        ("100 [57, 100]", f"{100 * numbers(run)['confidence/fgsm:epsilon=1, first 1']:.4g}"),
    ]


def test_images_are_written_by_class_and_read_back(inside, run, tmp_path):
    out = tmp_path / "made"
    command = ["gan-attack", str(run), "--attack=pgd:epsilon=0.1:steps=2", "--limit=20", "--8-bit", "--out", str(out)]
    assert inside(*command).code == 0
    node = options.option("dataset", f"folder:path={out}:resolution=8:channels=1")
    OmegaConf.resolve(node)
    images: Folder = build(node, Folder, "dataset")
    assert len(images) == 20
    assert set(images.classes) <= set(map(str, range(10)))
    # Within the budget, though each pixel is rounded.
    originals = known_test_images(run, read.config_of_run(run)).images[:20]
    order = sorted(range(20), key=lambda index: Path(images.files[index]).stem)
    assert 0 < (images.images[order].int() - originals.int()).abs().max() <= 25.5
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["attack"], manifest["run"]) == ("pgd:epsilon=0.1:steps=2, first 20, 8 bit", str(run))
    again = inside(*command)
    assert (again.code, "is not an empty folder" in again.err) == (2, True)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attack=fgsn"], "--attack fgsn is not an attack: did you mean fgsm?"),
        (["--attack=none"], "--attack none is not an attack"),
        (["--attack="], "--attack '' is not an attack: choose one of auto, fgsm"),
        (["--attack=fgsm:"], "--attack fgsm:: a colon has no key behind it: leave it out, or write fgsm:KEY=VALUE"),
        (["--attack=fgsm:epsilon=[0,0.1"], "): mend its values"),
        (["--attack=fgsm:epsilon=-0.1"], "--attack fgsm:epsilon=-0.1 must be at least 0"),
        (["--attack=fgsm:epsilon=[0.1,-0.1]"], "--attack fgsm:epsilon=-0.1 must be at least 0"),
        (["--attack=fgsm:epsilon"], "--attack fgsm:epsilon: epsilon has no value: write fgsm:epsilon=…"),
        (["--attack=fgsm:clip=false:clip"], "clip has no value: write fgsm:clip=…"),
        (["--attack=fgsm:epsilon=0.1:epsilon=0.2"], "epsilon is given twice: leave one out"),
        (["--attack=fgsm:epsilon=[]"], "holds no size"),
        (["--attack=fgsm:size=0.1"], "size is not a key of fgsm"),
        (["--attack=fgsm:epsilon=[0.1,0.1]"], "--attack fgsm:epsilon=0.1 is asked for twice"),
        (["--attack=pgd:norm=l7"], "--attack pgd:norm=l7"),
        (["--attack=fgsm:target=cat"], "--attack fgsm:target=cat is not a class"),
        (["--attack=fgsm:restarts=2"], "--attack fgsm:restarts=2 would all be the same"),
        (["--attack=transfer"], "run has no value: write transfer:run="),
        (["--attack=transfer:run=nowhere"], "--attack transfer:run=nowhere: nowhere is not the folder of a run"),
        (["--limit=0"], "--limit 0 must be at least 1"),
        (["--limit=41"], "--limit 41 is more than the 40 test images"),
        (["--seed=-1"], "--seed -1 must be at least 0"),
        (["--attack=fgsm:clip=false", "--out=made"], "set clip=true"),
        (["--attack=fgsm:clip=false", "--8-bit"], "set clip=true"),
        (["--attack=fgsm", "--attack=fgsm:target=0", "--limit=4"], "are all of the target"),
        (["--attack=fgsm", "--out=/proc/nope/x"], "--out /proc/nope/x cannot be written"),
        (["--config-dir=nope"], "--config-dir nope is not a folder"),
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


def test_numbers_are_shown_where_no_picture_can_be_written(inside, run, monkeypatch):
    def refuse(self, name, *content):
        raise ConfigError(f"{name} cannot be written")

    for operation in ("write_findings", "remove_findings"):
        monkeypatch.setattr(RunFolder, operation, refuse)
    for attack in ("fgsm", "rubbish"):
        finished = inside("gan-attack", str(run), f"--attack={attack}")
        assert finished.code == 0
        assert attack in finished.out
        assert "warning: attacks.png cannot be written" in finished.err


def test_runs_that_cannot_be_attacked_are_refused(inside, run, tmp_path):
    assert "is named twice" in inside("gan-attack", str(run), f"{run}/").err
    damaged = Path(shutil.copytree(run, tmp_path / "damaged"))
    (damaged / "evaluation.json").write_text("{")
    assert inside("gan-attack", str(run), str(damaged)).code == 2
    assert not (run / "evaluation.json").exists()
    assert "is not the folder of a run" in inside("gan-attack", str(tmp_path / "nowhere")).err
    other = Path(shutil.copytree(run, tmp_path / "other"))
    both = inside("gan-attack", str(run), str(other), "--attack=fgsm:epsilon=-1").err
    assert both == f"gan-attack: {run}: --attack fgsm:epsilon=-1 must be at least 0\n"
    found = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(found | {"dataset": "0" * 64}))
    assert "was trained or tested on other data" in inside("gan-attack", str(run)).err
    (run / "run.json").write_text(json.dumps(found | {"status": "interrupted"}))
    finished = inside("gan-attack", str(run))
    assert (finished.code, "is interrupted" in finished.err) == (2, True)
