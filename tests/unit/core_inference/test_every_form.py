"""A request means the same whatever it came as, compared with what Triton's own clients write."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.infer_requests import (
    as_json,
    by_grpc_client,
    by_http_client,
    by_typed_contents,
    infer_requests,
    plainly,
    with_exponent,
)

from plimsoll.core.inference.encodings import decoded, message_of
from plimsoll.core.inference.grpc_message import first_size, read_grpc, write_grpc
from plimsoll.core.inference.http_body import read_http, write_http
from plimsoll.core.inference.malformed import Malformed
from plimsoll.core.inference.request import InferRequest, RequestedOutput


def unwritten(request: InferRequest) -> InferRequest:
    """The request without what is only said about how the answer is written."""
    outputs = tuple(replace(output, binary=False) for output in request.outputs)
    return replace(request, outputs=outputs, binary=False)


@given(infer_requests(), st.booleans(), st.sampled_from([plainly, with_exponent]), st.sampled_from(["", " ", "\n\t "]))
def test_json(request: InferRequest, flat: bool, spelling: object, spaces: str) -> None:  # noqa: FBT001 - drawn
    assert read_http(as_json(request, flat=flat, spelling=spelling, spaces=spaces)) == request  # type: ignore[arg-type]


@given(infer_requests())
def test_json_in_another_order(request: InferRequest) -> None:
    found = read_http(as_json(request, turned=True))
    assert found == replace(request, inputs=tuple(reversed(request.inputs)))


@given(infer_requests())
def test_what_the_http_client_sends(request: InferRequest) -> None:
    body, size = by_http_client(request)
    found = read_http(body, size)
    assert unwritten(found) == request
    assert found.binary is (not request.outputs)


@given(infer_requests())
def test_what_the_grpc_client_sends(request: InferRequest) -> None:
    assert read_grpc(by_grpc_client(request)) == request
    assert first_size(by_grpc_client(request)) == next(iter(request.inputs[0].shape), None)


@given(infer_requests())
def test_typed_contents(request: InferRequest) -> None:
    assert read_grpc(by_typed_contents(request)) == request


@given(infer_requests(), st.booleans())
def test_what_is_written_is_read_as_the_same(request: InferRequest, binary: bool) -> None:  # noqa: FBT001 - drawn
    asked = replace(request, binary=binary)
    assert read_http(*write_http(asked), version=asked.version) == asked
    assert read_grpc(write_grpc(request, "digits")) == request


@given(infer_requests())
def test_compressed_bodies(request: InferRequest) -> None:
    body = as_json(request)
    assert decoded(gzip.compress(body), "gzip") == decoded(zlib.compress(body), "Deflate") == decoded(body) == body


@given(infer_requests())
def test_messages_in_their_frame(request: InferRequest) -> None:
    message = by_grpc_client(request)
    packed = gzip.compress(message)
    assert message_of(b"\0" + len(message).to_bytes(4, "big") + message) == message
    assert message_of(b"\1" + len(packed).to_bytes(4, "big") + packed, "gzip") == message


def test_an_output_says_how_it_is_written() -> None:
    outputs = (RequestedOutput("a", binary=True), RequestedOutput("b", 3))
    body = (
        b'{"inputs":[{"name":"x","shape":[1],"datatype":"BOOL","data":[true]}],"parameters":{"binary_data_output":true},'
        b'"outputs":[{"name":"a"},{"name":"b","parameters":{"binary_data":false,"classification":3}}]}'
    )
    found = read_http(body)
    assert (found.outputs, found.binary, found.parameters) == (outputs, True, {})


@pytest.mark.parametrize(
    ("data_type", "data", "read"),
    [
        ("FP32", "[1, null]", struct.pack("<2f", 1, 0)),
        ("INT8", "[[null], [2]]", b"\0\2"),
        ("BOOL", "[true, null]", b"\1\0"),
        ("BYTES", '[null, "a"]', b"\0\0\0\0\1\0\0\0a"),
    ],
)
def test_null_is_told_to_who_wants_to_know(data_type: str, data: str, read: bytes) -> None:
    body = f'{{"inputs":[{{"name":"x","shape":[2,1],"datatype":"{data_type}","data":{data}}}]}}'.encode()
    nulls: dict[str, list[int]] = {}
    assert read_http(body, nulls=nulls).inputs[0].data == read
    assert nulls == {"x": [int("null" in data.partition(",")[2])]}
    with pytest.raises(Malformed):
        read_http(body)
