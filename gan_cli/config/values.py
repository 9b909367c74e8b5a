"""Plain values of a config against the annotations that say their types and ranges: complaints are in our words."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from gan_cli.errors import ConfigError

STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


def checked(value: Any, hint: Any, key: str, *others: str) -> Any:
    """The value in the type that `hint` annotates: a list becomes a tuple, a whole number a float where one is due.

    Raises `ConfigError` for any other type, and for a number out of range. `others` are words for what else could
    stand there.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(hint, config=STRICT)
    try:
        # As JSON, since yaml's values are JSON's: pydantic is strict about scalars and yet takes a list for a tuple.
        return adapter.validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        errors = error.errors()
    if errors[-1]["type"] == "missing":  # the last of a list says how long it would have to be
        errors = errors[-1:]
    # Of a union each member complains; the one that went farthest into the value was the nearest to taking it.
    places = [_place(value, details["loc"]) for details in errors]
    place, wrong = max(places, key=lambda found: len(found[0]))
    words = [_in_words(of, wrong, adapter) for of, found in zip(errors, places, strict=True) if found[0] == place]
    if not place:
        words = [*(word for word in words if word != "null"), *others]
        words += ["null"] if any(of in (None, type(None)) for of in (hint, *get_args(hint))) else []
    raise ConfigError(f"{key}{place}={shown(wrong)} must be {' or '.join(dict.fromkeys(filter(None, words)))}")


def shown(value: Any) -> str:
    """A value of a config as a message shows it."""
    return "null" if value is None else str(value)


def _place(value: Any, steps: Sequence[int | str]) -> tuple[str, Any]:
    """Where in the value an error lies, as the rest of its key, and what is there."""
    place = ""
    for step in steps:  # some of which are not of the value, but name a member of a union
        match value:
            case list() if isinstance(step, int) and step < len(value):
                place, value = f"{place}[{step}]", value[step]
            case dict() if step in value:
                place, value = f"{place}.{step}", value[step]
    return place, value


def _in_words(error: ErrorDetails, value: Any, adapter: TypeAdapter[Any]) -> str:
    """What the value must be; empty where yaml has nothing of the kind."""
    limits: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "int_type":
            return "a whole number"
        case "float_type" | "finite_number":
            return "a finite number"
        case "bool_type":
            return "true or false"
        case "string_type":
            return "text"
        case "none_required":
            return "null"
        case "list_type" | "tuple_type":
            return f"a list, such as [{value}]" if _takes([value], adapter) else "a list"
        case "dict_type":
            return "a mapping"
        case "literal_error":
            return f"one of {limits['expected']}".replace("'", "").replace(" or ", ", ")
        case "greater_than_equal":
            return f"at least {_number(limits['ge'])}"
        case "greater_than":
            return f"above {_number(limits['gt'])}"
        case "less_than_equal":
            return f"at most {_number(limits['le'])}"
        case "less_than":
            return f"below {_number(limits['lt'])}"
        case "missing" if isinstance(error["loc"][-1], int):
            return f"a list of {error['loc'][-1] + 1}"
        case "too_short":
            return f"a list of at least {limits['min_length']}"
        case "too_long":
            return f"a list of {'at most ' if limits['field_type'] != 'Tuple' else ''}{limits['max_length']}"
        case "is_instance_of" | "needs_python_object":
            return ""
        case _:
            return error["msg"].removeprefix("Input should be ")


def _takes(value: Any, adapter: TypeAdapter[Any]) -> bool:
    try:
        adapter.validate_json(json.dumps(value, default=str))
    except ValidationError:
        return False
    return True


def _number(limit: float) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)
