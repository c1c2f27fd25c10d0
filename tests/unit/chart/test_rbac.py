"""Least privilege, as a table: a new right needs a new row here and a reason in the chart."""

from typing import Any

import pytest
import yaml
from tests.unit.chart.rendering import manifests, one

from plimsoll.core.names import GATEWAY_NAME, MODELS_POLICY_NAME

CHILD_VERBS = {"get", "list", "watch", "create", "patch", "delete"}
READ_VERBS = {"get", "list", "watch"}

CONTROLLER = {
    ("plimsoll.dev", "modeldeployments"): READ_VERBS,
    ("plimsoll.dev", "modeldeployments/status"): {"get", "patch"},
    ("apps", "deployments"): CHILD_VERBS,
    ("apps", "controllerrevisions"): CHILD_VERBS,
    ("", "services"): CHILD_VERBS,
    ("", "pods"): READ_VERBS | {"delete"},
    ("batch", "jobs"): CHILD_VERBS,
    ("", "configmaps"): CHILD_VERBS - {"delete"},
    ("", "events"): {"get", "create", "patch"},
    ("networking.k8s.io", "networkpolicies"): {"get", "delete"},
}
NO_GATEWAYS: dict[str, Any] = {"gateway": {"enabled": False}}
FLEET_VERBS = {"get", "create", "patch"}
CONTROLLER_WITH_GATEWAYS = {
    **CONTROLLER,
    ("", "pods"): READ_VERBS | {"delete", "patch"},
    ("", "serviceaccounts"): FLEET_VERBS,
    ("rbac.authorization.k8s.io", "rolebindings"): FLEET_VERBS,
    ("policy", "poddisruptionbudgets"): FLEET_VERBS,
    ("networking.k8s.io", "networkpolicies"): FLEET_VERBS | {"delete"},
    ("rbac.authorization.k8s.io", "clusterroles"): {"bind"},
}
GATEWAY = {
    ("plimsoll.dev", "modeldeployments"): READ_VERBS,
    ("discovery.k8s.io", "endpointslices"): READ_VERBS,
}
EDIT = {
    ("plimsoll.dev", "modeldeployments"): READ_VERBS | {"create", "update", "patch", "delete", "deletecollection"},
    ("plimsoll.dev", "modeldeployments/scale"): {"get", "update", "patch"},
}
VIEW = {
    ("plimsoll.dev", "modeldeployments"): READ_VERBS,
    ("plimsoll.dev", "modeldeployments/scale"): {"get"},
}


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    granted: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    return granted


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plimsoll-controller", CONTROLLER), ("plimsoll-edit", EDIT), ("plimsoll-view", VIEW)],
)
def test_each_cluster_role_grants_exactly_this(name: str, expected: dict[tuple[str, str], set[str]]) -> None:
    assert rights(one("ClusterRole", NO_GATEWAYS, name=name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("plimsoll-controller", CONTROLLER_WITH_GATEWAYS), ("plimsoll-gateway", GATEWAY)]
)
def test_gateways_need_these_rights_too(name: str, expected: dict[tuple[str, str], set[str]]) -> None:
    assert rights(one("ClusterRole", name=name)) == expected


@pytest.mark.parametrize("prefix", ["plimsoll", "pilot"])
def test_what_gateways_consist_of_is_reached_by_its_name_alone(prefix: str) -> None:
    values = {"fullnameOverride": prefix}
    limits: dict[str, set[str]] = {}
    for rule in one("ClusterRole", values, name=f"{prefix}-controller")["rules"]:
        for resource in rule["resources"]:
            limits.setdefault(resource, set()).update(rule.get("resourceNames", {"any"}))
    assert limits["clusterroles"] == {f"{prefix}-gateway"}
    assert limits["networkpolicies"] == {GATEWAY_NAME, MODELS_POLICY_NAME}
    assert limits["serviceaccounts"] == limits["rolebindings"] == limits["poddisruptionbudgets"] == {GATEWAY_NAME}
    config = yaml.safe_load(one("ConfigMap", values)["data"]["config.yaml"])
    assert config["gateway"]["roleName"] == f"{prefix}-gateway"


def test_gateways_that_serve_on_after_an_uninstall_keep_their_role() -> None:
    assert one("ClusterRole", name="plimsoll-gateway")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_nobody_holds_the_role_of_gateways_in_the_whole_cluster() -> None:
    bound = {m["roleRef"]["name"] for m in manifests() if m["kind"] in {"ClusterRoleBinding", "RoleBinding"}}
    assert "plimsoll-gateway" not in bound


@pytest.mark.parametrize(("values", "count"), [({}, 6), (NO_GATEWAYS, 5)], ids=["gateways", "no gateways"])
def test_no_rule_has_a_wildcard_or_reaches_secrets_of_others(values: dict[str, Any], count: int) -> None:
    roles = [m for m in manifests(values) if m["kind"] in {"ClusterRole", "Role"}]
    assert len(roles) == count
    for rule in (rule for role in roles for rule in role["rules"]):
        assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert "nodes" not in rule["resources"]
        assert "serviceaccounts" not in rule["resources"] or rule["resourceNames"] == [GATEWAY_NAME]
        assert "secrets" not in rule["resources"] or rule["resourceNames"] == ["plimsoll-report-key"]
        assert not {"escalate", "impersonate"} & set(rule["verbs"])
        assert "bind" not in rule["verbs"] or rule["resourceNames"] == ["plimsoll-gateway"]
        assert "nonResourceURLs" not in rule


def test_status_is_in_no_aggregated_role() -> None:
    aggregated = [
        m
        for m in manifests()
        if any(label.startswith("rbac.authorization.k8s.io/aggregate-to-") for label in m["metadata"]["labels"])
    ]
    assert {m["metadata"]["name"] for m in aggregated} == {"plimsoll-edit", "plimsoll-view"}
    assert all(("plimsoll.dev", "modeldeployments/status") not in rights(role) for role in aggregated)


@pytest.mark.parametrize("prefix", ["plimsoll", "pilot"])
def test_of_secrets_the_release_may_fill_its_own_alone(prefix: str) -> None:
    values = {"fullnameOverride": prefix}
    secret = one("Secret", values)["metadata"]["name"]
    role = one("Role", values, name=secret)
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["get", "patch"]}
    ]
    assert role["metadata"]["namespace"] == one("Secret", values)["metadata"]["namespace"]
    assert yaml.safe_load(one("ConfigMap", values)["data"]["config.yaml"])["reportKeySecret"] == secret


def test_an_upgrade_leaves_what_is_in_the_secret() -> None:
    """What a manifest does not mention, Helm does not touch."""
    assert not {"data", "stringData", "immutable"} & set(one("Secret"))


def test_the_lease_is_limited_by_name_wherever_a_name_can_limit() -> None:
    lease = {"name": "pilot", "duration": "9s", "renewDeadline": "6s", "retryPeriod": "2s"}
    rules = one("Role", {"lease": lease}, name="plimsoll-lease")["rules"]
    assert [(rule.get("resourceNames"), rule["verbs"]) for rule in rules] == [
        (["pilot"], ["get", "update"]),
        (None, ["create"]),
    ]


def test_bindings_name_the_account_that_the_deployment_uses() -> None:
    values = {"serviceAccount": {"create": False, "name": "captain"}}
    bindings = [m for m in manifests(values) if m["kind"] in {"ClusterRoleBinding", "RoleBinding"}]
    assert len(bindings) == 3
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "captain", "namespace": "plimsoll-system"}]
    assert one("Deployment", values)["spec"]["template"]["spec"]["serviceAccountName"] == "captain"


@pytest.mark.parametrize(
    ("values", "gone"),
    [
        (
            {"rbac": {"create": False}},
            {"plimsoll-controller", "plimsoll-gateway", "plimsoll-lease", "plimsoll-report-key"},
        ),
        ({"rbac": {"aggregate": False}}, {"plimsoll-edit", "plimsoll-view"}),
    ],
)
def test_roles_can_be_left_to_somebody_else(values: dict[str, Any], gone: set[str]) -> None:
    def names(rendered: list[dict[str, Any]]) -> set[str]:
        return {m["metadata"]["name"] for m in rendered if m["kind"].endswith(("Role", "RoleBinding"))}

    assert names(manifests()) - names(manifests(values)) == gone
