"""https:// against a server that misbehaves."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.faulty_https import Fault, FaultyServer
from tests.support.fetching import Pod, request
from tests.support.onnx_models import linear

from plimsoll.errors import Invalid, NotYet
from plimsoll.fetch.request import REQUEST_VARIABLE
from plimsoll.fetch.resolve import resolve
from plimsoll.fetch.storage import LIMIT_FIELD, RESERVED_BYTES

MODEL = linear()
WRONG_DIGEST = "sha256:" + "0" * 64


def test_a_model_is_laid_out_under_its_public_name(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/models/trained.onnx", MODEL)
    assert pod.fetch(server.url("/models/trained.onnx"), digest) == 0
    assert pod.files() == ["digits/7/model.onnx", "digits/config.pbtxt"]
    assert (pod.repository / "digits/7/model.onnx").read_bytes() == MODEL
    message = pod.message()
    assert message.pop("seconds") >= 0
    assert message == {
        "kind": "Fetched",
        "digest": digest,
        "bytes": len(MODEL),
        "format": "Onnx",
        "warmup": "Generated",
    }
    assert not (pod.models / ".partial").exists()


def test_a_second_container_finds_everything_done(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/m.onnx", MODEL)
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    asked = len(server.seen)
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    assert len(server.seen) == asked
    assert pod.message()["kind"] == "Fetched"


def test_a_touched_file_is_fetched_again(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/m.onnx", MODEL)
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    (pod.repository / "digits/7/model.onnx").write_bytes(b"tampered")
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    assert (pod.repository / "digits/7/model.onnx").read_bytes() == MODEL


@pytest.mark.parametrize(
    ("faults", "requests"),
    [
        pytest.param([Fault(503)], 2, id="503 once"),
        pytest.param([Fault(500), Fault(502), Fault(429)], 4, id="three different errors"),
        pytest.param([Fault(429, (("Retry-After", "0"),))], 2, id="429 with Retry-After"),
        pytest.param([Fault(cut_after=100)], 2, id="cut after 100 bytes"),
        pytest.param([Fault(cut_after=0), Fault(cut_after=7), Fault(cut_after=50)], 4, id="cut three times"),
        pytest.param([Fault(cut_after=100), Fault(ignore_range=True)], 2, id="forgets ranges"),
    ],
)
def test_what_passes_is_waited_out(pod: Pod, server: FaultyServer, faults: list[Fault], requests: int) -> None:
    digest = server.put("/m.onnx", MODEL)
    server.faults["/m.onnx"] = faults
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    assert len(server.seen) == requests


def test_a_cut_download_goes_on_where_it_broke(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/m.onnx", MODEL)
    server.faults["/m.onnx"] = [Fault(cut_after=100)]
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    assert server.seen[1].headers["range"] == "bytes=100-"
    assert server.seen[1].headers["if-range"].startswith('"')


def test_a_restarted_container_goes_on_where_the_last_one_broke(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/m.onnx", MODEL)
    server.faults["/m.onnx"] = [Fault(cut_after=100)]
    server.every_answer["/m.onnx"] = Fault(503)
    assert pod.fetch_in_vain(server.url("/m.onnx"), digest) == 3
    assert pod.message() == {
        "kind": "NotYet",
        "reason": "RegistryUnavailable",
        "message": f"{server.url('/m.onnx')} was answered with HTTP 503. Fetching is tried again.",
        "bytes": 100,
        "progressed": True,
    }
    del server.every_answer["/m.onnx"]
    server.seen.clear()
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    assert [seen.headers.get("range") for seen in server.seen] == ["bytes=100-"]


def test_a_file_that_changed_in_between_is_taken_from_its_beginning(pod: Pod, server: FaultyServer) -> None:
    server.put("/m.onnx", b"an older model, half of which arrived" + bytes(100))
    server.faults["/m.onnx"] = [Fault(cut_after=60), Fault(503)]
    digest = server.put("/m.onnx", MODEL)
    server.faults["/m.onnx"][0] = Fault(cut_after=60, body=b"an older model, half of which arrived" + bytes(100))
    assert pod.fetch(server.url("/m.onnx"), digest) == 0


def test_pieces_of_two_files_without_etags_are_noticed_and_fetched_again(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/m.onnx", MODEL)
    server.faults["/m.onnx"] = [Fault(cut_after=60, body=bytes(len(MODEL)), headers=(("ETag", 'W/"weak"'),))]
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    assert [seen.headers.get("range") for seen in server.seen] == [None, "bytes=60-", None]


@pytest.mark.parametrize(
    ("path", "answer", "code", "reason", "says"),
    [
        ("/m.onnx", Fault(401), 2, "Unauthorized", "spec.model.credentials.secretRef"),
        ("/m.onnx", Fault(403), 2, "Unauthorized", "spec.model.credentials.secretRef"),
        ("/missing.onnx", None, 2, "NotFound", "does not exist (HTTP 404)"),
        ("/m.onnx", Fault(400), 2, "RequestRefused", "HTTP 400"),
        ("/m.onnx", Fault(500), 3, "RegistryUnavailable", "HTTP 500"),
        ("/m.onnx", Fault(429, (("Retry-After", "30"),)), 3, "RegistryUnavailable", "HTTP 429"),
        ("/m.onnx", Fault(302, (("Location", "http://localhost/m"),)), 2, "InsecureRedirect", "http://localhost"),
        ("/m.onnx", Fault(302, (("Location", "https://u:p@localhost/m"),)), 2, "InsecureRedirect", "without a user"),
        ("/m.onnx", Fault(302, (("Location", "https://["),)), 2, "InsecureRedirect", "well-formed host"),
        ("/m.onnx", Fault(302, (("Location", "/m.onnx"),)), 2, "TooManyRedirects", "more than 5"),
    ],
)
def test_what_does_not_pass_is_reported(
    pod: Pod, server: FaultyServer, path: str, answer: Fault | None, code: int, reason: str, says: str
) -> None:
    digest = server.put("/m.onnx", MODEL)
    if answer:
        server.every_answer[path] = answer
    assert pod.fetch_in_vain(server.url(path), digest) == code
    message = pod.message()
    assert (message["reason"], message["progressed"]) == (reason, False)
    assert says in message["message"]
    assert not pod.repository.exists()


def test_other_content_is_a_digest_mismatch_with_both_digests(pod: Pod, server: FaultyServer) -> None:
    found = server.put("/m.onnx", MODEL)
    assert pod.fetch(server.url("/m.onnx"), WRONG_DIGEST) == 2
    message = pod.message()
    assert message["reason"] == "DigestMismatch"
    assert found in message["message"]
    assert WRONG_DIGEST in message["message"]
    assert len(server.seen) == 1


def test_an_unknown_authority_is_named_with_the_way_out(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/m.onnx", MODEL)
    (pod.root / "ca" / "test.crt").unlink()
    assert pod.fetch(server.url("/m.onnx"), digest) == 2
    message = pod.message()
    assert message["reason"] == "CertificateNotTrusted"
    assert "spec.model.credentials.caConfigMapRef" in message["message"]


def test_a_broken_authority_is_named(pod: Pod, server: FaultyServer) -> None:
    (pod.root / "ca" / "broken.pem").write_text("not a certificate")
    assert pod.fetch(server.url("/m.onnx"), WRONG_DIGEST) == 2
    assert "broken.pem" in pod.message()["message"]


@pytest.mark.parametrize("host", ["localhost:1", "no-such-host.invalid"])
def test_a_server_that_is_away_is_waited_for(pod: Pod, host: str) -> None:
    assert pod.fetch_in_vain(f"https://{host}/m.onnx", WRONG_DIGEST) == 3
    assert pod.message()["reason"] == "RegistryUnavailable"


def test_redirects_within_the_host_keep_credentials_and_others_lose_them(
    pod: Pod, server: FaultyServer, other_server: FaultyServer
) -> None:
    pod.mount_secret(host=server.host, token="let-me-in")  # noqa: S106 - a test's
    digest = other_server.put("/storage/m.onnx", MODEL)
    server.every_answer["/m.onnx"] = Fault(307, (("Location", f"https://{server.host.upper()}/here/m.onnx"),))
    server.every_answer["/here/m.onnx"] = Fault(307, (("Location", other_server.url("/storage/m.onnx?sig=s3cret")),))
    assert pod.fetch(server.url("/m.onnx"), digest) == 0
    assert [seen.authorization for seen in server.seen] == ["Bearer let-me-in", "Bearer let-me-in"]
    assert [seen.authorization for seen in other_server.seen] == [None]


@pytest.mark.parametrize(
    "secret",
    [
        {"token": "s3cret"},
        {"username": "sailor", "password": "s3cret", "host": "models.example"},
        {"token": "s3cret", "ca.crt": "", "namespace": "team"},
    ],
    ids=["without a host", "for another host", "a service account's"],
)
def test_a_secret_that_was_not_made_for_the_host_is_not_sent_there(
    pod: Pod, server: FaultyServer, capfd: pytest.CaptureFixture[str], secret: dict[str, str]
) -> None:
    """Who may create a ModelDeployment may name any Secret and any URL."""
    digest = server.put("/m.onnx", MODEL)
    pod.mount_secret(**secret)
    assert pod.fetch(server.url("/m.onnx"), digest) == 2
    assert server.seen == []
    message = pod.message()
    assert message["reason"] == "CredentialsNotForHost"
    assert f"--from-literal=host={server.host} " in message["message"]
    assert "s3cret" not in "".join(capfd.readouterr()) + message["message"]


def test_signatures_and_secrets_reach_no_log_and_no_message(
    pod: Pod, server: FaultyServer, capfd: pytest.CaptureFixture[str]
) -> None:
    pod.mount_secret(host=server.host, username="sailor", password="s3cret-word")  # noqa: S106 - a test's
    server.put("/m.onnx", MODEL)
    server.faults["/m.onnx"] = [Fault(503)]
    assert pod.fetch(server.url("/m.onnx?signature=s3cret-sig"), WRONG_DIGEST) == 2
    assert server.seen[0].authorization is not None
    told = "".join(capfd.readouterr()) + pod.message_file.read_text()
    assert "s3cret" not in told


@pytest.mark.parametrize(
    ("limit", "announced"),
    [(RESERVED_BYTES + 100, True), (RESERVED_BYTES + 100, False)],
    ids=["refused before the first byte", "refused while writing"],
)
def test_a_model_larger_than_the_pod_may_store(
    pod: Pod,
    server: FaultyServer,
    limit: int,
    announced: bool,  # noqa: FBT001 - a column
) -> None:
    digest = server.put("/m.onnx", MODEL)
    if not announced:
        server.faults["/m.onnx"] = [Fault(cut_after=90), Fault(ignore_range=True)]
    assert pod.fetch(server.url("/m.onnx"), digest, storageLimitBytes=limit) == 2
    message = pod.message()
    assert message["reason"] == "StorageTooSmall"
    assert f"bytes, but {LIMIT_FIELD} allows {limit}" in message["message"]


def test_a_large_model_needs_little_memory(pod: Pod, server: FaultyServer) -> None:
    """An ONNX file may hold what its reader does not know: here 100 MiB, never to be in memory at once (45 MiB are)."""
    size = 100 * 2**20
    unknown_field = b"\xa2\x06" + b"\x80\x80\x80\x32"  # number 100, length 100 MiB
    digest = server.put("/m.onnx", MODEL + unknown_field + bytes(size))
    program = (
        "import sys; from plimsoll.fetch.main import main; code = main(sys.argv[1:]);"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')));"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *pod.arguments()],
        env=environment(server.url("/m.onnx"), digest),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert int(done.stdout) * 1024 < 0.8 * size


def test_resolve_reads_everything_and_keeps_nothing(pod: Pod, server: FaultyServer) -> None:
    digest = server.put("/m.onnx", MODEL)
    pod.mount_secret(token="t0ken")  # noqa: S106 - a test's
    assert resolve(server.url("/m.onnx"), pod.root / "credentials", pod.root / "ca", pod.patience) == digest
    assert server.seen[0].authorization == "Bearer t0ken"
    with pytest.raises(Invalid, match="HTTP 404"):
        resolve(server.url("/other"), authorities=pod.root / "ca", patience=pod.patience)
    server.every_answer["/m.onnx"] = Fault(503)
    with pytest.raises(NotYet):
        resolve(server.url("/m.onnx"), authorities=pod.root / "ca", patience=pod.patience)


def test_a_claim_cannot_be_resolved_from_outside() -> None:
    with pytest.raises(Invalid, match="Only a pod can read a claim"):
        resolve("pvc://claim/m")


def environment(uri: str, digest: str) -> dict[str, str]:
    operator = Path(__file__).parents[3] / "operator"
    return {REQUEST_VARIABLE: json.dumps(request(uri, digest)), "PYTHONPATH": str(operator)}


def test_sigterm_ends_a_stuck_download_at_once_and_leaves_a_message(
    pod: Pod, server: FaultyServer, tmp_path: Path
) -> None:
    digest = server.put("/m.onnx", MODEL)
    server.every_answer["/m.onnx"] = Fault(503)
    program = "import sys; from plimsoll.fetch.main import main; sys.exit(main(sys.argv[1:]))"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *pod.arguments()],
            env=environment(server.url("/m.onnx"), digest),
            stderr=log,
        )
        while not server.seen and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(timeout=30) == 1
    assert pod.message()["reason"] == "Terminated"
