"""gRPC's unary answers: held as they come, and judged when they are whole."""

import struct

import pytest
from tests.support.inference import taking
from tritonclient.grpc import service_pb2 as pb

from plimsoll.api.vocabulary import DataType
from plimsoll.gateway.http2.checked_answers import HeldMessage

SCHEMA = taking({}, 8, {"y": (DataType.FP32, (-1, 2))})


def framed(*values: float, compressed: int = 0) -> bytes:
    message = pb.ModelInferResponse(raw_output_contents=[struct.pack(f"<{len(values)}f", *values)])
    message.outputs.add(name="y", datatype="FP32", shape=[1, 2])
    data = message.SerializeToString()
    return bytes([compressed]) + len(data).to_bytes(4, "big") + data


def held(data: bytes, size: int, most: int = 1000) -> tuple[HeldMessage, list[bool]]:
    message = HeldMessage(most)
    return message, [message.add(data[at : at + size]) for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (framed(1, 2), []),
        (framed(1, float("nan")), ["Element [0, 1] of output 'y' is NaN."]),
        (framed(), ["Output 'y' has 0 elements instead of the 2 of its shape."]),
        (framed(1, 2)[:-1], ["The answer has 29 bytes where its one message announces 25."]),
        (framed(1, 2) * 2, ["The answer has 60 bytes where its one message announces 25."]),
        (b"\0\0\0\0\3abc", ["The answer is no ModelInferResponse."]),
        (b"\0\0", ["The answer has 2 bytes where its one message announces 0."]),
    ],
)
def test_an_answer_in_pieces(data: bytes, size: int, said: list[str]) -> None:
    message, more = held(data, size)
    assert all(more)
    assert [one.sentence for one in message.problems(SCHEMA, {}, 1)] == said


def test_a_compressed_one_is_not_held() -> None:
    message, more = held(framed(1, 2, compressed=1), 1000)
    assert (more, b"".join(message.chunks)) == ([False], framed(1, 2, compressed=1))


def test_a_long_one_is_held_up_to_the_bound() -> None:
    _, more = held(b"\0" * 30, 10, most=20)
    assert more == [True, True, False]
