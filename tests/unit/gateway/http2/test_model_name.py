"""The model's name from the first bytes of a call, against protobuf's own encoder."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from plimsoll.gateway.http2.methods import PASSING, NamedBy
from plimsoll.gateway.http2.model_name import SEARCHED_BYTES, Compressed, Unreadable, find_model_name, renamed

_SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_BY_MESSAGE = [path.rpartition("/")[2] for path, method in PASSING.items() if method.named_by is NamedBy.MESSAGE]


def framed(message: bytes, *, compressed: int = 0) -> bytes:
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


def infer(name: str, payload: bytes = b"") -> bytes:
    return framed(pb.ModelInferRequest(model_name=name, id="7", raw_input_contents=[payload]).SerializeToString())


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


@pytest.mark.parametrize("name", _BY_MESSAGE)
def test_the_name_is_field_1_of_every_message_that_is_searched(name: str) -> None:
    fields = _SERVICE.methods_by_name[name].input_type.fields_by_number
    assert fields[1].name in {"name", "model_name"}
    assert fields[1].type == fields[1].TYPE_STRING


MESSAGES = [
    pb.ModelInferRequest(model_name="digits", model_version="3", id="x"),
    pb.ModelMetadataRequest(name="digits", version="3"),
    pb.ModelReadyRequest(name="digits"),
    pb.ModelConfigRequest(name="digits"),
    pb.ModelStatisticsRequest(name="digits"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_each_message(message: Message) -> None:
    assert find_model_name(framed(message.SerializeToString()), ended=True) == "digits"


@given(st.text(min_size=1, max_size=60), st.binary(max_size=300), st.integers(0, 400))
def test_as_soon_as_the_name_is_there_it_is_found_and_never_another(name: str, payload: bytes, cut: int) -> None:
    whole = infer(name, payload)
    found = find_model_name(whole[:cut], ended=False)
    enough = 5 + 1 + len(varint(len(name.encode()))) + len(name.encode())
    assert found == (name if cut >= enough else None)


@given(st.binary(max_size=64))
def test_no_bytes_make_it_fail_in_another_way(data: bytes) -> None:
    for ended in (False, True):
        try:
            found = find_model_name(data, ended=ended)
        except Unreadable:
            continue
        assert found or not ended


BEFORE = [
    ("a varint", b"\x10" + varint(1 << 40)),
    ("8 bytes", b"\x11" + bytes(8)),
    ("4 bytes", b"\x15" + bytes(4)),
    ("a text", b"\x12\x03abc"),
    ("a field of a high number", varint(5000 << 3 | 2) + b"\x01z"),
]


@pytest.mark.parametrize("other", [row[1] for row in BEFORE], ids=[row[0] for row in BEFORE])
def test_fields_before_it_are_stepped_over(other: bytes) -> None:
    assert find_model_name(framed(other + b"\x0a\x06digits"), ended=True) == "digits"


UNREADABLE = [
    ("no message", b"", "is missing"),
    ("half a head", b"\0\0", "is missing"),
    ("no name", framed(b"\x12\x01x"), "names no model"),
    ("an empty message", framed(b""), "names no model"),
    ("an empty name", framed(b"\x0a\x00"), "names no model"),
    ("a name that is cut off", framed(b"\x0a\x06dig"), "is cut off"),
    ("a name beyond the end of its message", b"\0\0\0\0\x03\x0a\x06digits", "is cut off"),
    ("not UTF-8", framed(b"\x0a\x02\xff\xfe"), "not UTF-8"),
    ("not protobuf", framed(b"\x0f\x01"), "is not protobuf"),
    ("a number without end", framed(b"\x10" + b"\xff" * 11), "is not protobuf"),
    ("a very long name", framed(b"\x0a" + varint(300) + b"x" * 300), "300 bytes"),
    ("an unknown head", framed(b"\x0a\x06digits", compressed=2), "does not know"),
]


@pytest.mark.parametrize(("data", "why"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_what_cannot_be_read_says_why(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        find_model_name(data, ended=True)


def test_a_compressed_message_hides_its_name() -> None:
    with pytest.raises(Compressed):
        find_model_name(framed(b"\x1f\x8b", compressed=1), ended=False)


def test_the_search_ends() -> None:
    endless = b"\x12" + varint(1 << 20) + b"x" * SEARCHED_BYTES
    message = b"\0" + (1 << 21).to_bytes(4, "big") + endless
    assert find_model_name(message[:SEARCHED_BYTES], ended=False) is None
    with pytest.raises(Unreadable, match="within 4096 bytes"):
        find_model_name(message, ended=False)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=40)


@given(NAMES, NAMES, st.sampled_from(["", "1", "12"]), st.binary(max_size=300), st.data())
def test_a_call_can_be_addressed_to_another_model(
    name: str, other: str, version: str, payload: bytes, data: st.DataObject
) -> None:
    request = pb.ModelInferRequest(model_name=name, model_version=version, id="7", raw_input_contents=[payload])
    whole = framed(request.SerializeToString())
    cut = data.draw(st.integers(7 + len(name) + (2 + len(version) if version else 0), len(whole)), "bytes that came")
    changed = renamed(whole[:cut], other)
    assert changed is not None
    changed += whole[cut:]
    assert changed[0] == 0
    assert int.from_bytes(changed[1:5], "big") == len(changed) - 5
    read = pb.ModelInferRequest.FromString(changed[5:])
    assert (read.model_name, read.model_version, read.id) == (other, "", "7")
    assert list(read.raw_input_contents) == [payload]


@pytest.mark.parametrize("other", [row[1] for row in BEFORE], ids=[row[0] for row in BEFORE])
def test_fields_before_the_name_stay(other: bytes) -> None:
    assert renamed(framed(other + b"\x0a\x06digits"), "small") == framed(other + b"\x0a\x05small")


@pytest.mark.parametrize(
    "data", [b"", b"\1\0\0\0\x02\x1f\x8b", b"\0\0\0", framed(b"\x0a\x06dig"), framed(b"\x0f\x01"), framed(b"\x11")]
)
def test_a_name_that_is_hidden_cannot_be_changed(data: bytes) -> None:
    assert renamed(data, "small") is None
