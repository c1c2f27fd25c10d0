"""What is read from the head of a call and of its answer."""

from __future__ import annotations

import pytest
from hpack import Decoder
from tritonclient.grpc import service_pb2 as pb

from plimsoll.core.records.grpc_status import Status
from plimsoll.gateway.http2.headers import Field, Malformed
from plimsoll.gateway.http2.heads import RequestHead, ResponseHead, request_head, response_head
from plimsoll.gateway.http2.methods import PASSING, Refused, method_of
from plimsoll.gateway.http2.refusals import about_the_way, percent_encoded, trailers_only

INFER = "/inference.GRPCInferenceService/ModelInfer"


def call(*extra: Field, without: bytes = b"", path: str = INFER) -> list[Field]:
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"digits.vision.svc:8001"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    return [field for field in fields if field[0] != without] + list(extra)


def head(*extra: Field, **changes: object) -> RequestHead:
    return request_head(call(*extra, **changes))  # type: ignore[arg-type]


def decoded(block: bytes) -> list[Field]:
    return list(Decoder().decode(block, raw=True))


def test_a_head_goes_on_as_it_came() -> None:
    extra = [(b"grpc-timeout", b"5S"), (b"x-own-bin", b"AAE="), (b"grpc-encoding", b"gzip")]
    assert decoded(head(*extra).block) == call(*extra)


def test_what_is_read_from_it() -> None:
    read = head((b"x-plimsoll-candidate", b"true"))
    assert (read.method, read.label, read.timeout_s, read.wants_candidate) == (PASSING[INFER], "digits", None, True)


def test_a_host_stands_in_for_the_authority() -> None:
    read = head((b"host", b"digits:8001"), without=b":authority")
    assert read.label == "digits"
    assert (b":authority", b"digits:8001") in decoded(read.block)


def test_a_length_is_not_forwarded() -> None:
    assert decoded(head((b"content-length", b"5")).block) == call()


TIMES = [(b"1H", 3600.0), (b"2M", 120.0), (b"3S", 3.0), (b"4m", 4e-3), (b"5u", 5e-6), (b"6n", 6e-9), (b"0S", 0.0)]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_a_timeout_in_each_unit(text: bytes, seconds: float) -> None:
    assert head((b"grpc-timeout", text)).timeout_s == pytest.approx(seconds)


@pytest.mark.parametrize("text", [b"", b"5", b"S", b"-1S", b"1s", b"123456789S", b"1.5S", b" 1S"])
def test_a_timeout_that_is_none_is_refused(text: bytes) -> None:
    method = head((b"grpc-timeout", text)).method
    assert isinstance(method, Refused)
    assert method.status is Status.INVALID_ARGUMENT


NO_CALLS = [((b":method", b"GET"), 405), ((b"content-type", b"text/html"), 415)]


@pytest.mark.parametrize(("field", "status"), NO_CALLS)
def test_what_is_no_grpc_call_gets_a_status_of_http(field: Field, status: int) -> None:
    fields = [field if each[0] == field[0] else each for each in call()]
    assert request_head(fields).http_status == status


@pytest.mark.parametrize("without", [b":method", b":scheme", b":path"])
def test_a_request_without_the_necessary_is_malformed(without: bytes) -> None:
    with pytest.raises(Malformed):
        request_head(call(without=without))


def test_a_request_with_a_status_is_malformed() -> None:
    with pytest.raises(Malformed):
        request_head([(b":status", b"200"), *call()])


def test_the_head_of_an_answer() -> None:
    fields = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"x", b"y")]
    read = response_head(fields)
    assert (read.status, read.grpc_status, read.is_interim) == (200, None, False)
    assert decoded(read.block) == fields


def test_trailers() -> None:
    read = response_head([(b"grpc-status", b"14"), (b"grpc-message", b"Exceeds maximum queue size")])
    assert read == ResponseHead(None, 14, "Exceeds maximum queue size", read.block)


def test_a_head_that_announces_another() -> None:
    assert response_head([(b":status", b"103")]).is_interim


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"abc", b"-20"])
def test_a_status_that_is_none_is_malformed(status: bytes) -> None:
    with pytest.raises(Malformed):
        response_head([(b":status", status)])


ADMINISTRATIVE = [
    *("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload", "TraceSetting", "LogSettings"),
    *("SystemSharedMemoryStatus", "SystemSharedMemoryRegister", "SystemSharedMemoryUnregister"),
    *("CudaSharedMemoryStatus", "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister"),
]


@pytest.mark.parametrize("name", ADMINISTRATIVE)
def test_administrative_calls_are_refused_with_the_way_out(name: str) -> None:
    refused = method_of(f"/inference.GRPCInferenceService/{name}")
    assert isinstance(refused, Refused)
    assert refused.status is Status.PERMISSION_DENIED
    assert "change the ModelDeployment" in refused.message


def test_every_call_of_the_service_is_decided() -> None:
    names = {method.name for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods}
    passing = {path.rpartition("/")[2] for path in PASSING}
    assert names - passing == set(ADMINISTRATIVE)


@pytest.mark.parametrize("path", ["/x", "/grpc.health.v1.Health/Watch", "/inference.GRPCInferenceService/New", "*"])
def test_other_calls_are_not_known(path: str) -> None:
    refused = method_of(path)
    assert isinstance(refused, Refused)
    assert refused.status is Status.UNIMPLEMENTED


def test_a_refusal_is_one_head_with_status_and_sentence() -> None:
    block = trailers_only(Status.NOT_FOUND, "No model 'größe': 100 % gone") + about_the_way("digits-1", 2)
    assert decoded(block) == [
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"5"),
        (b"grpc-message", b"No model 'gr%C3%B6%C3%9Fe': 100 %25 gone"),
        (b"x-plimsoll-revision", b"digits-1"),
        (b"x-plimsoll-attempt", b"2"),
    ]


def test_the_first_attempt_is_not_mentioned() -> None:
    assert decoded(about_the_way("digits-1", 1)) == [(b"x-plimsoll-revision", b"digits-1")]


def test_a_message_of_one_line_of_ascii_is_itself() -> None:
    assert percent_encoded("a b~!") == b"a b~!"
    assert percent_encoded("\n%\x7f") == b"%0A%25%7F"


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (13, b"Unable to parse request", 3),
        (13, b"Unable to parse request of the user", 13),
        (2, b"Unable to parse request", 2),
    ],
)
def test_bytes_that_are_no_message_are_the_clients_fault_though_grpc_says_internal(
    status: int, message: bytes, told: int
) -> None:
    head = response_head([(b"grpc-status", b"%d" % status), (b"grpc-message", message)])
    assert (head.grpc_status, head.message) == (told, message.decode())
    assert (b"grpc-status", b"%d" % told) in decoded(head.block)
