"""Golden manifests of each child, and what must hold for every model pod."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from tests.support.builders import DEFAULTS, NOW, digest, revision_of

from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.core.names import DIGEST_ANNOTATION
from plimsoll.core.render.deployment import render_deployment, render_replicas
from plimsoll.core.render.pod import GRACE_SECONDS, PRE_STOP_SECONDS, fetch_request
from plimsoll.core.render.revision import render_revision
from plimsoll.core.render.service import render_revision_service, render_stable_service
from plimsoll.core.snapshot import RENDER_VERSION, intent_digest
from plimsoll.core.world import Revision

Golden = Callable[[str, str], None]

METADATA = {"name": "digits", "namespace": "vision", "uid": "11111111-2222-3333-4444-555555555555"}
MINIMAL: dict[str, Any] = {"model": {"uri": "oci://registry.example.com/models/digits@" + digest("a")}}
FULL: dict[str, Any] = {
    "model": {
        "uri": "pvc://models/digits/1",
        "digest": digest("b"),
        "format": "TritonRepository",
        "inputs": [{"name": "x", "dataType": "FP32", "dims": [64]}],
        "outputs": [{"name": "label", "dataType": "INT64", "dims": [1]}],
        "entry": "ensemble",
        "config": {"maxBatchSize": 16, "dynamicBatching": {"preferredBatchSize": [4, 8]}},
        "credentials": {"secretRef": {"name": "pull"}, "caConfigMapRef": {"name": "authority"}},
    },
    "replicas": 3,
    "runtime": {
        "image": "registry.example.com/own/triton@" + digest("7"),
        "accelerator": "Nvidia",
        "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": 2}},
        "drain": "2m",
        "pod": {
            "labels": {"team": "vision", "plimsoll.dev/revision": "forged"},
            "annotations": {"note": "kept"},
            "nodeSelector": {"pool": "gpu"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["h100"]}]}
                        ]
                    }
                }
            },
            "topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}],
            "priorityClassName": "high",
            "imagePullSecrets": [{"name": "registry"}],
            "runtimeClassName": "nvidia",
            "env": [{"name": "OMP_NUM_THREADS", "value": "4"}, {"name": "POD_UID", "value": "guessed"}],
            "resourceClaims": [{"name": "mig", "resourceClaimTemplateName": "slice"}],
        },
    },
}
SPECS = {"minimal": MINIMAL, "full": FULL}


def owner_of(spec: str) -> ModelDeployment:
    return ModelDeployment.model_validate({"metadata": METADATA, "spec": SPECS[spec]})


def text_of(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=True, width=120)


@pytest.mark.parametrize("spec", SPECS)
def test_controller_revision(spec: str, golden: Golden) -> None:
    owner = owner_of(spec)
    revision = revision_of(owner)
    manifest = render_revision(
        owner.metadata, revision.snapshot, number=1, intent=intent_digest(owner.spec), refresh="today"
    )
    golden(f"manifests/{spec}-controllerrevision.yaml", text_of(manifest))


@pytest.mark.parametrize("spec", SPECS)
def test_services(spec: str, golden: Golden) -> None:
    owner = owner_of(spec)
    name = revision_of(owner).name
    golden(f"manifests/{spec}-service.yaml", text_of(render_stable_service(owner.metadata, name)))
    golden(f"manifests/{spec}-revision-service.yaml", text_of(render_revision_service(owner.metadata, name)))


def of_render_version(version: int, owner: ModelDeployment) -> Revision:
    """The revision as an operator of that time made it; its name was made of its snapshot of that time."""
    snapshot = replace(revision_of(owner).snapshot, render_version=version)
    return replace(revision_of(owner), snapshot=snapshot, name=snapshot.name_for(owner.metadata.name))


@pytest.mark.parametrize("version", range(1, RENDER_VERSION + 1))
@pytest.mark.parametrize("spec", SPECS)
def test_deployment_of_each_render_version(spec: str, version: int, golden: Golden) -> None:
    """A change of these files restarts the model pods of every user at the next upgrade of the operator.

    What changes a pod needs a new render version, which new revisions get while old ones are rendered as they were.
    Only before the first release may these files simply be rewritten.
    """
    owner = owner_of(spec)
    manifest = render_deployment(owner, of_render_version(version, owner), first_replicas=owner.spec.replicas)
    golden(f"manifests/{spec}-deployment-render-{version}.yaml", text_of(manifest))


def test_newest_revisions_have_the_newest_render_version() -> None:
    assert revision_of(owner_of("minimal")).snapshot.render_version == RENDER_VERSION


def test_a_retired_deployment_differs_by_its_mark_only() -> None:
    owner = owner_of("full")
    live = render_deployment(owner, revision_of(owner))
    retired = render_deployment(owner, revision_of(owner), retired_at=NOW)
    annotations = retired["metadata"].pop("annotations")
    assert annotations.pop("plimsoll.dev/retired-at") == NOW.isoformat()
    assert annotations != live["metadata"].pop("annotations"), "the digest tells that something changed"
    assert retired == live


def test_the_scale_manager_owns_replicas_and_nothing_else() -> None:
    assert render_replicas(owner_of("full"), "digits-1", 3) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "digits-1", "namespace": "vision"},
        "spec": {"replicas": 3},
    }


def pod_of(spec: str) -> dict[str, Any]:
    owner = owner_of(spec)
    template: dict[str, Any] = render_deployment(owner, revision_of(owner))["spec"]["template"]
    return template


@pytest.mark.parametrize("spec", SPECS)
def test_the_pod_meets_the_restricted_standard(spec: str) -> None:
    pod = pod_of(spec)["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert {key for volume in pod["volumes"] for key in volume} <= {
        "name", "emptyDir", "secret", "configMap", "persistentVolumeClaim",
    }  # fmt: skip
    for container in (*pod["initContainers"], *pod["containers"]):
        context = container["securityContext"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"]
        assert "memory" in container["resources"]["limits"]


def test_credentials_are_seen_by_fetch_only() -> None:
    pod = pod_of("full")["spec"]
    (fetch, examiner), (server,) = pod["initContainers"], pod["containers"]
    mounts = {c["name"]: {m["mountPath"] for m in c["volumeMounts"]} for c in (fetch, examiner, server)}
    assert {"/credentials", "/ca", "/source"} <= mounts["fetch"]
    for other in (examiner, server):
        assert not {"/credentials", "/ca", "/source"} & mounts[other["name"]]
        assert [m["readOnly"] for m in other["volumeMounts"] if m["name"] == "models"] == [True]


def test_the_examiner_sees_the_servers_processes_and_neither_starts_nor_ends_the_pod() -> None:
    pod = pod_of("minimal")["spec"]
    examiner = pod["initContainers"][1]
    assert pod["shareProcessNamespace"]
    assert (examiner["name"], examiner["args"], examiner["restartPolicy"]) == ("examiner", ["examine"], "Always")
    assert not {"startupProbe", "readinessProbe", "livenessProbe"} & examiner.keys()
    assert examiner["image"] == pod["initContainers"][0]["image"]


def test_a_revision_of_before_the_examiner_has_none() -> None:
    owner = owner_of("full")
    pod = render_deployment(owner, of_render_version(1, owner))["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["initContainers"]] == ["fetch"]
    assert "shareProcessNamespace" not in pod


def test_what_the_user_says_about_the_pod_cannot_move_it_elsewhere() -> None:
    template = pod_of("full")
    assert template["metadata"]["labels"]["plimsoll.dev/revision"] == revision_of(owner_of("full")).name
    assert template["metadata"]["labels"]["team"] == "vision"
    environment = {variable["name"]: variable for variable in template["spec"]["containers"][0]["env"]}
    assert "valueFrom" in environment["POD_UID"], "the word that locks the administrative interface is not chosen"
    assert environment["OMP_NUM_THREADS"]["value"] == "4"
    assert len(environment) == len(template["spec"]["containers"][0]["env"])


def test_no_label_of_a_user_makes_a_model_pod_a_gateway() -> None:
    runtime = {"pod": {"labels": {"plimsoll.dev/component": "gateway", "team": "vision"}}}
    owner = ModelDeployment.model_validate({"metadata": METADATA, "spec": {**MINIMAL, "runtime": runtime}})
    labels = render_deployment(owner, revision_of(owner))["spec"]["template"]["metadata"]["labels"]
    assert "plimsoll.dev/component" not in labels
    assert labels["team"] == "vision"


def test_times_fit_together() -> None:
    spec = pod_of("minimal")["spec"]
    server = spec["containers"][0]
    exit_seconds = int(next(a for a in server["args"] if a.startswith("--exit-timeout-secs=")).partition("=")[2])
    assert spec["terminationGracePeriodSeconds"] == GRACE_SECONDS > PRE_STOP_SECONDS + exit_seconds


@pytest.mark.parametrize(("spec", "complete"), [("minimal", True), ("full", False)])
def test_a_whole_repository_keeps_its_own_configuration(spec: str, complete: bool) -> None:  # noqa: FBT001 - a column
    arguments = pod_of(spec)["spec"]["containers"][0]["args"]
    assert ("--disable-auto-complete-config" in arguments) is complete


def test_what_fetch_is_asked() -> None:
    owner = owner_of("full")
    request = fetch_request(owner, revision_of(owner, 7))
    assert request["name"] == "digits"
    assert request["version"] == 7
    assert request["gpus"] == 2
    assert request["storageLimitBytes"] == 10 * 2**30
    assert (request["uri"], request["digest"]) == ("pvc://models/digits/1", digest("b"))
    assert "credentials" not in request


NO_DEFAULTS = replace(DEFAULTS, requests={}, limits={})


@pytest.mark.parametrize(
    ("resources", "requests", "limits"),
    [
        pytest.param({}, {"cpu": "20m"}, {}, id="nothing stated"),
        pytest.param({"requests": {"cpu": "2"}}, {"cpu": "2"}, {}, id="as much CPU as Triton: the larger counts"),
        pytest.param({"limits": {"cpu": "10m"}}, {}, {"cpu": "10m"}, id="a limit alone is the request too"),
        pytest.param(
            {"requests": {"ephemeral-storage": "1Gi"}, "limits": {"cpu": "4", "ephemeral-storage": "9Gi"}},
            {"ephemeral-storage": "1Gi"},
            {"cpu": "4", "ephemeral-storage": "9Gi"},
            id="what a quota wants stated",
        ),
        pytest.param(
            {"requests": {"memory": "32Gi"}, "limits": {"memory": "64Gi", "nvidia.com/gpu": "1"}},
            {"cpu": "20m"},
            {},
            id="neither the memory nor the devices of Triton",
        ),
    ],
)
def test_fetch_takes_what_triton_has(
    resources: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    owner = ModelDeployment.model_validate(
        {"metadata": METADATA, "spec": {**MINIMAL, "runtime": {"resources": resources}}}
    )
    manifest = render_deployment(owner, revision_of(owner, defaults=NO_DEFAULTS))
    assert manifest["spec"]["template"]["spec"]["initContainers"][0]["resources"] == {
        "requests": {**requests, "memory": "64Mi"},
        "limits": {**limits, "memory": "512Mi"},
    }


def test_dollars_reach_fetch_and_triton_as_they_are() -> None:
    """Kubernetes would put the pod's variables in place of `$(NAME)`."""
    model = {"uri": "https://models.example.com/$(POD_UID)", "digest": digest("a"), "config": {"$$": "$(HOME)"}}
    runtime = {"pod": {"env": [{"name": "A", "value": "$(POD_UID) costs 5$$"}, {"name": "EMPTY"}]}}
    owner = ModelDeployment.model_validate({"metadata": METADATA, "spec": {"model": model, "runtime": runtime}})
    pod = render_deployment(owner, revision_of(owner))["spec"]["template"]["spec"]
    (request,) = pod["initContainers"][0]["env"]
    assert "$" not in request["value"]
    assert json.loads(request["value"]) == fetch_request(owner, revision_of(owner))
    stated = {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}
    assert (stated["A"], stated["EMPTY"]) == ("$$(POD_UID) costs 5$$$$", "")


@pytest.mark.parametrize(("quantity", "gpus"), [("2", 2), ("2000m", 2), ("1k", 1000)])
def test_gpus_in_any_spelling(quantity: str, gpus: int) -> None:
    runtime = {"accelerator": "Nvidia", "resources": {"limits": {"nvidia.com/gpu": quantity}}}
    owner = ModelDeployment.model_validate({"metadata": METADATA, "spec": {**MINIMAL, "runtime": runtime}})
    assert fetch_request(owner, revision_of(owner))["gpus"] == gpus


def test_the_digest_annotation_covers_the_whole_manifest() -> None:
    owner = owner_of("minimal")
    digests = set()
    for letter in "ab":
        spec = {"model": {"uri": "oci://registry.example.com/models/digits@" + digest(letter)}}
        other = owner.model_copy(update={"spec": type(owner.spec).model_validate(spec)})
        manifest = render_deployment(owner, revision_of(other, defaults=DEFAULTS))
        digests.add(manifest["metadata"]["annotations"][DIGEST_ANNOTATION])
    assert len(digests) == 2
