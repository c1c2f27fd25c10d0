"""What is read of a pod, in the shapes of Kubernetes 1.36."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.builders import digits, revision_of

from plimsoll.controller.projection import project_pod

NAME = revision_of(digits()).name


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{clock}+00:00").astimezone(UTC)


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    labels = {"plimsoll.dev/model": "digits", "plimsoll.dev/revision": NAME, "pod-template-hash": "5d8f"}
    shared = {"name": f"{NAME}-5d8f-x", "uid": "p", "creationTimestamp": "2026-03-01T12:00:00Z", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**shared, **metadata}, "status": status}


def condition(kind: str, holds: str, **more: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": holds,
        "observedGeneration": 1,  # type: ignore[dict-item]
        "lastTransitionTime": "2026-03-01T12:00:01Z",
        **more,
    }


SCHEDULED = condition("PodScheduled", "True")


def test_a_pod_before_the_scheduler_has_seen_it() -> None:
    seen = project_pod(pod({"phase": "Pending", "qosClass": "Burstable"}))
    assert (seen.revision, seen.created_at, seen.ready) == (NAME, at("12:00:00"), False)
    assert (seen.scheduled_at, seen.unschedulable, seen.fetch, seen.triton) == (None, "", None, None)


def test_a_pod_that_no_node_fits() -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available"
    seen = project_pod(
        pod({"conditions": [condition("PodScheduled", "False", reason="Unschedulable", message=message)]})
    )
    assert seen.unschedulable == message
    assert seen.scheduled_at is None


def test_a_pod_held_by_a_scheduling_gate_is_not_unschedulable() -> None:
    held = condition("PodScheduled", "False", reason="SchedulingGated", message="Scheduling is blocked")
    assert project_pod(pod({"conditions": [held]})).unschedulable == ""


def test_a_pod_that_fetches_again_after_a_failure() -> None:
    last = {"exitCode": 3, "reason": "Error", "message": '{"kind":"NotYet"}', "finishedAt": "2026-03-01T12:00:30Z"}
    fetch = {
        "name": "fetch",
        "ready": False,
        "started": True,
        "restartCount": 1,
        "state": {"running": {"startedAt": "2026-03-01T12:00:40Z"}},
        "lastState": {"terminated": {**last, "startedAt": "2026-03-01T12:00:02Z", "containerID": "containerd://1"}},
    }
    waits = {"name": "triton", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    status = {"conditions": [SCHEDULED], "initContainerStatuses": [fetch], "containerStatuses": [waits]}
    seen = project_pod(pod(status))
    assert seen.scheduled_at == at("12:00:01")
    assert seen.fetch is not None
    assert seen.triton is not None
    assert (seen.fetch.running_since, seen.fetch.restarts) == (at("12:00:40"), 1)
    assert (seen.fetch.exit_code, seen.fetch.exit_message) == (3, '{"kind":"NotYet"}')
    assert seen.fetch.ended_at == at("12:00:30")
    assert (seen.triton.waiting_reason, seen.triton.exit_code) == ("PodInitializing", None)


def test_a_pod_that_serves() -> None:
    ended = {"exitCode": 0, "reason": "Completed", "message": '{"bytes":7}', "finishedAt": "2026-03-01T12:00:30Z"}
    fetch = {"name": "fetch", "ready": True, "restartCount": 0, "state": {"terminated": ended}}
    running = {"running": {"startedAt": "2026-03-01T12:00:31Z"}}
    server = {"name": "triton", "ready": True, "started": True, "restartCount": 0, "state": running, "lastState": {}}
    mesh = {"name": "mesh", "ready": True, "restartCount": 0, "state": running}
    status = {
        "phase": "Running",
        "conditions": [SCHEDULED, condition("Ready", "True")],
        "initContainerStatuses": [mesh, fetch],
        "containerStatuses": [server],
    }
    seen = project_pod(pod(status))
    assert seen.ready
    assert seen.fetch is not None
    assert seen.triton is not None
    assert (seen.fetch.exit_code, seen.fetch.ready, seen.fetch.exit_message) == (0, True, '{"bytes":7}')
    assert seen.triton.running_since == at("12:00:31")


def test_a_pod_in_a_crash_loop() -> None:
    killed = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-03-01T12:03:00Z"}
    server = {
        "name": "triton",
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
        "lastState": {"terminated": killed},
    }
    seen = project_pod(pod({"conditions": [SCHEDULED], "containerStatuses": [server]}))
    assert seen.triton is not None
    assert (seen.triton.waiting_reason, seen.triton.restarts) == ("CrashLoopBackOff", 4)
    assert (seen.triton.exit_code, seen.triton.exit_reason) == (137, "OOMKilled")


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
        ({"phase": "Failed", "reason": "NodeLost"}, "NodeLost"),
        ({"phase": "Failed"}, "it failed"),
        ({"phase": "Running", "message": "x"}, ""),
    ],
)
def test_a_pod_that_failed(status: dict[str, Any], failure: str) -> None:
    assert project_pod(pod(status)).failure == failure


def test_a_pod_that_is_going() -> None:
    assert project_pod(pod({}, deletionTimestamp="2026-03-01T12:00:00Z")).deleting


@pytest.mark.parametrize(
    ("text", "cost"),
    [("-2147483648", -(2**31)), ("7", 7), ("0", 0), ("2147483648", 0), ("+7", 0), ("07", 0), ("cheap", 0), ("", 0)],
)
def test_what_kubernetes_reads_as_the_cost_of_deleting_a_pod(text: str, cost: int) -> None:
    annotations = {"controller.kubernetes.io/pod-deletion-cost": text}
    assert project_pod(pod({}, annotations=annotations)).deletion_cost == cost


@pytest.mark.parametrize(
    ("text", "since"),
    [("2026-03-01T12:00:05+00:00", at("12:00:05")), ("2026-03-01T12:00:05", None), ("since", None), ("", None)],
)
def test_since_when_a_pod_drains(text: str, since: datetime | None) -> None:
    seen = project_pod(pod({"phase": "Running"}, annotations={"plimsoll.dev/draining-since": text}))
    assert (seen.draining_since, seen.running, seen.template) == (since, True, "5d8f")


def test_an_object_without_optional_parts() -> None:
    bare = {"metadata": {"name": "p", "uid": "u", "creationTimestamp": "2026-03-01T12:00:00Z", "labels": None}}
    seen = project_pod({**bare, "status": {"conditions": None, "containerStatuses": None}})
    assert (seen.revision, seen.triton) == ("", None)
