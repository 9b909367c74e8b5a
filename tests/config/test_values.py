"""What pydantic finds wrong with a value, in the words of this program."""

import random
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
import torch
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf

from gan_cli.config.values import checked
from gan_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("hint", "value", "passed_on"),
    [
        (int, 3, 3),
        (int, 2**70, 2**70),
        (float, 3, 3.0),
        (float | torch.Tensor, 0.1, 0.1),
        (bool, True, True),
        (str, "naïve ✓", "naïve ✓"),
        (None, None, None),
        (Any, {"a": [1, None]}, {"a": [1, None]}),
        (Literal["a", "b"], "b", "b"),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[float, float], [1, 0.5], (1.0, 0.5)),
        (Sequence[float], [1, 0.5], [1.0, 0.5]),
        (Mapping[str, Sequence[str]], {"a": ["x"]}, {"a": ["x"]}),
        (Annotated[int, Ge(0), Le(1)], 1, 1),
        (Annotated[float, Gt(0), Lt(1)] | None, 0.5, 0.5),
    ],
)
def test_a_value_becomes_what_is_annotated(hint, value, passed_on):
    found = checked(value, hint, "key")
    assert found == passed_on
    assert type(found) is type(passed_on)


def test_floats_keep_every_bit():
    source = random.Random(0)
    drawn = (struct.unpack("d", source.randbytes(8))[0] for _ in range(2000))
    finite = [number for number in drawn if abs(number) < float("inf")]
    assert len(finite) > 1900
    assert checked(finite, Sequence[float], "key") == finite


@pytest.mark.parametrize(
    ("hint", "value", "complaint"),
    [
        (int, "3", "key=3 must be a whole number"),
        (int, True, "key=True must be a whole number"),
        (int, 1.0, "key=1.0 must be a whole number"),
        (int, None, "key=null must be a whole number"),
        (float, True, "key=True must be a finite number"),
        (float, float("-inf"), "key=-inf must be a finite number"),
        (float | torch.Tensor, "fast", "key=fast must be a finite number"),
        (bool, 1, "key=1 must be true or false"),
        (str, 1, "key=1 must be text"),
        (str | None, 1, "key=1 must be text or null"),
        (None, 1, "key=1 must be null"),
        (int | str, 1.5, "key=1.5 must be a whole number or text"),
        (Literal["a", "b", "c"], "d", "key=d must be one of a, b, c"),
        (Literal["a"], "d", "key=d must be one of a"),
        (Sequence[int], 1, "key=1 must be a list, such as [1]"),
        (Sequence[int], "x", "key=x must be a list"),
        (Sequence[int] | None, "x", "key=x must be a list or null"),
        (Sequence[int] | None, [1, "x"], "key[1]=x must be a whole number"),
        (Sequence[int], [None], "key[0]=null must be a whole number"),
        (tuple[int, int], 3, "key=3 must be a list"),
        (tuple[int, int], [1], "key=[1] must be a list of 2"),
        (tuple[int, int, int], [], "key=[] must be a list of 3"),
        (tuple[int, int], [1, 2, 3], "key=[1, 2, 3] must be a list of 2"),
        (Annotated[Sequence[int], MinLen(1)], [], "key=[] must be a list of at least 1"),
        (Annotated[Sequence[int], MaxLen(1)], [1, 2], "key=[1, 2] must be a list of at most 1"),
        (Mapping[str, int], [1], "key=[1] must be a mapping"),
        (Mapping[str, int], {"a": "x"}, "key.a=x must be a whole number"),
        (Mapping[str, Sequence[int]], {"a": [1, "x"]}, "key.a[1]=x must be a whole number"),
        (Annotated[int, Ge(1)], 0, "key=0 must be at least 1"),
        (Annotated[int, Le(1000000)], 1000001, "key=1000001 must be at most 1000000"),
        (Annotated[float, Ge(0.5)], 0, "key=0 must be at least 0.5"),
        (Annotated[float, Gt(0)], 0, "key=0 must be above 0"),
        (Annotated[float, Gt(0), Lt(1)], 1, "key=1 must be below 1"),
        (Annotated[int, Ge(1)] | None, 0, "key=0 must be at least 1 or null"),
        (Annotated[int, MultipleOf(8)], 12, "key=12 must be a multiple of 8"),
    ],
)
def test_any_other_is_refused_in_one_line(hint, value, complaint):
    with pytest.raises(ConfigError) as caught:
        checked(value, hint, "key")
    assert str(caught.value) == complaint


def test_what_else_could_stand_there_is_said_before_null():
    with pytest.raises(ConfigError, match=r"^key=x must be a finite number or a schedule or null$"):
        checked("x", float | None, "key", "a schedule")
