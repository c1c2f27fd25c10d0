"""Pushing into a real registry, with TLS from a private authority and a login."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import oras.client
import pytest
from tests.support.registry import PASSWORD, USER, Registry, needs_registry, running_registry

from plimsoll_dev.models import push as pushing
from plimsoll_dev.models.__main__ import main
from plimsoll_dev.models.artefact import MANIFEST_TYPE, Artefact, package, package_model
from plimsoll_dev.models.catalogue import DIGITS, DIGITS_V2
from plimsoll_dev.models.push import PushError, push

pytestmark = needs_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry"), login=True) as running:
        yield running


@pytest.fixture
def target(registry: Registry) -> pushing.Registry:
    return pushing.Registry(registry.host, registry.ca_file, (USER, PASSWORD))


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    weights = tmp_path / "weights"
    weights.write_bytes(b"w" * (2 * pushing.CHUNK_BYTES + 1))
    return package({"model.onnx": weights})


def test_the_registry_serves_the_manifest_under_the_digest_of_its_bytes(target: pushing.Registry):
    artefact = package_model(DIGITS)
    assert push(artefact, target, "models/digits", "v1") == artefact.digest
    with target.client() as client:
        for reference in (artefact.digest, "v1"):
            served = client.get(f"/v2/models/digits/manifests/{reference}", headers={"Accept": MANIFEST_TYPE})
            assert (served.status_code, served.content) == (200, artefact.manifest)


def test_what_was_pushed_can_be_pulled_with_oras(registry: Registry, target: pushing.Registry, tmp_path: Path):
    digest = push(package_model(DIGITS_V2), target, "models/digits", "v2")
    client = oras.client.OrasClient(auth_backend="basic", tls_verify=str(registry.ca_file))
    client.auth.set_basic_auth(USER, PASSWORD)
    client.pull(target=f"{registry.host}/models/digits@{digest}", outdir=str(tmp_path))
    assert (tmp_path / "model.onnx").read_bytes() == (DIGITS_V2.path / "model.onnx").read_bytes()
    assert (tmp_path / "golden.json").read_bytes() == (DIGITS_V2.path / "golden.json").read_bytes()


def test_a_file_of_several_chunks_arrives_whole(target: pushing.Registry, artefact: Artefact):
    push(artefact, target, "large", "v1")
    with target.client() as client:
        (layer,) = artefact.layers
        assert client.get(f"/v2/large/blobs/{layer.digest}").content == layer.file.read_bytes()


def test_pushing_again_sends_no_blob(target: pushing.Registry, artefact: Artefact, monkeypatch: pytest.MonkeyPatch):
    push(artefact, target, "again", "v1")
    sent: list[str] = []

    class Watching(httpx.Client):
        def send(self, request: httpx.Request, **options: object) -> httpx.Response:
            sent.append(f"{request.method} {request.url.path.split('/')[3]}")
            return super().send(request, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pushing.httpx, "Client", Watching)
    push(artefact, target, "again", "v1")
    assert sent == ["HEAD blobs", "HEAD blobs", "PUT manifests"]


def test_a_wrong_password_is_said_without_repeating_it(registry: Registry, artefact: Artefact):
    target = pushing.Registry(registry.host, registry.ca_file, (USER, "wrong-secret"))
    with pytest.raises(PushError, match=f"^The registry {registry.host} answered 401 .* Give a login") as refused:
        push(artefact, target, "models/digits", "v1")
    assert "wrong-secret" not in str(refused.value)


def test_an_unknown_authority_is_not_trusted(registry: Registry, artefact: Artefact):
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        push(artefact, pushing.Registry(registry.host, login=(USER, PASSWORD)), "models/digits", "v1")


def test_a_registry_without_tls_must_be_asked_for(artefact: Artefact, tmp_path: Path):
    with running_registry(tmp_path / "plain", tls=False) as plain:
        with pytest.raises(httpx.TransportError):
            push(artefact, pushing.Registry(plain.host), "models/digits", "v1")
        assert push(artefact, pushing.Registry(plain.host, plain_http=True), "models/digits", "v1") == artefact.digest


def test_a_registry_that_stores_other_bytes_is_noticed(artefact: Artefact, monkeypatch: pytest.MonkeyPatch):
    def answers(request: httpx.Request) -> httpx.Response:
        if request.method == "HEAD":
            return httpx.Response(200)
        return httpx.Response(201, headers={"Docker-Content-Digest": "sha256:other"})

    monkeypatch.setattr(
        pushing.Registry,
        "client",
        lambda _self: httpx.Client(base_url="http://registry", transport=httpx.MockTransport(answers)),
    )
    with pytest.raises(PushError, match="stored models/digits:v1 as sha256:other"):
        push(artefact, pushing.Registry("registry"), "models/digits", "v1")


def test_command_pushes_several_models_with_one_password(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    options = ["--ca", str(registry.ca_file), "--user", USER, "--password-stdin"]
    status, printed = run_command(
        ["push", registry.host, *options, "--model", "digits", "--model", "digits-v2"], PASSWORD, monkeypatch
    )
    assert status == 0
    assert printed.splitlines() == [
        f"oci://{registry.host}/models/digits@{package_model(DIGITS).digest}",
        f"oci://{registry.host}/models/digits@{package_model(DIGITS_V2).digest}",
    ]


def test_command_prints_what_was_refused_and_fails(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    options = ["--ca", str(registry.ca_file), "--user", USER, "--password-stdin"]
    status, _ = run_command(["push", registry.host, *options, "--model", "digits"], "wrong", monkeypatch)
    assert status == 1
    assert "answered 401" in capsys.readouterr().err


def test_command_writes_manifests_for_a_registry(monkeypatch: pytest.MonkeyPatch):
    status, printed = run_command(["manifest", "registry.example:5000", "--model", "digits"], "", monkeypatch)
    assert status == 0
    assert f"uri: oci://registry.example:5000/models/digits@{package_model(DIGITS).digest}" in printed


def test_pushing_loads_no_machine_learning_library():
    # The demo pushes from a machine that need not have them.
    assert json.loads(imported_by("import plimsoll_dev.models.__main__, plimsoll_dev.models.samples")) == []


def imported_by(statement: str) -> str:
    heavy = ("numpy", "onnx", "onnxruntime", "sklearn", "scipy")
    program = f"{statement}\nimport sys, json\nprint(json.dumps([name for name in {heavy} if name in sys.modules]))"
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def run_command(arguments: list[str], typed: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = main(arguments)
    return status, printed.getvalue()
