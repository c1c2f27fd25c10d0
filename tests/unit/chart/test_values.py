"""What the values accept, what they refuse, and that a refusal names the path or the way out."""

from typing import Any

import pytest
from tests.unit.chart.rendering import ENOUGH, TRITON, lint, manifests, one, refusal

DIGEST = "sha256:" + "b" * 64


def test_helm_lint_finds_nothing() -> None:
    done = lint()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("triton", "said"),
    [
        ({}, "triton.image is empty"),
        ({"image": ""}, "triton.image is empty"),
        ({"image": "", "allowTag": True}, "triton.image is empty"),
        ({"image": "triton:25.03"}, 'triton.image is "triton:25.03"'),
        ({"image": "triton@sha256:abc"}, "64 hexadecimal digits"),
    ],
)
def test_without_a_triton_digest_the_refusal_says_how_to_print_one(triton: dict[str, Any], said: str) -> None:
    message = refusal({"triton": triton})
    assert said in message
    assert "crane digest nvcr.io/nvidia/tritonserver:25.03-py3" in message
    assert "docker buildx imagetools inspect" in message
    assert "{{.Manifest.Digest}}" in message
    assert "--set triton.image=nvcr.io/nvidia/tritonserver@sha256:" in message


@pytest.mark.parametrize(
    "triton",
    [
        {"image": TRITON},
        {"image": f"registry.example:5000/triton:25.03@{DIGEST}"},
        {"image": "triton:local", "allowTag": True},
    ],
)
def test_accepted_triton_images(triton: dict[str, Any]) -> None:
    assert f'tritonImage: "{triton["image"]}"' in one("ConfigMap", {"triton": triton})["data"]["config.yaml"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "plimsoll:0.1.0"),
        ({"tag": "1.2.3"}, "plimsoll:1.2.3"),
        ({"digest": DIGEST}, f"plimsoll@{DIGEST}"),
        ({"tag": "1.2.3", "digest": DIGEST}, f"plimsoll@{DIGEST}"),
        (
            {"repository": "registry.example:5000/a/plimsoll", "digest": DIGEST},
            f"registry.example:5000/a/plimsoll@{DIGEST}",
        ),
    ],
)
def test_the_digest_of_the_operator_image_wins_over_its_tag_everywhere(image: dict[str, str], expected: str) -> None:
    values = {"image": image}
    assert one("Deployment", values)["spec"]["template"]["spec"]["containers"][0]["image"] == expected
    assert one("Pod", values)["spec"]["containers"][0]["image"] == expected
    assert f'fetchImage: "{expected}"' in one("ConfigMap", values)["data"]["config.yaml"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"replicas": 3}, "'replicas'"),
    ({"triton": {"imgae": "x"}}, "'/triton'"),
    ({"triton": {"image": "a b"}}, "'/triton/image'"),
    ({"triton": {"allowTag": "yes"}}, "'/triton/allowTag'"),
    ({"image": {"repository": "plimsoll:1"}}, "'/image/repository'"),
    ({"image": {"repository": ""}}, "'/image/repository'"),
    ({"image": {"digest": "abc"}}, "'/image/digest'"),
    ({"image": {"pullPolicy": "always"}}, "'/image/pullPolicy'"),
    ({"imagePullSecrets": ["pull"]}, "'/imagePullSecrets/0'"),
    ({"defaults": {"accelerator": "nvidia"}}, "'/defaults/accelerator'"),
    ({"defaults": {"progressDeadline": 600}}, "'/defaults/progressDeadline'"),
    ({"defaults": {"resources": {"requests": {"cpu": 0.5}}}}, "'/defaults/resources/requests/cpu'"),
    ({"defaults": {"resources": {"request": {}}}}, "'/defaults/resources'"),
    ({"revisionHistoryLimit": 0}, "'/revisionHistoryLimit'"),
    ({"workers": 0}, "'/workers'"),
    ({"resyncPeriod": "10 minutes"}, "'/resyncPeriod'"),
    ({"logLevel": "verbose"}, "'/logLevel'"),
    ({"lease": {"duration": "15"}}, "'/lease/duration'"),
    ({"lease": {"name": "Lease"}}, "'/lease/name'"),
    ({"gateway": {"enabled": "yes"}}, "'/gateway/enabled'"),
    ({"gateway": {"replicas": 1}}, "'/gateway/replicas'"),
    ({"gateway": {"maxReplicas": 1}}, "'/gateway/maxReplicas'"),
    ({"gateway": {"maxConcurrentUpgrades": 0}}, "'/gateway/maxConcurrentUpgrades'"),
    ({"gateway": {"accessLog": 1.5}}, "'/gateway/accessLog'"),
    ({"gateway": {"resources": {"limits": {"memory": "1 GiB"}}}}, "'/gateway/resources/limits/memory'"),
    ({"gateway": {"metricsNamespaces": ["a b"]}}, "'/gateway/metricsNamespaces/0'"),
    ({"gateway": {"imagePullSecrets": ["pull"]}}, "'/gateway/imagePullSecrets/0'"),
    ({"gateway": {"tls": {"secretName": "A Secret"}}}, "'/gateway/tls/secretName'"),
    ({"gateway": {"tls": {"clientCASecretName": 1}}}, "'/gateway/tls/clientCASecretName'"),
    ({"gateway": {"tls": {"plainText": "yes"}}}, "'/gateway/tls/plainText'"),
    ({"gateway": {"cache": {"redis": {"url": "redis://user:password@cache"}}}}, "'/gateway/cache/redis/url'"),
    ({"gateway": {"cache": {"redis": {"url": "cache:6379"}}}}, "'/gateway/cache/redis/url'"),
    ({"gateway": {"cache": {"redis": {"password": "hush"}}}}, "password"),
    ({"gateway": {"auth": {"secretName": "A Secret"}}}, "'/gateway/auth/secretName'"),
    ({"gateway": {"auth": {"secret": "keys"}}}, "'/gateway/auth'"),
    ({"replicaCount": "two"}, "'/replicaCount'"),
    ({"resources": {"limits": {"memory": "1 GiB"}}}, "'/resources/limits/memory'"),
    ({"podAnnotations": {"a": 1}}, "'/podAnnotations/a'"),
    ({"nameOverride": "Plimsoll"}, "'/nameOverride'"),
    ({"crds": {"enabled": True}}, "'/crds'"),
    ({"rbac": {"create": "true"}}, "'/rbac/create'"),
    ({"serviceAccount": {"annotation": {}}}, "'/serviceAccount'"),
    ({"metrics": {"serviceMonitor": {"interval": 30}}}, "'/metrics/serviceMonitor/interval'"),
]


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any] | None:
    """Both together, or None when both set the same value."""
    result = dict(base)
    for key, value in more.items():
        if key not in result:
            result[key] = value
            continue
        both = merged(result[key], value) if isinstance(value, dict) and isinstance(result[key], dict) else None
        if both is None:
            return None
        result[key] = both
    return result


def documents() -> list[dict[str, Any]]:
    """For each row of REFUSED, values that hold it and many others: one start of Helm answers for all of them."""
    distinct: list[dict[str, Any]] = []
    place: list[int] = []
    for values, _ in REFUSED:
        for index, document in enumerate(distinct):
            both = merged(document, values)
            if both is not None:
                distinct[index] = both
                place.append(index)
                break
        else:
            distinct.append(dict(values))
            place.append(len(distinct) - 1)
    return [distinct[index] for index in place]


@pytest.mark.parametrize(
    ("document", "path"), [(document, path) for document, (_, path) in zip(documents(), REFUSED, strict=True)]
)
def test_the_schema_refuses_and_names_the_path(document: dict[str, Any], path: str) -> None:
    assert path in refusal(document)


def test_a_foreign_service_account_needs_a_name() -> None:
    assert "Name an existing ServiceAccount" in refusal({**ENOUGH, "serviceAccount": {"create": False}})


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"enabled": False, "auth": {"secretName": "keys"}}, "set gateway.enabled to true"),
        ({"enabled": False, "tls": {"secretName": "tls"}}, "set gateway.enabled to true"),
        ({"tls": {"plainText": True}}, "set gateway.tls.secretName"),
        ({"tls": {"clientCASecretName": "clients"}}, "set gateway.tls.secretName"),
        (
            {"tls": {"secretName": "tls", "clientCASecretName": "clients", "plainText": True}},
            "leave one of them empty",
        ),
        ({"cache": {"redis": {"secretName": "login"}}}, "set gateway.cache.redis.url"),
        ({"cache": {"redis": {"url": "redis://cache", "caSecretName": "ca"}}}, "begin with rediss://"),
    ],
)
def test_what_would_guard_or_reach_nothing_is_refused(gateway: dict[str, Any], said: str) -> None:
    assert said in refusal({**ENOUGH, "gateway": gateway})


def test_the_chart_can_be_a_dependency() -> None:
    assert manifests({"global": {"anything": 1}})


@pytest.mark.parametrize(
    ("release", "values", "expected"),
    [
        ("plimsoll", {}, "plimsoll"),
        ("vision", {}, "vision-plimsoll"),
        ("vision", {"nameOverride": "models"}, "vision-models"),
        ("vision", {"fullnameOverride": "line"}, "line"),
        ("v" * 53, {}, "v" * 50),
    ],
)
def test_names_of_the_objects(release: str, values: dict[str, Any], expected: str) -> None:
    deployments = [m for m in manifests(values, release) if m["kind"] == "Deployment"]
    assert [m["metadata"]["name"] for m in deployments] == [expected]


def test_common_labels_are_on_every_object() -> None:
    assert all(m["metadata"]["labels"]["team"] == "ml" for m in manifests({"commonLabels": {"team": "ml"}}))


def test_a_service_monitor_only_when_asked_for() -> None:
    assert not [m for m in manifests() if m["kind"] == "ServiceMonitor"]
    values = {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"}}}
    monitor = one("ServiceMonitor", values)
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= one("Service")["metadata"]["labels"].items()
