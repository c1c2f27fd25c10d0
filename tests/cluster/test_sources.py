"""The other ways a model arrives: from an HTTPS server and from a volume, by digest, with a private authority."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from tests.cluster.https_pod import container, run_https_pod, trust
from tests.support.team import Object, Team

from plimsoll_dev.cluster.pki import create_authority
from plimsoll_dev.models.catalogue import DIGITS

MODEL = DIGITS.path / "model.onnx"
DIGEST = f"sha256:{hashlib.sha256(MODEL.read_bytes()).hexdigest()}"
FILES = """
from functools import partial
from http.server import SimpleHTTPRequestHandler
Handler = partial(SimpleHTTPRequestHandler, directory="/files")
"""


def publish_model(team: Team) -> None:
    """The model as a ConfigMap, for pods that serve or store it."""
    content = base64.b64encode(MODEL.read_bytes()).decode()
    team.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "file"}, "binaryData": {"model.onnx": content}}
    )


@pytest.fixture
def https_server(team: Team, tmp_path: Path) -> str:
    """The URL of a model behind TLS of an authority of its own, published as ConfigMap `registry-ca`."""
    authority = create_authority(tmp_path, "ca")
    trust(team, authority.pair.certificate.read_text(encoding="utf-8"))
    publish_model(team)
    return run_https_pod(team, "files", authority, FILES, "file") + "/model.onnx"


def test_https(team: Team, https_server: str) -> None:
    served = team.deploy("digits", https_server, model={"digest": DIGEST})
    team.until_ready(served)


def test_https_with_other_bytes_than_promised(team: Team, https_server: str) -> None:
    served = team.deploy("digits", https_server, model={"digest": "sha256:" + "1" * 64})
    message = team.until_reason(served, "DigestMismatch")
    assert DIGEST in message


@pytest.fixture
def claim(team: Team) -> str:
    """A claim whose volume holds the model under `vision/model.onnx`, read-only for the model pod."""
    name = f"{team.namespace}-models"
    path = f"/var/tmp/{name}"  # noqa: S108 - on the node
    size = {"storage": "10Mi"}
    volume: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": size,
            "accessModes": ["ReadWriteMany"],
            "storageClassName": name,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
        },
    }
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models"},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": name, "resources": {"requests": size}},
    }
    # A folder made by the kubelet belongs to root: a pod that is root fills it, in a namespace that admits one.
    store = Team(team.testbed, "default")
    publish_model(store)
    # The node's disk outlives the cluster: an earlier run may have left the folder.
    fill = (
        "import os, shutil; os.makedirs('/volume/vision', exist_ok=True);"
        "shutil.copy('/files/model.onnx', '/volume/vision')"
    )
    filler: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    **container(team, fill, {"files": "/files", "volume": "/volume"}),
                    "securityContext": {"runAsUser": 0},
                }
            ],
            "volumes": [
                {"name": "files", "configMap": {"name": "file"}},
                {"name": "volume", "hostPath": {"path": path, "type": "DirectoryOrCreate"}},
            ],
        },
    }
    store.apply(filler)
    store.until("the volume is filled", lambda: store.get("pod", name)["status"]["phase"] == "Succeeded", timeout_s=60)
    store.kubectl("delete", "pod", name)
    team.apply(volume)
    team.apply(wanted)
    return "models"


def test_a_volume(team: Team, claim: str) -> None:
    served = team.deploy("digits", f"pvc://{claim}/vision/model.onnx", model={"digest": DIGEST})
    team.until_ready(served)
    (pod,) = team.all("pods", "plimsoll.dev/model=digits")
    (triton,) = pod["spec"]["containers"]
    assert "/source" not in {mount["mountPath"] for mount in triton["volumeMounts"]}
    team.kubectl("delete", "mdep", "digits")
    team.testbed.kubectl.run("delete", "pv", f"{team.namespace}-models", "--wait=false")
