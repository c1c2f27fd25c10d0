"""Settings of a gateway: one YAML file, read and checked once at start, and what the pod says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from plimsoll.api.base import Duration, parse_duration
from plimsoll.core.cache.remote_address import address_of
from plimsoll.core.names import GRPC_PORT, HTTP_PORT
from plimsoll.core.tokens import is_key
from plimsoll.errors import Invalid
from plimsoll.settings import LogLevel, Settings, parse_settings

Named = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class TlsSettings(Settings):
    """A certificate: connections are wrapped in TLS."""

    secret: Named
    """Whose files these are: for messages."""
    folder: Named
    """Where `tls.crt` and `tls.key` are mounted."""
    client_folder: str = ""
    """Where a `ca.crt` is mounted: clients must show a certificate of these authorities. Empty: they need none."""
    plain_text: bool = False
    """Connections without TLS are served, too."""


class KeySettings(Settings):
    """Keys: requests must show one."""

    secret: Named
    """Whose files these are: for messages."""
    folder: Named
    """Where they are mounted, a file for each name."""


class RedisSettings(Settings):
    """A store that gateways share: answers are kept there, too."""

    url: Named
    """`redis://HOST:PORT/DATABASE`, or `rediss://`."""
    secret: str = ""
    """Whose files the credentials are: for messages."""
    folder: str = ""
    """Where `username` and `password` are mounted. Empty: it wants none."""
    ca_secret: str = ""
    """Whose file the authorities are: for messages."""
    ca_folder: str = ""
    """Where a `ca.crt` is mounted. Empty: the authorities that the system trusts."""

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        address_of(url)
        return url


class GatewayConfig(Settings):
    """The whole file.

    From the signal to the last exit pass at most `drain_delay` and `drain_deadline` and two seconds: the pod's
    termination grace period has to be longer.
    """

    http_port: Port = HTTP_PORT
    grpc_port: Port = GRPC_PORT
    admin_port: Port = 8080
    drain_delay: Duration = "5s"
    """How long requests are taken after the gateway has said that it ends: until every node and client has heard."""
    drain_deadline: Duration = "60s"
    """How long requests in flight may take after that."""
    log_level: LogLevel = LogLevel.INFO
    access_log: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the successful requests that get a line on standard output. With any, those that failed get one, too."""
    tls: TlsSettings | None = None
    keys: KeySettings | None = None
    redis: RedisSettings | None = None

    @property
    def drain_delay_s(self) -> float:
        """`drain_delay` in seconds."""
        return parse_duration(self.drain_delay).total_seconds()

    @property
    def drain_deadline_s(self) -> float:
        """`drain_deadline` in seconds."""
        return parse_duration(self.drain_deadline).total_seconds()


def parse_gateway_config(text: str) -> GatewayConfig:
    """Reads a configuration file.

    Raises:
        Invalid: names every wrong field.
    """
    return parse_settings(GatewayConfig, text)


@dataclass(frozen=True, slots=True)
class Self:
    """The pod that this process is.

    Attributes:
        controller_key: Public key of the controller, base64url: who has the private one may read records.
    """

    namespace: str
    pod: str
    uid: str
    controller_key: str = ""


def read_self(environ: Mapping[str, str]) -> Self:
    """Returns what the pod says about itself (downward API).

    Raises:
        Invalid: It does not say where it is, or who the controller is.
    """
    namespace = environ.get("POD_NAMESPACE", "")
    if not namespace:
        raise Invalid("ConfigInvalid", "POD_NAMESPACE is not set: a gateway serves the models of its own namespace.")
    key = environ.get("PLIMSOLL_CONTROLLER_KEY", "")
    if not is_key(key):
        raise Invalid("ConfigInvalid", "PLIMSOLL_CONTROLLER_KEY is no public key: nobody could read what is counted.")
    return Self(namespace, environ.get("POD_NAME", "gateway"), environ.get("POD_UID", ""), key)
