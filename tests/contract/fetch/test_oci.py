"""oci:// against a server that misbehaves the way registries do."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.faulty_https import Fault, FaultyServer
from tests.support.fetching import Pod
from tests.support.onnx_models import linear

MODEL = linear()
REPOSITORY = "/v2/models/digits"
TITLE = "org.opencontainers.image.title"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def push(server: FaultyServer, files: dict[str, bytes]) -> str:
    """Publish files, one layer each, and return the manifest's digest."""
    return push_layers(server, [layer(server, content, {TITLE: name}) for name, content in files.items()])


def layer(
    server: FaultyServer, content: bytes, annotations: dict[str, str], media_type: str = "application/octet-stream"
) -> dict[str, Any]:
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    server.put(f"{REPOSITORY}/blobs/{digest}", content)
    return {"mediaType": media_type, "digest": digest, "size": len(content), "annotations": annotations}


def push_layers(server: FaultyServer, layers: Sequence[dict[str, Any]]) -> str:
    return push_manifest(server, {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": list(layers)})


def push_manifest(server: FaultyServer, manifest: Any) -> str:
    data = json.dumps(manifest).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    server.put(f"{REPOSITORY}/manifests/{digest}", data)
    return digest


def uri(server: FaultyServer, digest: str) -> str:
    return f"oci://{server.host}/models/digits@{digest}"


def tar_gz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_one_layer_per_file(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL, "labels/names.txt": b"a\nb\nc\n"})
    assert pod.fetch(uri(server, digest), digest) == 0
    assert pod.files() == ["digits/7/labels/names.txt", "digits/7/model.onnx", "digits/config.pbtxt"]
    assert pod.message()["bytes"] == len(MODEL) + 6


def test_two_names_for_the_same_content(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL, "a.txt": b"same", "b.txt": b"same"})
    assert pod.fetch(uri(server, digest), digest) == 0
    assert {(pod.repository / "digits/7" / name).read_bytes() for name in ("a.txt", "b.txt")} == {b"same"}


@pytest.mark.parametrize(
    ("annotations", "media_type"),
    [
        ({}, "application/vnd.oci.image.layer.v1.tar+gzip"),
        ({TITLE: "model", "io.deis.oras.content.unpack": "true"}, "application/vnd.oci.image.layer.v1.tar+gzip"),
        ({}, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ],
    ids=["a layer", "a folder pushed by oras", "a docker image"],
)
def test_one_layer_with_an_archive(
    pod: Pod, server: FaultyServer, annotations: dict[str, str], media_type: str
) -> None:
    digest = push_layers(server, [layer(server, tar_gz({"model/model.onnx": MODEL}), annotations, media_type)])
    assert pod.fetch(uri(server, digest), digest) == 0
    assert pod.files() == ["digits/7/model.onnx", "digits/config.pbtxt"]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"manifests": [{"digest": "sha256:" + "0" * 64}]}, "an index of several platforms"),
        ({"layers": []}, "no layers"),
        ({"layers": [{"digest": "sha512:00", "size": 1}]}, "without a sha256 digest"),
        ({"layers": [{"digest": "sha256:" + "0" * 64, "size": -1}]}, "without a sha256 digest and a size"),
        ({"layers": ["text"]}, "malformed layer"),
        ({"layers": [{"digest": "sha256:" + "0" * 64, "size": 1, "mediaType": "x/zstd"}]}, "'x/zstd'"),
        ([], "not an object"),
    ],
)
def test_manifests_that_are_no_single_model(pod: Pod, server: FaultyServer, manifest: Any, says: str) -> None:
    digest = push_manifest(server, manifest)
    assert pod.fetch(uri(server, digest), digest) == 2
    message = pod.message()
    assert message["reason"] == "UnsupportedArtifact"
    assert says in message["message"]


@pytest.mark.parametrize("title", ["../evil", "/etc/evil", "a/../../evil", ""])
def test_titles_that_lead_elsewhere(pod: Pod, server: FaultyServer, title: str) -> None:
    digest = push(server, {"model.onnx": MODEL, title: b"x"})
    assert pod.fetch(uri(server, digest), digest) == 2
    assert pod.message()["reason"] in ("UnsafeArchive", "UnsupportedArtifact")
    assert not list(pod.root.rglob("evil"))


def test_a_registry_that_answers_another_manifest(pod: Pod, server: FaultyServer) -> None:
    asked = "sha256:" + "1" * 64
    server.put(f"{REPOSITORY}/manifests/{asked}", json.dumps({"layers": []}).encode())
    assert pod.fetch(uri(server, asked), asked) == 2
    message = pod.message()
    assert message["reason"] == "DigestMismatch"
    assert asked in message["message"]


@pytest.mark.parametrize("tampered", [bytes(len(MODEL)), MODEL + b"more", MODEL[:-1]])
def test_a_registry_that_answers_another_layer(pod: Pod, server: FaultyServer, tampered: bytes) -> None:
    digest = push(server, {"model.onnx": MODEL})
    blob = next(path for path in server.files if "/blobs/" in path)
    server.files[blob] = tampered
    assert pod.fetch(uri(server, digest), digest) in (2, 3)
    assert pod.message()["reason"] in ("DigestMismatch", "RegistryUnavailable")
    assert not pod.repository.exists()


def test_a_finished_layer_is_not_fetched_again_after_a_restart(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL, "big.bin": bytes(1000)})
    first, second = (path for path in server.files if "/blobs/" in path)
    server.every_answer[second] = Fault(503)
    assert pod.fetch_in_vain(uri(server, digest), digest) == 3
    server.every_answer.clear()
    server.seen.clear()
    assert pod.fetch(uri(server, digest), digest) == 0
    assert server.paths() == [second]
    assert first not in server.paths()


def test_the_sizes_in_the_manifest_are_checked_before_the_first_layer(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL})
    assert pod.fetch(uri(server, digest), digest, storageLimitBytes=len(MODEL) - 1) == 2
    assert pod.message()["reason"] == "StorageTooSmall"
    assert not [path for path in server.paths() if "/blobs/" in path]


def test_a_token_is_fetched_with_the_credentials_and_used(
    pod: Pod, server: FaultyServer, other_server: FaultyServer
) -> None:
    """The registry names a token service on another host, as public registries do; blobs move to a third place."""
    digest = push(server, {"model.onnx": MODEL})
    server.required_authorization["/v2/"] = "Bearer t0ken"
    server.challenge = (
        f'Bearer realm="{other_server.url("/token")}",service="reg",scope="repository:models/digits:pull"'
    )
    other_server.put("/token", json.dumps({"token": "t0ken"}).encode())
    other_server.put("/storage", MODEL)
    blob = next(path for path in server.files if "/blobs/" in path)
    server.every_answer[blob] = Fault(307, (("Location", other_server.url("/storage")),))
    pod.mount_docker_config({"auths": {server.host: {"auth": base64.b64encode(b"sailor:s3cret").decode()}}})
    assert pod.fetch(uri(server, digest), digest) == 0
    token_request, storage_request = other_server.seen
    assert token_request.authorization == "Basic " + base64.b64encode(b"sailor:s3cret").decode()
    assert token_request.path == "/token?service=reg&scope=repository%3Amodels%2Fdigits%3Apull"
    assert storage_request.authorization is None


def test_an_anonymous_token(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL})
    server.required_authorization["/v2/"] = "Bearer public"
    server.challenge = f'Bearer realm="{server.url("/token")}",service="reg"'
    server.put("/token", json.dumps({"access_token": "public"}).encode())
    assert pod.fetch(uri(server, digest), digest) == 0
    assert [seen.authorization for seen in server.seen if seen.path.startswith("/token")] == [None]


def test_an_identity_token_is_exchanged(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL})
    server.required_authorization["/v2/"] = "Bearer exchanged"
    server.challenge = f'Bearer realm="{server.url("/token")}",service="reg"'
    server.put("/token", json.dumps({"access_token": "exchanged"}).encode())
    pod.mount_docker_config({"auths": {server.host: {"identitytoken": "refresh"}}})
    assert pod.fetch(uri(server, digest), digest) == 0


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ({"username": "sailor", "password": "s3cret"}, "Basic " + base64.b64encode(b"sailor:s3cret").decode()),
        ({"token": "t0ken\n"}, "Bearer t0ken"),
    ],
    ids=["basic", "bearer"],
)
def test_other_kinds_of_secrets(pod: Pod, server: FaultyServer, secret: dict[str, str], expected: str) -> None:
    digest = push(server, {"model.onnx": MODEL})
    server.required_authorization["/v2/"] = expected
    server.challenge = 'Basic realm="registry"'
    pod.mount_secret(host=server.host, **secret)
    assert pod.fetch(uri(server, digest), digest) == 0


def test_a_host_in_capitals_is_signed_in_to(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL})
    server.required_authorization["/v2/"] = "Basic " + base64.b64encode(b"sailor:s3cret").decode()
    server.challenge = 'Basic realm="registry"'
    pod.mount_docker_config({"auths": {server.host.upper(): {"auth": base64.b64encode(b"sailor:s3cret").decode()}}})
    assert pod.fetch(uri(server, digest).replace("localhost", "LocalHost"), digest) == 0


@pytest.mark.parametrize(
    "challenge",
    ['Basic realm="x"', "", 'Bearer realm="http://localhost/token"', 'Bearer realm="https://["', "Negotiate"],
    ids=str,
)
def test_without_fitting_credentials(pod: Pod, server: FaultyServer, challenge: str) -> None:
    digest = push(server, {"model.onnx": MODEL})
    server.required_authorization["/v2/"] = "never"
    server.challenge = challenge
    assert pod.fetch(uri(server, digest), digest) == 2
    assert pod.message()["reason"] in ("Unauthorized", "InsecureRedirect")


def test_a_storage_that_asks_for_a_login_gets_none(pod: Pod, server: FaultyServer, other_server: FaultyServer) -> None:
    """A redirect leads to a server that names a token service of its own."""
    digest = push(server, {"model.onnx": MODEL})
    blob = next(path for path in server.files if "/blobs/" in path)
    server.every_answer[blob] = Fault(307, (("Location", other_server.url("/storage")),))
    other_server.required_authorization["/storage"] = "never"
    other_server.challenge = f'Bearer realm="{other_server.url("/token")}",service="reg"'
    pod.mount_docker_config({"auths": {server.host: {"username": "u", "password": "p"}}})
    assert pod.fetch(uri(server, digest), digest) == 2
    assert [(seen.path, seen.authorization) for seen in other_server.seen] == [("/storage", None)]


def test_credentials_of_another_host_stay_at_home(pod: Pod, server: FaultyServer) -> None:
    digest = push(server, {"model.onnx": MODEL})
    server.required_authorization["/v2/"] = "never"
    server.challenge = 'Basic realm="x"'
    pod.mount_docker_config({"auths": {"registry.example": {"username": "u", "password": "p"}}})
    assert pod.fetch(uri(server, digest), digest) == 2
    assert {seen.authorization for seen in server.seen} == {None}
