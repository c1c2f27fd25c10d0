"""gRPC over TLS and with keys: real clients, unmodified."""

from __future__ import annotations

import asyncio
import re
import socket

import grpc
import pytest
from tests.support.authority import Authority
from tests.support.grpc_stage import Stage, channel_to, infer, refused, stage
from tests.support.tls import AUTHORITY, certificate_of, client_context, entry
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.core.access.keyring import read_keys
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.access import Access
from plimsoll.gateway.http2.refusals import TLS_WANTED
from plimsoll.gateway.tls import Application
from plimsoll.gateway.tls_door import Arrival

KEY = "a-key-of-enough-characters"
TRUSTING = grpc.ssl_channel_credentials(AUTHORITY.pem)


def with_keys(*keys: str) -> Access:
    access = Access()
    access.replace(read_keys({f"key-{number}": key.encode() for number, key in enumerate(keys)}).ring)
    return access


# ---- TLS ----
@pytest.mark.parametrize("size", [0, 70_000, 5_000_000])
async def test_an_answer_comes_back_byte_for_byte(size: int) -> None:
    made = entry(Application.HTTP2)
    async with stage("a", door=made.door, credentials=TRUSTING) as on:
        answers = await asyncio.gather(*(on.stub.ModelInfer(infer(bytes(size))) for _ in range(5)))
        assert {answer.raw_output_contents[0] for answer in answers} == {bytes(size)}
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED] * 5
    assert made.arrivals == {Arrival.LET_IN: 1}


async def test_a_stream() -> None:
    async with stage("a", door=entry(Application.HTTP2).door, credentials=TRUSTING) as on:
        call = on.stub.ModelStreamInfer()
        for number in range(3):
            await call.write(
                pb.ModelInferRequest(model_name="digits", id=str(number), raw_input_contents=[b"x" * 9999])
            )
            assert (await call.read()).infer_response.id == str(number)
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_alpn_agrees_on_h2_and_on_nothing_else() -> None:
    def spoken(offered: list[str], port: int) -> str | None:
        context = client_context(lambda context: context.set_alpn_protocols(offered))
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as wrapped,
        ):
            return wrapped.selected_alpn_protocol()

    async with stage("a", door=entry(Application.HTTP2).door, credentials=TRUSTING) as on:
        port = on.gateway.port
        assert await asyncio.to_thread(spoken, ["http/1.1", "h2"], port) == "h2"
        assert await asyncio.to_thread(spoken, ["http/1.1"], port) is None


async def test_plain_grpc_is_told_that_tls_is_wanted() -> None:
    made = entry(Application.HTTP2, turned_away=TLS_WANTED)
    async with stage("a", door=made.door) as on:
        error = await refused(on.stub.ModelInfer(infer(), wait_for_ready=False))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        reader, writer = await asyncio.open_connection("127.0.0.1", on.gateway.port)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert b"This port speaks TLS" in await reader.read()
        writer.close()


async def test_plain_grpc_passes_where_it_may() -> None:
    made = entry(Application.HTTP2, turned_away=None)
    async with (
        stage("a", door=made.door, credentials=TRUSTING) as on,
        channel_to(on.gateway.address, []) as plain,
    ):
        await on.stub.ModelInfer(infer())
        await rpc.GRPCInferenceServiceStub(plain).ModelInfer(infer())
    assert made.arrivals == {Arrival.LET_IN: 1, Arrival.PLAIN: 1}


async def test_a_new_certificate_is_for_new_connections() -> None:
    other = Authority("other")
    made = entry(Application.HTTP2)
    async with stage("a", door=made.door, credentials=TRUSTING) as on:
        await on.stub.ModelInfer(infer())
        made.certificate = certificate_of(other.issue())
        await on.stub.ModelInfer(infer())
        async with channel_to(on.gateway.address, [], grpc.ssl_channel_credentials(other.pem)) as later:
            await rpc.GRPCInferenceServiceStub(later).ModelInfer(infer())
    assert made.arrivals == {Arrival.LET_IN: 2}


async def test_handshakes_that_fail_leave_no_connection_behind() -> None:
    made = entry(Application.HTTP2)
    async with stage("a", door=made.door, credentials=grpc.ssl_channel_credentials(Authority().pem)) as on:
        await refused(on.stub.ModelInfer(infer()))
        assert made.arrivals[Arrival.FAILED] > 0
        assert on.gateway.board.connections() == []


async def test_the_gateway_ends_after_the_calls_that_are_under_way() -> None:
    async with stage("a", door=entry(Application.HTTP2).door, credentials=TRUSTING) as on:
        call = on.stub.ModelStreamInfer()
        await call.write(infer())
        await call.read()
        drained = asyncio.create_task(on.gateway.listener.drain(10))
        await asyncio.sleep(0.1)
        await call.write(infer(name="2"))
        assert (await call.read()).infer_response.id == "2"
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        await drained


async def test_a_client_that_leaves_without_a_word_is_noticed() -> None:
    async with stage("a", door=entry(Application.HTTP2).door, credentials=TRUSTING) as on:
        _reader, writer = await asyncio.open_connection("127.0.0.1", on.gateway.port, ssl=client_context())
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        await asyncio.sleep(0.05)
        assert len(on.gateway.board.clients) == 1
        writer.transport.abort()
        for _ in range(100):
            await asyncio.sleep(0.01)
            if not on.gateway.board.clients:
                return
    pytest.fail("its connection is still there")


# ---- keys ----
def metadata_of(on: Stage) -> str:
    return str([dict(one) for one in on.pods["a"].metadata])


@pytest.mark.parametrize("pair", [("authorization", f"Bearer {KEY}"), ("x-api-key", KEY)])
async def test_a_key_lets_in_and_goes_no_further(pair: tuple[str, str]) -> None:
    async with stage("a", access=with_keys(KEY)) as on:
        for _ in range(3):  # the head of the second and third is remembered
            await on.stub.ModelInfer(infer(), metadata=[pair, ("x-own", "1")])
        assert KEY not in metadata_of(on)
        assert "x-own" in metadata_of(on)


async def test_keys_over_tls_as_a_clients_credentials() -> None:
    access = with_keys(KEY)
    credentials = grpc.composite_channel_credentials(TRUSTING, grpc.access_token_call_credentials(KEY))
    async with (
        stage("a", access=access, door=entry(Application.HTTP2).door, credentials=TRUSTING) as on,
        channel_to(f"localhost:{on.gateway.port}", [], credentials) as channel,
    ):
        await rpc.GRPCInferenceServiceStub(channel).ModelInfer(infer())
    assert access.uses() == {"key-0": 1}


REFUSED = [
    pytest.param([], "wants a key", id="no key"),
    pytest.param([("x-api-key", KEY + "x")], "not valid", id="an unknown one"),
    pytest.param([("x-api-key", KEY), ("x-api-key", KEY)], "one key, once", id="twice"),
    pytest.param([("x-api-key", KEY), ("authorization", f"Bearer {KEY}")], "one key, once", id="in both forms"),
    pytest.param([("authorization", f"Basic {KEY}")], "one key, once", id="another scheme"),
    pytest.param([("authorization", KEY)], "one key, once", id="no scheme"),
]


@pytest.mark.parametrize(("metadata", "said"), REFUSED)
async def test_who_is_refused_is_told_how_to_ask_and_leaves_no_trace(
    metadata: list[tuple[str, str]], said: str
) -> None:
    access = with_keys(KEY)
    async with stage("a", access=access) as on:
        error = await refused(on.stub.ModelInfer(infer(), metadata=metadata))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert re.search(said, str(error.details()))
        assert KEY not in str(error.details())
        assert on.pods["a"].requests == []
        assert on.gateway.recorders.get("r1") is None or on.gateway.record("r1").arrivals == 0
    assert sum(access.denials.values()) == 1


async def test_nobody_learns_what_there_is_without_a_key() -> None:
    async with stage("a", access=with_keys(KEY)) as on:
        calls = [
            on.stub.ModelInfer(infer(model="unknown")),
            on.stub.ModelReady(pb.ModelReadyRequest(name="digits")),
            on.stub.ServerMetadata(pb.ServerMetadataRequest()),
            on.stub.RepositoryIndex(pb.RepositoryIndexRequest()),
        ]
        errors = [await refused(call) for call in calls]
        assert {(error.code(), error.details()) for error in errors} == {
            (grpc.StatusCode.UNAUTHENTICATED, errors[0].details())
        }


async def test_health_needs_no_key() -> None:
    async with stage("a", access=with_keys(KEY), host="digits.vision.svc:8001") as on:
        for metadata in ([], [("x-api-key", "wrong")]):
            # The pod, which is none of a real server, has been asked.
            error = await refused(on.stub.ServerReady(pb.ServerReadyRequest(), metadata=metadata))
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_exchange_of_keys_is_followed_on_open_connections() -> None:
    access = with_keys(KEY)
    async with stage("a", access=access) as on:
        metadata = [("x-api-key", KEY)]
        for _ in range(3):
            await on.stub.ModelInfer(infer(), metadata=metadata)
        access.replace(read_keys({"new": b"another-key-of-enough-characters"}).ring)
        error = await refused(on.stub.ModelInfer(infer(), metadata=metadata))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
