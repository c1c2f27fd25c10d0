"""Requests and answers over HTTP that are looked into: what is refused, what is filled in, what is no success."""

import asyncio
import gzip
import json
import struct
from typing import Any

import pytest
from tests.support.http_gateway import Answer, gateway, infer, until
from tests.support.looked import rules
from tests.support.scripted_http import Asked, Script, ok, saying, scripted

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.inspection import READ, Subject

RIGHT = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
AGE = {"name": "x", "min": 0, "max": 9, "default": "5"}


def asking(document: Any = None, head: bytes = b"") -> bytes:
    return infer(json.dumps(document or RIGHT).encode(), head)


def of_x(data: Any, shape: tuple[int, ...] = (1, 2), data_type: str = "FP32") -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": data_type, "shape": shape, "data": data}]}


def y(data: bytes = b"[1.5]", shape: bytes = b"[1,1]") -> bytes:
    outputs = b'[{"name":"y","datatype":"FP32","shape":%s,"data":%s}]' % (shape, data)
    return b'{"model_name":"digits","model_version":"1","outputs":%s}' % outputs


GOOD = ok(y())
NAN = ok(y(b"[NaN]"))


def in_pieces(answer: bytes, pause_s: float = 0.01) -> Script:
    async def script(asked: Asked) -> None:
        await asked.read_body()
        cut = answer.index(b"\r\n\r\n") + 4
        for piece in (answer[:cut], answer[cut : cut + 9], answer[cut + 9 :]):
            asked.writer.write(piece)
            await asked.writer.drain()
            await asyncio.sleep(pause_s)

    return script


def error_of(answer: Answer) -> str:
    return str(json.loads(answer.body)["error"])


# ---- requests ----
@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (of_x([1, 2], data_type="FP64"), "Input 'x' is FP64; the model takes FP32."),
        (of_x([1, 11]), "Element [0, 1] of input 'x' is 11.0; the most that is declared is 9."),
        (of_x([1, None]), "Element [0, 1] of input 'x' is null; send a value."),
        ({"inputs": "x"}, "inputs must be a list of objects."),
    ],
)
async def test_a_request_that_the_model_does_not_take_is_refused_and_is_no_evidence(
    document: Any, sentence: str
) -> None:
    async with scripted(saying(GOOD)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Reject", inputs=[AGE]))
        client = await subject.connect()
        answer = await client.ask(asking(document))
        assert (answer.status, error_of(answer)) == (400, sentence)
        assert answer.field("x-plimsoll-revision") == "r1"
        assert (await client.ask(asking())).status == 200, "the connection goes on"
        client.close()
        assert subject.records["r1"].outcomes == [Outcome.CLIENT_FAULT, Outcome.SUCCEEDED]
        assert len(server.asked) == 1


@pytest.mark.parametrize("head", [b"", b"Content-Encoding: gzip\r\n", b"chunked"])
async def test_what_is_right_passes_byte_for_byte_however_it_is_sent(head: bytes) -> None:
    body = json.dumps(RIGHT).encode()
    request = infer(gzip.compress(body), head)
    if not head:
        request = infer(body)
    elif head == b"chunked":
        framed = b"%x\r\n%s\r\n3\r\n%s\r\n0\r\n\r\n" % (len(body) - 3, body[:-3], body[-3:])
        request = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + framed
    async with scripted(saying(GOOD)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Reject", inputs=[AGE]))
        answer = await subject.ask(request)
        assert (answer.status, answer.body) == (200, y())
        assert server.asked[0].head + server.asked[0].body == request


async def test_a_client_that_waits_to_be_invited_is_invited() -> None:
    async with scripted(saying(GOOD)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Reject"))
        client = await subject.connect()
        request = asking(head=b"Expect: 100-continue\r\n")
        cut = request.index(b"\r\n\r\n") + 4
        assert (await client.ask(request[:cut])).status == 100
        assert (await client.ask(request[cut:])).status == 200
        client.close()


async def test_defaults_are_filled_in_and_the_answer_comes_in_the_form_that_was_asked_for() -> None:
    async with scripted(saying(GOOD)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Impute", inputs=[AGE]))
        answer = await subject.ask(asking({**of_x([1, None]), "id": "a", "parameters": {"top_k": 3}}))
        assert answer.status == 200
        sent = server.asked[0]
        length = int(sent.head.lower().partition(b"inference-header-content-length: ")[2].split(b"\r\n")[0])
        header = json.loads(sent.body[:length])
        assert struct.unpack("<2f", sent.body[length:]) == (1, 5)
        assert (header["id"], header["parameters"], "outputs" in header) == ("a", {"top_k": 3}, False)


async def test_flag_lets_pass_and_says_what_is_wrong() -> None:
    async with scripted(saying(GOOD)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Flag", inputs=[AGE]))
        answer = await subject.ask(asking(of_x([1, 11])))
        assert (answer.status, answer.field("x-plimsoll-invalid")) == (200, "x=Range")
        assert (await subject.ask(asking())).field("x-plimsoll-invalid") is None
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED] * 2
        assert dict(subject.looked.inspection.invalid) == {(Subject.REQUEST, "Range"): 1}


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
async def test_a_request_that_is_too_large_to_be_held_is_the_models_to_judge(announced: bool) -> None:  # noqa: FBT001
    size = READ.body_bytes + 1
    head = b"Content-Length: %d" % size if announced else b"Transfer-Encoding: chunked"
    framed = b"x" * size if announced else b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"

    async def swallowing(asked: Asked) -> None:
        while len(asked.body) < len(framed):
            asked.body += await asked.reader.read(1 << 16)
        asked.writer.write(GOOD)

    async with scripted(swallowing) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Reject"))
        answer = await subject.ask(
            b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + framed
        )
        assert answer.status == 200
        assert len(server.asked[0].body) == len(framed)
        assert dict(subject.looked.inspection.passed)[Subject.REQUEST, "TooLarge"] == 1


async def test_a_client_that_goes_in_mid_request_leaves_nothing_held() -> None:
    async with scripted(saying(GOOD)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Reject"))
        client = await subject.connect()
        client.writer.write(asking()[:-5])
        await until(lambda: subject.looked.budget.held > 0)
        client.close()
        await until(lambda: subject.looked.budget.held == 0)
        assert subject.records["r1"].outcomes == [Outcome.CANCELLED]


# ---- answers ----
@pytest.mark.parametrize("spoken", [saying, in_pieces])
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (NAN, "Element [0, 0] of output 'y' is NaN."),
        (ok(y(b"[]")), "Output 'y' has 0 elements instead of the 1 of its shape."),
        (ok(y(shape=b"[1,2]", data=b"[1,2]")), "Output 'y' has shape [1, 2] instead of [1, 1]."),
        (ok(b'{"outputs":[]}'), "The answer has no output 'y'."),
        (ok(b"oops"), "The answer is no JSON."),
    ],
)
async def test_a_success_that_is_none_is_a_failure(spoken: Any, said: bytes, sentence: str) -> None:
    async with scripted(spoken(said)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules())
        client = await subject.connect()
        answer = await client.ask(asking())
        assert (answer.status, error_of(answer)) == (502, sentence)
        answer = await client.ask(asking())
        assert answer.status == 502, "the connection goes on"
        client.close()
        assert subject.records["r1"].outcomes == [Outcome.INVALID_OUTPUT] * 2
        assert subject.outstanding == 0


@pytest.mark.parametrize("spoken", [saying, in_pieces])
async def test_what_the_candidate_gets_wrong_stable_answers(spoken: Any) -> None:
    async with (
        scripted(saying(GOOD)) as stable,
        scripted(spoken(NAN), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=1000, rules=rules())
        answer = await subject.ask(asking())
        assert (answer.status, answer.body) == (200, y())
        assert (answer.field("x-plimsoll-revision"), answer.field("x-plimsoll-attempt")) == ("r1", "2")
        assert (subject.records["r2"].outcomes, subject.records["r2"].rescues) == ([Outcome.INVALID_OUTPUT], 1)


async def test_a_batch_that_the_request_did_not_have_is_wrong_however_large_the_request_is() -> None:
    async with scripted(saying(ok(y(b"[1,2]", b"[2,1]")))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules())
        assert (await subject.ask(asking())).status == 502
        assert (await subject.ask(asking(of_x([1, 2, 3, 4], (2, 2))))).status == 200


async def test_an_output_that_was_not_asked_for_may_be_missing() -> None:
    async with scripted(saying(ok(b'{"outputs":[]}'))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules())
        assert (await subject.ask(asking({**RIGHT, "outputs": [{"name": "z"}]}))).status == 200


def in_binary(*values: float) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [x]}).encode()
    return infer(head + struct.pack("<2f", *values), b"Inference-Header-Content-Length: %d\r\n" % len(head))


@pytest.mark.parametrize(
    ("brought", "allowed", "exempt"),
    [((1, 2), "Refuse", 0), ((1, float("nan")), "Refuse", 1), ((1, float("nan")), "Allow", 0)],
)
async def test_nan_that_was_brought_speaks_against_nobody(
    brought: tuple[float, ...], allowed: str, exempt: int
) -> None:
    async with scripted(saying(NAN)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(inputs=[{"name": "x", "notFinite": allowed}]))
        assert (await subject.ask(in_binary(*brought))).status == 502
        record = subject.records["r1"]
        assert (record.outcomes, record.exempt) == ([Outcome.INVALID_OUTPUT], exempt)


async def test_flagged_answers_pass() -> None:
    async with scripted(saying(NAN)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalidOutput="Flag"))
        answer = await subject.ask(asking())
        assert (answer.status, answer.field("x-plimsoll-invalid")) == (200, "y=NotFinite")
        assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED]


async def test_an_answer_that_is_too_long_to_be_held_passes_as_it_comes_and_is_counted() -> None:
    long = y(b"[%s1]" % (b"0," * 200_000), b"[1,200001]")
    async with scripted(saying(ok(long))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules())
        assert (await subject.ask(asking())).body == long
        assert dict(subject.looked.inspection.passed) == {(Subject.ANSWER, "long"): 1}


async def test_what_breaks_while_it_is_held_is_tried_again() -> None:
    async def half(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(GOOD[:-9])
        await asked.writer.drain()
        await asyncio.sleep(0.02)
        asked.writer.close()

    async with (
        scripted(half) as first,
        scripted(saying(GOOD), "127.0.0.3", first.port) as second,
        gateway(port=first.port) as subject,
    ):
        subject.route([first.ip, second.ip], rules=rules())
        assert [(await subject.ask(asking())).body for _ in range(4)] == [y()] * 4
        assert Outcome.BROKEN in subject.records["r1"].outcomes


async def test_calls_without_tensors_are_not_looked_into() -> None:
    async with scripted(saying(ok(b"{}"))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip], rules=rules(onInvalid="Reject"))
        assert (await subject.ask(infer(b"{}", path=b"/v2/models/digits/generate"))).status == 200
        assert (await subject.ask(b"GET /v2/models/digits HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200
