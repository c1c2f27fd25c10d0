"""What users write into `spec.model.config`: checked against Triton's own schema, then laid over the defaults.

A configuration can make Triton run code: `parameters` of the Python backend (`EXECUTION_ENV_PATH`), libraries of custom
operations, the model itself. That is the model owner's to choose, and runs in a pod without a token, credentials,
capabilities or a writable root file system. Only names that lead out of the folders they belong to are
refused: files outside the model's own, and backends that were not installed with Triton. A repository's own
`config.pbtxt` is part of what its digest names, and is not searched for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from plimsoll.core.triton.schema import (
    ENUMS,
    INTEGER_KEYED_MAPS,
    MESSAGES,
    ROOT,
    Arity,
    FieldType,
    Kind,
    camel_case,
)
from plimsoll.errors import Invalid

PREFIX: Final = "spec.model.config"
_MAX_DEPTH: Final = 12  # the schema's deepest path has 6 messages
_SCHEDULERS: Final = ("dynamic_batching", "sequence_batching", "ensemble_scheduling")  # Triton takes one of them

_REFUSED: Final = {
    "name": "the public name of a model is metadata.name",
    "version_policy": "one revision serves exactly one version",
}


def normalize(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Turn Triton ModelConfig JSON, camelCase or snake_case, into snake_case with checked types.

    A `null` stays `None`: it takes a default away.

    Raises:
        Invalid: `InvalidConfig`, naming the field.
    """
    for name, reason in _REFUSED.items():
        if name in overrides or camel_case(name) in overrides:
            raise Invalid("InvalidConfig", f"{PREFIX}.{camel_case(name)} cannot be set: {reason}. Remove it.")
    config = _message(overrides, ROOT, PREFIX, 0)
    if (config.get("response_cache") or {}).get("enable"):
        raise Invalid(
            "InvalidConfig",
            f"{PREFIX}.responseCache.enable cannot be true: Triton's cache answers a repeated failing request with an "
            f"empty success, and answers from the old model after a reload. Remove it.",
        )
    return config


def merge(defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Lay normalized overrides over defaults: messages deeply, inputs and outputs by name, other lists as a whole."""
    merged = dict(defaults)
    if any(overrides.get(name) is not None for name in _SCHEDULERS):
        for name in _SCHEDULERS:
            if name not in overrides:
                merged.pop(name, None)
    for name, value in overrides.items():
        if value is None:
            merged.pop(name, None)
        elif name in ("input", "output"):
            merged[name] = _merge_named(merged.get(name, []), value)
        elif isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def _merge_named(defaults: list[dict[str, Any]], overrides: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_name = {item.get("name", ""): item for item in overrides}
    merged = [merge(item, by_name.pop(item["name"], {})) for item in defaults]
    return [*merged, *by_name.values()]


def _message(values: Any, message: str, path: str, depth: int) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise _wrong(path, "an object", values)
    if depth > _MAX_DEPTH:
        raise Invalid("InvalidConfig", f"{path} is nested more than {_MAX_DEPTH} levels deep.")
    known = {alias: name for name in MESSAGES[message] for alias in (name, camel_case(name))}
    result: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise Invalid("InvalidConfig", _unknown(path, key, message))
        name = known[key]
        if name in result:
            raise Invalid("InvalidConfig", f"{path}.{camel_case(name)} is given twice, in camelCase and snake_case.")
        result[name] = None if value is None else _field(name, value, MESSAGES[message][name], f"{path}.{key}", depth)
    return result


def _field(name: str, value: Any, field: FieldType, path: str, depth: int) -> Any:
    match field.arity:
        case Arity.ONE:
            return _value(value, field, path, depth)
        case Arity.LIST:
            if not isinstance(value, list):
                raise _wrong(path, "a list", value)
            return [_value(item, field, f"{path}[{index}]", depth) for index, item in enumerate(value)]
        case Arity.MAP:
            if not isinstance(value, Mapping):
                raise _wrong(path, "an object", value)
            return {_key(name, key, path): _value(item, field, f"{path}.{key}", depth) for key, item in value.items()}


def _key(name: str, key: Any, path: str) -> str:
    if name in INTEGER_KEYED_MAPS and not str(key).isdecimal():
        raise _wrong(f"{path} key", "a whole number", key)
    return str(key)


def _value(value: Any, field: FieldType, path: str, depth: int) -> Any:
    match field.kind:
        case Kind.MESSAGE:
            return _message(value, field.name, path, depth + 1)
        case Kind.INTEGER:
            return _integer(value, path)
        case Kind.ENUM:
            return _checked(value, value in ENUMS[field.name], path, f"one of {', '.join(ENUMS[field.name])}")
        case Kind.BOOLEAN:
            return _checked(value, isinstance(value, bool), path, "true or false")
        case Kind.STRING | Kind.FILE | Kind.COMPONENT:
            return _text(value, field.kind, path)
        case Kind.NUMBER:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return _checked(value, number, path, "a number")


def _text(value: Any, kind: Kind, path: str) -> Any:
    if not isinstance(value, str):
        raise _wrong(path, "a string", value)
    parts = value.split("/")
    if kind is Kind.FILE and ("" in parts[:-1] or ".." in parts):
        raise _wrong(path, "a path inside the model's own folder, without '..'", value)
    if kind is Kind.COMPONENT and (len(parts) > 1 or value in (".", "..")):
        raise _wrong(path, "a name without '/'", value)
    return value


def _checked(value: Any, accepted: bool, path: str, wanted: str) -> Any:  # noqa: FBT001 - the test itself is the argument
    if not accepted:
        raise _wrong(path, wanted, value)
    return value


def _integer(value: Any, path: str) -> int:
    """Accept 64 and "64": the JSON form of protobuf writes 64-bit integers as strings."""
    longest = 20  # digits and sign of a 64-bit integer
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) <= longest:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise _wrong(path, "a whole number", value)
    return value


def _wrong(path: str, wanted: str, value: Any) -> Invalid:
    shown = 60  # characters: enough to find it, too few to fill the condition
    return Invalid("InvalidConfig", f"{path} must be {wanted}, not {str(value)[:shown]!r}.")


def _unknown(path: str, key: str, message: str) -> str:
    fields = ", ".join(camel_case(name) for name in MESSAGES[message]) or "none"
    return f"{path}.{str(key)[:60]} is not a field of Triton's ModelConfig. Fields here: {fields}."
