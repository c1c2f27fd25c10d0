"""An answer is read, kept, and written again in any form that a client asks for."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.infer_requests import infer_requests
from tritonclient.grpc import service_pb2 as pb

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.grpc_answer import read_grpc_answer, write_grpc_answer
from plimsoll.core.inference.http_answer import read_http_answer, write_http_answer
from plimsoll.core.inference.malformed import Malformed
from plimsoll.core.inference.request import InferRequest, RequestedOutput, Tensor

ASKS = InferRequest("", (Tensor("x", DataType.BOOL, (1,), b"\1"),))


def answer_of(request: InferRequest) -> InferAnswer:
    """Any answer: outputs are tensors as inputs are."""
    return InferAnswer("digits", "7", request.inputs, request.parameters)


@given(infer_requests(), st.booleans())
def test_over_http(request: InferRequest, binary: bool) -> None:  # noqa: FBT001 - drawn
    written = write_http_answer(answer_of(request), replace(ASKS, binary=binary))
    assert written is not None
    assert read_http_answer(*written) == answer_of(request)


@given(infer_requests())
def test_over_grpc(request: InferRequest) -> None:
    assert read_grpc_answer(write_grpc_answer(answer_of(request), "7")) == answer_of(request)


@given(infer_requests())
def test_what_is_written_is_what_grpc_clients_read(request: InferRequest) -> None:
    answer = answer_of(request)
    theirs = pb.ModelInferResponse.FromString(write_grpc_answer(answer, request.id))
    assert (theirs.model_name, theirs.model_version, theirs.id) == ("digits", "7", request.id)
    assert [(one.name, one.datatype, tuple(one.shape)) for one in theirs.outputs] == [
        (one.name, one.data_type, one.shape) for one in answer.outputs
    ]
    assert list(theirs.raw_output_contents) == [one.data for one in answer.outputs]
    assert {
        name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in theirs.parameters.items()
    } == (request.parameters)


@given(infer_requests())
def test_what_grpc_servers_write_is_read(request: InferRequest) -> None:
    answer = answer_of(request)
    theirs = pb.ModelInferResponse(model_name="digits", model_version="7", id="of another request")
    for one in answer.outputs:
        theirs.outputs.add(name=one.name, datatype=one.data_type.value, shape=one.shape)
        theirs.raw_output_contents.append(one.data)
    assert read_grpc_answer(theirs.SerializeToString()) == replace(answer, parameters={})


def test_the_id_is_that_of_who_asks() -> None:
    answer = answer_of(ASKS)
    written = write_http_answer(answer, replace(ASKS, id='a"b'))
    assert written is not None
    assert json.loads(written[0])["id"] == 'a"b'
    assert pb.ModelInferResponse.FromString(write_grpc_answer(answer, "c")).id == "c"


def test_each_output_is_written_as_it_is_wanted() -> None:
    x, y = Tensor("x", DataType.FP32, (2,), struct.pack("<2f", 1, 0.5)), Tensor("y", DataType.INT8, (1,), b"\xff")
    asks = replace(ASKS, outputs=(RequestedOutput("x", binary=True), RequestedOutput("y")), binary=False)
    written = write_http_answer(InferAnswer("digits", "1", (x, y)), asks)
    assert written is not None
    body, length = written
    assert length is not None
    assert json.loads(body[:length]) == {
        "model_name": "digits",
        "model_version": "1",
        "outputs": [
            {"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
            {"name": "y", "datatype": "INT8", "shape": [1], "data": [-1]},
        ],
    }
    assert body[length:] == x.data


@pytest.mark.parametrize(
    "output",
    [
        Tensor("y", DataType.FP32, (1,), struct.pack("<f", float("nan"))),
        Tensor("y", DataType.FP64, (1,), struct.pack("<d", float("-inf"))),
        Tensor("y", DataType.FP16, (1,), b"\0\x3c"),
        Tensor("y", DataType.BF16, (1,), b"\x80\x3f"),
        Tensor("y", DataType.BYTES, (1,), b"\1\0\0\0\xff"),
    ],
)
def test_what_json_has_no_form_for_is_written_as_binary_data_alone(output: Tensor) -> None:
    answer = InferAnswer("digits", "1", (output,))
    assert write_http_answer(answer, ASKS) is None
    binary = write_http_answer(answer, replace(ASKS, binary=True))
    assert binary is not None
    assert read_http_answer(*binary) == answer


def test_not_a_number_in_an_answer_over_json_is_no_answer() -> None:
    body = b'{"model_name":"d","outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[NaN]}]}'
    with pytest.raises(Malformed):
        read_http_answer(body)
