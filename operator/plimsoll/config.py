"""Settings of the controller process: one YAML file, read and checked once at start."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from plimsoll.api.base import Duration, Quantity, parse_duration
from plimsoll.api.v1alpha1 import Accelerator
from plimsoll.core.snapshot import Defaults
from plimsoll.settings import LogLevel, Settings, parse_settings


class ResourceDefaults(Settings):
    """Resources of the Triton container where a manifest does not say."""

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


class ControllerConfig(Settings):
    """The whole file."""

    defaults: DefaultSettings
    fetch_image: Annotated[str, Field(min_length=1)]
    revision_history_limit: Annotated[int, Field(ge=1, le=1000)] = 10
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    resync_period: Duration = "10m"
    lease: ElectionSettings = ElectionSettings()
    report_key_secret: Annotated[str, Field(min_length=1)] = "plimsoll-report-key"  # noqa: S105 - its name
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


def parse_config(text: str) -> ControllerConfig:
    """Reads a configuration file.

    Raises:
        Invalid: names every wrong field.
    """
    return parse_settings(ControllerConfig, text)
