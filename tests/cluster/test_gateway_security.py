"""TLS and keys at the gateways of a real cluster: mounted Secrets are followed, and no request is lost for it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from tests.cluster.conftest import PROGRESS_DEADLINE
from tests.cluster.gateways import PLANTED, assert_none_lost, behind_gateway, gateway_names, load
from tests.support.load import PYTHON
from tests.support.team import Team

from plimsoll_dev.cluster.pki import Authority, create_authority
from plimsoll_dev.testbed.harness import Harness

TLS, KEYS = "gateway-tls", "gateway-keys"
OURS, THEIRS = "a-key-of-the-load-pod", "a-key-that-is-taken-away"
KUBELET_S = 150
"""The kubelet looks at Secrets each minute and keeps what it read for as long."""
ASK = """
import http.client, json, ssl, sys
host, port, path, key, tls = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile="/tmp/ca.crt")
http = http.client.HTTPSConnection(host, port, context=context) if tls else http.client.HTTPConnection(host, port)
body = sys.argv[2] if path.endswith("/infer") else None
http.request("POST" if body else "GET", path, body, {"Authorization": f"Bearer {key}"} if key else {})
print(http.getresponse().status)
"""


@pytest.fixture(scope="module", autouse=True)
def _guarded_gateways(testbed: Harness) -> Iterator[None]:
    secrets = {"gateway.tls.secretName": TLS, "gateway.auth.secretName": KEYS}
    values = {"defaults.progressDeadline": PROGRESS_DEADLINE}
    testbed.installation.install({**values, **secrets})
    yield
    testbed.installation.install(values)


def write_secret(team: Team, name: str, kind: str, **data: str) -> None:
    encoded = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    team.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": encoded})


def write_certificate(team: Team, authority: Authority, name: str) -> x509.Certificate:
    """Makes a new one for the models of the namespace and returns it."""
    pair = authority.issue(name, common_name="models", hosts=[f"*.{team.namespace}.svc"])
    key, certificate = (path.read_text(encoding="utf-8") for path in (pair.key, pair.certificate))
    write_secret(team, TLS, "kubernetes.io/tls", tls_crt=certificate, tls_key=key)
    return x509.load_pem_x509_certificate(certificate.encode())


def serial(certificate: x509.Certificate) -> str:
    """As Python's ssl writes it."""
    text = f"{certificate.serial_number:X}"
    return text.zfill(len(text) + len(text) % 2)


def expiry(team: Team, gateway: str) -> float:
    """When the certificate that a gateway uses ends, in seconds since 1970."""
    name = "plimsoll_gateway_certificate_expiry_timestamp_seconds"
    found = re.search(rf"^{name}(?:\{{.*\}})? (\S+)$", team.admin(gateway, "/metrics"), re.MULTILINE)
    assert found, "there is such a metric"
    return float(found[1])


def test_renewed_certificates_and_keys_that_are_taken_away_act_while_requests_go_on(
    team: Team, planted_uris: tuple[str, str], tmp_path: Path
) -> None:
    authority = create_authority(tmp_path, "ca")
    old = write_certificate(team, authority, "old")
    write_secret(team, KEYS, "Opaque", load=OURS, caller=THEIRS)
    served = behind_gateway(team, planted_uris[0])
    assert served.status()["urls"]["http"].startswith(f"https://digits.{team.namespace}.svc:8000/")

    def asked(path: str, key: str = "", *, tls: bool = True) -> int:
        words = json.dumps([f"digits.{team.namespace}.svc", 8000, path, key, tls])
        return int(team.kubectl("exec", "load", "--", PYTHON, "-c", ASK, words, json.dumps(PLANTED)))

    trust = authority.pair.certificate.read_text(encoding="utf-8")
    infer = "/v2/models/digits/infer"
    with load(team, served, headers={"Authorization": f"Bearer {OURS}"}, authority=trust) as running:
        running.phase("old")
        told = {
            "with a key": asked(infer, THEIRS),
            "without a key": asked(infer),
            "with a wrong key": asked(infer, "not-a-key-of-anybody"),
            "metadata without a key": asked("/v2/models/digits"),
            "health without a key": asked("/v2/health/ready"),
            "in plain text": asked(infer, THEIRS, tls=False),
        }
        running.phase("changing")
        new = write_certificate(team, authority, "new")
        write_secret(team, KEYS, "Opaque", load=OURS)
        ends = new.not_valid_after_utc.timestamp()
        team.until(
            "both gateways have the new certificate",
            lambda: [expiry(team, pod) for pod in gateway_names(team)] == [ends, ends],
            KUBELET_S,
        )
        running.phase("new")
        team.until(
            "the key is refused by both gateways",
            lambda: {asked(infer, THEIRS) for _ in range(8)} == {401},
            KUBELET_S,
        )
        running.until_ended(2_000)
        seen = running()
    assert_none_lost(seen)
    assert told == {
        "with a key": 200,
        "without a key": 401,
        "with a wrong key": 401,
        "metadata without a key": 401,
        "health without a key": 200,
        "in plain text": 400,
    }
    certificates = {name: set(phase.certificates) for name, phase in seen.phases.items()}
    assert certificates["old"] == {serial(old)}
    assert certificates["changing"] <= {serial(old), serial(new)}
    assert certificates["new"] == {serial(new)}
