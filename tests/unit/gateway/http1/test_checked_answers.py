"""Which answers are held until they have been checked, and what is said of them."""

import gzip
import json
import struct

import pytest
from tests.support.inference import taking

from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.outputs import HELD_BYTES
from plimsoll.gateway.http1.answer_head import AnswerHead, read_answer
from plimsoll.gateway.http1.checked_answers import Unchecked, problems_in, unchecked
from plimsoll.gateway.http1.limits import Limits

SCHEMA = taking({}, 8, {"y": (DataType.FP32, (-1, 2))})


def head_of(length: int, fields: bytes = b"", status: bytes = b"200 OK") -> AnswerHead:
    text = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, length, fields)
    return read_answer(text, b"", Limits(), to_head=False)


def spelled(data: str) -> bytes:
    return b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":%s}]}' % data.encode()


def sentences(body: bytes, fields: bytes = b"") -> list[str]:
    problems = problems_in(head_of(len(body), fields), body, SCHEMA, {}, 1)
    assert not isinstance(problems, Unchecked)
    return [one.sentence for one in problems]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (head_of(HELD_BYTES), None),
        (head_of(HELD_BYTES + 1), Unchecked.LONG),
        (head_of(9, b"Content-Encoding: gzip\r\n"), None),
        (head_of(9, b"Content-Encoding: br\r\n"), Unchecked.ENCODING),
        (
            read_answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"", Limits(), to_head=False),
            Unchecked.CHUNKED,
        ),
    ],
)
def test_streams_and_long_answers_are_not_held(head: AnswerHead, why: Unchecked | None) -> None:
    assert unchecked(head) is why


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("[1,2]", []),
        ("[1,NaN]", ["Element [0, 1] of output 'y' is NaN."]),
        ("[-Infinity,2]", ["Element [0, 0] of output 'y' is infinite."]),
        ("[]", ["Output 'y' has 0 elements instead of the 2 of its shape."]),
        ("[1", ["The answer is no JSON."]),
    ],
)
def test_an_answer_in_json(data: str, said: list[str]) -> None:
    assert sentences(spelled(data)) == said


GZIP = b"Content-Encoding: gzip\r\n"


def test_a_compressed_answer_is_opened() -> None:
    assert sentences(gzip.compress(spelled("[1,2]")), GZIP) == []
    assert sentences(gzip.compress(spelled("[1,NaN]")), GZIP) == ["Element [0, 1] of output 'y' is NaN."]


def test_one_that_is_damaged_is_none() -> None:
    said = ["The answer is damaged: it is not compressed as it says."]
    assert sentences(gzip.compress(spelled("[1,2]"))[:-3], GZIP) == said
    assert sentences(b"plain", GZIP) == said


def test_one_that_is_long_once_it_is_opened_is_not_checked() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert problems_in(head_of(len(bomb), GZIP), bomb, SCHEMA, {}, 1) is Unchecked.LONG


def test_a_failure_that_a_cache_kept_as_a_success() -> None:
    assert sentences(b'{"model_name":"digits","outputs":[]}') == ["The answer has no output 'y'."]


@pytest.mark.parametrize(
    ("values", "said"), [((1.0, 2.0), []), ((1.0, float("nan")), ["Element [0, 1] of output 'y' is NaN."])]
)
def test_an_answer_in_binary(values: tuple[float, float], said: list[str]) -> None:
    output = {"name": "y", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"outputs": [output]}).encode()
    fields = b"inference-header-content-length: %d\r\n" % len(head)
    assert sentences(head + struct.pack("<2f", *values), fields) == said


def test_what_is_no_success_is_not_judged() -> None:
    assert problems_in(head_of(2, status=b"404 Not Found"), b"{}", SCHEMA, {}, 1) == ()
