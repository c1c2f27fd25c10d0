"""Read the `config.pbtxt` of a repository: enough to name its entry model, to lay overrides over it and to probe it.

Protobuf text is read as a tree of named values first, without the schema, so that a field of a newer Triton does not
make a repository unreadable as long as nobody asks to rewrite its configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from plimsoll.core.triton.pbtxt import quote
from plimsoll.core.triton.schema import ENUMS, MESSAGES, ROOT, TEXT, Arity, FieldType, Kind
from plimsoll.errors import Invalid

_MAX_DEPTH: Final = 32
_TOKEN: Final = re.compile(
    r"""(?P<space>[\s,;]+|\#[^\n]*)
      |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      |(?P<word>[-+]?[A-Za-z0-9_.][A-Za-z0-9_.+-]*)
      |(?P<mark>[{}<>:\[\]])""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_NAMED_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_CLOSING: Final = {"{": "}", "<": ">"}


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted value."""

    value: str


@dataclass(frozen=True, slots=True)
class Word:
    """An unquoted value: a number, a boolean or a name."""

    value: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message; `start` and `end` delimit its value in the text."""

    name: str
    value: Text | Word | Message
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Message:
    """The fields of a message in the order of the text; a repeated field occurs several times."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def parse(text: str) -> Message:
    """Parse protobuf text.

    Raises:
        Invalid: `CorruptModel`, with the line.
    """
    return _Parser(text).document()


def rename(text: str, name: str) -> str:
    """Change the model's name in its configuration and nothing else; without a name Triton takes the folder's."""
    for field in parse(text).fields:
        if field.name == "name":
            return text[: field.start] + quote(name) + text[field.end :]
    return text


def to_config(message: Message) -> dict[str, Any]:
    """Give a parsed configuration the form `pbtxt.write_config` takes.

    Raises:
        Invalid: `CorruptModel` for a field or value that is not in the schema.
    """
    return _typed(message, ROOT)


def known_fields(message: Message) -> dict[str, Any]:
    """As `to_config`, leaving out what the schema does not know."""
    fields = tuple(field for field in message.fields if field.name in MESSAGES[ROOT])
    return _typed(Message(fields), ROOT)


def _typed(message: Message, kind: str) -> dict[str, Any]:
    known = MESSAGES[kind]
    result: dict[str, Any] = {}
    for field in message.fields:
        if field.name not in known:
            raise _unreadable(f"the field '{field.name[:60]}' is not known")
        schema = known[field.name]
        match schema.arity:
            case Arity.ONE:
                result[field.name] = _value(field, schema)
            case Arity.LIST:
                result.setdefault(field.name, []).append(_value(field, schema))
            case Arity.MAP:
                key, value = _entry(field, schema)
                result.setdefault(field.name, {})[key] = value
    return result


def _entry(field: Field, schema: FieldType) -> tuple[str, Any]:
    if not isinstance(field.value, Message):
        raise _unreadable(f"the map '{field.name}' holds a plain value")
    parts = {part.name: part for part in field.value.fields}
    key = parts.get("key")
    if key is None or isinstance(key.value, Message) or "value" not in parts:
        raise _unreadable(f"an entry of the map '{field.name}' lacks its key or value")
    return key.value.value, _value(parts["value"], schema)


def _value(field: Field, schema: FieldType) -> Any:
    value = field.value
    if schema.kind is Kind.MESSAGE and isinstance(value, Message):
        return _typed(value, schema.name)
    if schema.kind in TEXT and isinstance(value, Text):
        return value.value
    if isinstance(value, Word):
        return _word(field.name, value.value, schema)
    raise _unreadable(f"the field '{field.name}' has a value of the wrong kind")


def _word(name: str, word: str, schema: FieldType) -> Any:
    try:
        if schema.kind is Kind.INTEGER:
            return int(word, 0)
        if schema.kind is Kind.NUMBER:
            return float(word.rstrip("fF"))
    except ValueError as error:
        raise _unreadable(f"the field '{name}' is not a number") from error
    if schema.kind is Kind.BOOLEAN and word.lower() in ("true", "false", "1", "0", "t", "f"):
        return word.lower() in ("true", "1", "t")
    if schema.kind is Kind.ENUM and word in ENUMS[schema.name]:
        return word
    raise _unreadable(f"the field '{name}' has the value '{word[:60]}'")


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    def document(self) -> Message:
        fields = self._fields("", 0)
        return Message(fields)

    def _fields(self, closing: str, depth: int) -> tuple[Field, ...]:
        if depth > _MAX_DEPTH:
            raise _unreadable(f"it is nested more than {_MAX_DEPTH} levels deep")
        fields: list[Field] = []
        while (token := self._required() if closing else self._next()) is not None and token.text != closing:
            if token.kind != "word":
                raise _unreadable(f"'{token.text[:60]}' stands where a field's name belongs")
            fields.extend(self._values(token.text, depth))
        return tuple(fields)

    def _values(self, name: str, depth: int) -> Iterator[Field]:
        token = self._required()
        colon = token.text == ":" and token.kind == "mark"
        if colon:
            token = self._required()
        if token.kind == "mark" and token.text == "[":
            while (token := self._required()).text != "]" or token.kind != "mark":
                yield self._value(name, token, depth)
            return
        if not colon and token.text not in _CLOSING:
            raise _unreadable(f"the field '{name[:60]}' has no value")
        yield self._value(name, token, depth)

    def _value(self, name: str, token: _Token, depth: int) -> Field:
        if token.kind == "mark":
            if token.text not in _CLOSING:
                raise _unreadable(f"'{token.text}' stands where the value of '{name[:60]}' belongs")
            message = Message(self._fields(_CLOSING[token.text], depth + 1))
            return Field(name, message, token.start, self._tokens[self._position - 1].end)
        if token.kind == "word":
            return Field(name, Word(token.text), token.start, token.end)
        parts, end = [token.text], token.end
        while self._position < len(self._tokens) and self._tokens[self._position].kind == "string":
            parts.append(self._tokens[self._position].text)
            end = self._tokens[self._position].end
            self._position += 1
        return Field(name, Text("".join(_unquoted(part) for part in parts)), token.start, end)

    def _next(self) -> _Token | None:
        if self._position < len(self._tokens):
            self._position += 1
            return self._tokens[self._position - 1]
        return None

    def _required(self) -> _Token:
        token = self._next()
        if token is None:
            raise _unreadable("it ends in the middle of a field")
        return token


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            line = text.count("\n", 0, position) + 1
            raise _unreadable(f"line {line} holds '{text[position]}', which is not protobuf text")
        position = match.end()
        if match.lastgroup != "space":
            yield _Token(match.lastgroup, match.group(), match.start(), match.end())


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text[1:-1].encode()).decode("utf-8", "replace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    escape = match.group(1)
    if escape[:1].isdigit():
        return bytes([int(escape, 8) & 0xFF])
    if escape[:1] == b"x" and len(escape) > 1:
        return bytes([int(escape[1:], 16)])
    return _NAMED_ESCAPES.get(escape, escape)


def _unreadable(what: str) -> Invalid:
    return Invalid(
        "CorruptModel", f"config.pbtxt of the repository cannot be read: {what}. Correct it and publish again."
    )
