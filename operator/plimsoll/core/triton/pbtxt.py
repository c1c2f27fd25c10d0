"""Write a ModelConfig as protobuf text, in the schema's order, so that equal configurations are equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plimsoll.core.triton.schema import INTEGER_KEYED_MAPS, MESSAGES, ROOT, Arity, FieldType, Kind

_INDENT = "  "
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def write_config(config: Mapping[str, Any]) -> str:
    """Render a ModelConfig with snake_case field names.

    Args:
        config: As `overrides.normalize` and `config.model_config` make it: every field is in the schema.
    """
    return "".join(f"{line}\n" for line in _message(config, ROOT))


def quote(text: str) -> str:
    """Quote a string for protobuf text: bytes outside printable ASCII become octal escapes of their UTF-8."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if " " <= character <= "~":
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))


def _message(values: Mapping[str, Any], message: str) -> Iterator[str]:
    for name, field in MESSAGES[message].items():
        if name in values:
            yield from _field(name, field, values[name])


def _field(name: str, field: FieldType, value: Any) -> Iterator[str]:
    match field.arity:
        case Arity.ONE:
            yield from _single(name, field, value)
        case Arity.LIST if field.kind is Kind.MESSAGE:
            for item in value:
                yield from _single(name, field, item)
        case Arity.LIST:
            yield f"{name}: [{', '.join(_scalar(field, item) for item in value)}]"
        case Arity.MAP:
            for key in sorted(value):
                yield from _block(name, _entry(name, field, key, value[key]))


def _entry(name: str, field: FieldType, key: str, value: Any) -> Iterator[str]:
    yield f"key: {key if name in INTEGER_KEYED_MAPS else quote(key)}"
    yield from _single("value", field, value)


def _single(name: str, field: FieldType, value: Any) -> Iterator[str]:
    if field.kind is Kind.MESSAGE:
        yield from _block(name, _message(value, field.name))
    else:
        yield f"{name}: {_scalar(field, value)}"


def _block(name: str, body: Iterator[str]) -> Iterator[str]:
    lines = list(body)
    if not lines:
        yield f"{name} {{}}"
        return
    yield f"{name} {{"
    yield from (_INDENT + line for line in lines)
    yield "}"


def _scalar(field: FieldType, value: Any) -> str:
    match field.kind:
        case Kind.STRING | Kind.FILE | Kind.COMPONENT:
            return quote(value)
        case Kind.BOOLEAN:
            return "true" if value else "false"
        case Kind.ENUM | Kind.INTEGER | Kind.NUMBER:
            return str(value)
        case Kind.MESSAGE:
            raise TypeError("a message is written as a block, not as a scalar")
