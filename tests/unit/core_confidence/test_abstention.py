"""The answer of a model that is not sure enough: what clients read in it, and what they cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tritonclient.grpc import service_pb2 as pb

from plimsoll.core.confidence.abstention import abstention, instead_of_grpc, instead_of_http, written_http


def test_over_http_it_names_the_model_and_the_request_and_gives_nothing_away() -> None:
    answer = {
        "id": "7",
        "model_name": "digits",
        "model_version": "3",
        "parameters": {"best": "cat"},
        "outputs": [{"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [0.6, 0.4]}],
    }
    assert json.loads(instead_of_http(answer)) == {
        "id": "7",
        "model_name": "digits",
        "model_version": "3",
        "parameters": {"abstained": True},
        "outputs": [],
    }


@pytest.mark.parametrize("document", [{}, {"id": 7, "model_name": None, "model_version": ["1"]}])
def test_what_is_no_text_is_left_out(document: Any) -> None:
    assert json.loads(instead_of_http(document)) == {
        "model_name": "",
        "model_version": "",
        "parameters": {"abstained": True},
        "outputs": [],
    }


def test_over_grpc_it_says_the_same() -> None:
    answer = pb.ModelInferResponse(model_name="digits", model_version="3", id="7", raw_output_contents=[b"1234"])
    answer.outputs.add(name="p", datatype="FP32", shape=[1, 1])
    answer.parameters["best"].string_param = "cat"
    wanted = pb.ModelInferResponse(model_name="digits", model_version="3", id="7")
    wanted.parameters["abstained"].bool_param = True
    assert pb.ModelInferResponse.FromString(instead_of_grpc(answer.SerializeToString())) == wanted


@pytest.mark.parametrize("message", [b"\x0a\x01\xff", b"\x0a\x01a\x0a\x01b", b"\xff"])
def test_outputs_are_withheld_though_the_names_cannot_be_read(message: bytes) -> None:
    wanted = pb.ModelInferResponse()
    wanted.parameters["abstained"].bool_param = True
    assert pb.ModelInferResponse.FromString(instead_of_grpc(message)) == wanted


def test_an_answer_that_is_kept_becomes_the_same() -> None:
    assert written_http(abstention("digits", "3"), "7") == instead_of_http(
        {"model_name": "digits", "model_version": "3", "id": "7"}
    )
