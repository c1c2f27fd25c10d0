"""What is no `ModelInferRequest`, and what its sender is told."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.infer_requests import by_grpc_client, infer_requests
from tritonclient.grpc import service_pb2 as pb

from plimsoll.core.inference.grpc_message import read_grpc
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.malformed import NOWHERE, Fault, Malformed
from plimsoll.core.inference.request import InferRequest

Message = pb.ModelInferRequest
Change = Callable[[Message], object]


def message(**fields: object) -> Message:
    """One input x of two numbers, as raw contents."""
    made = pb.ModelInferRequest(model_name="digits", id="7", raw_input_contents=[struct.pack("<2f", 1, 2)])
    made.inputs.add(**({"name": "x", "datatype": "FP32", "shape": [2]} | fields))
    return made


def typed(datatype: str, count: int, **contents: object) -> Message:
    """One input x with typed contents."""
    made = pb.ModelInferRequest(model_name="digits")
    written = made.inputs.add(name="x", datatype=datatype, shape=[count])
    for name, values in contents.items():
        getattr(written.contents, name).extend(values)
    return made


def refusal(data: bytes, limits: Limits = DEFAULT) -> Malformed:
    with pytest.raises(Malformed) as caught:
        read_grpc(data, limits)
    return caught.value


@pytest.mark.parametrize(
    ("change", "fault", "name"),
    [
        (lambda m: m.ClearField("inputs"), Fault.MISSING, ""),
        (lambda m: m.inputs[0].ClearField("name"), Fault.MISSING, ""),
        (lambda m: m.inputs[0].ClearField("datatype"), Fault.MISSING, "x"),
        (lambda m: setattr(m.inputs[0], "datatype", "FP8"), Fault.UNKNOWN_DATA_TYPE, "x"),
        (lambda m: m.inputs[0].shape.append(3), Fault.SHAPE_MISMATCH, "x"),
        (lambda m: m.inputs[0].shape.append(-1), Fault.WRONG_TYPE, "x"),
        (lambda m: m.inputs[0].shape.extend([1] * 16), Fault.TOO_LARGE, ""),
        (lambda m: m.inputs[0].contents.fp32_contents.append(1), Fault.DUPLICATE, "x"),
        (lambda m: m.raw_input_contents.append(b""), Fault.SHAPE_MISMATCH, ""),
        (lambda m: m.inputs.add(name="y", datatype="FP32", shape=[1]), Fault.SHAPE_MISMATCH, ""),
        (lambda m: (m.inputs.append(m.inputs[0]), m.raw_input_contents.append(bytes(8))), Fault.DUPLICATE, "x"),
        (lambda m: [m.outputs.add(name="y") for _ in range(2)], Fault.DUPLICATE, ""),
        (lambda m: [m.outputs.add(name=f"y{n}") for n in range(257)], Fault.TOO_LARGE, ""),
        (lambda m: m.outputs.add(), Fault.MISSING, ""),
        (lambda m: setattr(m, "id", "i" * 5000), Fault.TOO_LARGE, ""),
        (lambda m: m.parameters["a"].SetInParent(), Fault.WRONG_TYPE, ""),
        (lambda m: setattr(m.parameters["a"], "double_param", float("nan")), Fault.WRONG_TYPE, ""),
        (lambda m: setattr(m.parameters["a"], "string_param", "v" * 5000), Fault.TOO_LARGE, ""),
        (
            lambda m: setattr(m.inputs[0].parameters["shared_memory_region"], "string_param", "r"),
            Fault.UNSUPPORTED,
            "x",
        ),
    ],
)
def test_refused(change: Change, fault: Fault, name: str) -> None:
    changed = message()
    change(changed)
    found = refusal(changed.SerializeToString())
    assert (found.fault, found.input, found.position) == (fault, name, NOWHERE)


@pytest.mark.parametrize(
    ("sent", "fault", "position"),
    [
        (typed("INT8", 2, int_contents=[1, 128]), Fault.OUT_OF_RANGE, 1),
        (typed("UINT16", 2, uint_contents=[65536, 1]), Fault.OUT_OF_RANGE, 0),
        (typed("INT32", 2, int_contents=[1]), Fault.SHAPE_MISMATCH, NOWHERE),
        (typed("FP32", 2, fp32_contents=[1]), Fault.SHAPE_MISMATCH, NOWHERE),
        (typed("BYTES", 2, bytes_contents=[b"a"]), Fault.SHAPE_MISMATCH, NOWHERE),
        (typed("FP32", 1, fp64_contents=[1]), Fault.WRONG_TYPE, NOWHERE),
        (typed("INT64", 1, int_contents=[1]), Fault.WRONG_TYPE, NOWHERE),
        (typed("FP16", 1, fp32_contents=[1]), Fault.UNSUPPORTED, NOWHERE),
        (typed("FP32", 1), Fault.SHAPE_MISMATCH, NOWHERE),
    ],
)
def test_typed_contents_that_do_not_fit(sent: Message, fault: Fault, position: int) -> None:
    found = refusal(sent.SerializeToString())
    assert (found.fault, found.input, found.position) == (fault, "x", position)


def field(number: int, content: bytes) -> bytes:
    """A field with a length of less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


INPUT = field(5, field(1, b"x") + field(2, b"BOOL") + field(3, b"\1"))
RAW = field(7, b"\1")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\xff", Fault.NOT_PROTOBUF),
        (b"\x00", Fault.NOT_PROTOBUF),
        (b"\x02\x00", Fault.NOT_PROTOBUF),
        (b"\x2b\x2c", Fault.NOT_PROTOBUF),
        (b"\x2f", Fault.NOT_PROTOBUF),
        (b"\x2a\xff\xff\xff\xff\x0f", Fault.NOT_PROTOBUF),
        (b"\x2a" + b"\xff" * 9 + b"\x02", Fault.NOT_PROTOBUF),
        (b"\x28" + b"\x80" * 10 + b"\x01", Fault.NOT_PROTOBUF),
        (b"\x18\x01", Fault.NOT_PROTOBUF),
        (b"\x19" + bytes(8), Fault.NOT_PROTOBUF),
        (field(3, b"\xff"), Fault.NOT_PROTOBUF),
        (field(3, b"a") * 2, Fault.DUPLICATE),
        (field(5, field(1, b"x") * 2), Fault.DUPLICATE),
        (field(4, field(1, b"a") + field(2, b"\x08\x01")) * 2 + INPUT + RAW, Fault.DUPLICATE),
        (field(4, field(1, b"a") + field(2, b"\x08\x01\x10\x01")) + INPUT + RAW, Fault.WRONG_TYPE),
        (b"\xf8\x01\x00" * 1025, Fault.TOO_LARGE),
        (INPUT + field(7, b"\2"), Fault.OUT_OF_RANGE),
    ],
)
def test_bytes_that_mean_nothing_or_two_things(data: bytes, fault: Fault) -> None:
    assert refusal(data).fault is fault


def test_fields_of_a_newer_protocol_are_passed_over() -> None:
    newer = field(12, b"new") + b"\xf8\x01\x07" + b"\xf9\x01" + bytes(8) + b"\xfd\x01" + bytes(4)
    assert read_grpc(newer + INPUT + RAW + newer) == read_grpc(INPUT + RAW)


def test_numbers_may_come_one_by_one() -> None:
    shape = b"\x18\x01" * 2
    contents = field(5, b"\x35" + struct.pack("<f", 1.5))
    one_by_one = field(5, field(1, b"x") + field(2, b"FP32") + shape + contents)
    found = read_grpc(one_by_one).inputs[0]
    assert (found.shape, found.data) == ((1, 1), struct.pack("<f", 1.5))


@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        (Limits(body_bytes=10), message()),
        (Limits(looked_at=2), typed("INT32", 3, int_contents=[1, 2, 3])),
        (Limits(looked_at=2), typed("BYTES", 3, bytes_contents=[b"", b"", b""])),
        (Limits(looked_at=2), typed("BOOL", 3, bool_contents=[True] * 3)),
        (Limits(dimensions=1), typed("BOOL", 1, bool_contents=[True])),
    ],
)
def test_bounds(limits: Limits, sent: Message) -> None:
    sent.inputs[0].shape.append(1)
    assert refusal(sent.SerializeToString(), limits).fault is Fault.TOO_LARGE


@settings(max_examples=200)
@given(infer_requests(), st.data())
def test_a_damaged_message_is_read_or_refused(request: InferRequest, data: st.DataObject) -> None:
    damaged = bytearray(by_grpc_client(request))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_grpc(bytes(damaged))
    except Malformed as refused:
        assert refused.message  # noqa: PT017 - either outcome is right


@settings(max_examples=100)
@given(infer_requests(), st.data())
def test_what_is_read_is_what_protobuf_reads(request: InferRequest, data: st.DataObject) -> None:
    """A message that is read here means the same to a full reader, however its bytes were cut or changed."""
    damaged = bytearray(by_grpc_client(request))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = read_grpc(bytes(damaged))
    except Malformed:
        return
    theirs = pb.ModelInferRequest.FromString(bytes(damaged))
    assert [(one.name, one.data_type, list(one.shape)) for one in found.inputs] == [
        (one.name, one.datatype, list(one.shape)) for one in theirs.inputs
    ]
    assert (found.id, [one.name for one in found.outputs]) == (theirs.id, [one.name for one in theirs.outputs])
    if theirs.raw_input_contents:
        assert [one.data for one in found.inputs] == list(theirs.raw_input_contents)
