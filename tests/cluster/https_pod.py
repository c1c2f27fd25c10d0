"""A pod that answers over HTTPS with a few lines of Python, in the operator's image: it has an interpreter."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.team import Object, Team

from plimsoll_dev.cluster.pki import Authority

PYTHON = "/opt/plimsoll/bin/python"
PORT = 8443
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_SERVE = f"""
import ssl
from http.server import ThreadingHTTPServer
server = ThreadingHTTPServer(("", {PORT}), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def container(team: Team, script: str, mounts: Mapping[str, str]) -> Object:
    return {
        "name": "main",
        "image": team.testbed.images["operator"],
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }


def host_of(team: Team, name: str) -> str:
    return f"{name}.{team.namespace}.svc"


def run_https_pod(team: Team, name: str, authority: Authority, handler: str, files: str) -> str:
    """Runs `handler`, code that defines `Handler`, with the ConfigMap `files` at /files; its URL, without a path."""
    host = host_of(team, name)
    pair = authority.issue(name, common_name=host, hosts=[host])
    tls = ["--from-file", f"tls.crt={pair.certificate}", "--from-file", f"tls.key={pair.key}"]
    team.kubectl("create", "secret", "generic", f"{name}-tls", *tls)
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "securityContext": {**RESTRICTED, "fsGroup": 10001},
            "containers": [
                {
                    **container(team, handler + _SERVE, {"files": "/files", "tls": "/tls"}),
                    "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                }
            ],
            "volumes": [
                {"name": "files", "configMap": {"name": files}},
                {"name": "tls", "secret": {"secretName": f"{name}-tls"}},
            ],
        },
    }
    team.apply(pod)
    team.kubectl("expose", "pod", name, f"--port={PORT}")
    team.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", timeout_s=70)
    return f"https://{host}:{PORT}"


def trust(team: Team, *certificates: str) -> None:
    """Makes these certificates, as PEM, the ones that the team's ModelDeployments trust."""
    team.kubectl("delete", "configmap", "registry-ca", "--ignore-not-found")
    team.kubectl("create", "configmap", "registry-ca", "--from-literal=ca.crt=" + "".join(certificates))
