"""Numbers in JSON and back."""

import json
import math

import pytest

from gan_cli.runs.numbers import from_json, in_json, number


def test_what_is_written_is_read_again():
    value = {"a": [1, math.inf, {"b": (-math.inf, 0.5)}], "c": "words", "d": None, "e": True}
    written = in_json(value)
    assert written == {"a": [1, "Infinity", {"b": ["-Infinity", 0.5]}], "c": "words", "d": None, "e": True}
    json.dumps(written, allow_nan=False)
    assert from_json(written) == {"a": [1, math.inf, {"b": [-math.inf, 0.5]}], "c": "words", "d": None, "e": True}
    assert in_json(math.nan) == "NaN"
    assert math.isnan(from_json("NaN"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0),
        (0.5, 0.5),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        ("3", None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_a_number_is_one_as_our_files_have_it(value, expected):
    assert number(value) == expected
