"""What the folder of a run tells, damaged or not."""

import json
import math

from gan_cli.runs.find import Found
from gan_cli.runs.run import Run, told
from tests.helpers import synthetic_runs as synthetic


def test_a_folder_tells_what_it_holds(tmp_path):
    receipts = [synthetic.receipt() | {"step": step} for step in (100, 50)]
    receipts[0]["numbers"] = {"fid": {"value": "Infinity", "error": None}}
    folder = synthetic.write(
        tmp_path / "a",
        "kl",
        seed=4,
        receipts=receipts,
        checkpoints={100: "digest"},
        pictures={20: synthetic.digits(0), 10: synthetic.digits(1)},
    )
    run = told(Found(folder, "a"))
    assert (run.path, run.name, run.seed, run.step, run.is_study) == (folder, "a", 4, 100, False)
    assert run.choices["divergence"] == "kl"
    assert "hydra.job" not in run.choices
    assert {"divergence", "seed"} <= run.overridden
    assert [receipt["step"] for receipt in run.receipts] == [50, 100]
    assert run.receipts[1]["numbers"]["fid"] == {"value": math.inf, "error": None}
    assert run.checkpoints == {100: "digest"}
    assert list(run.pictures) == [10, 20]
    assert run.problems == []


def test_two_runs_share_nothing(tmp_path):
    """Also where nothing was told of them."""
    first, second = Run(tmp_path, "a"), Run(tmp_path, "b")
    fields = [name for name, value in vars(first).items() if isinstance(value, dict | list | set)]
    assert len(fields) == 9
    for name in fields:
        assert getattr(first, name) is not getattr(second, name)
        assert not getattr(first, name)


def test_the_last_step_is_that_of_whichever_file_is_ahead(tmp_path):
    for recorded, logged, expected in ((7, 5, 7), (5, 7, 7), (None, 7, 7), (5, None, 5), (None, None, None)):
        run = Run(tmp_path, "a", record={} if recorded is None else {"step": recorded})
        run.metrics = [] if logged is None else [{"step": 1}, {"step": logged}]
        assert run.step == expected


def test_receipts_that_lack_a_part_are_counted(tmp_path):
    whole = synthetic.receipt()
    damaged = [
        {name: value for name, value in whole.items() if name != part} for part in ("step", "versions", "numbers")
    ]
    folder = synthetic.write(tmp_path / "a", receipts=[whole, *damaged])
    run = told(Found(folder, "a"))
    assert len(run.receipts) == 1
    assert run.problems == ["evaluation.json: 3 damaged receipts skipped"]


def test_the_seed_is_known_from_the_record_where_the_config_is_lost(tmp_path):
    folder = synthetic.write(tmp_path / "a", seed=5)
    (folder / ".hydra" / "config.yaml").unlink()
    run = told(Found(folder, "a"))
    assert run.seed == 5
    assert run.problems == ["there is no config"]
    assert json.loads((folder / "run.json").read_text())["seed"] == 5
