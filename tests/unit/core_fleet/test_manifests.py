"""Golden manifests of a namespace's gateways, and what must hold for each of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from tests.support.fleets import NOW, SETTINGS, UID, UPGRADED, VISION

from plimsoll.core.diff import needs_apply
from plimsoll.core.fleet.observed import FleetSettings, Guarding, SharedCache
from plimsoll.core.names import DIGEST_ANNOTATION, MODELS_POLICY_NAME, TEMPLATE_ANNOTATION, gateway_selector
from plimsoll.core.render.gateway import (
    DRAIN_SECONDS,
    GRACE_SECONDS,
    PRE_STOP_SECONDS,
    gateway_config,
    render_gateway_deployment,
    render_gateway_mark,
    render_gateway_replicas,
)
from plimsoll.core.render.gateway_companions import companion, render_companions
from plimsoll.core.render.gateway_policy import render_models_policy
from plimsoll.core.render.pod import EXIT_TIMEOUT_SECONDS
from plimsoll.gateway.config import parse_gateway_config

LIMITED = replace(SETTINGS, metrics_namespaces=("monitoring",), image_pull_secrets=("pull",), log_level="debug")
GUARDED = replace(SETTINGS, guarding=Guarding("gateway-tls", "clients", False, "gateway-keys"))
CACHING = replace(SETTINGS, cache=SharedCache("rediss://cache.shop.svc:6379/1", "cache-login", "cache-ca"))
ALL = {"gateway": SETTINGS, "gateway-limited": LIMITED, "gateway-guarded": GUARDED, "gateway-caching": CACHING}


def models_policy(settings: FleetSettings, *open_to_all: str) -> dict[str, Any]:
    spec = render_models_policy(settings, open_to_all)
    return companion("networking.k8s.io/v1", "NetworkPolicy", MODELS_POLICY_NAME, VISION, UID, spec=spec)


def manifests(settings: FleetSettings) -> list[dict[str, Any]]:
    return [
        render_gateway_deployment(VISION, settings),
        *render_companions(VISION, settings, UID),
        models_policy(settings, "letters"),
    ]


def pod_of(settings: FleetSettings = SETTINGS) -> dict[str, Any]:
    spec: dict[str, Any] = render_gateway_deployment(VISION, settings)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("name", ALL)
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    """A change of the Deployment replaces every gateway at the next upgrade: in turns, and without loss."""
    golden(
        f"manifests/{name}.yaml",
        yaml.safe_dump_all(json.loads(json.dumps(manifests(ALL[name]))), sort_keys=True, width=120),
    )


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
@pytest.mark.parametrize("version", ["1.33", "1.36"])
def test_every_object_is_valid_on_the_oldest_and_the_newest_kubernetes(version: str, settings: FleetSettings) -> None:
    kubernetes_validate = pytest.importorskip(
        "kubernetes_validate", reason="the schemas are a development dependency: kubernetes-validate"
    )
    for manifest in manifests(settings):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_pod_meets_the_restricted_standard() -> None:
    pod = pod_of()
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {key for volume in pod["volumes"] for key in volume} == {"name", "emptyDir", "configMap"}
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"]
    assert "memory" in container["resources"]["limits"]
    assert "cpu" not in container["resources"]["limits"], "throttling shows as tail latency"


def test_what_guards_a_gateway_is_mounted_whole_and_read_by_its_group_alone() -> None:
    pod = pod_of(GUARDED)
    secrets = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    assert {name: secret["secretName"] for name, secret in secrets.items()} == {
        "tls": "gateway-tls",
        "client-ca": "clients",
        "keys": "gateway-keys",
    }
    assert {secret["defaultMode"] for secret in secrets.values()} == {0o440}
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    # A file mounted by itself, or from a Secret that need not exist, would not be followed, or would open the gateway.
    assert not any("optional" in secret or "items" in secret for secret in secrets.values())
    mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in secrets]
    assert all(mount["readOnly"] and "subPath" not in mount for mount in mounts)
    assert len(mounts) == 3


def test_a_share_of_the_requests_to_log_restarts_nothing_where_it_is_not_asked_for() -> None:
    assert "accessLog" not in gateway_config(SETTINGS)
    assert parse_gateway_config(gateway_config(replace(SETTINGS, access_log=0.01))).access_log == 0.01


@pytest.mark.parametrize(
    "guarding",
    [
        Guarding(),
        Guarding("gateway-tls"),
        Guarding("gateway-tls", plain_text=True),
        Guarding("", "", False, "gateway-keys"),
        GUARDED.guarding,
    ],
)
def test_a_gateway_looks_where_its_secrets_are_mounted(guarding: Guarding) -> None:
    settings = replace(SETTINGS, guarding=guarding)
    config = parse_gateway_config(gateway_config(settings))
    container = pod_of(settings)["containers"][0]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]} - {"/tmp", "/etc/plimsoll"}  # noqa: S108 - of the pod
    wanted = [
        *([config.tls.folder, config.tls.client_folder] if config.tls else []),
        *([config.keys.folder] if config.keys else []),
    ]
    assert mounted == set(filter(None, wanted))
    assert (config.tls.secret if config.tls else "", config.keys.secret if config.keys else "") == (
        guarding.tls_secret,
        guarding.key_secret,
    )
    assert (config.tls is not None and config.tls.plain_text) == guarding.plain_text


@pytest.mark.parametrize(
    "cache",
    [
        SharedCache(),
        SharedCache("redis://cache"),
        SharedCache("redis://cache", "cache-login"),
        SharedCache("rediss://cache", ca_secret="cache-ca"),  # noqa: S106 - its name
        CACHING.cache,
    ],
)
def test_a_gateway_finds_the_shared_store_and_waits_for_none_of_its_secrets(cache: SharedCache) -> None:
    settings = replace(SETTINGS, cache=cache)
    redis = parse_gateway_config(gateway_config(settings)).redis
    pod = pod_of(settings)
    mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    assert all(secret["optional"] and secret["defaultMode"] == 0o440 for secret in secrets.values())
    found = {mounted[name]: secret["secretName"] for name, secret in secrets.items()}
    if redis is None:
        assert (cache.url, found) == ("", {})
        return
    wanted = {redis.folder: redis.secret, redis.ca_folder: redis.ca_secret}
    assert (redis.url, found) == (cache.url, {folder: secret for folder, secret in wanted.items() if folder})
    assert (redis.secret, redis.ca_secret) == (cache.secret, cache.ca_secret)


def test_the_token_is_for_the_pods_of_gateways_and_for_nobody_else_who_uses_their_account() -> None:
    assert pod_of()["automountServiceAccountToken"]
    (account,) = [manifest for manifest in manifests(SETTINGS) if manifest["kind"] == "ServiceAccount"]
    assert not account["automountServiceAccountToken"]


def test_times_fit_together() -> None:
    """What is in flight is a request that a model pod may take its whole exit time for, and one retry."""
    assert pod_of()["terminationGracePeriodSeconds"] == GRACE_SECONDS > PRE_STOP_SECONDS + DRAIN_SECONDS
    assert DRAIN_SECONDS >= 2 * EXIT_TIMEOUT_SECONDS
    assert pod_of()["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}}


def test_no_gateway_goes_before_another_is_ready() -> None:
    strategy = render_gateway_deployment(VISION, SETTINGS)["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_one_node_runs_all_gateways_where_there_is_only_one() -> None:
    pod = pod_of()
    assert [rule["whenUnsatisfiable"] for rule in pod["topologySpreadConstraints"]] == ["ScheduleAnyway"]
    assert list(pod["affinity"]["podAntiAffinity"]) == ["preferredDuringSchedulingIgnoredDuringExecution"]


def test_nothing_carries_labels_by_which_a_tool_tracks_an_application() -> None:
    for manifest in manifests(SETTINGS):
        assert set(manifest["metadata"]["labels"]) == {"app.kubernetes.io/managed-by", "plimsoll.dev/component"}


def test_everything_selects_the_gateways_by_the_same_label() -> None:
    deployment, _, _, _, budget, policy, _ = manifests(SETTINGS)
    assert deployment["spec"]["selector"]["matchLabels"] == gateway_selector()
    assert budget["spec"]["selector"]["matchLabels"] == gateway_selector()
    assert policy["spec"]["podSelector"]["matchLabels"] == gateway_selector()
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert gateway_selector().items() <= labels.items()
    assert "plimsoll.dev/model" not in labels, "a model's Service and Deployment must not choose it"


def template_digest(namespace: str, settings: FleetSettings) -> str:
    manifest = render_gateway_deployment(namespace, settings)
    digest: str = manifest["metadata"]["annotations"][TEMPLATE_ANNOTATION]
    return digest


@pytest.mark.parametrize(
    "changed",
    [UPGRADED, replace(SETTINGS, controller_key="another"), replace(SETTINGS, log_level="debug")],
    ids=["image", "key", "configuration"],
)
def test_what_a_gateway_reads_once_replaces_its_pods_when_it_changes(changed: FleetSettings) -> None:
    assert template_digest(VISION, SETTINGS) == template_digest("speech", SETTINGS)
    assert template_digest(VISION, SETTINGS) != template_digest(VISION, changed)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SETTINGS, replicas=3),
        replace(SETTINGS, max_replicas=20),
        replace(SETTINGS, metrics_namespaces=("monitoring",)),
        replace(SETTINGS, max_upgrades=1),
    ],
    ids=["replicas", "most replicas", "metrics", "upgrades"],
)
def test_what_is_none_of_a_gateways_business_restarts_none(changed: FleetSettings) -> None:
    assert render_gateway_deployment(VISION, SETTINGS) == render_gateway_deployment(VISION, changed)


def test_the_mark_and_the_replicas_hold_nothing_else() -> None:
    head = {"apiVersion": "apps/v1", "kind": "Deployment"}
    metadata = {"name": "plimsoll-gateway", "namespace": VISION}
    assert render_gateway_replicas(VISION, 3) == {**head, "metadata": metadata, "spec": {"replicas": 3}}
    marked = {**metadata, "annotations": {"plimsoll.dev/retired-at": NOW.isoformat()}}
    assert render_gateway_mark(VISION, NOW) == {**head, "metadata": marked}
    assert render_gateway_mark(VISION, None) == {**head, "metadata": {**metadata, "annotations": {}}}


def test_replicas_at_creation_are_not_drift_later() -> None:
    created = render_gateway_deployment(VISION, SETTINGS, first_replicas=0)
    assert not needs_apply(render_gateway_deployment(VISION, SETTINGS), created)


def sources(policy: dict[str, Any], port: str) -> list[Any]:
    """Who may connect to a port; `anywhere` where the rule says nothing."""
    rules = [rule for rule in policy["spec"]["ingress"] if port in [entry["port"] for entry in rule["ports"]]]
    return [source for rule in rules for source in rule.get("from", ["anywhere"])]


CLUSTER = {"namespaceSelector": {}}
GATEWAYS = {"podSelector": {"matchLabels": {"plimsoll.dev/component": "gateway"}}}
PREFLIGHTS = {"podSelector": {"matchExpressions": [{"key": "plimsoll.dev/preflight", "operator": "Exists"}]}}


def named(*namespaces: str) -> dict[str, Any]:
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
    return {"namespaceSelector": {"matchExpressions": [expression]}}


@pytest.mark.parametrize(
    ("settings", "port", "who"),
    [
        (SETTINGS, "http", ["anywhere"]),
        (SETTINGS, "grpc", ["anywhere"]),
        (SETTINGS, "admin", [CLUSTER]),
        (LIMITED, "http", ["anywhere"]),
        (LIMITED, "admin", [named("monitoring", "plimsoll-system")]),
    ],
)
def test_who_may_connect_to_a_gateway(settings: FleetSettings, port: str, who: list[Any]) -> None:
    assert sources(manifests(settings)[5], port) == who


@pytest.mark.parametrize(
    ("settings", "port", "who"),
    [
        (SETTINGS, "http", [GATEWAYS, PREFLIGHTS]),
        (SETTINGS, "grpc", [GATEWAYS, PREFLIGHTS]),
        (SETTINGS, "examiner", [PREFLIGHTS]),
        (SETTINGS, "metrics", [PREFLIGHTS, CLUSTER]),
        (LIMITED, "metrics", [PREFLIGHTS, named("monitoring")]),
    ],
)
def test_who_may_connect_to_a_model_pod(settings: FleetSettings, port: str, who: list[Any]) -> None:
    assert sources(models_policy(settings), port) == who


def test_the_policy_chooses_pods_of_revisions_and_neither_gateways_nor_preflights() -> None:
    revisions = {"key": "plimsoll.dev/revision", "operator": "Exists"}
    but = {"key": "plimsoll.dev/model", "operator": "NotIn", "values": ["digits", "letters"]}
    assert models_policy(SETTINGS)["spec"]["podSelector"] == {"matchExpressions": [revisions]}
    chosen = models_policy(SETTINGS, "letters", "digits")["spec"]["podSelector"]
    assert chosen == {"matchExpressions": [revisions, but]}


@pytest.mark.parametrize("number", range(7))
def test_the_digest_covers_the_whole_manifest(number: int) -> None:
    other = replace(
        UPGRADED,
        role="another",
        log_level="debug",
        metrics_namespaces=("monitoring",),
    )
    one, changed = manifests(SETTINGS)[number], manifests(other)[number]
    differs = one != changed
    assert (
        one["metadata"]["annotations"][DIGEST_ANNOTATION] != changed["metadata"]["annotations"][DIGEST_ANNOTATION]
    ) is (differs)
