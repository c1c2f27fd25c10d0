"""A real registry inside the cluster, with TLS from an authority of its own, as a company would run it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.pki import create_authority
from plimsoll_dev.models.artefact import package, package_model
from plimsoll_dev.models.catalogue import CataloguedModel
from plimsoll_dev.models.manifests import model_uri
from plimsoll_dev.models.push import Registry, push
from plimsoll_dev.testbed.forward import forwarded
from plimsoll_dev.testbed.logins import ANYBODY, FOLDER, Login

PORT = 5000
CA_CONFIG_MAP = "registry-ca"
_SETTINGS = "registry-settings"
_USER_ID = 10001


@dataclass(frozen=True, slots=True)
class InClusterRegistry:
    """One registry in one namespace; its host name is the one in model URIs.

    Attributes:
        kubectl: The cluster.
        namespace: Where it runs, and where its CA is published as ConfigMap `registry-ca`.
        image: The registry's image.
        pki: Folder with its authority, made on first use.
        name: Of its Deployment and Service.
        login: Who may pull and push; by default anybody.
    """

    kubectl: Kubectl
    namespace: str
    image: str
    pki: Path
    name: str = "registry"
    login: Login = ANYBODY

    @property
    def host(self) -> str:
        """As in model URIs."""
        return f"{self.name}.{self.namespace}.svc:{PORT}"

    @property
    def authority(self) -> Path:
        """The certificate to trust."""
        return self.pki / "ca.crt"

    def install(self) -> None:
        """Creates it; one that is there is left as it is, with its authority."""
        if not self._found():
            certificate, key = self._certificate()
            for manifest in self._manifests(certificate, key):
                self.kubectl.apply(manifest)
            self.publish_authority(self.namespace)
        rollout = ("-n", self.namespace, "rollout", "status", f"deployment/{self.name}", "--timeout=180s")
        self.kubectl.run(*rollout, timeout_s=190)

    def publish_authority(self, namespace: str) -> None:
        """Makes the ConfigMap that `spec.model.credentials.caConfigMapRef` names."""
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": CA_CONFIG_MAP, "namespace": namespace},
                "data": {"ca.crt": self.authority.read_text(encoding="utf-8")},
            }
        )

    def push(self, models: Sequence[CataloguedModel], login: tuple[str, str] | str | None = None) -> dict[str, str]:
        """Pushes models and returns their URIs by folder."""
        with self._reached(login) as registry:
            return {
                model.folder: model_uri(
                    model, push(package_model(model), registry, model.repository, model.tag), self.host
                )
                for model in models
            }

    def push_files(self, repository: str, files: Mapping[str, Path]) -> str:
        """Pushes any files as one artefact and returns its URI."""
        with self._reached() as registry:
            return f"oci://{self.host}/{repository}@{push(package(files), registry, repository, 'latest')}"

    @contextmanager
    def _reached(self, login: tuple[str, str] | str | None = None) -> Iterator[Registry]:
        with forwarded(self.kubectl, self.namespace, f"service/{self.name}", PORT) as port:
            yield Registry(f"localhost:{port}", ca_file=self.authority, login=login)

    def _found(self) -> bool:
        """Tells whether it is there, and if so brings its authority here."""
        published = self.kubectl.run(
            "-n",
            self.namespace,
            "get",
            "configmap",
            CA_CONFIG_MAP,
            "--ignore-not-found",
            "-o",
            "jsonpath={.data.ca\\.crt}",
        )
        running = self.kubectl.run("-n", self.namespace, "get", f"deployment/{self.name}", "--ignore-not-found")
        if not published or not running:
            return False
        self.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.authority.write_text(published, encoding="utf-8")
        return True

    def _certificate(self) -> tuple[bytes, bytes]:
        names = [f"{self.name}.{self.namespace}.svc", "localhost", "127.0.0.1"]
        authority = create_authority(self.pki, "ca")
        pair = authority.issue(self.name, common_name=names[0], hosts=names)
        return pair.certificate.read_bytes(), pair.key.read_bytes()

    def _manifests(self, certificate: bytes, key: bytes) -> list[dict[str, Any]]:
        labels = {"app": self.name}
        login = {name: content.encode() for name, content in self.login.files.items()}
        settings = {"tls.crt": certificate, "tls.key": key, **login}
        return [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": _SETTINGS, "namespace": self.namespace},
                "data": {name: base64.b64encode(content).decode() for name, content in settings.items()},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {"selector": labels, "ports": [{"name": "https", "port": PORT}]},
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": self._pod()},
                },
            },
        ]

    def _pod(self) -> dict[str, Any]:
        environment = {
            "REGISTRY_HTTP_ADDR": f":{PORT}",
            "REGISTRY_HTTP_TLS_CERTIFICATE": f"{FOLDER}/tls.crt",
            "REGISTRY_HTTP_TLS_KEY": f"{FOLDER}/tls.key",
            **self.login.environment,
        }
        return {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER_ID,
                "fsGroup": _USER_ID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "registry",
                    "image": self.image,
                    "imagePullPolicy": "IfNotPresent",
                    "env": [{"name": name, "value": value} for name, value in environment.items()],
                    "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "data", "mountPath": "/data"},
                        {"name": "settings", "mountPath": FOLDER, "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {"name": "data", "emptyDir": {"sizeLimit": "2Gi"}},
                {"name": "settings", "secret": {"secretName": _SETTINGS}},
            ],
        }
