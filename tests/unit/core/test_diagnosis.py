"""Every way in which a revision fails to become ready, and what people are told about it."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from tests.support.builders import (
    NOW,
    ago,
    deployment_of,
    digits,
    fetch_failed,
    fetched,
    fetching,
    pod_of,
    revision_of,
    triton,
)

from plimsoll.core.diagnosis import Diagnosis, diagnose
from plimsoll.core.world import Container, Deployment, Pod

OWNER = digits()
REVISION = revision_of(OWNER)
DEADLINE = timedelta(minutes=10)
HOUR_AGO = ago(hours=1)
LONG_FETCHED = fetched(ended_at=ago(minutes=50))
GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
QUOTA = 'pods "digits-x" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=1, used: 4, limited: 4'


def fetch_report(kind: str, reason: str, message: str, *, progressed: bool = False) -> str:
    return json.dumps({"kind": kind, "reason": reason, "message": message, "bytes": 7, "progressed": progressed})


def a_pod(fetch: Container | None = None, server: Container | None = None, **more: object) -> Pod:
    return pod_of(REVISION, created_at=HOUR_AGO, fetch=fetch, triton=server, **more)


def a_deployment(**more: object) -> Deployment:
    return deployment_of(OWNER, REVISION, ready=0, created_at=HOUR_AGO, **more)  # type: ignore[arg-type]


def told(pod: Pod) -> Diagnosis:
    return diagnose(a_deployment(), [pod], NOW)


@dataclass(frozen=True)
class Case:
    """What is seen of one pod an hour after it was made, and what that means."""

    id: str
    pod: Pod
    reason: str
    says: str
    terminal: bool = False
    stalled: bool = True
    warning: bool = True


CASES = [
    # What the source of the model answers.
    Case(
        "401",
        a_pod(fetch_failed(fetch_report("Invalid", "Unauthorized", "registry refuses (HTTP 401)"), code=2)),
        "Unauthorized",
        "registry refuses (HTTP 401)",
        terminal=True,
    ),
    Case(
        "404",
        a_pod(fetch_failed(fetch_report("Invalid", "NotFound", "digits does not exist (HTTP 404)"), code=2)),
        "NotFound",
        "digits does not exist (HTTP 404)",
        terminal=True,
    ),
    Case(
        "digest mismatch",
        a_pod(fetch_failed(fetch_report("Invalid", "DigestMismatch", "the bytes have digest sha256:b"), code=2)),
        "DigestMismatch",
        "the bytes have digest sha256:b",
        terminal=True,
    ),
    Case(
        "corrupt ONNX",
        a_pod(fetch_failed(fetch_report("Invalid", "CorruptModel", "model.onnx is cut off at byte 17"), code=2)),
        "CorruptModel",
        "model.onnx is cut off at byte 17",
        terminal=True,
    ),
    Case(
        "inputs contradict the configuration",
        a_pod(fetch_failed(fetch_report("Invalid", "InterfaceMismatch", "input x is FP32, not INT8"), code=2)),
        "InterfaceMismatch",
        "input x is FP32, not INT8",
        terminal=True,
    ),
    Case(
        "disk full",
        a_pod(fetch_failed(fetch_report("Invalid", "StorageTooSmall", "the model has 7 GB, the volume 1"), code=2)),
        "StorageTooSmall",
        "the model has 7 GB, the volume 1",
        terminal=True,
    ),
    Case(
        "registry down",
        a_pod(fetch_failed(fetch_report("NotYet", "SourceUnavailable", "registry refuses connections"), code=3)),
        "SourceUnavailable",
        "registry refuses connections",
    ),
    Case(
        "registry down, tried again just now",
        a_pod(
            fetching(
                ago(seconds=5),
                exit_code=3,
                exit_message=fetch_report("NotYet", "SourceUnavailable", "registry refuses connections"),
                ended_at=ago(seconds=30),
                restarts=1,
            )
        ),
        "SourceUnavailable",
        "registry refuses connections",
    ),
    Case("fetch died without a word", a_pod(fetch_failed("", code=1)), "FetchFailed", "exit code 1; see its log"),
    Case("fetch said nonsense", a_pod(fetch_failed("[1]", code=1)), "FetchFailed", "exit code 1; see its log"),
    Case("fetch was killed", a_pod(fetch_failed(code=137, exit_reason="OOMKilled")), "FetchFailed", "out of memory"),
    # A large model.
    Case(
        "50 GB for an hour",
        a_pod(fetching(HOUR_AGO)),
        "Fetching",
        "The model is being fetched",
        stalled=False,
        warning=False,
    ),
    Case(
        "the connection broke in the middle, a minute ago",
        a_pod(
            fetch_failed(
                fetch_report("NotYet", "SourceUnavailable", "connection lost", progressed=True),
                code=3,
                ended_at=ago(minutes=1),
            )
        ),
        "SourceUnavailable",
        "connection lost",
        stalled=False,
    ),
    Case(
        "the connection broke in the middle, and has been fetching again for long",
        a_pod(
            fetching(
                ago(minutes=40),
                exit_code=3,
                exit_message=fetch_report("NotYet", "SourceUnavailable", "connection lost", progressed=True),
                ended_at=ago(minutes=41),
            )
        ),
        "SourceUnavailable",
        "connection lost",
        stalled=False,
    ),
    Case(
        "loading 60 GB for 25 minutes",
        a_pod(fetched(60 * 10**9, ended_at=ago(minutes=25)), triton(running_since=ago(minutes=25))),
        "Loading",
        "being loaded and warmed up",
        stalled=False,
        warning=False,
    ),
    Case(
        "loading 60 GB for 35 minutes",
        a_pod(fetched(60 * 10**9, ended_at=ago(minutes=35)), triton(running_since=ago(minutes=35))),
        "Loading",
        "being loaded and warmed up",
        warning=False,
    ),
    # What the node and the scheduler say.
    Case(
        "no node fits",
        a_pod(scheduled_at=None, unschedulable="0/1 nodes are available: 1 Insufficient cpu."),
        "InsufficientCapacity",
        "No node fits: 0/1 nodes are available: 1 Insufficient cpu",
    ),
    Case(
        "no GPU",
        a_pod(scheduled_at=None, unschedulable=GPU),
        "InsufficientCapacity",
        "add a GPU node, or set runtime.accelerator to None",
    ),
    Case("not scheduled yet", a_pod(scheduled_at=None), "Scheduling", "Waiting for a node", warning=False),
    Case("nothing started: a Secret is missing", a_pod(), "StartingPod", "kubectl describe pod", warning=False),
    Case(
        "the init container waits",
        a_pod(Container("fetch", waiting_reason="PodInitializing")),
        "StartingPod",
        "kubectl describe pod",
        warning=False,
    ),
    Case(
        "image missing",
        a_pod(fetched(), triton(waiting_reason="ErrImagePull", waiting_message="manifest unknown")),
        "ImagePullFailed",
        "runtime.image cannot be pulled: manifest unknown; check the name, the digest and",
    ),
    Case(
        "image missing, in between attempts: the same words, so that status is not written each time",
        a_pod(
            fetched(),
            triton(
                waiting_reason="ImagePullBackOff",
                waiting_message='Back-off pulling image "r/t@sha256:1": ErrImagePull: manifest unknown',
            ),
        ),
        "ImagePullFailed",
        "runtime.image cannot be pulled: manifest unknown; check the name, the digest and",
    ),
    Case(
        "image missing, older kubelet",
        a_pod(fetched(), triton(waiting_reason="ImagePullBackOff", waiting_message='Back-off pulling image "r/t"')),
        "ImagePullFailed",
        "runtime.image cannot be pulled; check the name",
    ),
    Case(
        "operator image missing",
        a_pod(Container("fetch", waiting_reason="ErrImagePull", waiting_message="no such host")),
        "ImagePullFailed",
        "the operator's image cannot be pulled: no such host",
    ),
    Case(
        "image name invalid",
        a_pod(fetched(), triton(waiting_reason="InvalidImageName", waiting_message="couldn't parse image name")),
        "ImageInvalid",
        "runtime.image: couldn't parse image name",
        terminal=True,
    ),
    Case(
        "container cannot be made",
        a_pod(fetched(), triton(waiting_reason="CreateContainerError", waiting_message="no such device")),
        "ContainerConfig",
        "A container cannot start: no such device",
    ),
    Case("evicted", a_pod(failure="Evicted: the node was low on memory"), "PodFailed", "Evicted: the node was low"),
    # What Triton does.
    Case(
        "out of memory",
        a_pod(LONG_FETCHED, triton(exit_code=137, exit_reason="OOMKilled", restarts=1)),
        "OutOfMemory",
        "raise runtime.resources.limits.memory",
    ),
    Case(
        "crash loop",
        a_pod(LONG_FETCHED, triton(exit_code=1, exit_reason="Error", restarts=9, waiting_reason="CrashLoopBackOff")),
        "ServerCrashed",
        "Triton ended with exit code 1 and is restarted; see `kubectl logs`",
    ),
    Case(
        "crash with last words",
        a_pod(LONG_FETCHED, triton(exit_code=1, exit_message="failed to load\nthe model.\n", restarts=1)),
        "ServerCrashed",
        "is restarted: failed to load the model",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_an_hour_after_the_pod_was_made(case: Case) -> None:
    found = told(case.pod)
    assert found.reason == case.reason
    assert case.says in found.message
    assert not found.message.endswith(".")
    assert found.terminal is case.terminal
    assert found.failed is case.warning
    since = found.progress_at
    assert found.stalled(NOW, DEADLINE) is case.stalled, f"progress at {since}"


def test_a_crash_loop_is_told_in_the_same_words_each_time() -> None:
    messages = {told(a_pod(fetched(), triton(exit_code=1, restarts=n))).message for n in (1, 2, 30)}
    assert len(messages) == 1


def test_last_words_are_bounded_and_in_one_line() -> None:
    found = told(a_pod(fetched(), triton(exit_code=1, exit_message="word\n" * 1000, restarts=1)))
    assert len(found.message) < 500
    assert "\n" not in found.message


def test_the_quota_is_exceeded() -> None:
    found = diagnose(a_deployment(failure=QUOTA), [], NOW)
    assert found.reason == "QuotaExceeded"
    assert "used: 4, limited: 4; raise the ResourceQuota, or lower runtime.resources or replicas" in found.message


def test_the_quota_stops_a_roll_although_the_old_pods_are_there() -> None:
    ready = pod_of(REVISION, ready=True)
    assert diagnose(a_deployment(failure=QUOTA), [ready], NOW).reason == "QuotaExceeded"


@pytest.mark.parametrize(
    ("said", "way_out"),
    [
        (
            'pods "digits-x" is forbidden: failed quota: team: must specify limits.cpu for: fetch,triton',
            "must specify limits.cpu for: fetch,triton; set runtime.resources.limits.cpu",
        ),
        (
            'pods "digits-x" is forbidden: failed quota: team: must specify cpu for: triton; limits.memory for: triton',
            "set runtime.resources.requests.cpu and runtime.resources.limits.memory",
        ),
        (
            'pods "digits-x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
            "but limit is 2Gi; set runtime.resources to what the LimitRange allows",
        ),
    ],
)
def test_what_a_namespace_wants_stated(said: str, way_out: str) -> None:
    found = diagnose(a_deployment(failure=said), [], NOW)
    assert found.reason == "PodRefused"
    assert found.message.endswith(way_out)
    assert "digits-x" not in found.message, "the name of a pod is random"


def test_admission_refuses_the_pods() -> None:
    found = diagnose(a_deployment(failure='admission webhook "policy.example.com" denied the request'), [], NOW)
    assert found.reason == "PodRefused"
    assert "policy.example.com" in found.message


def test_no_pods_yet() -> None:
    found = diagnose(a_deployment(replicas=3), [], NOW)
    assert (found.reason, found.message) == ("WaitingForPods", "0 of 3 model servers are ready")
    assert found.progress_at == HOUR_AGO


def test_the_most_telling_pod_is_told() -> None:
    loading = pod_of(REVISION, "p1", fetch=fetched(), triton=triton(running_since=NOW))
    no_room = pod_of(REVISION, "p2", scheduled_at=None, unschedulable=GPU)
    refused = pod_of(REVISION, "p3", fetch=fetch_failed(fetch_report("Invalid", "NotFound", "gone"), code=2))
    assert diagnose(a_deployment(), [loading], NOW).reason == "Loading"
    assert diagnose(a_deployment(), [loading, no_room], NOW).reason == "InsufficientCapacity"
    assert diagnose(a_deployment(), [loading, no_room, refused], NOW).reason == "NotFound"


def test_the_order_of_pods_does_not_count() -> None:
    pods = [
        pod_of(REVISION, f"p{n}", fetch=fetched(), triton=triton(exit_code=n, restarts=1), created_at=HOUR_AGO)
        for n in (1, 2, 3)
    ]
    assert diagnose(a_deployment(), pods, NOW) == diagnose(a_deployment(), reversed(pods), NOW)


@pytest.mark.parametrize(("ready_since", "reason"), [(ago(minutes=1), "WaitingForPods"), (ago(hours=2), "PodFailed")])
def test_a_failed_pod_counts_until_a_ready_one_has_replaced_it(ready_since: datetime, reason: str) -> None:
    evicted = a_pod(failure="Evicted")
    ready = pod_of(REVISION, "ready", created_at=ready_since, ready=True)
    assert diagnose(a_deployment(), [evicted, ready], NOW).reason == reason


def test_a_pod_that_is_going_says_nothing() -> None:
    assert told(a_pod(fetch_failed(code=2), deleting=True)).reason == "WaitingForPods"
