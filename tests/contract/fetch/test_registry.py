"""oci:// against Debian's docker-registry, filled by the `oras` package, as users fill theirs."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oras.provider
import pytest
from tests.support.fetching import IMPATIENT, Pod
from tests.support.onnx_models import linear
from tests.support.registry import PASSWORD, USER, Registry, needs_registry, running_registry

from plimsoll.errors import Invalid
from plimsoll.fetch.resolve import resolve

pytestmark = needs_registry
MODEL = linear()


@pytest.fixture(scope="module", params=[False, True], ids=["open", "with login"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry"), login=request.param) as running:
        yield running


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> Pod:
    made = Pod(tmp_path / "pod", monkeypatch)
    made.trust(registry.ca_file)
    if registry.with_login:
        made.mount_docker_config(registry.docker_config)
    return made


@pytest.fixture
def pushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> str:
    """Push a model as `digits:v1` and return its digest."""
    folder = tmp_path / "artefact"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(MODEL)
    (folder / "labels.txt").write_text("0\n1\n2\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(registry.ca_file))
    client: Any = oras.provider.Registry(registry.host, auth_backend="basic", tls_verify=True)
    if registry.with_login:
        client.auth.set_basic_auth(USER, PASSWORD)
    answer = client.push(files=["model.onnx", "labels.txt"], target=f"{registry.host}/models/digits:v1")
    client.session.close()
    return str(answer.headers["Docker-Content-Digest"])


def test_fetch_by_digest(pod: Pod, registry: Registry, pushed: str) -> None:
    assert pod.fetch(f"oci://{registry.host}/models/digits@{pushed}", pushed) == 0
    assert pod.files() == ["digits/7/labels.txt", "digits/7/model.onnx", "digits/config.pbtxt"]


def test_resolve_a_tag(pod: Pod, registry: Registry, pushed: str) -> None:
    found = resolve(f"oci://{registry.host}/models/digits:v1", pod.root / "credentials", pod.root / "ca", IMPATIENT)
    assert found == pushed


def test_resolve_a_tag_that_is_not_there(pod: Pod, registry: Registry, pushed: str) -> None:
    assert pushed
    with pytest.raises(Invalid) as error:
        resolve(f"oci://{registry.host}/models/digits:v9", pod.root / "credentials", pod.root / "ca", IMPATIENT)
    assert error.value.reason == "NotFound"


@pytest.mark.parametrize("registry", [True], ids=["with login"], indirect=True)
def test_without_the_secret(pod: Pod, registry: Registry, pushed: str) -> None:
    (pod.root / "credentials" / ".dockerconfigjson").write_text('{"auths": {}}')
    assert pod.fetch(f"oci://{registry.host}/models/digits@{pushed}", pushed) == 2
    assert pod.message()["reason"] == "Unauthorized"


def test_a_blob_that_rotted_in_the_registry(pod: Pod, registry: Registry, pushed: str) -> None:
    blob = registry.blob_file("sha256:" + hashlib.sha256(MODEL).hexdigest())
    healthy = blob.read_bytes()
    try:
        blob.write_bytes(healthy[:-1] + b"!")
        assert pod.fetch(f"oci://{registry.host}/models/digits@{pushed}", pushed) == 2
    finally:
        blob.write_bytes(healthy)
    assert pod.message()["reason"] == "DigestMismatch"


def test_a_registry_that_went_away(pod: Pod, registry: Registry, pushed: str) -> None:
    registry.stop()
    try:
        assert pod.fetch_in_vain(f"oci://{registry.host}/models/digits@{pushed}", pushed) == 3
    finally:
        registry.start()
    assert pod.message()["reason"] == "RegistryUnavailable"
    assert pod.fetch(f"oci://{registry.host}/models/digits@{pushed}", pushed) == 0
