"""Which failures the user never sees, and whom they count against: second attempts and idle connections that closed."""

import asyncio

import pytest
from tests.support.http_gateway import gateway, infer, until
from tests.support.scripted_http import Asked, Script, deaf, half_a_head, ok, reset, saying, scripted, vanish

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Reason

FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}"
PATIENT = Limits(race_s=30.0)
"""So that a busy machine does not make a race look like a slow server."""
WRONG = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize("fault", [vanish, reset, half_a_head, saying(b"nonsense\r\n\r\n"), saying(ok() + b"more")])
async def test_a_broken_connection_on_stable_is_tried_once_on_another_endpoint(fault: Script) -> None:
    async with (
        scripted(fault) as bad,
        scripted(saying(ok()), "127.0.0.3", bad.port) as good,
        gateway(port=bad.port) as subject,
    ):
        subject.route([bad.ip, good.ip])
        answers = [await subject.ask(infer()) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        assert sorted(answer.field("x-plimsoll-attempt") or "1" for answer in answers) == ["1", "2"]
        record = subject.records["r1"]
        assert sorted(record.ends) == [(Outcome.SUCCEEDED, "pod-3"), (Outcome.BROKEN, "pod-2")]
        assert (record.rescues, subject.meter.retries, subject.outstanding) == (1, 1, 0)


async def test_without_another_endpoint_the_user_is_told() -> None:
    async with scripted(vanish) as bad, gateway(port=bad.port) as subject:
        subject.route([bad.ip])
        client = await subject.connect()
        for _ in range(2):
            answer = await client.ask(infer())
            assert (answer.status, answer.field("x-plimsoll-revision")) == (502, "r1")
            assert b'"error"' in answer.body
        client.close()
        assert subject.records["r1"].outcomes == [Outcome.BROKEN] * 2
        assert (subject.meter.refusals, len(bad.asked)) == ({Reason.BROKEN: 2}, 2)


async def test_two_broken_endpoints_are_enough() -> None:
    async with (
        scripted(vanish) as one,
        scripted(vanish, "127.0.0.3", one.port) as two,
        scripted(vanish, "127.0.0.4", one.port) as three,
        gateway(port=one.port) as subject,
    ):
        subject.route([one.ip, two.ip, three.ip])
        answer = await subject.ask(infer())
        assert (answer.status, answer.field("x-plimsoll-attempt")) == (502, "2")
        assert len(one.asked + two.asked + three.asked) == 2
        assert (subject.records["r1"].outcomes, subject.records["r1"].rescues) == ([Outcome.BROKEN], 0)


@pytest.mark.parametrize("fault", [vanish, reset, saying(FAILED), saying(FAILED.replace(b"500", b"503"))])
async def test_what_the_candidate_fails_stable_answers(fault: Script) -> None:
    async with (
        scripted(saying(ok())) as stable,
        scripted(fault, "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=1000)
        answer = await subject.ask(infer())
        assert (answer.status, answer.field("x-plimsoll-revision"), answer.field("x-plimsoll-attempt")) == (
            200,
            "r1",
            "2",
        )
        record = subject.records["r2"]
        assert record.outcomes in ([Outcome.BROKEN], [Outcome.SERVER_FAULT])
        assert (record.arrivals, record.rescues) == (1, 1)
        assert subject.records["r1"].arrivals == 0


async def test_an_error_of_stable_is_the_answer() -> None:
    async with scripted(saying(FAILED)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        answer = await subject.ask(infer())
        assert (answer.status, answer.body, answer.field("x-plimsoll-attempt")) == (500, b"{}", None)
        assert subject.records["r1"].outcomes == [Outcome.SERVER_FAULT]


async def test_a_fault_of_the_client_is_not_tried_again() -> None:
    async with scripted(saying(WRONG)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], [server.ip], weight=1000)
        assert (await subject.ask(infer())).status == 400
        assert subject.records["r2"].outcomes == [Outcome.CLIENT_FAULT]
        assert len(server.asked) == 1


async def test_an_error_of_the_candidate_is_the_answer_where_stable_has_no_endpoint() -> None:
    async with scripted(saying(FAILED)) as server, gateway(port=server.port) as subject:
        subject.route([], [server.ip], weight=1000)
        assert (await subject.ask(infer())).status == 500
        assert subject.records["r2"].outcomes == [Outcome.SERVER_FAULT]


async def test_a_candidate_without_endpoints_costs_nobody_an_answer() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], [], weight=1000)
        assert (await subject.ask(infer())).status == 200
        assert (subject.records["r2"].ends, subject.records["r2"].rescues) == ([(Outcome.SHED, "")], 1)


async def test_an_endpoint_that_refuses_connections_is_passed_over() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip, "127.0.0.99"])
        for _ in range(4):  # A second attempt takes a turn too, so that the turns are not simply alternate.
            assert (await subject.ask(infer())).status == 200
        assert set(subject.records["r1"].ends) <= {(Outcome.SUCCEEDED, "pod-2"), (Outcome.BROKEN, "pod-99")}
        assert subject.records["r1"].rescues == subject.records["r1"].outcomes.count(Outcome.BROKEN) > 0


async def test_a_connection_that_the_server_closed_while_it_was_idle_is_nobodys_fault() -> None:
    closing = asyncio.Event()

    async def close_at_the_second(asked: Asked) -> None:
        """Closes its side exactly when a second request is on its way: the race of every keep-alive time."""
        await asked.read_body()
        if asked.number == 1:
            asked.writer.close()
            closing.set()
        else:
            asked.writer.write(ok())

    async with scripted(close_at_the_second) as server, gateway(PATIENT, port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answers = [await client.ask(infer()) for _ in range(3)]
        client.close()
        assert closing.is_set()
        assert [(answer.status, answer.field("x-plimsoll-attempt")) for answer in answers] == [(200, None)] * 3
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED] * 3
        assert (subject.meter.reconnects, subject.meter.retries, server.opened) == (1, 0, 2)


async def test_a_server_that_dies_of_every_request_is_not_excused() -> None:
    async def die_but_once(asked: Asked) -> None:
        await asked.read_body()
        if asked.number == 0:
            asked.writer.write(ok())
        else:
            asked.writer.close()

    async with scripted(die_but_once) as server, gateway(PATIENT, port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        assert [(await client.ask(infer())).status for _ in range(2)] == [200, 502]
        client.close()
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED, Outcome.BROKEN]


async def test_idle_connections_that_the_server_closed_are_not_used() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        assert (await subject.ask(infer())).status == 200
        server.close_idle()
        await until(lambda: not server.open)
        assert (await subject.ask(infer())).status == 200
        assert subject.meter.reconnects == 0


async def test_a_long_request_is_not_sent_twice() -> None:
    limits = Limits(replay_bytes=1000)

    async with (
        scripted(vanish) as bad,
        scripted(vanish, "127.0.0.3", bad.port) as other,
        gateway(limits, port=bad.port) as subject,
    ):
        subject.route([bad.ip, other.ip])
        client = await subject.connect()
        assert (await client.ask(infer(b"x" * 5000))).status == 502
        client.close()
        assert len(bad.asked + other.asked) == 1


async def test_a_request_is_sent_again_with_what_came_in_since() -> None:
    async def break_early(asked: Asked) -> None:
        asked.writer.close()

    async with (
        scripted(break_early) as bad,
        scripted(saying(ok()), "127.0.0.3", bad.port) as good,
        gateway(port=bad.port) as subject,
    ):
        subject.route([good.ip], [bad.ip], weight=1000)
        client = await subject.connect()
        request = infer(b"0123456789" * 1000)
        client.writer.write(request[:5000])
        await until(lambda: len(good.asked) == 1)
        client.writer.write(request[5000:])
        assert (await client.answer()).status == 200
        client.close()
        assert good.asked[0].head + good.asked[0].body == request


async def test_an_endpoint_that_does_not_accept_is_passed_over() -> None:
    with deaf("127.0.0.5") as port:
        async with (
            scripted(saying(ok()), port=port) as server,
            gateway(Limits(connect_s=0.1), port=port) as subject,
        ):
            subject.route([server.ip, "127.0.0.5"])
            assert {(await subject.ask(infer())).status for _ in range(2)} == {200}
            assert (Outcome.BROKEN, "pod-5") in subject.records["r1"].ends


async def test_a_server_that_dies_after_a_while_is_not_excused_by_a_reused_connection() -> None:
    async def die_later(asked: Asked) -> None:
        await asked.read_body()
        if asked.number == 1:
            await asyncio.sleep(0.2)
            asked.writer.close()
        else:
            asked.writer.write(ok())

    async with scripted(die_later) as server, gateway(Limits(race_s=0.1), port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        assert [(await client.ask(infer())).status for _ in range(3)] == [200, 502, 200]
        client.close()
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED, Outcome.BROKEN, Outcome.SUCCEEDED]
        assert subject.meter.reconnects == 0
