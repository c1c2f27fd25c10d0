"""A model of a Kubernetes cluster in virtual time: what the API server, the Deployment controller, the kubelet and the
garbage collector do to the objects that the operator reads and writes.

Objects are JSON in the API server's shapes and are replaced, never changed, so that an old view stays an old view.
What is modelled closely is what decisions hang on: versions and generations, who owns a Deployment's replicas under
server-side apply, conflicts and preconditions, how pods come up and die, and collection by ownerReferences.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from plimsoll.api.base import API_VERSION
from plimsoll.core.hashing import manifest_digest_of
from plimsoll.core.names import DELETION_COST_ANNOTATION, REVISION_LABEL

JsonObject = dict[str, Any]
NAMESPACE = "vision"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Kind(StrEnum):
    MODEL_DEPLOYMENT = "ModelDeployment"
    CONTROLLER_REVISION = "ControllerRevision"
    DEPLOYMENT = "Deployment"
    SERVICE = "Service"
    POD = "Pod"
    JOB = "Job"
    CONFIG_MAP = "ConfigMap"


CHILDREN = (Kind.CONTROLLER_REVISION, Kind.DEPLOYMENT, Kind.SERVICE)
_OWNED = (*CHILDREN, Kind.JOB, Kind.CONFIG_MAP, Kind.POD)
"""Collected by ownerReferences; model pods have none here, and go with their Deployment."""


class Conflict(Exception):  # noqa: N818 - an outcome, as in plimsoll.kube.errors
    """The object is no longer the one that was meant."""


class Missing(Exception):  # noqa: N818 - as Conflict
    """The object does not exist."""


class Behaviour(StrEnum):
    """What a model does to its pods."""

    GOOD = "Good"
    SLOW = "Slow"
    NOT_FOUND = "NotFound"
    CRASHES = "Crashes"
    NO_CAPACITY = "NoCapacity"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object; `obj` is None when it was deleted."""

    version: int
    at: datetime
    name: str
    obj: JsonObject | None


@dataclass(slots=True)
class PodState:
    """How far a pod is; advanced by `ModelCluster.tick`."""

    deployment: str
    template: str
    behaviour: Behaviour
    born: datetime
    stage: str = "Pending"
    since: datetime = START
    restarts: int = 0
    wounded: bool = False


_NEXT_STAGE = {"Pending": "Fetching", "Fetching": "Loading", "Loading": "Ready"}
_STAGE_TIME = {
    "Pending": timedelta(seconds=1),
    "Fetching": timedelta(seconds=4),
    "Loading": timedelta(seconds=3),
    "Crashed": timedelta(seconds=10),
}
_SLOW = 20
_TERMINATION = timedelta(seconds=10)
_COLLECTION = timedelta(seconds=2)


def rfc3339(moment: datetime) -> str:
    """A time as the API server writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class ModelCluster:
    """The API server's stores and everything that acts on them but the operator.

    Attributes:
        behaviours: What a model does, by its digest; good when not named.
        log: Every change per kind, in order: what watches would tell.
        now: Virtual time.
        controllers: What else acts whenever time passes.
        on_scaled_away: Called with a pod and its Deployment before the pod is deleted because there are too many.
    """

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    now: datetime = START
    stores: dict[Kind, dict[str, JsonObject]] = field(default_factory=lambda: {kind: {} for kind in Kind})
    log: dict[Kind, list[Change]] = field(default_factory=lambda: {kind: [] for kind in Kind})
    pods: dict[str, PodState] = field(default_factory=dict)
    writes: int = 0
    controllers: list[Callable[[], None]] = field(default_factory=list)
    on_scaled_away: list[Callable[[str, str], None]] = field(default_factory=list)
    _version: int = 0
    _names: int = 0
    _leaving: dict[tuple[Kind, str], datetime] = field(default_factory=dict)

    # The API server

    def get(self, kind: Kind, name: str) -> JsonObject | None:
        return self.stores[kind].get(name)

    def apply(self, kind: Kind, manifest: Mapping[str, Any], manager: str) -> JsonObject:
        """Server-side apply with force. Applying what is there already changes nothing, not even the version."""
        name = manifest["metadata"]["name"]
        have = self.stores[kind].get(name)
        if "uid" in manifest["metadata"] and (have is None or have["metadata"]["uid"] != manifest["metadata"]["uid"]):
            raise Conflict(name)
        if have is None:
            return self.put(kind, name, self._created(kind, manifest, manager))
        return self.put(kind, name, _merged(kind, have, manifest, manager))

    def write_status(self, name: str, version: str, status: JsonObject) -> JsonObject:
        """Applies the status of a ModelDeployment if it is still at `version`."""
        have = self.stores[Kind.MODEL_DEPLOYMENT].get(name)
        if have is None:
            raise Missing(name)
        if have["metadata"]["resourceVersion"] != version:
            raise Conflict(name)
        return self.put(Kind.MODEL_DEPLOYMENT, name, {**have, "status": status})

    def delete(self, kind: Kind, name: str, *, uid: str | None = None, version: str | None = None) -> None:
        """Deletes in the background: the object goes at once, what it owns a moment later."""
        have = self.stores[kind].get(name)
        if have is None:
            raise Missing(name)
        if uid not in (None, have["metadata"]["uid"]) or version not in (None, have["metadata"]["resourceVersion"]):
            raise Conflict(name)
        if kind is Kind.POD:
            self._drop_pod(name)
        else:
            self._remove(kind, name)

    def put(self, kind: Kind, name: str, obj: JsonObject) -> JsonObject:
        """Stores an object under its next version, and under its next generation where its spec changed."""
        have = self.stores[kind].get(name)
        if have is not None and _content(have) == _content(obj):
            return have
        self._version += 1
        generation = have["metadata"].get("generation", 1) if have else 1
        if have and have.get("spec") != obj.get("spec"):
            generation += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self._version), "generation": generation}
        stored = {**obj, "metadata": metadata}
        self.stores[kind][name] = stored
        self.log[kind].append(Change(self._version, self.now, name, stored))
        return stored

    def _created(self, kind: Kind, manifest: Mapping[str, Any], manager: str) -> JsonObject:
        self._names += 1
        metadata = {
            **manifest["metadata"],
            "uid": f"{kind.lower()}-{self._names}",
            "creationTimestamp": rfc3339(self.now),
        }
        created: JsonObject = {**manifest, "metadata": metadata}
        if kind is Kind.DEPLOYMENT:
            stated = "replicas" in manifest["spec"]
            created["spec"] = {"replicas": 1, **manifest["spec"]}
            metadata["managedFields"] = [_owner_entry(manager)] if stated else []
            created["status"] = {}
        if kind is Kind.SERVICE:
            created["spec"] = {"clusterIP": f"10.0.0.{self._names}", "sessionAffinity": "None", **manifest["spec"]}
        return created

    def _remove(self, kind: Kind, name: str) -> None:
        self._version += 1
        del self.stores[kind][name]
        self._leaving.pop((kind, name), None)
        self.log[kind].append(Change(self._version, self.now, name, None))
        if kind is Kind.DEPLOYMENT:
            for pod in self._alive(name):
                self._drop_pod(pod)

    # Users

    def user_applies(self, name: str, spec: JsonObject) -> None:
        """`kubectl apply` of a ModelDeployment."""
        have = self.get(Kind.MODEL_DEPLOYMENT, name)
        if have is None:
            manifest = {
                "apiVersion": API_VERSION,
                "kind": Kind.MODEL_DEPLOYMENT.value,
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": spec,
            }
            self.put(Kind.MODEL_DEPLOYMENT, name, self._created(Kind.MODEL_DEPLOYMENT, manifest, "kubectl"))
        else:
            self.put(Kind.MODEL_DEPLOYMENT, name, {**have, "spec": spec})

    def autoscaler_scales(self, deployment: str, replicas: int) -> None:
        """A HorizontalPodAutoscaler writes through the scale subresource and takes the field over."""
        have = self.stores[Kind.DEPLOYMENT][deployment]
        entry = {**_owner_entry("kube-controller-manager"), "operation": "Update", "subresource": "scale"}
        metadata = {**have["metadata"], "managedFields": [entry]}
        spec = {**have["spec"], "replicas": replicas}
        self.put(Kind.DEPLOYMENT, deployment, {**have, "metadata": metadata, "spec": spec})

    def user_unlabels(self, kind: Kind, name: str, label: str) -> None:
        """`kubectl label KIND NAME LABEL-`."""
        have = self.stores[kind][name]
        labels = {key: value for key, value in have["metadata"]["labels"].items() if key != label}
        self.put(kind, name, {**have, "metadata": {**have["metadata"], "labels": labels}})

    def user_patches(self, kind: Kind, name: str, **spec: Any) -> None:
        """`kubectl patch`: maps are merged."""
        have = self.stores[kind][name]
        merged = {key: {**have["spec"].get(key, {}), **value} for key, value in spec.items()}
        self.put(kind, name, {**have, "spec": {**have["spec"], **merged}})

    def injects(self, kind: Kind, name: str, annotation: str) -> None:
        """A webhook or another operator annotates an object."""
        have = self.stores[kind][name]
        annotations = {**have["metadata"].get("annotations", {}), annotation: "injected"}
        self.put(kind, name, {**have, "metadata": {**have["metadata"], "annotations": annotations}})

    def stranger_makes(self, kind: Kind, manifest: JsonObject) -> None:
        self.put(kind, manifest["metadata"]["name"], self._created(kind, manifest, "somebody"))

    def wounds(self, pod: str) -> None:
        """A pod dies as a whole (its node is lost) and is replaced."""
        self.pods[pod].wounded = True
        self._drop_pod(pod)

    def loses_status(self, name: str) -> None:
        """A restored backup, or somebody with too many rights."""
        self.put(Kind.MODEL_DEPLOYMENT, name, {**self.stores[Kind.MODEL_DEPLOYMENT][name], "status": None})

    def evict(self, pod: str) -> None:
        """A pod of a Job is told to go."""
        self._drop_pod(pod)

    def user_writes(self, name: str, data: Mapping[str, str]) -> None:
        """`kubectl apply` of a ConfigMap of the user's own."""
        have = self.get(Kind.CONFIG_MAP, name)
        manifest = {"metadata": {"name": name, "namespace": NAMESPACE}, "data": dict(data)}
        made = {**have, "data": dict(data)} if have else self._created(Kind.CONFIG_MAP, manifest, "kubectl")
        self.put(Kind.CONFIG_MAP, name, made)

    # What users see

    def selected(self, service: str) -> str | None:
        """The revision that a Service selects."""
        have = self.get(Kind.SERVICE, service)
        return have["spec"]["selector"].get(REVISION_LABEL) if have else None

    def ready_pods(self, revision: str | None) -> list[str]:
        return [
            name
            for name, pod in self.pods.items()
            if pod.deployment == revision and pod.stage == "Ready" and (Kind.POD, name) not in self._leaving
        ]

    # Kubernetes' own controllers

    def tick(self, seconds: float) -> None:
        """Lets time pass; every controller and kubelet does its next thing."""
        self.now += timedelta(seconds=seconds)
        self._collect_garbage()
        self._run_kubelet()
        for name in list(self.stores[Kind.DEPLOYMENT]):
            self._run_deployment(name)
        for run in self.controllers:
            run()

    def _collect_garbage(self) -> None:
        uids = {obj["metadata"]["uid"] for store in self.stores.values() for obj in store.values()}
        for kind in _OWNED:
            for name, obj in list(self.stores[kind].items()):
                owners = obj["metadata"].get("ownerReferences") or []
                if owners and not any(owner["uid"] in uids for owner in owners):
                    self._leave(kind, name, _COLLECTION)
        for name, pod in list(self.pods.items()):
            if pod.deployment not in self.stores[Kind.DEPLOYMENT]:
                self._drop_pod(name)
        for (kind, name), at in list(self._leaving.items()):
            if self.now >= at:
                self._remove(kind, name)
                if kind is Kind.POD:
                    self.pods.pop(name, None)

    def _leave(self, kind: Kind, name: str, pause: timedelta) -> None:
        self._leaving.setdefault((kind, name), self.now + pause)

    def _drop_pod(self, name: str) -> None:
        if (Kind.POD, name) in self._leaving:
            return
        self._leave(Kind.POD, name, _TERMINATION)
        obj = self.stores[Kind.POD][name]
        self.put(Kind.POD, name, {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": rfc3339(self.now)}})

    def _alive(self, deployment: str) -> dict[str, PodState]:
        return {
            name: pod
            for name, pod in self.pods.items()
            if pod.deployment == deployment and (Kind.POD, name) not in self._leaving
        }

    def _run_deployment(self, name: str) -> None:
        """Rolling update with maxSurge 1 and maxUnavailable 0."""
        obj = self.stores[Kind.DEPLOYMENT][name]
        wanted, template = obj["spec"]["replicas"], manifest_digest_of(obj["spec"]["template"])
        alive = self._alive(name)
        new = [pod for pod, state in alive.items() if state.template == template]
        old = [pod for pod in alive if pod not in new]
        room = wanted + (1 if old and wanted else 0) - len(alive)
        new += [self._start_pod(obj, template) for _ in range(min(room, wanted - len(new)))]
        alive = self._alive(name)
        for pod in sorted(old, key=lambda one: alive[one].stage == "Ready"):
            ready = sum(state.stage == "Ready" for state in alive.values())
            if not wanted or alive[pod].stage != "Ready" or ready > wanted:
                self._drop_pod(pod)
                del alive[pod]
        for pod in sorted(new, key=lambda one: self._deletion_rank(one, alive[one]))[: max(0, len(new) - wanted)]:
            for told in self.on_scaled_away:
                told(pod, name)
            self._drop_pod(pod)
            del alive[pod]
        self._report(obj, alive, template)

    def _deletion_rank(self, name: str, pod: PodState) -> tuple[bool, bool, int, float]:
        """As the ReplicaSet controller ranks pods: without a node, not ready, cheap, young first."""
        annotations = self.stores[Kind.POD][name]["metadata"].get("annotations", {})
        cost = int(annotations.get(DELETION_COST_ANNOTATION, "0"))
        return pod.stage != "Pending", pod.stage == "Ready", cost, -pod.born.timestamp()

    def _report(self, obj: JsonObject, alive: Mapping[str, PodState], template: str) -> None:
        counts = {
            "replicas": len(alive),
            "updatedReplicas": sum(pod.template == template for pod in alive.values()),
            "readyReplicas": sum(pod.stage == "Ready" for pod in alive.values()),
        }
        status = {key: count for key, count in counts.items() if count}
        status["observedGeneration"] = obj["metadata"]["generation"]
        self.put(Kind.DEPLOYMENT, obj["metadata"]["name"], {**obj, "status": status})

    def _start_pod(self, deployment: JsonObject, template: str) -> str:
        self._names += 1
        name = f"{deployment['metadata']['name']}-{self._names}"
        container = deployment["spec"]["template"]["spec"]["initContainers"][0]
        digest = json.loads(container["env"][0]["value"])["digest"]
        behaviour = self.behaviours.get(digest, Behaviour.GOOD)
        state = PodState(deployment["metadata"]["name"], template, behaviour, born=self.now, since=self.now)
        self.pods[name] = state
        metadata = {
            "name": name,
            "namespace": NAMESPACE,
            "uid": name,
            "labels": {**deployment["spec"]["template"]["metadata"]["labels"], "pod-template-hash": template[:10]},
            "creationTimestamp": rfc3339(self.now),
        }
        self.put(Kind.POD, name, {"metadata": metadata, "status": _pod_status(state)})
        return name

    def _run_kubelet(self) -> None:
        for name, pod in list(self.pods.items()):
            if (Kind.POD, name) in self._leaving or pod.stage == "Ready":
                continue
            slow = _SLOW if pod.behaviour is Behaviour.SLOW and pod.stage == "Fetching" else 1
            if self.now - pod.since < _STAGE_TIME[pod.stage] * slow:
                continue
            pod.stage, pod.since = _next_stage(pod), self.now
            pod.restarts += pod.stage == "Crashed"
            self.put(Kind.POD, name, {**self.stores[Kind.POD][name], "status": _pod_status(pod)})


def _next_stage(pod: PodState) -> str:
    match pod.stage, pod.behaviour:
        case "Pending", Behaviour.NO_CAPACITY:
            return "Pending"
        case "Fetching", Behaviour.NOT_FOUND:
            return "Crashed"
        case "Loading", Behaviour.CRASHES:
            return "Crashed"
        case "Crashed", _:
            return "Fetching" if pod.behaviour is Behaviour.NOT_FOUND else "Loading"
        case stage, _:
            return _NEXT_STAGE[stage]


def _pod_status(pod: PodState) -> JsonObject:
    """A pod's status as the kubelet reports it at this stage."""
    if pod.stage == "Pending":
        short = pod.behaviour is Behaviour.NO_CAPACITY
        reason = {"reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."} if short else {}
        return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", **reason}]}
    ready = pod.stage == "Ready"
    return {
        "phase": "Running" if ready else "Pending",
        "podIP": "10.1.0.7",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": rfc3339(pod.born)},
            {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": rfc3339(pod.since)},
        ],
        "initContainerStatuses": [_fetch_status(pod)],
        "containerStatuses": [_triton_status(pod)],
    }


def _fetch_status(pod: PodState) -> JsonObject:
    if pod.behaviour is Behaviour.NOT_FOUND and (pod.stage == "Crashed" or pod.restarts):
        told = {"kind": "Invalid", "reason": "NotFound", "message": "models/digits does not exist (HTTP 404)"}
        ended = {"terminated": {"exitCode": 2, "reason": "Error", "message": json.dumps(told)}}
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
        state = waiting if pod.stage == "Crashed" else {"running": {"startedAt": rfc3339(pod.since)}}
        return {"name": "fetch", "ready": False, "restartCount": pod.restarts, "state": state, "lastState": ended}
    if pod.stage == "Fetching":
        return {"name": "fetch", "ready": False, "state": {"running": {"startedAt": rfc3339(pod.since)}}}
    ended = {"exitCode": 0, "reason": "Completed", "message": '{"kind":"Fetched","bytes":1000}'}
    return {"name": "fetch", "ready": True, "state": {"terminated": {**ended, "finishedAt": rfc3339(pod.born)}}}


def _triton_status(pod: PodState) -> JsonObject:
    crashed = pod.behaviour is Behaviour.CRASHES and pod.restarts
    last = {"terminated": {"exitCode": 1, "reason": "Error"}} if crashed else {}
    if pod.stage in ("Loading", "Ready"):
        state: JsonObject = {"running": {"startedAt": rfc3339(pod.since)}}
    else:
        state = {"waiting": {"reason": "CrashLoopBackOff" if crashed else "PodInitializing"}}
    return {
        "name": "triton",
        "ready": pod.stage == "Ready",
        "restartCount": pod.restarts if crashed else 0,
        "state": state,
        "lastState": last,
    }


def _owner_entry(manager: str) -> JsonObject:
    return {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}


def _content(obj: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in ("resourceVersion", "generation")}
    return {**obj, "metadata": metadata}


def _merged(kind: Kind, have: JsonObject, want: Mapping[str, Any], manager: str) -> JsonObject:
    """Server-side apply of `want` by `manager`, who alone owns everything in our children but replicas."""
    metadata = dict(have["metadata"])
    if kind is Kind.POD:
        metadata["annotations"] = dict(want["metadata"]["annotations"])  # nobody else annotates pods here
        return {**have, "metadata": metadata}
    spec = {**have["spec"], **want["spec"]} if "spec" in want else None
    if "annotations" in want["metadata"]:
        ours = {key: value for key, value in metadata.get("annotations", {}).items() if "plimsoll.dev/" not in key}
        metadata["annotations"] = {**ours, **want["metadata"]["annotations"]}
        metadata["labels"] = {**metadata.get("labels", {}), **want["metadata"]["labels"]}
    if kind is Kind.DEPLOYMENT and spec is not None:
        owners = [entry for entry in metadata.get("managedFields", []) if entry["manager"] != manager]
        if "replicas" in want["spec"]:
            changed = have["spec"]["replicas"] != want["spec"]["replicas"]
            metadata["managedFields"] = [*([] if changed else owners), _owner_entry(manager)]
        else:
            # A field that its only owner no longer states falls back to the default.
            released = len(owners) < len(metadata.get("managedFields", [])) and not owners
            spec["replicas"] = 1 if released else have["spec"]["replicas"]
            metadata["managedFields"] = owners
    content = {"spec": spec} if spec is not None else {}
    if kind is Kind.CONFIG_MAP:
        content = {"data": want.get("data", {})}
    return {**have, "metadata": metadata, **content}


@dataclass
class View:
    """What a controller's caches hold: each kind as of some moment of its own, and never older than own writes."""

    cluster: ModelCluster
    position: dict[Kind, int] = field(default_factory=dict)
    objects: dict[Kind, dict[str, JsonObject]] = field(default_factory=lambda: {kind: {} for kind in Kind})
    unseen_deletions: dict[Kind, int] = field(default_factory=dict)

    def catch_up(self, kind: Kind, position: int) -> None:
        """Takes in what the watch of a kind told up to a position in its log."""
        log = self.cluster.log[kind]
        store = self.objects[kind]
        for change in log[self.position.get(kind, 0) : position]:
            known = store.get(change.name)
            if known is not None and int(known["metadata"]["resourceVersion"]) >= change.version:
                continue
            if change.obj is None:
                store.pop(change.name, None)
            else:
                store[change.name] = change.obj
        self.position[kind] = max(position, self.position.get(kind, 0))

    def lag(self, kind: Kind) -> int:
        return len(self.cluster.log[kind]) - self.position.get(kind, 0)

    def wrote(self, kind: Kind, obj: JsonObject) -> None:
        """What a write returned enters the cache at once."""
        self.objects[kind][obj["metadata"]["name"]] = obj

    def deleted(self, kind: Kind) -> None:
        """A deletion is awaited: until it is seen, nothing is decided."""
        self.unseen_deletions[kind] = len(self.cluster.log[kind])

    @property
    def behind(self) -> bool:
        return any(self.position.get(kind, 0) < position for kind, position in self.unseen_deletions.items())

    def refresh(self) -> None:
        for kind in Kind:
            self.catch_up(kind, len(self.cluster.log[kind]))
