"""Which model a path means, and which paths nobody may call."""

import pytest

from plimsoll.gateway.http1.addressing import Call, renamed, resolve
from plimsoll.gateway.http1.refusals import Refusal

PASS = {
    b"/v2/models/digits/infer": Call("digits", infers=True, has_tensors=True),
    b"/v2/models/digits/generate": Call("digits", infers=True),
    b"/v2/models/digits/generate_stream": Call("digits", infers=True),
    b"/v2/models/digits/versions/12/infer": Call("digits", infers=True, has_tensors=True, version="12"),
    b"/v2/models/digits/versions/1/ready": Call("digits", infers=False, version="1"),
    b"/v2/models/digits/ready": Call("digits", infers=False),
    b"/v2/models/digits/config": Call("digits", infers=False),
    b"/v2/models/digits/stats": Call("digits", infers=False),
    b"/v2/models/digits": Call("digits", infers=False),
    b"/v2/models/digits/versions/1": Call("digits", infers=False, version="1"),
    b"/v2/models/digits/infer?a=%20b": Call("digits", infers=True, has_tensors=True),
    b"/v2/models/stats/infer": Call("stats", infers=True, has_tensors=True),
    b"/v2/models/trace/infer": Call("trace", infers=True, has_tensors=True),
    b"/v2/models/a.b/infer": Call("a.b", infers=True, has_tensors=True),
}


@pytest.mark.parametrize("target", PASS)
def test_calls_of_one_model(target: bytes) -> None:
    assert resolve(target, b"elsewhere") == PASS[target]


REFUSED = {
    403: [
        b"/v2/repository/index",
        b"/v2/repository/models/digits/unload",
        b"/v2/systemsharedmemory/status",
        b"/v2/systemsharedmemory/region/r/register",
        b"/v2/cudasharedmemory/region/r/unregister",
        b"/v2/trace/setting",
        b"/v2/logging",
        b"/v2/logging?x",
        b"/v2/models/digits/trace/setting",
        b"/v2/models/digits/versions/1/trace/setting",
        b"/v2/models/stats",
    ],
    404: [
        b"/",
        b"/metrics",
        b"/v1/models/digits:predict",
        b"/v2/models",
        b"/v2/models/",
        b"/v2/models/digits/",
        b"/v2/models/digits/infer/",
        b"/v2/models/digits/unload",
        b"/v2/models/digits/versions/latest/infer",
        b"/v2/models/digits/versions/-1/infer",
        b"/v2/health",
        b"/v2/health/ready/",
        b"/V2/models/digits/infer",
    ],
    400: [
        b"/v2/models/digits%2finfer",
        b"/v2/models/%64igits/infer",
        b"/v2/models/../repository/index",
        b"/v2/models/./digits/infer",
        b"/v2/models/digits/..",
        b"/v2/models/../infer",
        b"/v2//models/digits/infer",
        b"//v2/models/digits/infer",
        b"/v2/models\\digits/infer",
        b"/v2/models/digits/infer#x",
    ],
}


@pytest.mark.parametrize(("status", "target"), [(status, target) for status in REFUSED for target in REFUSED[status]])
def test_other_paths_are_refused(status: int, target: bytes) -> None:
    refusal = resolve(target, b"digits")
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.sentence[-1]) == (status, ".")


@pytest.mark.parametrize("target", [b"/v2", b"/v2/", b"/v2/health/live", b"/v2/health/ready"])
@pytest.mark.parametrize("host", [b"digits", b"Digits:8000", b"digits.vision", b"digits.vision.svc.cluster.local:80"])
def test_calls_without_a_model_in_the_path_mean_the_one_in_the_host(target: bytes, host: bytes) -> None:
    assert resolve(target, host) == Call("digits", infers=False)


@pytest.mark.parametrize("host", [b"", b"10.1.2.3:8000", b"[fd00::1]:8000", b":80"])
def test_a_host_without_a_name_means_no_model(host: bytes) -> None:
    refusal = resolve(b"/v2/health/ready", host)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 404


@pytest.mark.parametrize(
    ("target", "other"),
    [
        (b"/v2/models/digits/infer", b"/v2/models/small/infer"),
        (b"/v2/models/digits/versions/3/infer", b"/v2/models/small/infer"),
        (b"/v2/models/digits/generate_stream?a=b", b"/v2/models/small/generate_stream?a=b"),
        (b"/v2/models/digits", b"/v2/models/digits"),
        (b"/v2/health/ready", b"/v2/health/ready"),
    ],
)
def test_an_inference_can_be_addressed_to_another_model(target: bytes, other: bytes) -> None:
    assert renamed(target, b"small") == other
