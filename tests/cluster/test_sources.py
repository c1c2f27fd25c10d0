"""The other ways a model arrives: from an HTTPS server and from a volume, by digest, with a private authority."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.team import Object, Team

from plimsoll_dev.cluster.pki import create_authority
from plimsoll_dev.models.catalogue import DIGITS

MODEL = DIGITS.path / "model.onnx"
DIGEST = f"sha256:{hashlib.sha256(MODEL.read_bytes()).hexdigest()}"
PYTHON = "/opt/plimsoll/bin/python"
SERVER = """
import ssl
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
server = ThreadingHTTPServer(("", 8443), lambda *a: SimpleHTTPRequestHandler(*a, directory="/files"))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def container(team: Team, script: str, mounts: Mapping[str, str]) -> Object:
    return {
        "name": "main",
        "image": team.testbed.images["operator"],
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }


def publish_model(team: Team) -> None:
    """The model as a ConfigMap, for pods that serve or store it."""
    content = base64.b64encode(MODEL.read_bytes()).decode()
    team.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "file"}, "binaryData": {"model.onnx": content}}
    )


@pytest.fixture
def https_server(team: Team, tmp_path: Path) -> str:
    """The URL of a model behind TLS of an authority of its own, published as ConfigMap `registry-ca`."""
    host = f"files.{team.namespace}.svc"
    authority = create_authority(tmp_path, "ca")
    pair = authority.issue("server", common_name=host, hosts=[host])
    tls = ["--from-file", f"tls.crt={pair.certificate}", "--from-file", f"tls.key={pair.key}"]
    team.kubectl("create", "secret", "generic", "tls", *tls)
    team.kubectl("delete", "configmap", "registry-ca")
    team.kubectl("create", "configmap", "registry-ca", f"--from-file=ca.crt={authority.pair.certificate}")
    publish_model(team)
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "files", "labels": {"app": "files"}},
        "spec": {
            "securityContext": {**RESTRICTED, "fsGroup": 10001},
            "containers": [
                {
                    **container(team, SERVER, {"files": "/files", "tls": "/tls"}),
                    "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
                }
            ],
            "volumes": [
                {"name": "files", "configMap": {"name": "file"}},
                {"name": "tls", "secret": {"secretName": "tls"}},
            ],
        },
    }
    team.apply(pod)
    team.kubectl("expose", "pod", "files", "--port=8443")
    team.kubectl("wait", "--for=condition=Ready", "pod/files", "--timeout=60s", timeout_s=70)
    return f"https://{host}:8443/model.onnx"


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
