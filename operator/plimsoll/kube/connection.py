"""Where the API server is and how we prove who we are: in the cluster, or by kubeconfig (`KUBECONFIG`, `CONTEXT`)."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from plimsoll.errors import Invalid
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock

_log = logging.getLogger(__name__)

RELOAD_EVERY_S = 10.0
"""Shortest time between two reloads: a server that answers 401 to everything must not make us run a login plugin for
every request."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One loaded configuration; also what kopf's login handler needs (`kopf.ConnectionInfo`).

    Attributes:
        server: Base URL without a trailing slash.
        ca_path: PEM file of the authorities, `None` for the system's.
        certificate_path: Client certificate, if that is how we log in.
        private_key_path: Its key.
        insecure: The server's certificate is not checked.
        tls_server_name: The name to expect in it, if not the URL's.
        proxy_url: HTTP proxy, if any.
    """

    server: str
    ca_path: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None

    def ssl_context(self) -> ssl.SSLContext | None:
        """A new TLS context from the files as they are now, `None` for plain HTTP."""
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cafile=self.ca_path)
        if self.certificate_path:
            context.load_cert_chain(self.certificate_path, self.private_key_path)
        # Python 3.13 began to refuse authorities without a key identifier; Go does not, and many clusters have them.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Credentials(Protocol):
    """One loaded login."""

    @property
    def endpoint(self) -> Endpoint:
        """Where to, with which certificates."""
        ...

    async def authorization(self) -> str | None:
        """The header's value now."""
        ...


@dataclass(frozen=True, slots=True)
class Anonymous:
    """A login without a token: certificates only, or a server that asks for nothing."""

    endpoint: Endpoint

    async def authorization(self) -> str | None:
        """No header."""
        return None


class Connection:
    """Credentials that stay fresh. Build with `connect()`, or with `open_connection` for a server without a login."""

    def __init__(
        self, credentials: Credentials, load: Callable[[], Awaitable[Credentials]], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._credentials = credentials
        self._load = load
        self._clock = clock
        self._loaded_at = clock.monotonic()
        self._loading = asyncio.Lock()

    @property
    def endpoint(self) -> Endpoint:
        """The configuration now in force; a reload may replace it."""
        return self._credentials.endpoint

    async def authorization(self) -> str | None:
        """The value of the `Authorization` header now, for example `Bearer ...`; `None` with certificates only."""
        return await self._credentials.authorization()

    async def reload(self) -> bool:
        """Reads the configuration again after a refusal (rotated token, certificate or CA); at most once in 10 s.

        Returns whether it was read; a configuration that cannot be read now leaves the old one in force.
        """
        async with self._loading:
            now = self._clock.monotonic()
            if now - self._loaded_at < RELOAD_EVERY_S:
                return False
            self._loaded_at = now
            try:
                self._credentials = await self._load()
            except Invalid as error:
                _log.warning("kube.reload_failed", extra={"error": error.message})
                return False
            return True


def open_connection(server: str) -> Connection:
    """A connection to a server that asks for no login, for example a local proxy or a test's fake."""
    credentials = Anonymous(Endpoint(server.rstrip("/")))

    async def load() -> Credentials:
        return credentials

    return Connection(credentials, load)


async def connect(environ: Mapping[str, str] = os.environ, clock: Clock = SYSTEM_CLOCK) -> Connection:
    """Loads `KUBECONFIG` if set, else the pod's service account, else `~/.kube/config`; `CONTEXT` picks a context.

    Raises:
        Invalid: There is no usable configuration; the message says what was looked for.
    """

    async def load() -> Credentials:
        return await _load(environ)

    return Connection(await load(), load, clock)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A login loaded by the `kubernetes` package, which also reads rotated service account tokens again."""

    endpoint: Endpoint
    configuration: Any

    async def authorization(self) -> str | None:
        """The header's value now."""
        # The hook of the in-cluster loader re-reads the token file at most once a minute.
        setting = (await self.configuration.auth_settings()).get("BearerToken")
        return str(setting["value"]).strip() if setting and setting["value"] else None


async def _load(environ: Mapping[str, str]) -> Credentials:
    # Imported late: the package costs 1.3 s of CPU, and commands that never talk to a cluster import this module too.
    from kubernetes.aio.client import Configuration  # noqa: PLC0415
    from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config  # noqa: PLC0415

    configuration = Configuration()
    paths = environ.get("KUBECONFIG")
    try:
        if not paths and environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            paths = paths or "~/.kube/config"
            _require_a_file(paths)
            await load_kube_config(  # type: ignore[no-untyped-call]
                config_file=paths,
                context=environ.get("CONTEXT") or None,
                client_configuration=configuration,
                persist_config=False,
            )
    except (ConfigException, OSError, ValueError) as error:
        raise Invalid("NoCluster", f"The Kubernetes configuration cannot be used: {error}") from error
    return _Loaded(_endpoint_of(configuration), configuration)


def _require_a_file(paths: str) -> None:
    if not any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path):
        raise Invalid(
            "NoCluster",
            f"No Kubernetes configuration: {paths} is not a file and this is not a pod. Set KUBECONFIG to one.",
        )


def _endpoint_of(configuration: Any) -> Endpoint:
    return Endpoint(
        server=configuration.host.rstrip("/"),
        ca_path=configuration.ssl_ca_cert,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        insecure=not configuration.verify_ssl,
        tls_server_name=configuration.tls_server_name,
        proxy_url=configuration.proxy,
    )
