"""What passes, and in which bytes: ordinary clients and ordinary servers."""

import asyncio
import gzip

import pytest
from tests.support.http_gateway import gateway, infer, until
from tests.support.scripted_http import Asked, ok, saying, scripted

from plimsoll.core.records.outcome import Outcome

CHUNKED = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: digits\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_request_and_answer_pass_byte_for_byte_but_for_our_line() -> None:
    async with scripted(saying(ok(b'{"outputs":[]}', b"X: 1\r\n"))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        answer = await subject.ask(infer(b"\x00\xff", b"Inference-Header-Content-Length: 1\r\n"))
        assert answer.head + answer.body == ok(b'{"outputs":[]}', b"X: 1\r\nx-plimsoll-revision: r1\r\n")
        assert server.asked[0].head + server.asked[0].body == infer(
            b"\x00\xff", b"Inference-Header-Content-Length: 1\r\n"
        )
        assert (subject.records["r1"].ends, subject.outstanding) == ([(Outcome.SUCCEEDED, "pod-2")], 0)


async def test_both_connections_are_kept_and_used_again() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        for size in (1, 1, 30, 5000, 200_000):
            assert (await client.ask(infer(b"x" * size))).status == 200
        client.close()
        assert [len(asked.body) for asked in server.asked] == [1, 1, 30, 5000, 200_000]
        assert (server.opened, subject.records["r1"].arrivals) == (1, 5)


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def echo(asked: Asked) -> None:
        body = await asked.read_body()
        await asyncio.sleep(0.02 if asked.number % 2 == 0 else 0)
        asked.writer.write(ok(body))

    async with scripted(echo) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        unknown = b"GET /v2/models/other HTTP/1.1\r\nHost: digits\r\n\r\n"
        client.writer.write(infer(b"a") + infer(b"bb") + unknown + infer(b"ccc"))
        answers = [await client.answer() for _ in range(4)]
        client.close()
    assert [(answer.status, len(answer.body)) for answer in answers if answer.status == 200] == [
        (200, 1),
        (200, 2),
        (200, 3),
    ]
    assert answers[2].status == 404


async def test_thousands_of_pipelined_refusals_do_not_nest() -> None:
    async with gateway(port=1) as subject:
        subject.route()
        client = await subject.connect()
        client.writer.write(b"GET /x HTTP/1.1\r\nHost: digits\r\n\r\n" * 3000)
        statuses = {(await client.answer()).status for _ in range(3000)}
        client.close()
    assert statuses == {404}


@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_a_request_may_come_in_pieces(step: int) -> None:
    request = infer(b"hello", b"Connection: keep-alive\r\n")
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        for start in range(0, len(request), step):
            client.writer.write(request[start : start + step])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).status == 200
        client.close()
        assert server.asked[0].head + server.asked[0].body == infer(b"hello")


@pytest.mark.parametrize("body", [b"5\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\n", b"a\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n"])
async def test_chunks_pass_as_they_are_in_both_directions(body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    async with scripted(saying(answer + b"\r\n" + body)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        for _ in range(2):
            got = await client.ask(CHUNKED + body)
            assert got.head + got.body == answer + b"x-plimsoll-revision: r1\r\n\r\n" + body
        client.close()
        assert [(asked.head, asked.body) for asked in server.asked] == [(CHUNKED, body)] * 2


async def test_compressed_bodies_pass_as_they_are() -> None:
    body = gzip.compress(b"{}" * 100)
    gzipped = b"Content-Encoding: gzip\r\n"
    async with scripted(saying(ok(body, gzipped))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        answer = await subject.ask(infer(body, gzipped))
        assert (answer.body, answer.field("content-encoding"), server.asked[0].body) == (body, "gzip", body)


async def test_a_stream_arrives_while_it_is_being_made() -> None:
    go_on = asyncio.Event()

    async def stream(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        asked.writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    async with scripted(stream) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer(path=b"/v2/models/digits/generate_stream"))
        await client.reader.readuntil(b"first\r\n")
        assert subject.outstanding == 1
        go_on.set()
        assert await client.reader.readuntil(b"0\r\n\r\n") == b"4\r\nlast\r\n0\r\n\r\n"
        client.close()
        assert (subject.records["r1"].outcomes, subject.outstanding) == ([Outcome.SUCCEEDED], 0)


async def test_the_gateway_invites_the_body_itself() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        head, body = infer(b"hello", b"Expect: 100-continue\r\n").split(b"\r\n\r\n")
        invitation = await client.ask(head + b"\r\n\r\n")
        assert (invitation.status, invitation.head) == (100, b"HTTP/1.1 100 Continue\r\n\r\n")
        assert (await client.ask(body)).status == 200
        client.close()
        assert server.asked[0].head + server.asked[0].body == infer(b"hello")


async def test_a_body_that_is_there_needs_no_invitation() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        assert (await subject.ask(infer(b"hello", b"Expect: 100-continue\r\n"))).status == 200


async def test_a_body_that_is_not_wanted_is_not_invited() -> None:
    async with gateway(port=1) as subject:
        subject.route()
        client = await subject.connect()
        answer = await client.ask(infer(b"hello", b"Expect: 100-continue\r\n")[:-5])
        assert (answer.status, answer.field("connection"), await client.rest()) == (503, "close", b"")
        client.close()


async def test_head_has_no_body_in_either_direction() -> None:
    async with (
        scripted(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n")) as server,
        gateway(port=server.port) as subject,
    ):
        subject.route([server.ip])
        client = await subject.connect()
        request = b"HEAD /v2/models/digits HTTP/1.1\r\nHost: digits\r\n\r\n"
        for _ in range(2):
            assert (await client.ask(request)).field("content-length") == "7"
        missing = await client.ask(b"HEAD /v2/models/other HTTP/1.1\r\nHost: digits\r\n\r\n")
        assert (missing.status, server.opened) == (404, 1)
        client.close()


async def test_informational_answers_pass_but_for_the_invitation() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    script = saying(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + ok())
    async with scripted(script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        assert (await client.ask(infer())).head == hints
        assert (await client.answer()).status == 200
        client.close()


async def test_connection_close_is_the_clients_wish_and_does_not_reach_the_server() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answer = await client.ask(infer(head=b"Connection: close\r\n"))
        assert (answer.status, answer.field("connection"), await client.rest()) == (200, "close", b"")
        client.close()
        assert (await subject.ask(infer())).status == 200
        assert server.opened == 1
        assert b"onnection" not in server.asked[0].head


async def test_a_server_that_wants_its_connection_closed_gets_a_new_one() -> None:
    async with scripted(saying(ok(head=b"Connection: close\r\n"))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answers = [await client.ask(infer()) for _ in range(2)]
        client.close()
        assert [(answer.status, answer.field("connection")) for answer in answers] == [(200, None)] * 2
        assert server.opened == 2


async def test_an_answer_before_the_whole_request_leaves_the_client_usable() -> None:
    async def early(asked: Asked) -> None:
        asked.writer.write(ok(b"early"))
        await asked.reader.read()

    async with scripted(early) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        request = infer(b"x" * 100)
        answer = await client.ask(request[:-50])
        assert answer.body == b"early"
        assert (await client.ask(request[-50:] + infer())).body == b"early"
        client.close()
        await until(lambda: server.opened == 2)


async def test_calls_without_a_model_in_the_path_go_by_host() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        for host, status in ((b"digits.vision.svc:8000", 200), (b"other", 404), (b"127.0.0.1", 404)):
            assert (await subject.ask(b"GET /v2/health/ready HTTP/1.1\r\nHost: %s\r\n\r\n" % host)).status == status
        assert subject.records["r1"].arrivals == 0


async def test_an_ended_client_side_is_taken_for_gone() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer()[:-1])
        client.writer.write_eof()
        assert await client.rest() == b""
        client.close()
        await until(lambda: subject.listener.connections == 0)
        assert subject.records["r1"].outcomes == [Outcome.CANCELLED]
