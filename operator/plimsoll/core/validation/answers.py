"""Reading what a model answered over HTTP, in order to judge it: JSON, perhaps with outputs in binary form behind it.

`core.inference` reads answers in order to store and rewrite them, and refuses whatever it could not write again. Here
only what is certainly wrong may be called wrong, since a model is rolled back for it: NaN is read, so that its place
can be told, and what the rules do not ask for is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.outputs import Output

_NO_JSON: Final = re.compile(rb"nan|inf", re.IGNORECASE)
"""How NaN and infinity are written where they are: no JSON, but model servers write them."""


class Unreadable(ValueError):  # noqa: N818 - what the answer is
    """It is no answer of the protocol. The text completes the sentence "The answer ..."."""


def read_answer(body: bytes, header_length: int | None) -> tuple[Output, ...]:
    """Returns the outputs of an answer.

    Args:
        body: After decompression.
        header_length: Value of Inference-Header-Content-Length; None where all of it is JSON.

    Raises:
        Unreadable: It is none.
    """
    length = len(body) if header_length is None else header_length
    if not 0 <= length <= len(body):
        raise Unreadable(f"announces {length} bytes of JSON and has {len(body)} bytes")
    document = parsed(body[:length])
    outputs = document.get("outputs") if isinstance(document, dict) else None
    if not isinstance(outputs, list):
        raise Unreadable("has no list of outputs")
    at = length
    read: list[Output] = []
    for one in outputs:
        size = _binary_size(one)
        if size > len(body) - at:
            raise Unreadable(f"announces {size} bytes of an output and has {len(body) - at}")
        read.append(_output(one, body[at : at + size] if size >= 0 else None))
        at += max(size, 0)
    if at < len(body):
        raise Unreadable(f"has {len(body) - at} bytes that belong to no output")
    return tuple(read)


def parsed(header: bytes) -> Any:
    """Returns JSON in which NaN and infinity may stand.

    Raises:
        Unreadable: It is none.
    """
    try:
        return orjson.loads(header)
    except orjson.JSONDecodeError as error:
        # The standard library's reader takes NaN and Infinity, at ten times the cost.
        if _NO_JSON.search(header):
            with suppress(ValueError, RecursionError):
                return json.loads(header)
        raise Unreadable("is no JSON") from error


def _binary_size(output: Any) -> int:
    parameters = output.get("parameters") if isinstance(output, dict) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return -1
    if type(size) is not int or size < 0:
        raise Unreadable("says no size of an output's data")
    return size


def _output(output: Any, data: bytes | None) -> Output:
    name = output.get("name") if isinstance(output, dict) else None
    shape = output.get("shape") if isinstance(output, dict) else None
    if not isinstance(name, str) or not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise Unreadable("has an output without a name or a shape")
    kind = output.get("datatype")
    data_type = DataType(kind) if isinstance(kind, str) and kind in DataType.__members__ else None
    return Output(name, data_type, tuple(shape), data, None if data is not None else _flat(output.get("data")))


def _flat(values: Any) -> Sequence[object]:
    """Opens lists level by level; the depth is bounded by the reader of JSON."""
    if not isinstance(values, list):
        return ()
    rows: list[Any] = values
    while rows and all(isinstance(row, list) for row in rows):
        rows = [value for row in rows for value in row]
    return rows
