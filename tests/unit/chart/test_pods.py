"""The pods of the chart: restricted, probed, spread, and started with the configuration that the controller reads."""

from typing import Any

import pytest
import yaml
from tests.unit.chart.rendering import TRITON, manifests, one

from plimsoll.config import ControllerConfig, parse_config

TLS = {"secretName": "gateway-tls", "clientCASecretName": "clients"}
REDIS = {"url": "rediss://[fd00::1]:6379/2", "secretName": "cache-login", "caSecretName": "cache-ca"}


def pod_specs() -> list[dict[str, Any]]:
    return [one("Deployment")["spec"]["template"]["spec"], one("Pod")["spec"]]


@pytest.mark.parametrize("spec", [0, 1], ids=["controller", "test"])
def test_pods_meet_the_restricted_pod_security_standard(spec: int) -> None:
    pod = pod_specs()[spec]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all(set(volume) - {"name"} <= {"configMap", "emptyDir"} for volume in pod.get("volumes", []))
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not {"privileged", "runAsUser", "procMount"} & set(context)
        assert not any("hostPort" in port for port in container.get("ports", []))


def test_two_controllers_of_which_one_survives_a_drain() -> None:
    assert one("Deployment")["spec"]["replicas"] == 2
    budget = one("PodDisruptionBudget")["spec"]
    assert budget["minAvailable"] == 1
    assert budget["selector"] == one("Deployment")["spec"]["selector"]


def test_one_controller_has_no_budget_that_would_block_every_drain() -> None:
    assert not [m for m in manifests({"replicaCount": 1}) if m["kind"] == "PodDisruptionBudget"]


def test_the_controller_is_probed_on_the_port_that_the_service_exposes() -> None:
    container = one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert [(p["name"], p["containerPort"]) for p in container["ports"]] == [("http", 8080)]
    probes = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {
        "startupProbe": {"path": "/livez", "port": "http"},
        "livenessProbe": {"path": "/livez", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }
    assert one("Service")["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}]


def test_the_service_selects_the_controllers_and_not_the_test_pod() -> None:
    selector = one("Service")["spec"]["selector"].items()
    assert selector <= one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert not selector <= one("Pod")["metadata"]["labels"].items()


def test_the_test_pod_has_an_account_without_any_role() -> None:
    account = one("Pod")["spec"]["serviceAccountName"]
    bound = {s["name"] for m in manifests() if m["kind"].endswith("RoleBinding") for s in m["subjects"]}
    assert account == "plimsoll-test"
    assert account not in bound


def test_the_default_configuration_is_the_controllers_own_but_for_gateways() -> None:
    """It has no rights to make any unless somebody grants them, as the chart does."""
    by_itself = parse_config(yaml.safe_dump({"defaults": {"tritonImage": TRITON}, "fetchImage": "plimsoll:0.1.0"}))
    assert parse_config(config_text({"gateway": {"enabled": False}})) == by_itself
    assert parse_config(config_text({})).gateway.enabled
    assert by_itself.defaults.accelerator == "Nvidia"


def test_the_configuration_says_everything_that_the_controller_reads_except_its_fixed_port() -> None:
    assert set(config({})) == {field.alias for field in ControllerConfig.model_fields.values()} - {"port"}


@pytest.mark.parametrize(
    ("values", "path", "expected"),
    [
        ({"defaults": {"accelerator": "None"}}, "defaults.accelerator", "None"),
        ({"defaults": {"progressDeadline": "1h30m"}}, "defaults.progressDeadline", "1h30m"),
        ({"defaults": {"resources": {"requests": {"cpu": 2}}}}, "defaults.resources.requests.cpu", "2"),
        ({"workers": 4}, "workers", 4),
        ({"revisionHistoryLimit": 3}, "revisionHistoryLimit", 3),
        ({"resyncPeriod": "30m"}, "resyncPeriod", "30m"),
        ({"lease": {"duration": "30s"}}, "lease.duration", "30s"),
        ({"gateway": {"enabled": False}}, "gateway.enabled", False),
        ({"gateway": {"replicas": 3}}, "gateway.replicas", 3),
        ({"gateway": {"maxReplicas": 4}}, "gateway.maxReplicas", 4),
        ({"gateway": {"maxConcurrentUpgrades": 1}}, "gateway.maxConcurrentUpgrades", 1),
        ({"gateway": {"accessLog": 0.01}}, "gateway.accessLog", 0.01),
        ({"gateway": {"resources": {"requests": {"cpu": 1}}}}, "gateway.resources.requests.cpu", "1"),
        ({"gateway": {"metricsNamespaces": ["monitoring"]}}, "gateway.metricsNamespaces", ["monitoring"]),
        ({"gateway": {"imagePullSecrets": [{"name": "pull"}]}}, "gateway.imagePullSecrets", ["pull"]),
        ({"gateway": {"tls": TLS}}, "gateway.tls", {**TLS, "plainText": False}),
        (
            {"gateway": {"tls": {"secretName": "a", "plainText": True}}},
            "gateway.tls",
            {"secretName": "a", "plainText": True},
        ),
        ({"gateway": {"auth": {"secretName": "keys"}}}, "gateway.auth.secretName", "keys"),
        ({"gateway": {"cache": {"redis": {"url": "redis://cache"}}}}, "gateway.cache.redis", {"url": "redis://cache"}),
        ({"gateway": {"cache": {"redis": REDIS}}}, "gateway.cache.redis", REDIS),
        ({"logLevel": "debug"}, "logLevel", "debug"),
    ],
)
def test_a_value_reaches_the_configuration(values: dict[str, Any], path: str, expected: object) -> None:
    parse_config(config_text(values))
    found: Any = config(values)
    for step in path.split("."):
        found = found[step]
    assert found == expected


def test_an_edited_configuration_restarts_the_controller_and_an_equal_one_does_not() -> None:
    assert checksum({}) == checksum({"podLabels": {"team": "vision"}})
    assert checksum({}) != checksum({"workers": 4})


def test_resources_hold_a_memory_limit_and_no_cpu_limit() -> None:
    resources = one("Deployment")["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}


def test_scheduling_values_reach_the_pod() -> None:
    values: dict[str, Any] = {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "pull"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
    }
    pod = one("Deployment", values)["spec"]["template"]["spec"]
    assert {key: pod[key] for key in values} == values


def config(values: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(config_text(values))
    return loaded


def config_text(values: dict[str, Any]) -> str:
    text: str = one("ConfigMap", values)["data"]["config.yaml"]
    return text


def checksum(values: dict[str, Any]) -> str:
    found: str = one("Deployment", values)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
    return found
