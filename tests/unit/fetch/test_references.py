"""Model URIs."""

from urllib.parse import urlsplit

import httpx
import pytest

from plimsoll.errors import Invalid
from plimsoll.fetch.references import (
    ClaimReference,
    HttpsReference,
    OciReference,
    Reference,
    authority,
    parse_reference,
)

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"oci://registry/models/digits@{DIGEST}", OciReference("registry", "models/digits", None, DIGEST)),
        ("oci://registry:5000/digits:v1.2", OciReference("registry:5000", "digits", "v1.2", None)),
        ("oci://registry/digits", OciReference("registry", "digits", "latest", None)),
        (f"oci://registry/digits:v1@{DIGEST}", OciReference("registry", "digits", None, DIGEST)),
        ("oci://[::1]:5000/digits:v1", OciReference("[::1]:5000", "digits", "v1", None)),
        (
            "https://host:8443/a/m.onnx?sig=1#part",
            HttpsReference("https://host:8443/a/m.onnx?sig=1", "host:8443", "https://host:8443/a/m.onnx", "m.onnx"),
        ),
        ("oci://Registry:443/digits:v1", OciReference("registry", "digits", "v1", None)),
        (
            "https://HOST:443/A//m.onnx?sig=A%2fb&x",
            HttpsReference("https://host/A//m.onnx?sig=A%2fb&x", "host", "https://host/A//m.onnx", "m.onnx"),
        ),
        ("pvc://claim/models/digits", ClaimReference("claim", "models/digits")),
        ("pvc://claim/", ClaimReference("claim", "")),
    ],
)
def test_read(uri: str, expected: Reference) -> None:
    assert parse_reference(uri) == expected


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://host/m.onnx", "UnknownScheme"),
        ("s3://bucket/m.onnx", "UnknownScheme"),
        ("file:///etc/passwd", "UnknownScheme"),
        ("model.onnx", "UnknownScheme"),
        ("", "UnknownScheme"),
        ("https://user:hunter2@host/m.onnx", "InvalidUri"),
        ("https://user@host/m.onnx", "InvalidUri"),
        ("oci://user:hunter2@registry/digits", "InvalidUri"),
        ("https:///m.onnx", "InvalidUri"),
        ("https://host:port/m.onnx", "InvalidUri"),
        ("https://host/a b", "InvalidUri"),
        ("https://[::1/m", "InvalidUri"),
        ("https://host:99999/m.onnx", "InvalidUri"),
        ("https://h\N{LATIN SMALL LETTER O WITH DIAERESIS}st/m.onnx", "InvalidUri"),
        ("https://host\\evil/m.onnx", "InvalidUri"),
        ("https://ho%73t/m.onnx", "InvalidUri"),
        ("https://[fe80::1%25eth0]/m.onnx", "InvalidUri"),
        ("oci://registry:port/digits", "InvalidUri"),
        ("oci://registry", "InvalidUri"),
        ("oci://registry/UPPER", "InvalidUri"),
        ("oci://registry/digits@sha256:short", "InvalidUri"),
        ("oci://registry/digits:" + "t" * 129, "InvalidUri"),
        ("oci://registry/digits?x=1", "InvalidUri"),
        ("oci://registry/a/../b:v1", "InvalidUri"),
        ("pvc://claim/../other", "InvalidUri"),
    ],
)
def test_refused(uri: str, reason: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_reference(uri)
    assert error.value.reason == reason
    assert "hunter2" not in error.value.message


@pytest.mark.parametrize(
    "host",
    ["reg", "REG", "reg:443", "Reg:0443", "reg:", "reg:5000", "a_b.c-d.", "10.0.0.1:443", "[::1]:443", "[FE80::A]"],
)
def test_hosts_are_written_as_httpx_writes_them(host: str) -> None:
    """A 401 is answered only where the answering host equals the asked one."""
    ours = authority(urlsplit(f"oci://{host}/x"))
    assert ours is not None
    assert httpx.URL(f"https://{ours}/x").netloc.decode() == ours
    assert httpx.URL(f"https://{host}/x").netloc.decode().lower() == ours
