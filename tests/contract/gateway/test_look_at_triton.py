"""A real Triton behind a gateway that looks into what passes: what it answers is kept, given again, and judged."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from tests.support.http_gateway import Answer, Gateway, gateway, infer, pods
from tests.support.inference import taking
from tests.support.looked import rules
from tests.support.planted_models import plant
from tests.support.unsure import On, judged
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.api.confidence import OnLow
from plimsoll.api.vocabulary import DataType
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import Endpoint, RevisionRoute
from plimsoll.core.validation.rules import Rules
from plimsoll.gateway.http2.connection import as_protocol
from plimsoll.gateway.http2.listener import GrpcListener
from plimsoll.gateway.http2.switchboard import Switchboard
from plimsoll.gateway.http2.upstream_connection import UpstreamConnection
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("triton")]

SCHEMA = taking({"x": (DataType.FP32, (-1, 4))}, 128, {"y": (DataType.FP32, (-1, 4))})
KEPT = CachePolicy(ttl_s=60.0, max_bytes=1 << 20, recheck=0.5)
TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 4]}


def judging(**spec: Any) -> Rules:
    return replace(rules(**spec), schema=SCHEMA)


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    repository: Path = tmp_path_factory.mktemp("repository")
    plant(repository, "clean", as_name="digits")
    with running_triton(repository) as server:
        yield server


@pytest.fixture
def moody(tmp_path: Path) -> Iterator[LocalTriton]:
    plant(tmp_path, "nondeterministic", as_name="digits")
    with running_triton(tmp_path) as server:
        yield server


@dataclass
class Both:
    """One gateway with both protocols in front of Triton."""

    http: Gateway
    stub: rpc.GRPCInferenceServiceStub

    async def over_http(self, *values: float | None, **more: Any) -> Answer:
        return await self.http.ask(infer(json.dumps({"inputs": [{**TENSOR, "data": values}], **more}).encode()))

    async def in_binary(self, *values: float) -> Answer:
        tensor = {**TENSOR, "parameters": {"binary_data_size": 16}}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        length = b"Inference-Header-Content-Length: %d\r\n" % len(head)
        return await self.http.ask(infer(head + struct.pack("<4f", *values), length))

    async def over_grpc(self, *values: float) -> tuple[pb.ModelInferResponse, dict[str, str]]:
        request = pb.ModelInferRequest(model_name="digits", raw_input_contents=[struct.pack("<4f", *values)])
        request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        call = self.stub.ModelInfer(request)
        answer = await call
        return answer, {key: str(value) for key, value in await call.initial_metadata()}

    def outcomes(self) -> list[Outcome]:
        return self.http.records["r1"].outcomes


@asynccontextmanager
async def before(triton: LocalTriton) -> AsyncIterator[Both]:
    http, rpc_port = urlsplit(triton.http), int(triton.grpc.rpartition(":")[2])

    async def connect(connection: UpstreamConnection, endpoint: Endpoint) -> None:
        await asyncio.get_running_loop().create_connection(lambda: as_protocol(connection), endpoint.ip, rpc_port)

    async with gateway(port=int(http.port or 0)) as running:
        listener = GrpcListener(Switchboard(running.targets, time.monotonic, None, connect))
        port = await listener.start("127.0.0.1", 0)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Both(running, rpc.GRPCInferenceServiceStub(channel))
        await listener.close()


async def test_an_answer_is_computed_once_for_every_form_of_its_question(triton: LocalTriton) -> None:
    async with before(triton) as both:
        both.http.route(["127.0.0.1"], rules=judging(onInvalid="Reject"), cache=KEPT)
        computed = await both.over_http(1, 2.5, 3, 4)
        assert computed.field("x-plimsoll-cache") == "miss"
        kept = await both.over_http(1.0, 2.50, 3, 4e0)
        assert (kept.field("x-plimsoll-cache"), json.loads(kept.body)) == ("hit", json.loads(computed.body))
        raw = await both.in_binary(1, 2.5, 3, 4)
        told, metadata = await both.over_grpc(1, 2.5, 3, 4)
        assert (raw.field("x-plimsoll-cache"), metadata["x-plimsoll-cache"]) == ("hit", "hit")
        both.http.route(["127.0.0.1"])
        direct = await both.in_binary(1, 2.5, 3, 4)
        length = int(direct.field("inference-header-content-length") or 0)
        assert raw.body[int(raw.field("inference-header-content-length") or 0) :] == direct.body[length:]
        assert told == (await both.over_grpc(1, 2.5, 3, 4))[0]
        assert both.http.records["r1"].cache_hits == 3


async def test_nan_that_triton_calls_a_success_is_a_failure(triton: LocalTriton) -> None:
    async with before(triton) as both:
        both.http.route(["127.0.0.1"], rules=judging(), cache=KEPT)
        answer = await both.in_binary(1, nan, 3, 4)
        assert (answer.status, json.loads(answer.body)["error"]) == (502, "Element [0, 1] of output 'y' is NaN.")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await both.over_grpc(1, nan, 3, 4)
        assert (caught.value.code(), caught.value.details()) == (
            grpc.StatusCode.INTERNAL,
            "Element [0, 1] of output 'y' is NaN.",
        )
        assert both.outcomes() == [Outcome.INVALID_OUTPUT] * 2
        assert both.http.looked.stores[0].answers == {}


async def test_what_is_filled_in_is_what_triton_gets(triton: LocalTriton) -> None:
    async with before(triton) as both:
        both.http.route(["127.0.0.1"], rules=judging(onInvalid="Impute", inputs=[{"name": "x", "default": "7"}]))
        answer = await both.over_http(1, None, 3, 4)
        wanted = await both.over_http(1, 7, 3, 4)
        assert (answer.status, json.loads(answer.body)) == (200, json.loads(wanted.body))
        filled, _ = await both.over_grpc(1, nan, 3, 4)
        assert filled == (await both.over_grpc(1, 7, 3, 4))[0]


@pytest.mark.parametrize(
    ("best", "header", "outcome"),
    [(0.4, None, Outcome.SUCCEEDED), (0.39, "abstained", Outcome.ABSTAINED)],
    ids=["as sure as is wanted", "a little less"],
)
async def test_a_low_answer_is_withheld_in_every_form(
    best: float, header: str | None, outcome: Outcome, triton: LocalTriton
) -> None:
    """The model doubles its inputs, and 0.8 is enough."""
    async with before(triton) as both:
        both.http.targets.apply(judged(On(OnLow.ABSTAIN), RevisionRoute("r1", 1000, pods(["127.0.0.1"]))))
        in_json, in_binary = await both.over_http(best, 0, 0, 0), await both.in_binary(best, 0, 0, 0)
        assert [one.field("x-plimsoll-confidence") for one in (in_json, in_binary)] == [header] * 2
        answer, metadata = await both.over_grpc(best, 0, 0, 0)
        assert metadata.get("x-plimsoll-confidence") == header
        if header:
            said = {"model_name": "digits", "model_version": "1", "parameters": {"abstained": True}, "outputs": []}
            assert [json.loads(one.body) for one in (in_json, in_binary)] == [said] * 2
            assert (answer.parameters["abstained"].bool_param, len(answer.outputs)) == (True, 0)
        assert both.outcomes() == [outcome] * 3


async def test_what_is_refused_never_reaches_triton(triton: LocalTriton) -> None:
    async with before(triton) as both:
        both.http.route(["127.0.0.1"], rules=judging(onInvalid="Reject"))
        answer = await both.over_http(1, None, 3, 4)
        assert (answer.status, json.loads(answer.body)["error"]) == (
            400,
            "Element [0, 1] of input 'x' is null; send a value.",
        )
        assert both.outcomes() == [Outcome.CLIENT_FAULT]


async def test_a_model_that_changes_its_mind_is_caught_by_re_checks(moody: LocalTriton) -> None:
    async with before(moody) as both:
        both.http.route(["127.0.0.1"], cache=KEPT)
        both.http.looked.tossed = 0.0
        for _ in range(20):
            answer = await both.over_http(1, 2, 3, 4)
            assert answer.status == 200
        assert both.http.looked.cache.counts.mismatched > 0
        assert both.http.records["r1"].cache_mismatches == len(both.http.looked.mismatches)
