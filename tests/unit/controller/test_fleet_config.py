"""What the chart's `gateway` section becomes."""

import pytest
import yaml

from plimsoll.config import ControllerConfig, parse_config
from plimsoll.core.fleet.observed import FleetSettings
from plimsoll.errors import Invalid

BASE = {"defaults": {"tritonImage": "triton"}, "fetchImage": "plimsoll"}


def config(**gateway: object) -> ControllerConfig:
    return parse_config(yaml.safe_dump({**BASE, "gateway": gateway}))


def test_gateways_are_off_unless_asked_for() -> None:
    assert not parse_config(yaml.safe_dump(BASE)).fleet_settings("plimsoll-system", "key").enabled


def test_every_setting_reaches_the_decisions() -> None:
    told = config(
        enabled=True,
        replicas=3,
        maxReplicas=5,
        maxConcurrentUpgrades=1,
        resources={"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
        roleName="pilot-gateway",
        metricsNamespaces=["monitoring"],
        imagePullSecrets=["pull"],
    )
    assert told.fleet_settings("plimsoll-system", "key") == FleetSettings(
        enabled=True,
        image="plimsoll",
        role="pilot-gateway",
        controller_namespace="plimsoll-system",
        controller_key="key",
        replicas=3,
        max_replicas=5,
        max_upgrades=1,
        requests={"cpu": "1"},
        limits={"memory": "1Gi"},
        metrics_namespaces=("monitoring",),
        image_pull_secrets=("pull",),
        log_level="info",
    )


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"replicas": 1}, "gateway.replicas"),
        ({"replicas": 5, "maxReplicas": 4}, "replicas <= maxReplicas"),
        ({"maxConcurrentUpgrades": 0}, "gateway.maxConcurrentUpgrades"),
        ({"roleName": ""}, "gateway.roleName"),
        ({"replica": 3}, "gateway.replica"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(gateway: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        config(**gateway)
