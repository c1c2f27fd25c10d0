"""A real Triton's answers, as they really come: right ones have no problems, those with NaN have."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator
from math import inf, nan
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from tests.support.http_gateway import Client, infer
from tests.support.inference import taking
from tests.support.planted_models import plant
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.grpc_answers import read_grpc_answer
from plimsoll.core.validation.outputs import problems_of_answer
from plimsoll.gateway.http1.answer_head import read_answer
from plimsoll.gateway.http1.checked_answers import Unchecked, problems_in, unchecked
from plimsoll.gateway.http1.limits import Limits
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("triton")]

SCHEMA = taking({}, 128, {"y": (DataType.FP32, (-1, 4))})
RIGHT = (1.0, 2.0, 3.0, 4.0)
VALUES = [
    (RIGHT, []),
    ((1.0, nan, 3.0, inf), ["Element [0, 1] of output 'y' is NaN."]),
    ((1.0, 2.0, -inf, nan), ["Element [0, 2] of output 'y' is infinite."]),
]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    repository: Path = tmp_path_factory.mktemp("repository")
    plant(repository, "clean", as_name="digits")
    with running_triton(repository) as server:
        yield server


def request_of(values: tuple[float, ...], *, binary: bool, fields: bytes = b"") -> bytes:
    head = json.dumps(
        {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}],
            "outputs": [{"name": "y", "parameters": {"binary_data": binary}}],
        }
    ).encode()
    fields += b"Inference-Header-Content-Length: %d\r\n" % len(head)
    return infer(head + struct.pack("<4f", *values), fields)


@pytest.mark.parametrize(("values", "said"), VALUES)
@pytest.mark.parametrize("fields", [b"", b"Accept-Encoding: gzip\r\n", b"Accept-Encoding: deflate\r\n"])
@pytest.mark.parametrize("binary", [True, False])
async def test_over_http(
    values: tuple[float, ...], said: list[str], fields: bytes, triton: LocalTriton, *, binary: bool
) -> None:
    port = int(urlsplit(triton.http).port or 0)
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    answer = await client.ask(request_of(values, binary=binary, fields=fields))
    client.close()
    head = read_answer(answer.head, b"x-plimsoll-revision: r1\r\n", Limits(), to_head=False)
    assert (head.status, unchecked(head)) == (200, None)
    problems = problems_in(head, answer.body, SCHEMA, {"y": 0}, 1)
    assert not isinstance(problems, Unchecked)
    assert [one.sentence for one in problems] == said


@pytest.mark.parametrize(("values", "said"), VALUES)
async def test_over_grpc(values: tuple[float, ...], said: list[str], triton: LocalTriton) -> None:
    request = pb.ModelInferRequest(model_name="digits", raw_input_contents=[struct.pack("<4f", *values)])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    async with grpc.aio.insecure_channel(triton.grpc) as channel:
        answer = await rpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    outputs = read_grpc_answer(answer.SerializeToString())
    assert [one.sentence for one in problems_of_answer(outputs, SCHEMA, {}, 1)] == said
