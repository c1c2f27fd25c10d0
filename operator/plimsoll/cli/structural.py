"""Holds a value against the structural schema of the CRD, as the API server does at admission, and says what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from plimsoll.cli.problems import Problem, joined

Schema = Mapping[str, Any]
_Check = Callable[[Any, Schema, str], Iterator[Problem]]

_IN_WORDS = {bool: "a boolean", int: "an integer", float: "a number with a fraction", str: "a string", list: "a list"}
_PYTHON_TYPES: Mapping[str, type] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
_EXPECTED = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "integer": "an integer",
    "boolean": "a boolean",
}


def check(value: Any, schema: Schema, path: str = "") -> Iterator[Problem]:
    """Yields what is wrong with `value`, which is at `path`; rules in CEL are not evaluated here."""
    wrong = _wrong_type(value, schema)
    if wrong:
        yield Problem(path, wrong)
        return
    if "enum" in schema and value not in schema["enum"]:
        yield Problem(path, f"must be one of {', '.join(schema['enum'])}, not {value}{_meant(value, schema['enum'])}")
    yield from _CHECKS[type(value)](value, schema, path)


def _wrong_type(value: Any, schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        fits, expected = isinstance(value, (int, str)) and not isinstance(value, bool), "a quantity such as 500m or 2Gi"
    else:
        fits, expected = type(value) is _PYTHON_TYPES[schema["type"]], _EXPECTED[schema["type"]]
    if fits:
        return ""
    got = "empty" if value is None else _IN_WORDS.get(type(value), "an object")
    return f"must be {expected}, but is {got}{_way_out(value, schema)}"


def _way_out(value: Any, schema: Schema) -> str:
    text = schema.get("type") == "string"
    if isinstance(value, bool) and text:
        return " (YAML reads yes, no, on, off, true and false so); put it in quotes"
    if isinstance(value, float) and schema.get("x-kubernetes-int-or-string"):
        return "; write it with a unit, for example 500m"
    if value is None:
        return "; give a value or remove the field"
    return "; put it in quotes" if isinstance(value, (int, float)) and text else ""


def _check_object(value: dict[str, Any], schema: Schema, path: str) -> Iterator[Problem]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield Problem(joined(path, name), "is required")
    if len(value) > schema.get("maxProperties", len(value)):
        yield Problem(path, f"has {len(value)} entries; at most {schema['maxProperties']} are allowed")
    for name, child in value.items():
        below = properties.get(name, schema.get("additionalProperties"))
        if below:
            if child is not None or "default" not in below:
                yield from check(child, below, joined(path, name))
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield unknown_field(joined(path, name), name, properties)


def unknown_field(path: str, name: str, known: Iterable[str]) -> Problem:
    """Returns the problem of a field that does not exist, in kubectl's words, with the nearest name that does."""
    return Problem(path, f'unknown field "{path}"; remove it{_meant(name, known)}')


def _meant(name: object, known: Iterable[str]) -> str:
    lowered = {option.lower(): option for option in known}
    near = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.5)
    return f" (did you mean {lowered[near[0]]}?)" if near else ""


def _check_list(value: list[Any], schema: Schema, path: str) -> Iterator[Problem]:
    if len(value) > schema.get("maxItems", len(value)):
        yield Problem(path, f"has {len(value)} entries; at most {schema['maxItems']} are allowed")
    if len(value) < schema.get("minItems", 0):
        yield Problem(path, f"has {len(value)} entries; at least {schema['minItems']} must be given")
    for index, item in enumerate(value):
        yield from check(item, schema["items"], f"{path}[{index}]")
    yield from _duplicates(value, schema, path)


def _duplicates(value: list[Any], schema: Schema, path: str) -> Iterator[Problem]:
    match schema.get("x-kubernetes-list-type"):
        case "map":
            keys = schema["x-kubernetes-list-map-keys"]
            identities = [[item.get(key) for key in keys] for item in value if isinstance(item, dict)]
        case "set":
            identities = [[item] for item in value]
        case _:
            return
    for index, identity in enumerate(identities):
        if identity in identities[:index]:
            yield Problem(f"{path}[{index}]", f"repeats {', '.join(map(str, identity))}; each may be given once")


def _check_text(value: str, schema: Schema, path: str) -> Iterator[Problem]:
    if len(value) > schema.get("maxLength", len(value)):
        yield Problem(path, f"has {len(value)} characters; at most {schema['maxLength']} are allowed")
    if len(value) < schema.get("minLength", 0):
        yield Problem(path, "must not be empty")
    # In Python alone, $ also matches before a line break at the end.
    elif "pattern" in schema and not re.search(re.sub(r"\$$", r"\\Z", schema["pattern"]), value):
        yield Problem(path, f"{value!r} must match {schema['pattern']}")


def _check_number(value: float, schema: Schema, path: str) -> Iterator[Problem]:
    if value < schema.get("minimum", value):
        yield Problem(path, f"is {value}; at least {schema['minimum']} is allowed")
    if value > schema.get("maximum", value):
        yield Problem(path, f"is {value}; at most {schema['maximum']} is allowed")


def _check_nothing(_value: Any, _schema: Schema, _path: str) -> Iterator[Problem]:
    yield from ()


_CHECKS: Mapping[type, _Check] = {
    dict: _check_object,
    list: _check_list,
    str: _check_text,
    int: _check_number,
    float: _check_number,
    bool: _check_nothing,
    type(None): _check_nothing,
}
