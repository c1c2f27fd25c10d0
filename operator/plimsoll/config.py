"""Settings of the controller process: one YAML file, read and checked once at start."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from plimsoll.api.base import Duration, Quantity, parse_duration
from plimsoll.api.v1alpha1 import Accelerator
from plimsoll.core.fleet.observed import FleetSettings
from plimsoll.core.snapshot import Defaults
from plimsoll.errors import Invalid


class _Settings(BaseModel):
    """Unknown keys are refused: a misspelt setting must not silently do nothing."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class ResourceDefaults(_Settings):
    """Resources of a container; by default of Triton's where a manifest does not say."""

    requests: dict[str, Quantity] = {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "512Mi"}
    limits: dict[str, Quantity] = {"memory": "2Gi", "ephemeral-storage": "10Gi"}


class DefaultSettings(_Settings):
    """What manifests may leave out."""

    accelerator: Accelerator = Accelerator.NVIDIA
    triton_image: Annotated[str, Field(min_length=1)]
    progress_deadline: Duration = "10m"
    resources: ResourceDefaults = ResourceDefaults()


class ElectionSettings(_Settings):
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


class GatewaySettings(_Settings):
    """Gateways of each namespace: replicas <= maxReplicas."""

    enabled: bool = False
    replicas: Annotated[int, Field(ge=2, le=100)] = 2
    max_replicas: Annotated[int, Field(ge=2, le=100)] = 10
    max_concurrent_upgrades: Annotated[int, Field(ge=1, le=100)] = 3
    resources: ResourceDefaults = ResourceDefaults(
        requests={"cpu": "250m", "memory": "128Mi"}, limits={"memory": "256Mi"}
    )
    role_name: Annotated[str, Field(min_length=1)] = "plimsoll-gateway"
    metrics_namespaces: list[str] = []
    image_pull_secrets: list[str] = []

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas > self.max_replicas:
            raise ValueError("must satisfy replicas <= maxReplicas")
        return self


class LogLevel(StrEnum):
    """Least severe line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ControllerConfig(_Settings):
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
        )


def parse_config(text: str) -> ControllerConfig:
    """Reads a configuration file.

    Raises:
        Invalid: names every wrong field.
    """
    try:
        return ControllerConfig.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise Invalid("ConfigInvalid", f"The configuration is not YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
        raise Invalid("ConfigInvalid", f"The configuration is wrong: {wrong}") from error
