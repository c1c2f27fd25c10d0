"""Answers over HTTP that are kept: who gets them, in which form, and which requests are no evidence."""

import asyncio
import json
import struct
from dataclasses import replace
from typing import Any

import pytest
from tests.support.http_gateway import Answer, Client, Gateway, gateway, infer, until
from tests.support.looked import rules
from tests.support.scripted_http import Asked, Script, Scripted, ok, saying, scripted

from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.limits import RequestLimits

KEPT = CachePolicy(ttl_s=60.0, max_bytes=1 << 20, recheck=0.5)


def asking(value: float = 1, head: bytes = b"", **more: Any) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}
    return infer(json.dumps({"inputs": [x], **more}).encode(), head)


def asking_a_pair() -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    return infer(json.dumps({"inputs": [x]}).encode())


def in_binary(value: float = 1) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 1], "parameters": {"binary_data_size": 4}}
    header = json.dumps({"inputs": [x], "parameters": {"binary_data_output": True}}).encode()
    return infer(header + struct.pack("<f", value), b"Inference-Header-Content-Length: %d\r\n" % len(header))


def saying_y(value: float) -> bytes:
    y = {"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [value]}
    return ok(json.dumps({"model_name": "digits", "model_version": "1", "outputs": [y]}).encode())


def y_of(answer: Answer) -> float:
    assert answer.status == 200, answer
    return float(json.loads(answer.body)["outputs"][0]["data"][0])


def how(answer: Answer) -> str | None:
    return answer.field("x-plimsoll-cache")


def when(released: asyncio.Event, answer: bytes) -> Script:
    async def script(asked: Asked) -> None:
        await asked.read_body()
        await released.wait()
        asked.writer.write(answer)

    return script


async def test_the_same_question_is_asked_once_however_it_is_put() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        first = await subject.ask(asking())
        assert (y_of(first), how(first)) == (1.5, "miss")
        again = await subject.ask(asking(1.0, id="a", parameters={"note": 1}))
        assert (y_of(again), how(again), json.loads(again.body)["id"]) == (1.5, "hit", "a")
        assert again.field("x-plimsoll-revision") == "r1"
        raw = await subject.ask(in_binary())
        length = int(raw.field("inference-header-content-length") or 0)
        assert (how(raw), struct.unpack("<f", raw.body[length:])) == ("hit", (1.5,))
        assert y_of(await subject.ask(asking(2))) == 1.5
        assert len(server.asked) == 2


async def test_the_same_bytes_again_get_the_same_bytes_and_count_as_any_hit() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        answers = [await subject.ask(asking(id="a")) for _ in range(4)]
        assert [how(answer) for answer in answers] == ["miss", "hit", "hit", "hit"]
        assert len({answer.body for answer in answers[1:]}) == 1
        assert answers[-1].field("x-plimsoll-revision") == "r1"
        assert (subject.records["r1"].exempt, subject.records["r1"].cache_hits, len(server.asked)) == (3, 3, 1)


async def test_the_same_bytes_ask_something_else_where_the_spec_says_so() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        one, two = asking(parameters={"seed": 1}), asking(parameters={"seed": 2})
        assert [how(await subject.ask(each)) for each in (one, two, one, two)] == ["miss", "hit", "hit", "hit"]
        subject.route([server.ip], cache=replace(KEPT, parameters=("seed",)))
        assert [how(await subject.ask(each)) for each in (one, two, one, two)] == ["miss", "miss", "hit", "hit"]


async def test_the_same_bytes_with_other_header_lines_are_read_anew() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        for _ in range(3):
            await subject.ask(asking())
        lying = await subject.ask(asking(head=b"Inference-Header-Content-Length: 7\r\n"))
        assert how(lying) is None, "what it asks cannot be read, so the model judges it"
        assert len(server.asked) == 2


async def test_what_was_forgotten_is_asked_for_again() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        assert [how(await subject.ask(asking())) for _ in range(3)] == ["miss", "hit", "hit"]
        subject.looked.stores[0].answers.clear()
        assert [how(await subject.ask(asking())) for _ in range(2)] == ["miss", "hit"]
        assert len(server.asked) == 2


async def test_the_record_marks_what_an_arm_held_and_counts_hits() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        for _ in range(3):
            await subject.ask(asking())
        record = subject.records["r1"]
        assert (record.outcomes, record.exempt, record.cache_hits) == ([Outcome.SUCCEEDED] * 3, 2, 2)
        assert [pod for _, pod in record.ends] == ["pod-2", "", ""]
        counts = subject.looked.cache.counts
        assert (counts.hits, counts.misses, counts.served_bytes) == (2, 1, 8)
        assert counts.saved_s > 0


async def test_the_arm_is_tossed_first_and_what_either_holds_makes_no_evidence() -> None:
    async with (
        scripted(saying(saying_y(1))) as stable,
        scripted(saying(saying_y(2)), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=0, cache=KEPT)
        assert y_of(await subject.ask(asking())) == 1
        subject.route([stable.ip], [candidate.ip], weight=1000, cache=KEPT)
        fresh = await subject.ask(asking())
        assert (y_of(fresh), how(fresh)) == (2, "miss"), "a new revision never answers from an old one's entries"
        assert subject.records["r2"].exempt == 1
        subject.route([stable.ip], [candidate.ip], weight=0, cache=KEPT)
        assert how(await subject.ask(asking())) == "hit", "going back finds the old ones"


async def test_failures_are_not_kept() -> None:
    failure = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
    said = iter([failure, ok(b"no answer"), saying_y(1), saying_y(2)])

    async def script(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(next(said))

    async with scripted(script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        assert [(await subject.ask(asking())).status for _ in range(2)] == [500, 200]
        assert [y_of(await subject.ask(asking())) for _ in range(2)] == [1, 1]


async def test_what_stable_answered_for_the_candidate_is_not_kept_as_the_candidates() -> None:
    failure = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
    async with (
        scripted(saying(saying_y(1))) as stable,
        scripted(saying(failure), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=1000, cache=KEPT)
        assert [y_of(await subject.ask(asking())) for _ in range(2)] == [1, 1]
        assert len(candidate.asked) == 2
        assert subject.looked.stores[0].answers == {}


# ---- requests that ask the same at the same time ----
async def crowd(subject: Gateway, server: Scripted, size: int) -> list[Client]:
    """Has as many clients ask the same, of which one reaches the server."""
    clients = [await subject.connect() for _ in range(size)]
    for client in clients:
        client.writer.write(asking())
    await until(lambda: subject.records["r1"].arrivals == size and len(server.asked) == 1)
    return clients


async def test_one_is_sent_and_the_others_get_its_answer() -> None:
    released = asyncio.Event()
    async with scripted(when(released, saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        clients = await crowd(subject, server, 5)
        released.set()
        answers = [await client.answer() for client in clients]
        assert sorted(map(str, map(how, answers))) == ["miss", *["shared"] * 4]
        assert {y_of(answer) for answer in answers} == {1.5}
        assert (len(server.asked), subject.records["r1"].exempt, subject.looked.cache.counts.shared) == (1, 4, 4)
        for client in clients:
            client.close()


async def test_each_goes_by_itself_when_that_one_fails() -> None:
    released = asyncio.Event()

    async def script(asked: Asked) -> None:
        await asked.read_body()
        await released.wait()
        asked.writer.write(saying_y(1.5) if asked.number else b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")

    async with scripted(script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        clients = await crowd(subject, server, 4)
        released.set()
        assert sorted([(await client.answer()).status for client in clients]) == [200, 200, 200, 500]
        assert len(server.asked) == 4
        for client in clients:
            client.close()


async def test_the_next_one_is_sent_when_that_ones_client_goes() -> None:
    released = asyncio.Event()
    async with scripted(when(released, saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        first = await subject.connect()
        first.writer.write(asking())
        await until(lambda: len(server.asked) == 1)
        second = await subject.connect()
        second.writer.write(asking())
        await until(lambda: subject.records["r1"].arrivals == 2)
        first.close()
        await until(lambda: len(server.asked) == 2)
        released.set()
        assert y_of(await second.answer()) == 1.5
        assert subject.records["r1"].outcomes == [Outcome.CANCELLED, Outcome.SUCCEEDED]
        second.close()


async def test_who_waits_and_goes_is_forgotten() -> None:
    released = asyncio.Event()
    async with scripted(when(released, saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        first, second = await crowd(subject, server, 2)
        second.close()
        await until(lambda: len(subject.records["r1"].ends) == 1)
        released.set()
        assert y_of(await first.answer()) == 1.5
        first.close()


# ---- re-checks ----
@pytest.mark.parametrize(("fresh", "found"), [(1.5, []), (2.5, ["digits"])])
async def test_a_share_of_the_hits_is_asked_again_and_compared(fresh: float, found: list[str]) -> None:
    said = iter([saying_y(1.5), saying_y(fresh)])

    async def script(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(next(said))

    async with scripted(script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        await subject.ask(asking())
        subject.looked.tossed = 0.4
        checked = await subject.ask(asking())
        assert (y_of(checked), how(checked)) == (fresh, "recheck")
        subject.looked.tossed = 1.0
        assert y_of(await subject.ask(asking())) == fresh
        assert (subject.looked.mismatches, subject.looked.cache.counts.mismatched) == (found, len(found))
        assert (subject.records["r1"].exempt, subject.records["r1"].cache_mismatches) == (2, len(found))


async def hang(asked: Asked) -> None:
    await asked.read_body()
    await asked.reader.read()


async def break_off_in_mid_answer(asked: Asked) -> None:
    await asked.read_body()
    asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    asked.writer.close()


FAILED = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
LONG = b"HTTP/1.1 500 No\r\ncontent-length: 100000\r\n\r\n" + bytes(90_000)
REFUSED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("failing", "outcome"),
    [
        (saying(FAILED), Outcome.SERVER_FAULT),
        (saying(LONG), Outcome.SERVER_FAULT),
        (saying(REFUSED), Outcome.CLIENT_FAULT),
        (break_off_in_mid_answer, Outcome.BROKEN),
        (hang, Outcome.TIMED_OUT),
    ],
)
async def test_a_re_check_that_fails_does_not_reach_the_client(failing: Script, outcome: Outcome) -> None:
    scripts = iter([saying(saying_y(1.5)), failing, saying(saying_y(1.5))])

    async def script(asked: Asked) -> None:
        await next(scripts)(asked)

    async with scripted(script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        await subject.ask(asking())
        subject.looked.tossed = 0.4
        client = await subject.connect()
        given = await client.ask(asking(head=b"x-plimsoll-timeout-ms: 300\r\n"))
        assert (y_of(given), how(given), given.field("x-plimsoll-revision")) == (1.5, "hit", "r1")
        counts = subject.looked.cache.counts
        assert (counts.rechecked, counts.mismatched, counts.unchecked) == (1, 0, 1)
        record = subject.records["r1"]
        assert (record.outcomes, record.exempt) == ([Outcome.SUCCEEDED, outcome], 1)
        assert (subject.outstanding, record.rescues) == (0, 0)
        checked = await client.ask(asking())
        assert (y_of(checked), how(checked)) == (1.5, "recheck"), "the connection goes on, and so do the checks"
        client.close()


async def test_a_re_check_that_gets_no_pod_does_not_reach_the_client() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        await subject.ask(asking())
        subject.looked.tossed = 0.4
        subject.route([], cache=KEPT)
        given = await subject.ask(asking())
        assert (y_of(given), how(given)) == (1.5, "hit")


async def test_nor_does_an_invalid_answer() -> None:
    said = iter([saying_y(1.5), saying_y(float("nan"))])

    async def script(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(next(said))

    async with scripted(script) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT, rules=rules("r1"))
        await subject.ask(asking_a_pair())
        subject.looked.tossed = 0.4
        given = await subject.ask(asking_a_pair())
        assert (y_of(given), how(given)) == (1.5, "hit")
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED, Outcome.INVALID_OUTPUT]


# ---- what is not looked up ----
@pytest.mark.parametrize("body", [b"{}", b'{"inputs":[]}', b"[1"])
async def test_what_cannot_be_read_is_the_models_to_answer(body: bytes) -> None:
    async with scripted(saying(ok(b"{}"))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        answers = [await subject.ask(infer(body)) for _ in range(2)]
        assert [(answer.status, how(answer)) for answer in answers] == [(200, None)] * 2
        assert len(server.asked) == 2


async def test_a_cache_that_is_taken_out_of_the_spec_gives_nothing_any_more() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        await subject.ask(asking())
        subject.route([server.ip])
        assert how(await subject.ask(asking())) is None
        assert subject.targets.models["digits"].inspection is None
        subject.route([server.ip], cache=KEPT)
        assert how(await subject.ask(asking())) == "miss"


async def test_a_hit_needs_no_pod_and_no_place_in_the_queue() -> None:
    async with scripted(saying(saying_y(1.5))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], cache=KEPT)
        await subject.ask(asking())
        subject.route([], cache=KEPT, limits=RequestLimits(max_queue=0))
        assert y_of(await subject.ask(asking())) == 1.5
        assert (await subject.ask(asking(2))).status == 503
