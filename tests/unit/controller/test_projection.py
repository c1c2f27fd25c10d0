"""What is read of the API server's objects, in the shapes of Kubernetes 1.36."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import DEFAULTS, digits, observed, revision_of, wire_spec

from plimsoll.controller.observe import Stores, observe
from plimsoll.controller.projection import (
    project_deployment,
    project_model_deployment,
    project_revision,
    project_service,
)
from plimsoll.core.diff import needs_apply
from plimsoll.core.names import REVISION_LABEL
from plimsoll.core.plan import plan
from plimsoll.core.render.deployment import render_deployment
from plimsoll.core.render.revision import render_revision
from plimsoll.core.render.service import render_stable_service
from plimsoll.core.snapshot import intent_digest, take_snapshot
from plimsoll.core.world import ReplicasOwner

OWNER = digits()
REVISION = revision_of(OWNER)
NAME = REVISION.name


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{clock}+00:00").astimezone(UTC)


def stored(manifest: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A manifest as the API server gives it back."""
    added = {"uid": "u-1", "resourceVersion": "77", "creationTimestamp": "2026-03-01T12:00:00Z", "generation": 2}
    return {**manifest, "metadata": {**manifest["metadata"], **added, **metadata}}


def manager(name: str, fields: dict[str, Any], operation: str = "Apply", subresource: str = "") -> dict[str, Any]:
    entry = {
        "manager": name,
        "operation": operation,
        "apiVersion": "apps/v1",
        "time": "2026-03-01T12:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**entry, "subresource": subresource} if subresource else entry


REPLICAS = {"f:spec": {"f:replicas": {}}}
TEMPLATE = {"f:spec": {"f:selector": {}, "f:template": {"f:spec": {"f:volumes": {}}}}}
STATUS = manager("kube-controller-manager", {"f:status": {"f:replicas": {}}}, "Update", "status")


def deployment(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """The Deployment as stored: with the defaults that the API server adds."""
    obj = stored(render_deployment(OWNER, REVISION), **metadata)
    pod = obj["spec"]["template"]["spec"]
    pod = {
        **pod,
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "containers": [{**c, "terminationMessagePath": "/dev/termination-log"} for c in pod["containers"]],
    }
    template = {**obj["spec"]["template"], "spec": pod}
    spec = {**obj["spec"], "replicas": 3, "template": template}
    return {**obj, "spec": spec, **({"status": status} if status is not None else {})}


def annotated(obj: dict[str, Any], key: str, value: str) -> dict[str, Any]:
    annotations = {**obj["metadata"]["annotations"], key: value}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def test_deployment() -> None:
    status = {
        "observedGeneration": 2,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "unavailableReplicas": 1,
        "terminatingReplicas": 1,
        "conditions": [
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "no"},
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "yes"},
        ],
    }
    seen = project_deployment(deployment(status))
    assert (seen.name, seen.uid, seen.owner_uid, seen.revision) == (NAME, "u-1", OWNER.metadata.uid, NAME)
    assert seen.created_at == at("12:00:00")
    assert (seen.replicas, seen.pods, seen.ready, seen.updated_ready) == (3, 3, 2, 2)
    assert (seen.observed, seen.failure, seen.retired_at, seen.deleting) == (True, "", None, False)


def test_a_deployment_just_made_has_no_status() -> None:
    seen = project_deployment(deployment())
    assert (seen.pods, seen.ready, seen.updated_ready, seen.observed) == (0, 0, 0, False)
    assert not seen.settled


@pytest.mark.parametrize(
    ("replicas", "updated", "ready", "updated_ready"),
    [
        pytest.param(3, 3, 3, 3, id="done"),
        pytest.param(4, 1, 3, 0, id="the new pod is not ready: all ready ones may be old"),
        pytest.param(4, 1, 4, 1, id="the new pod is ready"),
        pytest.param(4, 3, 3, 2, id="one old pod is left, and perhaps it is the ready one"),
        pytest.param(3, 0, 3, 0, id="nothing new yet"),
    ],
)
def test_ready_pods_of_the_newest_template_are_never_overstated(
    replicas: int, updated: int, ready: int, updated_ready: int
) -> None:
    counts = {"replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready}
    status = {key: count for key, count in counts.items() if count}
    assert project_deployment(deployment(status)).updated_ready == updated_ready


@pytest.mark.parametrize(
    ("managed", "owner"),
    [
        pytest.param([], ReplicasOwner.NOBODY, id="no managed fields"),
        pytest.param([manager("plimsoll", TEMPLATE), STATUS], ReplicasOwner.NOBODY, id="defaulted, never set"),
        pytest.param(
            [manager("plimsoll", TEMPLATE), manager("plimsoll-scale", REPLICAS)], ReplicasOwner.PLIMSOLL, id="ours"
        ),
        pytest.param([manager("plimsoll", REPLICAS)], ReplicasOwner.SOMEBODY, id="set at creation, not claimed yet"),
        pytest.param([manager("kubectl", REPLICAS, "Update", "scale")], ReplicasOwner.SOMEBODY, id="kubectl scale"),
        pytest.param(
            [manager("kubectl", REPLICAS, "Update", "scale"), manager("plimsoll-scale", REPLICAS)],
            ReplicasOwner.PLIMSOLL,
            id="shared with us",
        ),
        pytest.param(
            [manager("kube-controller-manager", REPLICAS, "Update", "scale"), STATUS],
            ReplicasOwner.AUTOSCALER,
            id="HorizontalPodAutoscaler",
        ),
        pytest.param(
            [manager("kube-controller-manager", REPLICAS, "Update")],
            ReplicasOwner.SOMEBODY,
            id="the controller manager, not through scale",
        ),
    ],
)
def test_who_set_the_replicas(managed: list[dict[str, Any]], owner: ReplicasOwner) -> None:
    assert project_deployment(deployment({}, managedFields=managed)).replicas_owner is owner


@pytest.mark.parametrize(("status", "told"), [("True", "exceeded quota: team"), ("False", "")])
def test_a_refusal_counts_while_it_holds(status: str, told: str) -> None:
    condition = {
        "type": "ReplicaFailure",
        "status": status,
        "reason": "FailedCreate",
        "message": "exceeded quota: team",
    }
    assert project_deployment(deployment({"conditions": [condition]})).failure == told


def test_a_retired_deployment() -> None:
    obj = deployment({})
    annotations = {**obj["metadata"]["annotations"], "plimsoll.dev/retired-at": "2026-03-01T12:05:00.250000+00:00"}
    obj["metadata"]["annotations"] = annotations
    assert project_deployment(obj).retired_at == at("12:05:00.250000")


@pytest.mark.parametrize(
    "edited", ["soon", "", "2026-03-01", "2026-03-01T12:05:00", "1772366700", "2026-13-01T00:00:00Z", "NaN"]
)
def test_a_time_that_somebody_edited_is_none(edited: str) -> None:
    seen = project_deployment(annotated(deployment({}), "plimsoll.dev/retired-at", edited))
    assert seen.retired_at is None


@pytest.mark.parametrize(
    ("stated", "number"),
    [("7", 7), ("", 0), ("0", 0), ("-1", 0), ("07", 0), ("7.0", 0), ("seven", 0), ("٣", 0), ("9" * 30, 0)],
)
def test_the_number_of_its_revision(stated: str, number: int) -> None:
    assert project_deployment(annotated(deployment({}), "plimsoll.dev/number", stated)).number == number
    without = deployment({})
    del without["metadata"]["annotations"]["plimsoll.dev/number"]
    assert project_deployment(without).number == 0


KEYS = st.sampled_from(["digest", "intent", "number", "refresh", "retired-at"]).map("plimsoll.dev/{}".format)


@given(st.dictionaries(KEYS, st.text() | st.datetimes().map(str)), st.dictionaries(st.just(REVISION_LABEL), st.text()))
def test_whatever_people_write_into_our_annotations_and_labels_can_be_read(
    annotations: dict[str, str], labels: dict[str, str]
) -> None:
    edited = {"annotations": annotations, "labels": labels}
    found = project_deployment(deployment({}, **edited))
    service = project_service(stored(render_stable_service(OWNER.metadata, NAME), **edited))
    snapshot = project_revision(stored(a_revision(), **edited))
    assert snapshot is not None
    world = observed(OWNER, replace(found, name=NAME), service, replace(snapshot, name=NAME))
    plan(world, at("12:30:00"))


def test_what_the_api_server_adds_is_no_drift() -> None:
    body = project_deployment(deployment({})).body()
    assert not needs_apply(render_deployment(OWNER, REVISION), body)
    assert needs_apply(render_deployment(digits(runtime={"pod": {"labels": {"a": "b"}}}), REVISION), body)


def test_service() -> None:
    manifest = stored(render_stable_service(OWNER.metadata, NAME))
    manifest["spec"] = {
        **manifest["spec"],
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7"],
        "ipFamilies": ["IPv4"],
    }
    seen = project_service({**manifest, "status": {"loadBalancer": {}}})
    assert (seen.name, seen.revision, seen.owner_uid) == ("digits", NAME, OWNER.metadata.uid)
    assert not needs_apply(render_stable_service(OWNER.metadata, NAME), seen.body())


def test_a_service_without_selector_or_owner_is_a_strangers() -> None:
    seen = project_service({"metadata": {"name": "digits", "uid": "u"}, "spec": {"type": "ExternalName"}})
    assert (seen.revision, seen.owner_uid) == ("", "")


def test_an_owner_that_does_not_control_is_no_owner() -> None:
    owners = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "other"}]
    obj = stored(render_stable_service(OWNER.metadata, NAME), ownerReferences=owners)
    assert project_service(obj).owner_uid == ""


def a_revision() -> dict[str, Any]:
    manifest = render_revision(OWNER.metadata, take_snapshot(OWNER.spec, DEFAULTS), number=4, intent="i", refresh="")
    copy: dict[str, Any] = json.loads(json.dumps(manifest))
    return copy


def test_controller_revision() -> None:
    snapshot = take_snapshot(OWNER.spec, DEFAULTS)
    intent = intent_digest(OWNER.spec)
    manifest = render_revision(OWNER.metadata, snapshot, number=4, intent=intent, refresh="today")
    seen = project_revision(stored(json.loads(json.dumps(manifest)), deletionTimestamp="2026-03-01T12:00:00Z"))
    assert seen is not None
    assert (seen.name, seen.number, seen.intent, seen.refresh) == (NAME, 4, intent, "today")
    assert seen.snapshot == snapshot
    assert seen.deleting


DAMAGE: list[tuple[str, Any]] = [
    ("renderVersion", "one"),
    ("renderVersion", None),
    ("model", "digits"),
    ("model", {}),
    ("model", {"uri": 1, "digest": "x"}),
    ("runtime", None),
    ("runtime", {}),
    ("runtime", []),
    ("runtime.accelerator", "Abacus"),
    ("runtime.image", None),
    ("runtime.requests", ["cpu"]),
    ("runtime.limits", {"cpu": "much"}),
    ("runtime.limits", {"cpu": 4}),
    ("runtime.pod", "none"),
]


@pytest.mark.parametrize(("place", "value"), DAMAGE, ids=str)
def test_a_controller_revision_that_we_did_not_write_counts_as_absent(place: str, value: Any) -> None:
    manifest = a_revision()
    *parents, last = place.split(".")
    inner = manifest["data"]
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    assert project_revision(stored(manifest)) is None


@pytest.mark.parametrize("data", [None, {}, [], "text", 7, {"theirs": True}])
def test_a_controller_revision_with_other_data_counts_as_absent(data: Any) -> None:
    assert project_revision(stored({**a_revision(), "data": data})) is None


def test_a_controller_revision_that_cannot_be_read_is_not_observed() -> None:
    stores = Stores()
    for name, manifest in (("good", a_revision()), ("bad", {**a_revision(), "data": {"theirs": True}})):
        stores.revisions.put_if_newer(stored(manifest, name=name))
    owner = {"metadata": {"name": "digits", "namespace": "vision", "uid": "u"}, "spec": wire_spec()}
    stores.model_deployments.put_if_newer(owner)
    found = observe(stores, ("vision", "digits"), DEFAULTS, None)
    assert found is not None
    assert list(found.revisions) == ["good"]


def test_model_deployment_keeps_what_decisions_read() -> None:
    metadata = {
        "name": "digits",
        "namespace": "vision",
        "uid": "u",
        "generation": 3,
        "resourceVersion": "9",
        "managedFields": [{"manager": "kubectl"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "plimsoll.dev/refresh": "today"},
    }
    kept = json.loads(project_model_deployment({"metadata": metadata, "spec": {"replicas": 2}}))
    assert kept == {
        "metadata": {
            "name": "digits",
            "namespace": "vision",
            "uid": "u",
            "generation": 3,
            "annotations": {"plimsoll.dev/refresh": "today"},
        },
        "spec": {"replicas": 2},
        "status": None,
    }
