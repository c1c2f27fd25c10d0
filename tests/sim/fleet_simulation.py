"""One namespace's gateways over hours of virtual time: the fake API server's verbs without HTTP, a Deployment
controller in miniature, and a controller that observes, plans and applies, with a crash before any write.

The verbs are those of the fake, so that who owns replicas, marks and objects is decided by server-side apply.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support.fakeapi.cluster import Cluster, Target
from tests.support.fleets import NOW, SETTINGS, VISION, step

from plimsoll.controller.fleet_projection import project_companion, project_fleet_deployment
from plimsoll.controller.writer import RESOURCES
from plimsoll.core.actions import Apply, ChildKind, Create, Delete, Mark, Scale
from plimsoll.core.fleet.observed import Companion, FleetSettings, ModelHere, ObservedFleet, Upgrades
from plimsoll.core.fleet.plan import FleetAction, plan_fleet
from plimsoll.core.fleet.state import FleetState, fleet_state
from plimsoll.core.names import FIELD_MANAGER, GATEWAY_NAME, MARK_MANAGER, MODELS_POLICY_NAME, SCALE_MANAGER
from plimsoll.kube.resources import DEPLOYMENTS, JsonObject, Resource

COMPANIONS = (
    *((kind, GATEWAY_NAME) for kind in (ChildKind.SERVICE_ACCOUNT, ChildKind.ROLE_BINDING, ChildKind.CONFIG_MAP)),
    *((kind, GATEWAY_NAME) for kind in (ChildKind.POD_DISRUPTION_BUDGET, ChildKind.NETWORK_POLICY)),
    (ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME),
)
_MANAGERS = {Scale: SCALE_MANAGER, Mark: MARK_MANAGER}


class Crash(Exception):  # noqa: N818 - reads as the event it is
    """The process is gone; what it had not written never happened."""


@dataclass
class FleetSimulation:
    """A namespace, its gateways and the controller.

    Attributes:
        settings: What the chart says; users change it.
        models: ModelDeployments that exist; users change them.
        behind: Those whose Service leads to the gateways.
        now: Virtual time.
        upgrades: What the fleets of other namespaces are at.
        before_write: Called before each write; raises `Crash` to end the process there.
        written: Every write, as `step` spells it.
    """

    settings: FleetSettings = SETTINGS
    models: tuple[ModelHere, ...] = ()
    behind: dict[str, datetime] = field(default_factory=dict)
    now: datetime = NOW
    before_write: Callable[[FleetAction], None] = lambda _: None
    upgrades: Upgrades = field(default_factory=Upgrades)
    written: list[str] = field(default_factory=list)
    cluster: Cluster = field(default_factory=Cluster)

    # ---- what users and Kubernetes do
    def has(self, *names: str) -> None:
        """These ModelDeployments exist, and no other."""
        self.models = tuple(ModelHere(name) for name in sorted(names))
        self.behind = {name: since for name, since in self.behind.items() if name in names}

    def leads_to_gateways(self, *names: str) -> None:
        """The Services of these do, from now on."""
        self.behind = {name: self.behind.get(name, self.now) for name in names}

    def passes(self, *, turn_s: float = 5.0, **duration: float) -> None:
        """Lets time pass; the controller has a turn every few seconds."""
        end = self.now + timedelta(**duration)
        while self.now < end:
            self.now = min(end, self.now + timedelta(seconds=turn_s))
            self._run_deployment()
            self.settle()

    def _run_deployment(self) -> None:
        """Every wanted pod of the newest template is ready a moment later, one at a time."""
        have = self.find(DEPLOYMENTS)
        if have is None:
            return
        status = have.get("status") or {}
        fresh = status.get("observedGeneration") == have["metadata"]["generation"]
        updated = status.get("updatedReplicas", 0) if fresh else 0
        wanted = have["spec"]["replicas"]
        updated = min(wanted, updated + 1)
        old = max(0, wanted - updated) if status.get("replicas") and not (fresh and updated == wanted) else 0
        said = {
            "observedGeneration": have["metadata"]["generation"],
            "replicas": updated + old,
            "updatedReplicas": updated,
            "readyReplicas": updated + old,
        }
        if said != {key: status.get(key) for key in said}:
            self.cluster.change(
                DEPLOYMENTS, VISION, GATEWAY_NAME, lambda obj: obj.update(status=said), subresource="status"
            )

    # ---- the controller
    def settle(self, most: int = 10) -> int:
        """Has turns until nothing is left to write; returns the number of writes."""
        for writes in range(most):
            if not self.turn():
                return writes
        raise AssertionError(f"it never ends: {self.written[-10:]}")

    def turn(self) -> int:
        """Observes, plans and applies once; returns the number of writes."""
        actions = plan_fleet(self.observe(), self.now).actions
        for action in actions:
            self.before_write(action)
            version = self.cluster.storage.version
            self._perform(action)
            assert self.cluster.storage.version > version, f"a write that changed nothing: {action.why}"
            self.written.append(step(action))
        return len(actions)

    def observe(self) -> ObservedFleet:
        have = self.find(DEPLOYMENTS)
        found: dict[tuple[ChildKind, str], Companion] = {}
        for kind, name in COMPANIONS:
            obj = self.find(RESOURCES[kind], name)
            if obj:
                found[kind, name] = project_companion(obj)
        return ObservedFleet(
            namespace=VISION,
            settings=self.settings,
            models=self.models if self.settings.enabled else (),
            behind=self.behind,
            deployment=project_fleet_deployment(have) if have else None,
            companions=found,
            upgrades=self.upgrades,
        )

    def _perform(self, action: FleetAction) -> None:
        if isinstance(action, Delete):
            target = self._target(RESOURCES[action.kind], action.name, FIELD_MANAGER)
            self.cluster.delete(target, {"preconditions": {"uid": action.uid}})
            return
        kind = action.kind if isinstance(action, Create | Apply) else ChildKind.DEPLOYMENT
        name = action.manifest["metadata"]["name"]
        target = self._target(RESOURCES[kind], name, _MANAGERS.get(type(action), FIELD_MANAGER))
        self.cluster.apply(target, action.manifest, force=not isinstance(action, Create))

    def _target(self, resource: Resource, name: str, manager: str) -> Target:
        return Target(self.cluster.kind(resource), VISION, name, manager=manager)

    # ---- what is there
    def find(self, resource: Resource, name: str = GATEWAY_NAME) -> JsonObject | None:
        return self.cluster.find(resource, VISION, name)

    @property
    def state(self) -> FleetState:
        return fleet_state(self.observe(), None)

    @property
    def replicas(self) -> int | None:
        have = self.find(DEPLOYMENTS)
        return int(have["spec"]["replicas"]) if have else None

    def everything(self) -> dict[str, Any]:
        """All objects of the fleet as people wrote them: equal means that two lives ended in the same place."""
        found: dict[str, Any] = {}
        for kind, name in ((ChildKind.DEPLOYMENT, GATEWAY_NAME), *COMPANIONS):
            obj = self.find(RESOURCES[kind], name)
            if obj:
                metadata = {key: obj["metadata"].get(key) for key in ("labels", "annotations")}
                rest = {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
                found[f"{kind} {name}"] = {**rest, "metadata": _without_digest(metadata)}
        return found


def _without_digest(metadata: dict[str, Any]) -> dict[str, Any]:
    """The digest covers the owner's uid, which differs from life to life."""
    annotations = metadata["annotations"] or {}
    kept = {key: value for key, value in annotations.items() if key != "plimsoll.dev/digest"}
    return {**metadata, "annotations": kept}


def crash_after(simulation: FleetSimulation, writes: int) -> bool:
    """Runs until it settles or has written that often, and then dies; whether it died."""
    left = writes

    def count(_: FleetAction) -> None:
        nonlocal left
        if left == 0:
            raise Crash
        left -= 1

    simulation.before_write = count
    try:
        simulation.settle()
    except Crash:
        return True
    finally:
        simulation.before_write = lambda _: None
    return False
