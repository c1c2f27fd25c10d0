"""Requests with and without a key over HTTP/1.1: who is let in, what the others are told, and what is counted."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.http_gateway import Gateway, gateway, infer, until
from tests.support.scripted_http import Scripted, never, ok, saying, scripted

from plimsoll.core.access.admission import Denial
from plimsoll.core.access.keyring import read_keys
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.access import Access
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Reason

OLD, NEW = b"the-old-key-of-team-a", b"the-new-key-of-team-a"
CHALLENGE = 'Bearer realm="plimsoll"'


def with_keys(**keys: bytes) -> Access:
    access = Access()
    access.replace(read_keys(keys).ring)
    return access


def bearer(key: bytes) -> bytes:
    return b"Authorization: Bearer " + key + b"\r\n"


def asked_heads(server: Scripted) -> bytes:
    return b"".join(asked.head for asked in server.asked).lower()


@pytest.mark.parametrize(
    "field", [bearer(OLD), b"X-API-Key: " + OLD + b"\r\n", b"aUTHORIZATION:bearer " + OLD + b"\r\n"]
)
async def test_a_key_lets_in_and_goes_no_further(field: bytes) -> None:
    body = b"x-api-key: as a body"
    async with scripted(saying(ok())) as server, gateway(port=server.port, access=with_keys(a=OLD)) as subject:
        subject.route([server.ip])
        answer = await subject.ask(infer(body, b"X-First: 1\r\n" + field + b"X-Last: 2\r\n"))
        assert answer.head + answer.body == ok(b"{}", b"x-plimsoll-revision: r1\r\n")
        [asked] = server.asked
        assert asked.head + asked.body == infer(body, b"X-First: 1\r\nX-Last: 2\r\n")


REFUSED = [
    pytest.param(b"", Reason.NO_KEY, CHALLENGE, id="no key"),
    pytest.param(bearer(NEW), Reason.UNKNOWN_KEY, f'{CHALLENGE}, error="invalid_token"', id="an unknown one"),
    pytest.param(bearer(OLD[:-1]), Reason.UNKNOWN_KEY, f'{CHALLENGE}, error="invalid_token"', id="a part of one"),
    pytest.param(bearer(OLD) * 2, Reason.UNREADABLE_KEY, CHALLENGE, id="twice"),
    pytest.param(bearer(OLD) + b"X-API-Key: " + OLD + b"\r\n", Reason.UNREADABLE_KEY, CHALLENGE, id="in both forms"),
    pytest.param(b"Authorization: Basic dTpw\r\n", Reason.UNREADABLE_KEY, CHALLENGE, id="another scheme"),
    pytest.param(b"X-API-Key: \xc3\xbc\xff" + OLD + b"\r\n", Reason.UNREADABLE_KEY, CHALLENGE, id="beyond ASCII"),
    pytest.param(b"X-API-Key:\r\n", Reason.UNREADABLE_KEY, CHALLENGE, id="empty"),
    pytest.param(bearer(b"x" * 20_000), Reason.UNKNOWN_KEY, f'{CHALLENGE}, error="invalid_token"', id="huge"),
]


@pytest.mark.parametrize(("fields", "reason", "challenge"), REFUSED)
async def test_who_is_refused_is_told_how_to_ask_and_leaves_no_trace(
    fields: bytes, reason: Reason, challenge: str
) -> None:
    access = with_keys(a=OLD)
    async with scripted(saying(ok())) as server, gateway(port=server.port, access=access) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answer = await client.ask(infer(b"{}", fields))
        assert (answer.status, answer.field("www-authenticate")) == (401, challenge)
        assert answer.body.startswith(b'{"error": "')
        assert OLD not in answer.head + answer.body
        assert (await client.ask(infer(b"{}", bearer(OLD)))).status == 200
        client.close()
        assert subject.meter.refusals == {reason: 1}
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED]
    assert sum(access.denials.values()) == 1


async def test_nobody_learns_what_there_is_without_a_key() -> None:
    paths = [
        b"/v2/models/digits",
        b"/v2/models/digits/ready",
        b"/v2/models/unknown/infer",
        b"/v2",
        b"/v2/repository/index",
        b"/favicon.ico",
        b"/v2/health/live/",
        b"/v2/health/live?x",
        b"/v2/health/../models/digits",
    ]
    async with gateway(port=1, access=with_keys(a=OLD)) as subject:
        subject.route()
        bodies = set()
        for path in paths:
            answer = await subject.ask(b"GET %s HTTP/1.1\r\nHost: digits\r\n\r\n" % path)
            assert answer.status == 401
            bodies.add(answer.body)
    assert len(bodies) == 1


@pytest.mark.parametrize("path", [b"/v2/health/live", b"/v2/health/ready"])
async def test_health_needs_no_key_and_passes_none_on(path: bytes) -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port, access=with_keys(a=OLD)) as subject:
        subject.route([server.ip])
        for fields in (b"", bearer(NEW), bearer(OLD) * 2):
            assert (await subject.ask(b"GET %s HTTP/1.1\r\nHost: digits\r\n%s\r\n" % (path, fields))).status == 200
        assert b"bearer" not in asked_heads(server)


async def test_pipelined_requests_are_judged_one_by_one() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port, access=with_keys(a=OLD, b=NEW)) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        fields = [bearer(OLD), b"", bearer(NEW), bearer(b"someone-elses-key-1"), bearer(OLD)]
        client.writer.write(b"".join(infer(b"{}", field) for field in fields))
        assert [(await client.answer()).status for _ in fields] == [200, 401, 200, 401, 200]
        client.close()
        assert len(server.asked) == 3
        assert b"someone" not in asked_heads(server)


async def test_an_exchange_of_keys_is_followed_on_open_connections() -> None:
    access = with_keys(a=OLD)
    async with scripted(saying(ok())) as server, gateway(port=server.port, access=access) as subject:
        subject.route([server.ip])
        client = await subject.connect()

        async def statuses() -> list[int]:
            return [(await client.ask(infer(b"{}", bearer(key)))).status for key in (OLD, NEW, OLD)]

        assert await statuses() == [200, 401, 200]
        access.replace(read_keys({"a": OLD + b"\n" + NEW}).ring)
        assert await statuses() == [200, 200, 200]
        assert access.uses() == {"a": 5}
        access.replace(read_keys({"a": NEW}).ring)
        assert await statuses() == [401, 200, 401]
        access.replace(read_keys({}).ring)
        assert await statuses() == [401, 401, 401]
        client.close()


async def test_a_body_is_not_invited_without_a_key() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port, access=with_keys(a=OLD)) as subject:
        subject.route([server.ip])
        for fields, status in ((b"", 401), (bearer(OLD), 100)):
            client = await subject.connect()
            head = infer(b"x" * 100, b"Expect: 100-continue\r\n" + fields)[:-100]
            assert (await client.ask(head)).status == status
            client.close()


async def test_a_refused_body_is_not_waited_for() -> None:
    async with gateway(Limits(linger_s=0.2), port=1, access=with_keys(a=OLD)) as subject:
        subject.route()
        client = await subject.connect()
        answer = await client.ask(infer(bytes(1 << 20))[: 1 << 16])
        assert (answer.status, answer.field("connection")) == (401, "close")
        assert await client.rest() == b""
        client.close()


async def test_requests_with_bodies_of_other_lengths_show_the_same_key() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port, access=with_keys(a=OLD)) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        for size in (1, 22, 333, 4444):
            assert (await client.ask(infer(b"x" * size, bearer(OLD)))).status == 200
        client.close()
        assert [len(asked.body) for asked in server.asked] == [1, 22, 333, 4444]
        assert b"authorization" not in asked_heads(server)


async def test_a_request_under_way_ends_well_when_its_key_goes() -> None:
    access = with_keys(a=OLD)
    go_on = asyncio.Event()

    async def slow(asked: object) -> None:
        await go_on.wait()
        await saying(ok())(asked)  # type: ignore[arg-type] # what scripts are given

    async with scripted(slow) as server, gateway(port=server.port, access=access) as subject:
        subject.route([server.ip])
        under_way = asyncio.create_task(subject.ask(infer(b"{}", bearer(OLD))))
        await until(lambda: bool(server.asked))
        access.replace(read_keys({}).ring)
        go_on.set()
        assert (await under_way).status == 200


async def refused_by(subject: Gateway) -> list[int]:
    return [(await subject.ask(infer(b"{}", bearer(key)))).status for key in (OLD, NEW)]


async def test_without_any_key_nobody_is_let_in() -> None:
    access = Access()
    async with scripted(never) as server, gateway(port=server.port, access=access) as subject:
        subject.route([server.ip])
        assert await refused_by(subject) == [401, 401]
    assert access.denials == {("http", Denial.UNKNOWN_KEY): 2}


async def test_where_no_keys_are_wanted_they_pass_as_they_came() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        request = infer(b"{}", bearer(OLD) * 2)
        assert (await subject.ask(request)).status == 200
        assert server.asked[0].head + server.asked[0].body == request
