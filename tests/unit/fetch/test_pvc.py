"""pvc:// sources: files and folders of a mounted claim."""

import gzip
import hashlib
import io
import tarfile

import pytest
from tests.support.fetching import Pod
from tests.support.onnx_models import linear

from plimsoll.fetch.digests import of_bytes

ONNX = linear()
WRONG = "sha256:" + "0" * 64


@pytest.fixture
def pod_with_claim(pod: Pod) -> Pod:
    (pod.root / "source" / "m" / "sub").mkdir(parents=True)
    (pod.root / "source" / "m" / "net.onnx").write_bytes(ONNX)
    (pod.root / "source" / "m" / "sub" / "labels").write_bytes(b"abc")
    return pod


def test_a_file(pod_with_claim: Pod) -> None:
    assert pod_with_claim.fetch("pvc://claim/m/net.onnx", of_bytes(ONNX)) == 0
    assert pod_with_claim.files() == ["digits/7/model.onnx", "digits/config.pbtxt"]


def test_the_digest_of_a_folder_is_that_of_its_sorted_lines(pod_with_claim: Pod) -> None:
    lines = [
        f"{hashlib.sha256(ONNX).hexdigest()}  {len(ONNX)}  net.onnx\n",
        f"{hashlib.sha256(b'abc').hexdigest()}  3  sub/labels\n",
    ]
    digest = "sha256:" + hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    assert pod_with_claim.fetch("pvc://claim/m", digest) == 0
    assert pod_with_claim.message()["bytes"] == len(ONNX) + 3


def test_another_digest(pod_with_claim: Pod) -> None:
    assert pod_with_claim.fetch("pvc://claim/m", WRONG) == 2
    assert pod_with_claim.message()["reason"] == "DigestMismatch"


def test_nothing_there(pod_with_claim: Pod) -> None:
    assert pod_with_claim.fetch("pvc://claim/other", WRONG) == 2
    message = pod_with_claim.message()
    assert (message["reason"], "'other'" in message["message"]) == ("NotFound", True)


def test_larger_than_the_pod_may_store(pod_with_claim: Pod) -> None:
    assert pod_with_claim.fetch("pvc://claim/m", WRONG, storageLimitBytes=10) == 2
    assert pod_with_claim.message()["reason"] == "StorageTooSmall"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../elsewhere"])
def test_links_out_of_the_claim(pod_with_claim: Pod, target: str) -> None:
    (pod_with_claim.root / "elsewhere").write_bytes(b"x")
    (pod_with_claim.root / "source" / "m" / "link").symlink_to(target)
    assert pod_with_claim.fetch("pvc://claim/m", WRONG) in (2, 3)
    assert pod_with_claim.message()["reason"] in ("UnsafeArchive", "ClaimUnavailable")


def test_links_within_the_claim(pod_with_claim: Pod) -> None:
    (pod_with_claim.root / "source" / "link.onnx").symlink_to("m/net.onnx")
    assert pod_with_claim.fetch("pvc://claim/link.onnx", of_bytes(ONNX)) == 0


def test_an_archive(pod_with_claim: Pod) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("net.onnx")
        entry.size = len(ONNX)
        archive.addfile(entry, io.BytesIO(ONNX))
    data = gzip.compress(buffer.getvalue())
    (pod_with_claim.root / "source" / "m.tgz").write_bytes(data)
    assert pod_with_claim.fetch("pvc://claim/m.tgz", of_bytes(data)) == 0
    assert pod_with_claim.files() == ["digits/7/model.onnx", "digits/config.pbtxt"]
