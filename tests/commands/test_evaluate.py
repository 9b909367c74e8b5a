"""`gan-eval`: what it measures, the receipts it leaves, and what it refuses."""

import importlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_cli import sampling, sources
from gan_cli.files import file_digest
from gan_cli.metrics import sliced
from gan_cli.models.base import Generator
from gan_cli.runs import read, receipts
from gan_cli.runs.folder import RunFolder
from tests.helpers.commands import Command, call
from tests.helpers.configs import TINY
from tests.helpers.runs import record, train, tree

DIGITS = (
    "dataset=mnist5k",
    "model.generator.width=4",
    "model.critic.width=4",
    "train.batch_size=8",
    "optimizer.generator.lr=0.1",  # so that one step moves pixels by more than they are rounded
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders "ring" and "digits": a run of each, of two steps with a checkpoint each."""
    root = tmp_path_factory.mktemp("trained")
    for name, overrides in {"ring": TINY, "digits": DIGITS}.items():
        train(root / name, *overrides, "train.steps=2", "every.checkpoint=1")
    return root


@pytest.fixture
def ring(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "ring", tmp_path / "ring"))


@pytest.fixture
def digits(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "digits", tmp_path / "digits"))


QUESTION = ["--n=300", "--metric=frechet"]


@pytest.fixture(scope="module")
def asked(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of digits, after a question."""
    folder = Path(shutil.copytree(trained / "digits", tmp_path_factory.mktemp("asked") / "digits"))
    finished = call("gan-eval", str(folder), *QUESTION)
    assert finished.code == 0, finished.err
    return folder


def shown(table: str) -> set[str]:
    """The numbers in the table."""
    return {line.split()[0] for line in table.splitlines()[2:]}


# What it measures


@pytest.mark.thorough
def test_all_metrics_that_apply_are_measured_and_leave_receipts(ring: Path, inside: Command) -> None:
    finished = inside("gan-eval", str(ring), "--n", "2000")
    assert finished.code == 0, finished.err
    of_toys = {"modes", "high_quality_share", "exact", "sliced_wasserstein", "frechet_distance", "precision"}
    assert of_toys <= shown(finished.out)
    found = {receipt["metric"]: receipt for receipt in read.receipts(ring)}
    assert found["modes"]["options"] == {"samples": 2000, "radius": 3.0}
    assert found["modes"]["samples"]["generated"] == 2000
    assert found["modes"]["extractor"] is None
    assert "images" in found["neighbours"]["refused"]
    assert found["neighbours"]["numbers"] == {}
    receipt = found["frechet"]
    assert set(receipt["numbers"]["frechet_distance"]) == {"value", "error", "real"}
    circumstances = {"weights": "average", "step": 2, "seed": 0, "dtype": "float32", "extractor": "Raw", "split": None}
    assert receipt.items() >= circumstances.items()
    assert (ring / "checkpoints" / "step-0000002.pt.sha256").read_text().startswith(receipt["checkpoint_sha256"])
    assert {"gan-cli", "torch", "python"} <= receipt["versions"].keys()


@pytest.mark.thorough
def test_images_are_measured_by_the_classifier_of_their_data_set(digits: Path, inside: Command) -> None:
    finished = inside("gan-eval", str(digits), "--n", "200")
    assert finished.code == 0, finished.err
    of_images = {"frechet_distance", "kernel_distance", "recall", "coverage", "classifier_score", "memorised_share"}
    assert of_images <= shown(finished.out)
    found = {receipt["metric"]: receipt for receipt in read.receipts(digits)}
    assert found["frechet"]["extractor"] == "Classifier(weights=mnist)"
    assert len(found["frechet"]["extractor_sha256"]) == 64
    assert found["frechet"]["samples"] == {"generated": 200, "real": 200, "held_out": 200}
    assert found["frechet"]["dataset_sha256"] == record(digits)["dataset"]
    assert (digits / "neighbours.png").exists()


def test_a_metric_gives_the_same_numbers_alone_and_among_all(ring: Path, inside: Command, tmp_path: Path) -> None:
    again = Path(shutil.copytree(ring, tmp_path / "again"))
    inside("gan-eval", str(ring), "--n", "500")
    inside("gan-eval", str(again), "--n", "500", "--metric", "sliced_wasserstein", "--metric", "frechet")
    every, two = ({r["metric"]: r["numbers"] for r in read.receipts(folder)} for folder in (ring, again))
    assert two.keys() == {"sliced_wasserstein", "frechet"}
    assert {name: every[name] for name in two} == two


def numbers_of(folder: Path, tmp_path: Path, inside: Command, *more: str) -> dict[str, float]:
    copy = Path(shutil.copytree(folder, tmp_path / "-".join(["copy", *more])))
    metrics = [
        f"--metric={name}" for name in ("frechet", "kernel", "precision_recall", "class_histogram", "neighbours")
    ]
    finished = inside("gan-eval", str(copy), "--n=300", *metrics, *more)
    assert finished.code == 0, finished.err
    return {name: number["value"] for receipt in read.receipts(copy) for name, number in receipt["numbers"].items()}


@pytest.mark.thorough
def test_the_numbers_do_not_depend_on_the_batch_size(
    digits: Path, tmp_path: Path, inside: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = numbers_of(digits, tmp_path, inside)
    sizes = []
    generate = sampling.generate

    def noted(generator: Generator, latents: Tensor, labels: Tensor | None, batch_size: int) -> Tensor:
        sizes.append(len(latents))
        return generate(generator, latents, labels, batch_size)

    monkeypatch.setattr(sampling, "generate", noted)
    given = numbers_of(digits, tmp_path, inside, "--device=cpu", "--batch-size=37")
    assert given == pytest.approx(numbers, rel=1e-4, abs=1e-6)
    assert max(sizes) == 37


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_numbers_do_not_depend_on_the_device(digits: Path, tmp_path: Path, inside: Command) -> None:
    on_cpu, on_cuda = (numbers_of(digits, tmp_path, inside, f"--device={kind}") for kind in ("cpu", "cuda"))
    assert on_cuda == pytest.approx(on_cpu, rel=1e-4, abs=1e-6)


# Receipts


@pytest.mark.thorough
def test_the_same_question_is_answered_from_its_receipt_without_torch(ring: Path, inside: Command) -> None:
    first = inside("gan-eval", str(ring), "-n", "1000")
    before = tree(ring)
    program = f"""
import sys
sys.argv = ["gan-eval", {str(ring)!r}, "--n", "1000"]
from gan_cli import cli
cli.evaluate()
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == first.out
    assert tree(ring) == before


@pytest.mark.thorough
@pytest.mark.parametrize(
    "other", [["--seed=1"], ["--n=999"], ["--weights=raw"], ["--step=1"], ["--extractor=fashion_mnist"]]
)
def test_another_question_is_a_new_receipt(other: list[str], asked: Path, tmp_path: Path, inside: Command) -> None:
    digits = Path(shutil.copytree(asked, tmp_path / "digits"))
    ask = [str(digits), *QUESTION]
    assert len(read.receipts(digits)) == 1
    for question, count in ((ask + other, 2), (ask + other, 2), (ask, 2)):
        finished = inside("gan-eval", *question)
        assert finished.code == 0, finished.err
        assert len(read.receipts(digits)) == count
    first, second = read.receipts(digits)
    assert first["numbers"] != second["numbers"]
    unlike = receipts.circumstances(first) != receipts.circumstances(second)
    assert unlike == (other != ["--step=1"])


@pytest.mark.thorough
def test_features_that_were_made_for_other_data_are_warned_of(digits: Path, inside: Command) -> None:
    warned = "metric.extractor was made for clothes, and the data show digits"
    for metric, told in (("frechet", True), ("neighbours", False)):
        finished = inside("gan-eval", str(digits), "--n=200", f"--metric={metric}", "--extractor=fashion_mnist")
        assert (finished.code, warned in finished.err) == (0, told)


@pytest.mark.thorough
def test_no_extractor_is_asked_where_none_is_used(digits: Path, inside: Command) -> None:
    for extractor in ("mnist", "raw"):
        assert inside("gan-eval", str(digits), "--n=200", "--metric=neighbours", f"--extractor={extractor}").code == 0
    assert len(read.receipts(digits)) == 1


def test_receipts_of_processes_side_by_side_are_all_kept(ring: Path) -> None:
    def add(index: int) -> None:
        RunFolder(ring).add_receipt({"metric": str(index), "numbers": {}, "samples": {}}, {"figure.png": b"png"})

    threads = [threading.Thread(target=add, args=(index,)) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {receipt["metric"] for receipt in read.receipts(ring)} == {str(i) for i in range(20)}


def test_a_number_that_is_infinite_survives_its_receipt(ring: Path) -> None:
    numbers = {"exact": {"value": float("inf"), "error": None}}
    RunFolder(ring).add_receipt({"metric": "exact", "numbers": numbers, "samples": {}}, {})
    assert read.receipts(ring)[0]["numbers"]["exact"] == {"value": float("inf"), "error": None}


# What goes wrong


def test_the_checkpoint_before_a_damaged_one_is_measured_and_named(ring: Path, inside: Command) -> None:
    (ring / "checkpoints" / "step-0000002.pt").write_bytes(b"damaged")
    finished = inside("gan-eval", str(ring), "--metric=modes")
    assert finished.code == 0
    assert "step-0000002.pt is damaged" in finished.err
    assert inside("gan-eval", str(ring), "--metric=modes").out == finished.out
    assert [receipt["step"] for receipt in read.receipts(ring)] == [1]


@pytest.mark.thorough
def test_without_the_weights_of_an_extractor_the_other_numbers_still_come(
    digits: Path, inside: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("torch_fidelity")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    finished = inside("gan-eval", str(digits), "--n=200", "--extractor=inception")
    assert finished.code == 2
    assert finished.err.count("could not be downloaded (no network)") == 1
    assert finished.err.count("downloading ") == 1  # which takes long where a name server does not answer
    assert "metric.extractor.weights=PATH" in finished.err
    assert "memorised_share" in shown(finished.out)
    assert "frechet_distance" not in shown(finished.out)


BAD = {
    "nowhere": (["RUN/nowhere"], "nowhere is not the folder of a run"),
    "metric": (["RUN", "--metric=frechett"], "--metric frechett is not a metric: did you mean frechet?"),
    "extractor": (["RUN", "--extractor=mnits"], "mnits is not a metric/extractor: did you mean mnist?"),
    "weights": (["RUN", "--extractor=inception:weights=W.pth"], "metric.extractor.weights=W.pth is not a file"),
    "n": (["RUN", "--n=1"], "--n 1 must be at least 2"),
    "n text": (["RUN", "--n=many"], "argument -n/--n: invalid int value: 'many'"),
    "seed": (["RUN", "--seed=-1"], "--seed -1 must be at least 0"),
    "step": (["RUN", "--step=7"], "has no checkpoint of step 7, only of: 1, 2"),
    "split": (["RUN", "--split=test", "--metric=frechet"], "--split=test is not one of the data: Mnist5k has one part"),
    "not applicable": (["RUN", "--metric=modes"], "metric.modes: needs a mixture of Gaussians"),
    "one of two": (["RUN", "--metric=neighbours", "--metric=modes"], "metric.modes: needs a mixture of Gaussians"),
    "too few": (["RUN", "--metric=precision_recall", "--n=4"], "metric.precision_recall"),
    "too many": (["RUN", "--metric=frechet", f"--n={10**12}"], "metric.frechet: not enough memory"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(case: str, digits: Path, inside: Command) -> None:
    arguments, message = BAD[case]
    run_folder = digits
    before = tree(run_folder)
    finished = inside("gan-eval", *(argument.replace("RUN", str(run_folder)) for argument in arguments))
    assert finished.code == 2
    (line,) = [line for line in finished.err.splitlines() if not line.startswith("measuring")]
    assert line.startswith("gan-eval: ")
    assert message in line
    assert finished.out == ""
    assert tree(run_folder) == before


REFUSED = {
    "split": (["--split=test"], "--split=test is not one of the data: Mnist5k has one part only: leave --split out"),
    "split that is the default's": (["--split=train"], "--split=train is not one of the data"),
    "weights": (["--extractor=inception:weights=W.pth"], "metric.extractor.weights=W.pth is not a file"),
    "option": (["--extractor=mnist:weights=letters"], "metric.extractor.weights=letters must be one of mnist"),
    "step": (["--step=7"], "has no checkpoint of step 7, only of: 1, 2"),
    "metric": (["--metric=modes"], "metric.modes: needs a mixture of Gaussians"),
    "device": (["--device=cuda"], "device.kind=cuda, but torch finds no CUDA device"),
}
"""What is asked beside two metrics that are known, one of which looks neither at features nor at the split."""

KNOWN = ["--n=200", "--metric=frechet", "--metric=neighbours"]


@pytest.fixture(scope="module")
def measured(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of digits, with receipts of all metrics that apply to it."""
    folder = Path(shutil.copytree(trained / "digits", tmp_path_factory.mktemp("measured") / "digits"))
    finished = call("gan-eval", str(folder), "--n=200")
    assert finished.code == 0, finished.err
    return folder


@pytest.mark.thorough
@pytest.mark.parametrize("case", REFUSED)
def test_a_question_that_cannot_be_asked_is_refused_though_there_are_receipts(
    case: str, measured: Path, inside: Command
) -> None:
    if case == "device" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    known = ["gan-eval", str(measured), *KNOWN]
    more, message = REFUSED[case]
    before = tree(measured)
    finished = inside(*known, *more)
    assert (finished.code, finished.out) == (2, "")
    assert message in finished.err
    assert tree(measured) == before
    assert inside(*known).code == 0


def test_a_damaged_checkpoint_is_not_vouched_for_by_receipts(ring: Path, inside: Command) -> None:
    ask = ["gan-eval", str(ring), "--metric=modes"]
    assert inside(*ask).out.startswith("step 2,")
    (ring / "checkpoints" / "step-0000002.pt").write_bytes(b"damaged")
    assert inside(*ask).out.startswith("step 1,")
    finished = inside(*ask, "--step=2")
    assert (finished.code, finished.out) == (2, "")
    assert "step-0000002.pt is damaged" in finished.err


@pytest.mark.thorough
def test_what_a_question_says_beside_a_number_costs_no_new_measurement(digits: Path, inside: Command) -> None:
    assert inside("gan-eval", str(digits), "--n=200", "--metric=neighbours", "--device=cpu").code == 0
    (receipt,) = read.receipts(digits)
    assert receipt["asked"] == {"split": None, "extractor": "Classifier(weights=mnist)"} | {
        "extractor_sha256": receipt["asked"]["extractor_sha256"]
    }
    for more in (["--extractor=raw"], ["--extractor=mnist"], ["--device=auto"]):
        finished = inside("gan-eval", str(digits), "--n=200", "--metric=neighbours", *more)
        assert "measuring" not in finished.err
        assert "memorised_share" in shown(finished.out)
    assert read.receipts(digits) == [receipt]


def test_a_receipt_of_other_code_does_not_answer(ring: Path, inside: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither that of the metric, nor that of what it imports, nor that of the extractor."""
    ask = ["gan-eval", str(ring), "--n=200", "--metric=frechet", "--metric=modes"]
    for changed, measured in (("distances", ["frechet"]), ("raw", ["frechet"]), ("modes", ["modes"]), ("parzen", [])):
        assert inside(*ask).code == 0
        assert "measuring" not in inside(*ask).err
        with monkeypatch.context() as patched:
            patched.setattr(
                sources, "file_digest", lambda path, name=changed: "0" * 64 if path.stem == name else file_digest(path)
            )
            said = inside(*ask).err.splitlines()
        assert said == [f"measuring {metric}" for metric in measured]


def test_no_optimizer_is_built_to_measure(ring: Path, inside: Command) -> None:
    config = ring / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("torch.optim.Adam", "torch.optim.Nothing"))
    assert inside("gan-eval", str(ring), "--metric=modes").code == 0


@pytest.mark.parametrize("damage", ['{"receipts": [', "[" * 100_000, '{"receipts": [{"metric": "modes"}]}', "[]"])
def test_damaged_receipts_are_neither_used_nor_overwritten(damage: str, ring: Path, inside: Command) -> None:
    (ring / "evaluation.json").write_text(damage)
    before = tree(ring)
    finished = inside("gan-eval", str(ring))
    assert finished.code == 2
    assert "evaluation.json is damaged: restore it, or remove it to measure anew" in finished.err
    assert tree(ring) == before


def test_other_data_than_the_run_was_trained_on_are_refused(digits: Path, inside: Command) -> None:
    (digits / "run.json").write_text(json.dumps(record(digits) | {"dataset": "0" * 64}))
    finished = inside("gan-eval", str(digits), "--n=200")
    assert finished.code == 2
    assert "was trained on other data" in finished.err


def test_a_run_without_a_checkpoint_is_asked_to_wait(ring: Path, inside: Command) -> None:
    shutil.rmtree(ring / "checkpoints")
    finished = inside("gan-eval", str(ring))
    assert finished.code == 2
    assert "has no checkpoint yet: wait for its first" in finished.err


def test_a_number_that_fails_keeps_back_no_other(ring: Path, inside: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("within")

    monkeypatch.setattr(sliced.SlicedWasserstein, "__call__", broken)
    finished = inside("gan-eval", str(ring), "--n=500")
    assert finished.code == 1
    (line,) = [line for line in finished.err.splitlines() if line.startswith("gan-eval: ")]
    assert "metric.sliced_wasserstein failed: KeyError: 'within'" in line
    assert {"modes", "frechet_distance"} <= shown(finished.out)


def test_a_number_whose_receipt_cannot_be_kept_is_shown(
    ring: Path, inside: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = tree(ring)
    monkeypatch.setattr("gan_cli.files.os.fsync", full)
    finished = inside("gan-eval", str(ring), "--metric=modes")
    assert finished.code == 1
    assert "evaluation.json cannot be written (No space left on device): free some space" in finished.err
    assert "modes" in shown(finished.out)
    assert {name for name in tree(ring).keys() - before.keys() if "lock" not in name} == set()


def test_a_generator_that_is_not_finite_has_no_numbers(ring: Path, inside: Command) -> None:
    path = ring / "checkpoints" / "step-0000002.pt"
    saved = torch.load(path, weights_only=True)
    for tensor in saved["average"].values():
        tensor.fill_(3e38)
    torch.save(saved, path)
    path.with_name(path.name + ".sha256").write_text(f"{file_digest(path)}  {path.name}\n")
    finished = inside("gan-eval", str(ring), "--metric=modes", "--metric=precision_recall")
    assert (finished.code, finished.out) == (3, "")
    assert finished.err.splitlines()[-1] == "gan-eval: diverged: samples of the generator are not finite"


MINE = """
from gan_cli.metrics.base import Measured, Metric


class One(Metric):
    def __call__(self, subject):
        return {"one": Measured(1.0)}
"""


def test_a_metric_whose_code_has_changed_is_measured_again(
    ring: Path, inside: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "metric_of_mine.py"
    module.write_text(MINE)
    config = ring / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("metric:\n", "metric:\n  one:\n    _target_: metric_of_mine.One\n"))
    inside("gan-eval", str(ring), "--metric=one", "--allow=metric_of_mine")
    module.write_text(MINE.replace("1.0", "-2.5"))
    sys.modules.pop("metric_of_mine")
    importlib.invalidate_caches()
    assert "-2.5" in inside("gan-eval", str(ring), "--metric=one", "--allow=metric_of_mine").out
    first, second = read.receipts(ring)
    assert receipts.circumstances(first) != receipts.circumstances(second)
