"""Settings of the controller process: one YAML file, read and checked once at start."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from plimsoll.api.base import Duration, Quantity, parse_duration
from plimsoll.api.v1alpha1 import Accelerator
from plimsoll.core.cache.remote_address import address_of
from plimsoll.core.fleet.observed import FleetSettings, Guarding, SharedCache
from plimsoll.core.snapshot import Defaults
from plimsoll.settings import LogLevel, Settings, parse_settings


class ResourceDefaults(Settings):
    """Resources of a container; by default of Triton's where a manifest does not say."""

    requests: dict[str, Quantity] = Field(default={"cpu": "1", "memory": "2Gi", "ephemeral-storage": "512Mi"})
    limits: dict[str, Quantity] = Field(default={"memory": "2Gi", "ephemeral-storage": "10Gi"})


class DefaultSettings(Settings):
    """What manifests may leave out."""

    accelerator: Accelerator = Accelerator.NVIDIA
    triton_image: Annotated[str, Field(min_length=1)]
    progress_deadline: Duration = "10m"
    resources: ResourceDefaults = ResourceDefaults()


class ElectionSettings(Settings):
    """The Lease by which one of several controllers leads: retryPeriod < renewDeadline < duration."""

    name: str = "plimsoll-controller"
    duration: Duration = "15s"
    renew_deadline: Duration = "10s"
    retry_period: Duration = "2s"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not parse_duration(self.retry_period) < parse_duration(self.renew_deadline) < parse_duration(self.duration):
            raise ValueError("must satisfy retryPeriod < renewDeadline < duration")
        return self


class GatewayTlsSettings(Settings):
    """TLS of gateways; off without a Secret."""

    secret_name: str = ""
    client_ca_secret_name: str = Field(default="", alias="clientCASecretName")
    plain_text: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.client_ca_secret_name or self.plain_text) and not self.secret_name:
            raise ValueError("must name secretName, which clientCASecretName and plainText add to")
        if self.client_ca_secret_name and self.plain_text:
            raise ValueError("must not have plainText with clientCASecretName: plain text shows no certificate")
        return self


class GatewayAuthSettings(Settings):
    """Keys that gateways ask for; none without a Secret."""

    secret_name: str = ""


class GatewayRedisSettings(Settings):
    """A store that gateways share, Redis or Valkey; none without a URL."""

    url: str = ""
    secret_name: str = ""
    ca_secret_name: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.secret_name or self.ca_secret_name) and not self.url:
            raise ValueError("must have url, which secretName and caSecretName add to")
        if self.url and not address_of(self.url).tls and self.ca_secret_name:
            raise ValueError("must have a url with rediss:// where caSecretName names its authority")
        return self


class GatewayCacheSettings(Settings):
    """Where gateways keep answers, beside each one's own memory."""

    redis: GatewayRedisSettings = GatewayRedisSettings()


class GatewaySettings(Settings):
    """Gateways of each namespace: replicas <= maxReplicas."""

    enabled: bool = False
    replicas: Annotated[int, Field(ge=2, le=100)] = 2
    max_replicas: Annotated[int, Field(ge=2, le=100)] = 10
    max_concurrent_upgrades: Annotated[int, Field(ge=1, le=100)] = 3
    resources: ResourceDefaults = ResourceDefaults(
        requests={"cpu": "250m", "memory": "128Mi"}, limits={"memory": "256Mi"}
    )
    role_name: Annotated[str, Field(min_length=1)] = "plimsoll-gateway"
    access_log: Annotated[float, Field(ge=0, le=1)] = 0.0
    metrics_namespaces: list[str] = Field(default=[])
    image_pull_secrets: list[str] = Field(default=[])
    tls: GatewayTlsSettings = GatewayTlsSettings()
    auth: GatewayAuthSettings = GatewayAuthSettings()
    cache: GatewayCacheSettings = GatewayCacheSettings()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas > self.max_replicas:
            raise ValueError("must satisfy replicas <= maxReplicas")
        if self.guarding.wanted and not self.enabled:
            raise ValueError("must have enabled with tls or auth: it is gateways that speak TLS and ask for keys")
        return self

    @property
    def guarding(self) -> Guarding:
        """How gateways guard themselves."""
        return Guarding(
            self.tls.secret_name, self.tls.client_ca_secret_name, self.tls.plain_text, self.auth.secret_name
        )

    @property
    def shared_cache(self) -> SharedCache:
        """Where gateways keep answers for one another."""
        redis = self.cache.redis
        return SharedCache(redis.url, redis.secret_name, redis.ca_secret_name)


class ControllerConfig(Settings):
    """The whole file."""

    defaults: DefaultSettings
    fetch_image: Annotated[str, Field(min_length=1)]
    revision_history_limit: Annotated[int, Field(ge=1, le=1000)] = 10
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    resync_period: Duration = "10m"
    lease: ElectionSettings = ElectionSettings()
    report_key_secret: Annotated[str, Field(min_length=1)] = "plimsoll-report-key"  # noqa: S105 - its name
    gateway: GatewaySettings = GatewaySettings()
    log_level: LogLevel = LogLevel.INFO
    port: Annotated[int, Field(ge=1, le=65535)] = 8080

    def resolved_defaults(self) -> Defaults:
        """Returns the defaults as decisions use them."""
        return Defaults(
            accelerator=self.defaults.accelerator,
            triton_image=self.defaults.triton_image,
            fetch_image=self.fetch_image,
            requests=self.defaults.resources.requests,
            limits=self.defaults.resources.limits,
            progress_deadline=parse_duration(self.defaults.progress_deadline),
            history_limit=self.revision_history_limit,
        )

    def fleet_settings(self, namespace: str, controller_key: str) -> FleetSettings:
        """Returns what decisions about gateways use.

        Args:
            namespace: Where the controller runs.
            controller_key: Its public key, base64url.
        """
        gateway = self.gateway
        return FleetSettings(
            enabled=gateway.enabled,
            image=self.fetch_image,
            role=gateway.role_name,
            controller_namespace=namespace,
            controller_key=controller_key,
            replicas=gateway.replicas,
            max_replicas=gateway.max_replicas,
            max_upgrades=gateway.max_concurrent_upgrades,
            requests=gateway.resources.requests,
            limits=gateway.resources.limits,
            metrics_namespaces=tuple(gateway.metrics_namespaces),
            image_pull_secrets=tuple(gateway.image_pull_secrets),
            log_level=self.log_level.value,
            access_log=gateway.access_log,
            guarding=gateway.guarding,
            cache=gateway.shared_cache,
        )


def parse_config(text: str) -> ControllerConfig:
    """Reads a configuration file.

    Raises:
        Invalid: names every wrong field.
    """
    return parse_settings(ControllerConfig, text)
