"""What the chart's `gateway` section becomes."""

import pytest
import yaml

from plimsoll.config import ControllerConfig, parse_config
from plimsoll.core.fleet.observed import FleetSettings, Guarding, SharedCache
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
        accessLog=0.01,
        resources={"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
        roleName="pilot-gateway",
        metricsNamespaces=["monitoring"],
        imagePullSecrets=["pull"],
        tls={"secretName": "gateway-tls", "clientCASecretName": "clients"},
        auth={"secretName": "gateway-keys"},
        cache={"redis": {"url": "rediss://cache", "secretName": "cache-login", "caSecretName": "cache-ca"}},
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
        access_log=0.01,
        guarding=Guarding("gateway-tls", "clients", False, "gateway-keys"),
        cache=SharedCache("rediss://cache", "cache-login", "cache-ca"),
    )


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"replicas": 1}, "gateway.replicas"),
        ({"replicas": 5, "maxReplicas": 4}, "replicas <= maxReplicas"),
        ({"maxConcurrentUpgrades": 0}, "gateway.maxConcurrentUpgrades"),
        ({"accessLog": 2}, "gateway.accessLog"),
        ({"roleName": ""}, "gateway.roleName"),
        ({"replica": 3}, "gateway.replica"),
        ({"auth": {"secretName": "keys"}}, "enabled with tls or auth"),
        ({"tls": {"secretName": "tls"}}, "enabled with tls or auth"),
        ({"enabled": True, "tls": {"plainText": True}}, "must name secretName"),
        ({"enabled": True, "tls": {"clientCASecretName": "clients"}}, "must name secretName"),
        (
            {"enabled": True, "tls": {"secretName": "tls", "clientCASecretName": "clients", "plainText": True}},
            "plain text shows no certificate",
        ),
        ({"cache": {"redis": {"secretName": "cache-login"}}}, "must have url"),
        ({"cache": {"redis": {"url": "redis://u:p@cache"}}}, "come from a Secret"),
        ({"cache": {"redis": {"url": "redis://cache", "caSecretName": "ca"}}}, "rediss://"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(gateway: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        config(**gateway)
