"""The key of an answer: which revision was asked what.

The revision is part of it, so that a new one can never answer from an old one's entries, and going back finds the old
ones. Each part stands after its kind or its length, so that no two requests run together into the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from operator import attrgetter
from typing import Final

from plimsoll.core.inference.request import InferRequest, Parameter, RequestedOutput, Tensor

KEY_BYTES: Final = 32
_QUESTION: Final = b"plimsoll-ask-1"
_FORM: Final = b"plimsoll-cache-1"
"""These change with whatever goes into a key, so that gateways of two versions can share a store."""
_COUNT: Final = struct.Struct("<Q")


def question_of(request: InferRequest, declared: Iterable[str] = ()) -> bytes:
    """Returns what a request asks, of whichever revision: `KEY_BYTES` of BLAKE2b (RFC 7693).

    It depends neither on the request's id nor on how it was written: order of members and of inputs, spelling of
    numbers, transport, encoding.

    Args:
        request: What is asked.
        declared: Names of the parameters that the answer depends on; others are left out.
    """
    digest = blake2b(_text(request.version), digest_size=KEY_BYTES, person=_QUESTION)
    digest.update(_COUNT.pack(len(request.inputs)))
    for tensor in sorted(request.inputs, key=attrgetter("name")):
        digest.update(_head(tensor))
        digest.update(tensor.data)
    digest.update(_COUNT.pack(len(request.outputs)) + b"".join(map(_output, request.outputs)))
    digest.update(b"".join(_parameters(request, declared)))
    return digest.digest()


def cache_key(revision: str, question: bytes) -> bytes:
    """Returns the key under which a revision's answer to a question is kept; `KEY_BYTES` of BLAKE2b.

    Args:
        revision: Name of the revision that is asked.
        question: As `question_of` makes it: once for all revisions that may be asked.
    """
    return blake2b(question + revision.encode(), digest_size=KEY_BYTES, person=_FORM).digest()


def _text(text: str) -> bytes:
    data = text.encode()
    return _COUNT.pack(len(data)) + data


def _head(tensor: Tensor) -> bytes:
    sizes = struct.pack(f"<{1 + len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    return _text(tensor.name) + _text(tensor.data_type) + sizes + _COUNT.pack(len(tensor.data))


def _output(output: RequestedOutput) -> bytes:
    return _text(output.name) + _COUNT.pack(output.classes)


def _parameters(request: InferRequest, declared: Iterable[str]) -> Iterator[bytes]:
    for name in sorted(set(declared)):
        if name in request.parameters:
            yield _text(name) + _value(request.parameters[name])


def _value(value: Parameter) -> bytes:
    match value:
        case bool():
            return b"b" + _text(str(value))
        case int():
            return b"i" + _text(str(value))
        case float():
            return b"f" + _text(value.hex())
        case _:
            return b"s" + _text(value)
