"""Which outcome an HTTP answer is, by its status and, where that says the wrong thing, by its sentence."""

import json

import pytest

from plimsoll.core.records.grpc_status import Status
from plimsoll.core.records.grpc_status import outcome_of as outcome_over_grpc
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.outcomes import READ_BYTES, may_be_failure, message_of, outcome_of, outcome_of_failure

FULL = "[request id: <id_unknown>] Exceeds maximum queue size"
UNREADABLE = "Unable to parse 'data': Shape does not match true shape of 'data' field"
RAISED = "Failed to process the request(s) for model 'digits_0', message: MemoryError"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SUCCEEDED),
        (204, Outcome.SUCCEEDED),
        (400, Outcome.CLIENT_FAULT),
        (404, Outcome.CLIENT_FAULT),
        (500, Outcome.SERVER_FAULT),
        (501, Outcome.CLIENT_FAULT),
        (502, Outcome.SERVER_FAULT),
        (503, Outcome.SERVER_FAULT),
    ],
)
def test_a_status_is_one_class(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


@pytest.mark.parametrize(
    ("status", "in_chunks", "is_held"),
    [
        (200, True, False),
        (400, False, False),
        (400, True, True),
        (404, True, False),
        (500, False, True),
        (501, False, False),
        (503, True, True),
    ],
)
def test_which_answers_are_read(status: int, *, in_chunks: bool, is_held: bool) -> None:
    assert may_be_failure(status, in_chunks=in_chunks) is is_held


@pytest.mark.parametrize(
    ("status", "message", "outcome"),
    [
        (500, "", Outcome.SERVER_FAULT),
        (500, UNREADABLE, Outcome.CLIENT_FAULT),
        (500, FULL, Outcome.SERVER_FAULT),
        (503, "", Outcome.SERVER_FAULT),
        (503, FULL, Outcome.SHED),
        (503, UNREADABLE, Outcome.SERVER_FAULT),
        (502, FULL, Outcome.SERVER_FAULT),
        (400, RAISED, Outcome.SERVER_FAULT),
        (400, "Request timeout expired", Outcome.SHED),
        (400, "", Outcome.SERVER_FAULT),
    ],
)
def test_a_sentence_tells_whose_fault_it_is(status: int, message: str, outcome: Outcome) -> None:
    assert outcome_of_failure(status, message) is outcome


@pytest.mark.parametrize("message", [FULL, "Request timeout expired", "model is not ready"])
def test_overload_is_the_same_over_both_protocols(message: str) -> None:
    assert outcome_of_failure(503, message) is outcome_over_grpc(Status.UNAVAILABLE, message)


def test_the_sentence_of_an_error_answer() -> None:
    said = json.dumps({"error": FULL}).encode()
    assert message_of(said) == FULL
    assert message_of(b"%x\r\n" % len(said) + said + b"\r\n0\r\n\r\n") == FULL
    assert message_of(b"data: " + said + b"\n\n") == FULL


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Service Unavailable",
        b"{",
        b"}{",
        b"[]",
        b'"error"',
        b"{}",
        b'{"error":null}',
        b'{"error":["Exceeds maximum queue size"]}',
        b'{"error":"\xff"}',
        b"[" * READ_BYTES,
        b"{" * (READ_BYTES - 1) + b"}",
        b'{"error":"' + b"x" * READ_BYTES + b'"}',
    ],
)
def test_an_answer_without_one_is_judged_by_its_status(body: bytes) -> None:
    assert message_of(body) == ""
