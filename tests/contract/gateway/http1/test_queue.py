"""Requests that wait, are refused, or run out of time: what clients see over real sockets, and what is recorded."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from tests.support.http_gateway import Answer, Client, Gateway, gateway, infer, until
from tests.support.scripted_http import Asked, never, ok, saying, scripted

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.gateway.http1.limits import Limits

ONE_EACH = RequestLimits(outstanding=1)
READY = b"GET /v2/models/digits/ready HTTP/1.1\r\nHost: digits\r\n\r\n"


@dataclass
class Slow:
    """A model server that answers when it is let."""

    let: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def script(self, asked: Asked) -> None:
        await asked.read_body()
        await self.let.acquire()
        asked.writer.write(ok(asked.body))


async def send(subject: Gateway, request: bytes) -> Client:
    """Sends a request and waits until the gateway has it in hand."""
    before = subject.records["r1"].arrivals
    client = await subject.connect()
    client.writer.write(request)
    await until(lambda: subject.records["r1"].arrivals > before)
    return client


def queued(subject: Gateway) -> int:
    return subject.records["r1"].queued


async def test_requests_wait_in_order_and_are_told_for_how_long() -> None:
    slow = Slow()
    async with scripted(slow.script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=ONE_EACH)
        clients = [await send(subject, infer(b"%d" % number)) for number in range(3)]
        assert (queued(subject), len(server.asked)) == (2, 1)
        answers: list[Answer] = []
        for client in clients:
            slow.let.release()
            answers.append(await client.answer())
            client.close()
        assert [(answer.status, answer.body) for answer in answers] == [(200, b"0"), (200, b"1"), (200, b"2")]
        told = [answer.field("x-plimsoll-queued") for answer in answers]
        assert told[0] is None
        assert all(int(value or 0) >= 1 for value in told[1:])
        assert [asked.body for asked in server.asked] == [b"0", b"1", b"2"]
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED] * 3
        assert subject.outstanding == 0


async def test_who_may_not_wait_is_told_when_to_come_back() -> None:
    slow = Slow()
    async with scripted(slow.script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=RequestLimits(outstanding=1, max_queue=0))
        first = await send(subject, infer())
        client = await subject.connect()
        answer = await client.ask(infer())
        assert (answer.status, answer.field("retry-after"), answer.field("connection")) == (503, "1", None)
        assert b"spec.overload.maxQueue lets no request wait" in answer.body
        ready = asyncio.create_task(client.ask(READY))
        slow.let.release()
        slow.let.release()
        assert (await ready).status == 200, "calls that are no inference do not wait"
        assert (await first.answer()).status == 200
        assert sorted(subject.records["r1"].ends) == [(Outcome.SUCCEEDED, "pod-2"), (Outcome.SHED, "")]
        first.close()
        client.close()


async def test_who_waited_for_too_long_is_told_and_its_pod_never_hears_of_it() -> None:
    async with scripted(never) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=RequestLimits(outstanding=1, max_wait_s=0.2))
        first = await send(subject, infer())
        answer = await subject.ask(infer())
        assert (answer.status, answer.field("retry-after")) == (503, "1")
        assert b"No replica of digits was free within 0.2 s." in answer.body
        assert len(server.asked) == 1
        first.close()
        await until(lambda: subject.outstanding == 0)
        assert subject.records["r1"].outcomes == [Outcome.SHED, Outcome.CANCELLED]


async def test_who_hangs_up_leaves_the_line() -> None:
    slow = Slow()
    async with scripted(slow.script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=ONE_EACH)
        first, second, third = [await send(subject, infer(b"%d" % number)) for number in range(3)]
        second.close()
        await until(lambda: queued(subject) == 1)
        slow.let.release()
        slow.let.release()
        assert (await first.answer()).body == b"0"
        assert (await third.answer()).body == b"2"
        assert len(server.asked) == 2
        assert Outcome.CANCELLED in subject.records["r1"].outcomes
        first.close()
        third.close()


async def test_a_pod_that_comes_takes_over_who_waits() -> None:
    async with (
        scripted(never) as busy,
        scripted(saying(ok(b"new")), "127.0.0.3", busy.port) as new,
        gateway(port=busy.port) as subject,
    ):
        subject.route([busy.ip], limits=ONE_EACH)
        first = await send(subject, infer())
        second = await send(subject, infer())
        subject.route([busy.ip, new.ip], limits=ONE_EACH)
        assert (await second.answer()).body == b"new"
        first.close()
        second.close()


async def test_a_large_body_waits_with_its_client() -> None:
    """Nothing but its beginning is held here: reading stops until there is somebody to send it to."""
    body = b"x" * (8 << 20)
    slow = Slow()
    async with scripted(slow.script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=ONE_EACH)
        first = await send(subject, infer(b"0"))
        second = await send(subject, infer(body))
        await asyncio.sleep(0.1)
        assert second.writer.transport.get_write_buffer_size() > 0
        slow.let.release()
        slow.let.release()
        assert (await first.answer()).body == b"0"
        assert (await second.answer()).body == body
        first.close()
        second.close()


async def test_a_full_candidate_leaves_its_requests_to_stable() -> None:
    limits = RequestLimits(outstanding=1, max_queue=0)
    async with (
        scripted(never) as candidate,
        scripted(saying(ok(b"stable")), "127.0.0.3", candidate.port) as stable,
        gateway(port=candidate.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], 0, limits=limits)
        wanted = infer(head=b"X-Plimsoll-Candidate: true\r\n")
        first = await subject.connect()
        first.writer.write(wanted)
        await until(lambda: subject.records["r2"].arrivals == 1)
        answer = await subject.ask(wanted)
        assert (answer.body, answer.field("x-plimsoll-revision"), answer.field("x-plimsoll-attempt")) == (
            b"stable",
            "r1",
            "2",
        )
        assert (subject.records["r2"].outcomes, subject.records["r2"].rescues) == ([Outcome.SHED], 1)
        first.close()
        await until(lambda: subject.outstanding == 0)


async def test_stopped_traffic_lets_nobody_wait() -> None:
    async with scripted(never) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=ONE_EACH)
        first = await send(subject, infer())
        second = await send(subject, infer())
        subject.route([server.ip], traffic=Traffic.STOPPED, limits=ONE_EACH)
        answer = await second.answer()
        assert (answer.status, b"stopped by its spec" in answer.body) == (503, True)
        first.close()
        second.close()
        await until(lambda: subject.outstanding == 0)


# ---- the time that a client grants ----
@pytest.mark.parametrize("name", [b"X-Plimsoll-Timeout-Ms", b"x-envoy-expected-rq-timeout-ms"])
async def test_a_client_that_grants_little_time_is_answered_in_that_time(name: bytes) -> None:
    async with scripted(never) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answer = await client.ask(infer(head=name + b": 200\r\n"))
        assert (answer.status, answer.field("connection")) == (504, None)
        assert b"within the 0.2 s that the client grants" in answer.body
        assert name.lower() + b": 200" in server.asked[0].head.lower(), "the model server is told, too"
        assert subject.records["r1"].ends == [(Outcome.TIMED_OUT, "pod-2")]
        await until(lambda: not server.open)
        client.close()


async def test_time_that_is_over_while_waiting_is_no_evidence() -> None:
    async with scripted(never) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=RequestLimits(outstanding=1, max_wait_s=5))
        first = await send(subject, infer())
        answer = await subject.ask(infer(head=b"X-Plimsoll-Timeout-Ms: 200\r\n"))
        assert answer.status in {503, 504}
        assert subject.records["r1"].ends == [(Outcome.SHED, "")]
        first.close()
        await until(lambda: subject.outstanding == 0)


async def test_an_answer_in_time_ends_the_clock_and_the_connection_goes_on() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        assert (await client.ask(infer(head=b"X-Plimsoll-Timeout-Ms: 100\r\n"))).status == 200
        await asyncio.sleep(0.2)
        assert (await client.ask(infer())).status == 200
        client.close()


async def test_a_time_that_is_none_is_refused() -> None:
    async with gateway(port=1) as subject:
        subject.route(["127.0.0.2"])
        for value in (b"0", b"-1", b"1.5", b"1s", b""):
            answer = await subject.ask(infer(head=b"X-Plimsoll-Timeout-Ms: %s\r\n" % value))
            assert (answer.status, b"whole number of milliseconds" in answer.body) == (400, True), value


# ---- sizes ----
async def test_a_model_says_how_large_a_body_may_be() -> None:
    chunked = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: digits\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], limits=RequestLimits(max_body=100))
        assert (await subject.ask(infer(b"x" * 100))).status == 200
        assert (await subject.ask(chunked + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n")).status == 200
        too_large = await subject.ask(infer(b"x" * 101))
        assert (too_large.status, b"may have 100 bytes" in too_large.body) == (413, True)
        assert (await subject.ask(chunked + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")).status == 413
        assert subject.records["r1"].arrivals == 2


async def test_no_model_takes_more_than_the_gateway() -> None:
    async with gateway(Limits(body_bytes=50), port=1) as subject:
        subject.route(["127.0.0.2"], limits=RequestLimits(max_body=100))
        assert (await subject.ask(infer(b"x" * 51))).status == 413


async def test_all_pods_together_have_no_more_than_the_spec_says() -> None:
    slow = Slow()
    async with (
        scripted(slow.script) as one,
        scripted(slow.script, "127.0.0.3", one.port) as other,
        gateway(port=one.port) as subject,
    ):
        subject.route([one.ip, other.ip], limits=RequestLimits(max_concurrent=1))
        clients = [await send(subject, infer()) for _ in range(3)]
        assert (subject.outstanding, queued(subject)) == (1, 2)
        for client in clients:
            slow.let.release()
            assert (await client.answer()).status == 200
            client.close()
        assert len(one.asked) + len(other.asked) == 3


async def test_a_crowd_of_which_some_hang_up_some_are_late_and_pods_come_and_go() -> None:
    """Whatever happens, each arrival has one end, and nothing is left at a pod, in the line or in the count."""
    chance = random.Random(7)  # noqa: S311 - the same crowd every time

    async def answer_at_times(asked: Asked) -> None:
        await asked.read_body()
        await asyncio.sleep(chance.uniform(0, 0.02))
        if chance.random() < 0.05:
            asked.reset()
        else:
            asked.writer.write(ok())

    async def visit(subject: Gateway) -> int:
        await asyncio.sleep(chance.uniform(0, 1))
        client = await subject.connect()
        fields = b"X-Plimsoll-Timeout-Ms: 50\r\n" if chance.random() < 0.2 else b""
        asking = asyncio.create_task(client.ask(infer(head=fields)))
        if chance.random() < 0.2:
            await asyncio.sleep(chance.uniform(0, 0.1))
            client.close()
        try:
            return (await asking).status
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        finally:
            client.close()

    limits = RequestLimits(outstanding=2, max_queue=30, max_wait_s=0.2)
    async with (
        scripted(answer_at_times) as one,
        scripted(answer_at_times, "127.0.0.3", one.port) as other,
        gateway(port=one.port) as subject,
    ):
        subject.route([one.ip, other.ip], limits=limits)
        visits = [asyncio.create_task(visit(subject)) for _ in range(600)]
        for pods in ([one.ip], [other.ip], [], [one.ip, other.ip]):
            await asyncio.sleep(0.2)
            subject.route(pods, limits=limits)
        statuses = set(await asyncio.gather(*visits))
        await until(lambda: subject.outstanding == 0 and subject.targets.models["digits"].queue.in_service == 0)
        assert {200, 503} <= statuses <= {0, 200, 502, 503, 504}
        assert subject.targets.models["digits"].queue.length == 0
