"""Answers over HTTP of which the model is not sure: what clients see, in every form, and what is recorded."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tritonclient.http.aio as triton_client
from tests.support.http_gateway import Answer, Gateway, gateway, infer, pods, until
from tests.support.looked import rules
from tests.support.scripted_http import Asked, Script, ok, saying, scripted
from tests.support.unsure import KEPT, On, judged

from plimsoll.api.confidence import OnLow
from plimsoll.api.degradation import KillSwitch
from plimsoll.core.kill_switch.policy import kill_policy_of
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.core.validation.outputs import HELD_BYTES

FAILS = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
SURE, LOW = (0.9, 0.1), (0.6, 0.4)
ABSTAINED = {"id": "7", "model_name": "digits", "model_version": "1", "parameters": {"abstained": True}, "outputs": []}


def in_json(*values: float, name: str = "y", more: str = "") -> bytes:
    y = {"name": name, "datatype": "FP32", "shape": [1, len(values)], "data": values}
    document = {"id": "7", "model_name": "digits", "model_version": "1", "outputs": [y]}
    return ok(json.dumps(document).encode() + more.encode())


def in_binary(*values: float) -> bytes:
    data = struct.pack(f"<{len(values)}f", *values)
    size = {"binary_data_size": len(data)}
    y = {"name": "y", "datatype": "FP32", "shape": [1, len(values)], "parameters": size}
    head = json.dumps({"id": "7", "model_name": "digits", "model_version": "1", "outputs": [y]}).encode()
    return ok(head + data, b"Inference-Header-Content-Length: %d\r\n" % len(head))


def compressed(*values: float) -> bytes:
    return ok(gzip.compress(in_json(*values).partition(b"\r\n\r\n")[2]), b"content-encoding: gzip\r\n")


def in_pieces(answer: bytes) -> Script:
    async def script(asked: Asked) -> None:
        await asked.read_body()
        cut = answer.index(b"\r\n\r\n") + 4
        for piece in (answer[:cut], answer[cut : cut + 9], answer[cut + 9 :]):
            asked.writer.write(piece)
            await asked.writer.drain()
            await asyncio.sleep(0.01)

    return script


def asking(value: float = 1, **more: Any) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}
    return infer(json.dumps({"id": "7", "inputs": [x], **more}).encode())


def follow(subject: Gateway, on: On, *stable: str, candidate: str = "") -> None:
    """Routes `digits` to these pods; where there is a candidate, it gets every request."""
    keeps = on.cache is not None
    second = RevisionRoute("r2", 1000, pods([candidate]), cacheable=keeps) if candidate else None
    subject.epoch += 1
    first = RevisionRoute("r1", 0 if second else 1000, pods(stable), cacheable=keeps)
    subject.targets.apply(judged(on, first, second, subject.epoch))


def told(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.field("x-plimsoll-confidence")


def results(subject: Gateway) -> dict[str, int]:
    return dict(subject.looked.inspection.confidence)


FORMS = [in_json, in_binary, compressed]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("low", OnLow)
async def test_an_answer_that_is_sure_passes_byte_for_byte(form: Any, low: OnLow) -> None:
    sent = form(*SURE)
    async with scripted(saying(sent)) as server, gateway(port=server.port) as subject:
        follow(subject, On(low), server.ip)
        answer = await subject.ask(asking())
        assert (told(answer), answer.body) == ((200, None), sent.partition(b"\r\n\r\n")[2])
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED]
        assert results(subject) == {"sure": 1}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("script", [saying, in_pieces])
async def test_flag_lets_a_low_answer_pass_byte_for_byte_and_says_so(form: Any, script: Any) -> None:
    sent = form(*LOW)
    async with scripted(script(sent)) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.FLAG), server.ip)
        answer = await subject.ask(asking())
        assert (told(answer), answer.body) == ((200, "low"), sent.partition(b"\r\n\r\n")[2])
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED]
        assert results(subject) == {"flagged": 1}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("script", [saying, in_pieces])
async def test_abstain_withholds_it_and_the_next_request_goes_on(form: Any, script: Any) -> None:
    async with scripted(script(form(*LOW))) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.ABSTAIN), server.ip)
        client = await subject.connect()
        for _ in range(2):
            answer = await client.ask(asking())
            assert (told(answer), json.loads(answer.body)) == ((200, "abstained"), ABSTAINED)
            assert answer.field("content-type") == "application/json"
            assert answer.field("inference-header-content-length") is None
            assert answer.field("content-encoding") is None
            assert answer.field("x-plimsoll-revision") == "r1"
        client.close()
        assert subject.records["r1"].outcomes == [Outcome.ABSTAINED] * 2
        assert results(subject) == {"abstained": 2}
        assert subject.outstanding == 0


async def test_fallback_has_the_other_model_answer_the_same_request() -> None:
    async def echo(asked: Asked) -> None:
        asked.writer.write(ok(await asked.read_body()))

    async with (
        scripted(saying(in_json(*LOW))) as server,
        scripted(echo, "127.0.0.3", server.port) as other,
        gateway(port=server.port) as subject,
    ):
        follow(subject, On(OnLow.FALLBACK, RevisionRoute("s1", 1000, pods([other.ip]))), server.ip)
        client = await subject.connect()
        for number in range(2):
            answer = await client.ask(asking(number))
            assert (told(answer), json.loads(answer.body)["inputs"][0]["data"]) == ((200, None), [number])
            assert answer.field("x-plimsoll-degraded") == "fallback; model=small; reason=confidence"
            assert answer.field("x-plimsoll-revision") == "s1"
        client.close()
        assert other.asked[0].head.startswith(b"POST /v2/models/small/infer HTTP/1.1\r\n")
        first, second = subject.records["r1"], subject.records["s1"]
        assert (first.outcomes, first.exempt) == ([Outcome.ABSTAINED] * 2, 0)
        assert (second.outcomes, second.exempt) == ([Outcome.SUCCEEDED] * 2, 2)
        assert results(subject) == {"fallback": 2}
        assert subject.outstanding == 0
        assert subject.targets.models["small"].queue.in_service == 0


async def test_where_no_other_model_can_answer_the_answer_passes_flagged() -> None:
    async with scripted(saying(in_json(*LOW))) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.FALLBACK, RevisionRoute("s1", 1000)), server.ip)
        answer = await subject.ask(asking())
        assert (told(answer), answer.field("x-plimsoll-degraded")) == ((200, "low"), None)
        assert answer.body == in_json(*LOW).partition(b"\r\n\r\n")[2]
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED]
        assert results(subject) == {"no_fallback": 1}


async def test_what_the_other_model_fails_to_answer_its_client_is_told() -> None:
    async with (
        scripted(saying(in_json(*LOW))) as server,
        scripted(saying(FAILS), "127.0.0.3", server.port) as other,
        gateway(port=server.port) as subject,
    ):
        follow(subject, On(OnLow.FALLBACK, RevisionRoute("s1", 1000, pods([other.ip]))), server.ip)
        answer = await subject.ask(asking())
        assert (answer.status, answer.field("x-plimsoll-degraded")) == (500, "fallback; model=small; reason=confidence")
        assert subject.records["r1"].outcomes == [Outcome.ABSTAINED]
        assert subject.records["s1"].outcomes == [Outcome.SERVER_FAULT]


@pytest.mark.parametrize(
    ("why", "sent", "result"),
    [
        ("the client asked for other outputs", in_json(*LOW, name="z"), "absent"),
        ("it is longer than what is held", in_json(*LOW, more=" " * HELD_BYTES), "unheld"),
        ("it comes in chunks", CHUNKED, "unheld"),
        ("it is no answer", ok(b"[]"), "unreadable"),
    ],
)
async def test_what_cannot_be_judged_passes_and_says_so(why: str, sent: bytes, result: str) -> None:
    async with scripted(saying(sent)) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.ABSTAIN), server.ip)
        answer = await subject.ask(asking())
        assert told(answer) == (200, "unknown"), why
        assert answer.body == sent.partition(b"\r\n\r\n")[2]
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED]
        assert results(subject) == {result: 1}


async def test_a_success_that_is_no_answer_of_the_protocol_is_not_judged() -> None:
    async with (
        scripted(saying(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")) as server,
        gateway(port=server.port) as subject,
    ):
        follow(subject, On(OnLow.ABSTAIN), server.ip)
        assert told(await subject.ask(asking())) == (202, None)
        assert results(subject) == {}


async def test_failures_and_calls_without_tensors_are_not_judged() -> None:
    async with scripted(saying(FAILS)) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.ABSTAIN), server.ip)
        assert told(await subject.ask(asking())) == (500, None)
        generated = await subject.ask(infer(b"{}", path=b"/v2/models/digits/generate"))
        assert told(generated) == (500, None)
        assert results(subject) == {}


async def test_an_axis_alone_is_rows_or_classes_as_the_interface_says() -> None:
    sent = in_json(*SURE).replace(b"[1, 2]", b"[2]   ")
    async with scripted(saying(sent)) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.FLAG), server.ip)
        assert told(await subject.ask(asking())) == (200, "unknown")
        subject.epoch += 1
        known = RevisionRoute("r1", 1000, pods([server.ip]), rules=rules(onInvalidOutput="Flag"))
        subject.targets.apply(judged(On(OnLow.FLAG), known, epoch=subject.epoch))
        assert told(await subject.ask(asking())) == (200, "low"), "it batches, so these are two rows"


# ---- answers that are kept ----
async def test_a_kept_answer_is_judged_as_a_fresh_one_and_kept_as_it_was_given() -> None:
    async with scripted(saying(in_json(*LOW))) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.ABSTAIN, cache=KEPT), server.ip)
        for how in ("miss", "hit"):
            answer = await subject.ask(asking())
            assert (told(answer), json.loads(answer.body)) == ((200, "abstained"), ABSTAINED)
            assert answer.field("x-plimsoll-cache") == how
        follow(subject, On(OnLow.FLAG, cache=KEPT), server.ip)
        answer = await subject.ask(asking())
        assert (told(answer), answer.field("x-plimsoll-cache")) == ((200, "low"), "hit")
        assert json.loads(answer.body)["outputs"][0]["data"] == pytest.approx(LOW)
        record = subject.records["r1"]
        assert record.outcomes == [Outcome.ABSTAINED, Outcome.ABSTAINED, Outcome.SUCCEEDED]
        assert (record.cache_hits, len(server.asked)) == (2, 1)


async def test_who_waits_for_the_same_answer_abstains_too() -> None:
    released = asyncio.Event()

    async def script(asked: Asked) -> None:
        await asked.read_body()
        await released.wait()
        asked.writer.write(in_binary(*LOW))

    async with scripted(script) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.ABSTAIN, cache=KEPT), server.ip)
        both = [asyncio.create_task(subject.ask(asking())) for _ in range(2)]
        await until(lambda: subject.records.get("r1") is not None and subject.records["r1"].arrivals == 2)
        released.set()
        answers = [await one for one in both]
        assert [told(answer) for answer in answers] == [(200, "abstained")] * 2
        assert {answer.field("x-plimsoll-cache") for answer in answers} == {"miss", "shared"}
        assert subject.records["r1"].outcomes == [Outcome.ABSTAINED] * 2


@pytest.mark.parametrize("stands_in", [True, False])
async def test_a_kept_answer_that_is_low_is_answered_by_the_other_model_where_it_can(*, stands_in: bool) -> None:
    async with (
        scripted(saying(in_json(*LOW))) as server,
        scripted(saying(ok(b"small")), "127.0.0.3", server.port) as other,
        gateway(port=server.port) as subject,
    ):
        small = RevisionRoute("s1", 1000, pods([other.ip] if stands_in else []))
        follow(subject, On(OnLow.FALLBACK, small, KEPT), server.ip)
        for _ in range(2):
            answer = await subject.ask(asking())
            assert told(answer) == (200, None if stands_in else "low")
            assert (answer.body == b"small") is stands_in
        record = subject.records["r1"]
        assert record.outcomes == [Outcome.ABSTAINED if stands_in else Outcome.SUCCEEDED] * 2
        assert (record.cache_hits, len(server.asked)) == (1, 1)
        assert results(subject) == {"fallback" if stands_in else "no_fallback": 2}


@pytest.mark.parametrize(("low", "said"), [(OnLow.ABSTAIN, "abstained"), (OnLow.FLAG, "low"), (OnLow.FALLBACK, "low")])
async def test_a_kept_answer_is_judged_where_its_check_failed(low: OnLow, said: str) -> None:
    """The other model is not asked: the one that was has failed to say that it still thinks so."""
    scripts = iter([in_json(*LOW), FAILS])

    async def script(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(next(scripts))

    async with (
        scripted(script) as server,
        scripted(saying(ok(b"small")), "127.0.0.3", server.port) as other,
        gateway(port=server.port) as subject,
    ):
        small = RevisionRoute("s1", 1000, pods([other.ip]))
        follow(subject, On(OnLow.FLAG, small, KEPT), server.ip)
        await subject.ask(asking())
        subject.looked.tossed = 0.0
        follow(subject, On(low, small, KEPT), server.ip)
        answer = await subject.ask(asking())
        assert (told(answer), answer.field("x-plimsoll-cache")) == ((200, said), "hit")
        assert json.loads(answer.body)["outputs"] == [] if low is OnLow.ABSTAIN else answer.body != b"small"
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED, Outcome.SERVER_FAULT]
        assert other.asked == []


# ---- roll-outs and kill switches ----
@pytest.mark.parametrize("low", [OnLow.ABSTAIN, OnLow.FALLBACK])
async def test_an_answer_that_stable_gave_in_the_candidates_place_rescues_it_though_it_is_low(low: OnLow) -> None:
    async with (
        scripted(saying(in_json(*LOW))) as stable,
        scripted(saying(FAILS), "127.0.0.3", stable.port) as candidate,
        scripted(saying(ok(b"small")), "127.0.0.4", stable.port) as other,
        gateway(port=stable.port) as subject,
    ):
        on = On(low, RevisionRoute("s1", 1000, pods([other.ip])))
        follow(subject, on, stable.ip, candidate=candidate.ip)
        answer = await subject.ask(asking())
        assert (answer.status, answer.field("x-plimsoll-attempt")) == (200, "2")
        assert answer.field("x-plimsoll-revision") == ("r1" if low is OnLow.ABSTAIN else "s1")
        record = subject.records["r2"]
        assert (record.outcomes, record.rescues) == ([Outcome.SERVER_FAULT], 1)
        assert sum(one.rescues for one in subject.records.values()) == 1


@pytest.mark.parametrize("low", OnLow)
async def test_for_the_kill_switch_a_low_answer_is_an_answer(low: OnLow) -> None:
    """The switch trips at 20 % of at least 10: 2 failures after 9 low answers are less, 3 are more."""

    async def script(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(in_json(*LOW) if asked.number < 9 else FAILS)

    async with (
        scripted(script) as server,
        scripted(saying(ok(b"small")), "127.0.0.3", server.port) as other,
        gateway(port=server.port) as subject,
    ):
        on = On(low, RevisionRoute("s1", 1000, pods([other.ip])))
        route = judged(on, RevisionRoute("r1", 1000, pods([server.ip]))).models["digits"]
        kill = kill_policy_of(KillSwitch(error_rate="20%", window="10m", min_requests=10))
        follow(subject, on, server.ip)
        subject.targets.follow(replace(route, epoch=9, ladder=replace(route.ladder, kill=kill)))
        for tripped in [False] * 11 + [True]:
            await subject.ask(asking())
            assert bool(subject.switches.trips()) is tripped


# ---- Triton's own client ----
@pytest.mark.parametrize("binary", [True, False])
async def test_tritons_client_reads_an_abstention(*, binary: bool) -> None:
    sent = in_binary(*LOW) if binary else in_json(*LOW)
    async with scripted(saying(sent)) as server, gateway(port=server.port) as subject:
        follow(subject, On(OnLow.ABSTAIN), server.ip)
        x = triton_client.InferInput("x", [1, 1], "FP32")
        x.set_data_from_numpy(np.ones((1, 1), np.float32), binary_data=binary)
        y = triton_client.InferRequestedOutput("y", binary_data=binary)
        async with triton_client.InferenceServerClient(f"127.0.0.1:{subject.port}") as client:
            result = await client.infer("digits", [x], outputs=[y], request_id="7")
            assert result.get_response() == ABSTAINED
            assert result.as_numpy("y") is None
            follow(subject, On(OnLow.FLAG), server.ip)
            result = await client.infer("digits", [x], outputs=[y], request_id="7")
            assert result.as_numpy("y").tolist() == [[np.float32(one) for one in LOW]]
