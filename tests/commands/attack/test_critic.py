"""gan-attack on games: numbers with receipts, pictures, files, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gan_cli.commands.attack.asked import attacks
from gan_cli.commands.attack.critic import figure, text
from gan_cli.commands.attack.critic.results import OfCritic, Unmoved
from gan_cli.commands.attack.masking import signs_of_masking
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.config.options import CONFIGS
from gan_cli.datasets.folder import Folder
from gan_cli.divergences.penalties import R1R2, InterpolateOneSided, Promise
from tests.commands.test_classify import train as train_classifier
from tests.helpers import figures
from tests.helpers.configs import TINY
from tests.helpers.runs import train, tree

DIGITS = (
    "dataset=mnist5k",
    "dataset.resolution=8",
    "dataset.per_class=6",
    "model.generator.width=4",
    "model.critic.width=4",
    "train.batch_size=8",
    "train.steps=2",
    "metric=[]",
)
LIMIT = "--limit=20"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("attacked") / "run", *DIGITS)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def receipts(run: Path) -> list[dict]:
    return json.loads((run / "evaluation.json").read_text())["receipts"]


def numbers(run: Path) -> dict[str, float]:
    return {name: number["value"] for of in receipts(run) for name, number in of["numbers"].items()}


# What is measured


@pytest.mark.thorough
def test_scores_move_further_with_the_budget_and_receipts_answer_the_next_time(inside, run):
    command = ["gan-attack", str(run), "--attack=fgsm:epsilon=[0,0.05,0.2]", "--attack=noise:epsilon=0.2"]
    before = tree(run / "checkpoints")
    first = inside(*command)
    assert first.code == 0, first.err
    found = numbers(run)
    for side in ("real", "generated"):
        moves = [found[f"moved/{side}/fgsm:epsilon={size}"] for size in ("0", "0.05", "0.2")]
        assert 0 == moves[0] < moves[1] < moves[2]
        assert moves[2] > found[f"moved/{side}/noise:epsilon=0.2"]
        # A change cannot be worth more than its length along the steepest direction, nearly so for a small one.
        assert 0 < found[f"slope/{side}/fgsm:epsilon=0.05"] < 1.2 * found[f"gradient/{side}"]
    assert found["passed/none"] == found["passed/fgsm:epsilon=0"] <= found["passed/fgsm:epsilon=0.2"]
    assert {"score/real", "score/generated", "gradient/between"} <= found.keys()
    assert receipts(run)[0]["metric"] == "critic"
    assert all(receipt["samples"] == {"real": 60, "generated": 60} for receipt in receipts(run))
    assert all(number["error"] is not None for receipt in receipts(run) for number in receipt["numbers"].values())
    assert {"attacks.png", "adversarial.png"} <= set(tree(run))
    assert tree(run / "checkpoints") == before

    kept = (run / "evaluation.json").read_bytes()
    assert inside(*command).out == first.out
    assert (run / "evaluation.json").read_bytes() == kept
    for changed, count in ((["--seed=1"], 10), ([LIMIT], 15), (["--8-bit"], 20)):
        assert inside(*command, *changed).code == 0
        assert len(receipts(run)) == count
    assert {"moved/real/fgsm:epsilon=0.2, 20 samples", "score/real, 8 bit"} <= numbers(run).keys()
    assert inside("gan-report", str(run), "--out", str(run.parent / "report.md")).code == 0


def test_a_conditional_critic_is_attacked_under_the_labels_of_its_samples(inside, tmp_path):
    run = train(tmp_path / "run", *DIGITS, "model.conditional=true")
    finished = inside("gan-attack", str(run), "--attack=pgd:epsilon=0.1:steps=2:restarts=2", LIMIT)
    assert finished.code == 0, finished.err
    found = numbers(run)
    assert found["moved/real/pgd:epsilon=0.1:steps=2:restarts=2, 20 samples"] > 0


def test_runs_are_compared_each_beside_the_promise_of_its_penalty(inside, run, tmp_path):
    other = train(tmp_path / "other", *DIGITS, "divergence=wgan_gp")
    finished = inside("gan-attack", str(run), str(other), LIMIT)
    assert finished.code == 0, finished.err
    of_run, of_other, *table = finished.out.splitlines()
    assert of_run.startswith(f"{run}: 20 real samples score ")
    assert of_run.endswith("the penalty promises 0 at real samples")
    assert of_other.endswith("the penalty promises 1 between them")
    assert [line.split()[:2] for line in table[1:5]] == [
        [str(run), "none"],
        [str(run), "fgsm:epsilon=0.25,"],
        [str(other), "none"],
        [str(other), "fgsm:epsilon=0.25,"],
    ]


@pytest.mark.thorough
def test_images_are_written_by_side_and_read_back(inside, run, tmp_path):
    out = tmp_path / "made"
    finished = inside("gan-attack", str(run), "--attack=fgsm:epsilon=0.1", LIMIT, "--out", str(out))
    assert finished.code == 0, finished.err
    node = options.option("dataset", f"folder:path={out}:resolution=8:channels=1")
    OmegaConf.resolve(node)
    images: Folder = build(node, Folder, "dataset")
    assert len(images) == 40
    assert list(images.classes) == ["generated", "real"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["attack"] == "fgsm:epsilon=0.1, 20 samples, 8 bit"
    assert manifest["classes"]["real"] == {"folder": "real", "images": 20}
    # An earlier receipt spares the numbers, not the images.
    again = tmp_path / "again"
    assert inside("gan-attack", str(run), "--attack=fgsm:epsilon=0.1", LIMIT, "--out", str(again)).code == 0
    assert tree(again) == tree(out)
    assert len(receipts(run)) == 2


# What is said and drawn


def result(name: str, real: float, generated: float, gap: float = 2.0, promise: Promise | None = None) -> OfCritic:
    (asked,) = attacks([name], [CONFIGS])
    values = {f"moved/real/{name}": real, f"moved/generated/{name}": generated, f"passed/{name}": 0.25}
    as_they_are = {"score/real": gap - 1, "score/generated": -1.0, "passed/none": 0.125}
    as_they_are |= {f"gradient/{place}": 0.5 for place in ("real", "generated", "between")}

    def receipt(of: dict[str, float]) -> dict:
        numbers = {name: {"value": value, "error": 0.03, "real": None} for name, value in of.items()}
        return {"numbers": numbers, "samples": {"real": 100, "generated": 100}}

    return OfCritic(Path("r"), asked, name, receipt(values), Unmoved(receipt(as_they_are), "", promise))


def test_movements_are_told_in_gaps_with_the_error_of_both():
    gaps = result("fgsm:epsilon=0.2", 3.0, 1.0).in_gaps("real")
    assert gaps is not None
    assert gaps.value == 1.5
    assert gaps.error == pytest.approx(1.5 * ((0.03 / 3) ** 2 + 2 * (0.03 / 2) ** 2) ** 0.5)
    # Without a gap, or by chance, there is nothing to measure by.
    assert result("fgsm:epsilon=0.2", 3.0, 1.0, gap=0.08).in_gaps("real") is None
    assert result("fgsm:epsilon=0.2", 3.0, 1.0, gap=-2.0).in_gaps("real") is None
    assert "1.5" in text.as_text([result("fgsm:epsilon=0.2", 3.0, 1.0)]).splitlines()[3]


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        (None, "no penalty promises a slope"),
        (R1R2.promise, "the penalty promises 0 at real samples and at generated ones"),
        (InterpolateOneSided.promise, "the penalty promises at most 1 between them"),
    ],
)
def test_what_a_penalty_promises_stands_beside_the_slope(promise, words):
    first = text.as_text([result("fgsm:epsilon=0.2", 3.0, 1.0, promise=promise)]).splitlines()[0]
    assert first == (
        "r: 100 real samples score 1.000 ± 0.059, as many generated ones -1.000 ± 0.059;"
        f" slope 0.500 ± 0.059 between them; {words}"
    )


@pytest.mark.parametrize("weak", [(0.3, 1.0), (1.0, 0.3)])
def test_an_attack_that_is_weaker_on_either_side_than_it_can_be_is_told_of(weak):
    strong = result("noise:epsilon=0.2", 0.5, 0.5)
    assert list(signs_of_masking([result("fgsm:epsilon=0.2", *weak), strong])) == [
        "r: fgsm:epsilon=0.2 is weaker than noise:epsilon=0.2"
    ]
    assert not list(signs_of_masking([result("fgsm:epsilon=0.2", 0.49, 0.6), strong]))
    assert not list(signs_of_masking([result("pgd:epsilon=1.0", 0.1, 0.1)]))


def test_curves_are_of_movements_in_gaps_and_of_what_passes():
    of = [result(f"fgsm:epsilon={size}", 10 * size, 4 * size) for size in (0.2, 0.1)]
    moves, passes = figures.caught(lambda: figure.curves(of)).axes
    (real, generated), (passed,) = (
        [line.get_xydata().tolist() for line in axes.lines[::3]] for axes in (moves, passes)
    )
    assert real == [[0.1, pytest.approx(0.5)], [0.2, pytest.approx(1.0)]]
    assert generated == [[0.1, pytest.approx(0.2)], [0.2, pytest.approx(0.4)]]
    assert passed == [[0.1, 25.0], [0.2, 25.0]]
    assert moves.get_legend_handles_labels()[1] == ["fgsm, real down", "fgsm, generated up"]
    assert figure.curves([]) is None


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attack=rubbish"], "--attack rubbish has nothing left of real and generated images"),
        (["--attack=transfer:run=nowhere"], "a classifier's examples are not for the critic of a game: choose fgsm"),
        (["--attack=fgsm:target=3"], "target=3 is for classifiers, a critic has no classes: leave it out"),
        (["--attack=pgd:target=cat"], "target=cat is for classifiers"),
        (["--attack=fgsm:epsilon=-0.1"], "--attack fgsm:epsilon=-0.1 must be at least 0"),
        (["--limit=61"], "--limit 61 is more than the 60 images that train"),
        (["--limit=0"], "--limit 0 must be at least 1"),
        (["--seed=-1"], "--seed -1 must be at least 0"),
        (["--attack=fgsm:clip=false", "--8-bit"], "set clip=true"),
        (["--attack=fgsm:epsilon=[0,1]", "--out=made"], "one attack of one size"),
        (["--attack=fgsm", "--out=/proc/nope/x"], "--out /proc/nope/x cannot be written"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(inside, trained, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tree(trained)
    assert message in refused(inside("gan-attack", str(trained), *arguments))
    assert tree(trained) == before
    assert not list(tmp_path.iterdir())


def refused(finished) -> str:
    assert (finished.code, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    return str(line)


def test_attacks_that_ask_for_logits_are_refused(inside, run):
    pytest.importorskip("pyautoattack")
    line = refused(inside("gan-attack", str(run), "--attack=auto"))
    assert "--attack auto asks for the logits of a classifier, and a critic has none: choose fgsm, pgd or noise" in line


def test_runs_that_cannot_be_attacked_are_refused(inside, run, tmp_path):
    classifier = train_classifier(tmp_path / "classifier")
    for order in ([run, classifier], [classifier, run]):
        line = refused(inside("gan-attack", *map(str, order)))
        assert f"{classifier} is the run of a classifier and {run} that of a game: attack one kind at a time" in line
    points = train(tmp_path / "points", *TINY, "train.steps=1")
    assert "draws points, and attacks change images" in refused(inside("gan-attack", str(points)))
    packed = train(tmp_path / "packed", *DIGITS, "train.packing=2")
    assert "has train.packing=2, whose critic has no score of one sample" in refused(inside("gan-attack", str(packed)))
    damaged = Path(shutil.copytree(run, tmp_path / "damaged"))
    (damaged / "evaluation.json").write_text("{")
    assert refused(inside("gan-attack", str(run), str(damaged)))
    assert not (run / "evaluation.json").exists()
    found = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(found | {"dataset": "0" * 64}))
    assert "was trained on other data" in refused(inside("gan-attack", str(run)))
    (run / "run.json").write_text(json.dumps(found))
    shutil.rmtree(run / "checkpoints")
    assert "checkpoint" in refused(inside("gan-attack", str(run)))
