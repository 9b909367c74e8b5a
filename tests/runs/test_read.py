"""The files of a run's folder: read, missing, damaged, and in the way."""

import json
import math

import pytest

from gan_cli.errors import ConfigError
from gan_cli.runs import read
from gan_cli.runs.receipts import is_receipt

RECEIPT = {"metric": "m", "step": 3, "versions": {}, "numbers": {"m": {"value": 0.5}}, "samples": {}}


def damage(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def block(path):
    """A folder in the place of a file, which nobody can read as one."""
    path.mkdir(parents=True)


def test_what_is_not_there_is_empty(tmp_path):
    assert read.config(tmp_path) is None
    assert (read.record(tmp_path), read.metrics(tmp_path), read.receipts(tmp_path)) == ({}, [], [])
    assert read.checkpoints(tmp_path) == []


def test_a_config_that_cannot_be_used_is_named_with_the_remedy(tmp_path):
    damage(tmp_path / "damaged" / read.CONFIG, "[1, 2]")
    with pytest.raises(ConfigError, match=r"config\.yaml is damaged: restore it, or choose another run$"):
        read.config(tmp_path / "damaged")
    block(tmp_path / "blocked" / read.CONFIG)
    with pytest.raises(ConfigError, match=r"config\.yaml cannot be read \(Is a directory\): choose another name=…$"):
        read.config(tmp_path / "blocked")


def test_receipts_that_cannot_be_used_are_named_with_the_remedy(tmp_path):
    path = tmp_path / read.RECEIPTS
    for text in ("{", "[]", '{"receipts": 3}', json.dumps({"receipts": [RECEIPT, {"metric": 1}]})):
        damage(path, text)
        with pytest.raises(ConfigError, match=r"\.json is damaged: restore it, or remove it to measure anew$"):
            read.receipts(tmp_path)
    path.unlink()
    block(path)
    with pytest.raises(ConfigError, match=r"evaluation\.json cannot be read \(Is a directory\): mend that$"):
        read.receipts(tmp_path)


def test_receipts_are_read_with_their_infinite_numbers(tmp_path):
    infinite = RECEIPT | {"numbers": {"m": {"value": "Infinity"}}}
    damage(tmp_path / read.RECEIPTS, json.dumps({"receipts": [RECEIPT, infinite]}))
    assert read.receipts(tmp_path) == [RECEIPT, RECEIPT | {"numbers": {"m": {"value": math.inf}}}]


@pytest.mark.parametrize(
    "change",
    [
        {"metric": 1},
        {"step": "3"},
        {"versions": None},
        {"numbers": [0.5]},
        {"numbers": {"m": 0.5}},
        {"numbers": {"m": {"value": "much"}}},
        {"samples": None},
    ],
    ids=str,
)
def test_a_receipt_has_every_part_that_is_relied_on(change):
    assert is_receipt(RECEIPT)
    assert is_receipt({name: value for name, value in RECEIPT.items() if name not in ("step", "versions")})
    assert not is_receipt(RECEIPT | change)
    assert not is_receipt([RECEIPT])


def test_lines_are_in_the_order_of_steps_the_later_of_two_of_a_step_counts_and_damaged_ones_are_counted():
    text = (
        '{"step": 2, "a": 1}\n{"step": 1, "a": "Infinity"}\n{"step": 2, "a": 3}\nnoise\n[1]\n{"step": 1.0}\n{"step": tr'
    )
    assert read.lines(text) == ([{"step": 1, "a": math.inf}, {"step": 2, "a": 3}], 4)


def test_text_is_utf_8_and_what_is_not_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_bytes("θ".encode() + b"\xff")
    assert read.text_of(path) == "θ\ufffd"
    assert read.text_of(tmp_path / "none") is None
    assert read.text_of(path / "beneath a file") is None


def test_checkpoints_and_digests_are_found_by_their_steps(tmp_path):
    path = read.checkpoint_path(tmp_path, 12)
    assert path == tmp_path / "checkpoints" / "step-0000012.pt"
    assert read.step_of(path) == 12
    damage(read.digest_path(path), "abc  step-0000012.pt\n")
    assert read.digest_of(path) == "abc"
    read.digest_path(path).write_text("")
    with pytest.raises(ValueError, match="is empty"):
        read.digest_of(path)
    with pytest.raises(ConfigError, match="has no checkpoint of step 12, only of: none"):
        read.checkpoint_of(tmp_path, 12)
