"""One life of a ModelDeployment under chaos, and what must hold after each of its steps."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.sim.model_controller import Crash, ModelController
from tests.support.builders import digest, wire_spec
from tests.support.model_cluster import NAMESPACE, Behaviour, JsonObject, Kind, ModelCluster, View

from plimsoll.api.base import parse_duration
from plimsoll.core.actions import Action, Apply, Delete, Scale
from plimsoll.core.names import RETIRED_AT_ANNOTATION
from plimsoll.core.plan import plan

MODELS = {
    "a": Behaviour.GOOD,
    "b": Behaviour.GOOD,
    "c": Behaviour.SLOW,
    "d": Behaviour.NOT_FOUND,
    "e": Behaviour.CRASHES,
    "f": Behaviour.NO_CAPACITY,
}
DRAIN = "20s"
STEP_S = (0.0, 0.5, 1.0, 3.0, 8.0, 40.0)
MAX_LAG = timedelta(seconds=8)
"""Watches are milliseconds behind; the drain is what bounds how late they may be."""


def cluster() -> ModelCluster:
    return ModelCluster(behaviours={digest(model): behaviour for model, behaviour in MODELS.items()})


@dataclass
class Watchman:
    """Looks at the cluster, never at the controller's mind, and says what users would notice.

    Attributes:
        excused: The model's pods were killed, it was scaled to zero, or its Service was taken away by the script: being
            without a ready pod is then nobody's fault, until it serves again and whoever decides has heard of it.
        uid: The ModelDeployment that is watched; another one of the same name has to begin anew.
        stopped: Deployments that were scaled to zero by one who believed, at times too late, that nothing is to run.
        left_at: When the Service moved away from a revision that served, by the controller's clock.
    """

    controller: ModelController
    name: str = "digits"
    excused: bool = True
    uid: str = ""
    selected: str | None = None
    stopped: set[str] = field(default_factory=set)
    left_at: dict[str, datetime] = field(default_factory=dict)

    @property
    def cluster(self) -> ModelCluster:
        return self.controller.cluster

    def after(self, action: Action | None) -> None:
        """Checks after a write (`action`) or after time has passed (None)."""
        self._note_stop(action)
        self._check_service()
        if isinstance(action, Delete) and action.kind == "Deployment":
            self._check_drained(action)

    def _check_service(self) -> None:
        selected = self.cluster.selected(self.name)
        if selected != self.selected:
            if self.selected is not None and self._known_to_serve(self.selected) and not self.excused:
                self.left_at[self.selected] = self.controller.now()
            self.selected = selected
        obj = self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name)
        uid = obj["metadata"]["uid"] if obj else ""
        if uid != self.uid:
            self.uid, self.excused = uid, True
        self._settle_excuse(served=bool(self.cluster.ready_pods(selected)))
        assert self.excused or self.cluster.ready_pods(selected), f"users of {selected} get no answer"

    def _known_to_serve(self, revision: str) -> bool:
        """It has ready pods, and whoever decides has heard of them: what comes up in that second is not missed."""
        known = self.controller.view.objects[Kind.DEPLOYMENT].get(revision, {}).get("status", {})
        return bool(known.get("readyReplicas") and self.cluster.ready_pods(revision))

    def _settle_excuse(self, *, served: bool) -> None:
        """An excuse lasts until users are served again and whoever decides has heard of what gave it."""
        if self._zero_wanted():
            self.excused = True
        elif served and self._said_to_serve():
            self.excused = self._believed_alive()

    def _zero_wanted(self) -> bool:
        """Nothing is to run, or whoever decides still believes so, or what followed from that has not been undone."""
        believed = self.controller.view.objects[Kind.MODEL_DEPLOYMENT].get(self.name)
        wanted = (self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name), believed)
        return bool(self.stopped) or any(obj["spec"].get("replicas") == 0 for obj in wanted if obj)

    def _note_stop(self, action: Action | None) -> None:
        if isinstance(action, Scale) and self._zero_wanted():
            self.stopped.add(action.manifest["metadata"]["name"])
        running = self.cluster.stores[Kind.DEPLOYMENT]
        self.stopped = {name for name in self.stopped if name in running and not running[name]["spec"]["replicas"]}

    def _believed_alive(self) -> bool:
        """Whoever decides counts on a pod that is dead."""
        return any(
            obj.get("status", {}).get("readyReplicas", 0) > len(self.cluster.ready_pods(name))
            for name, obj in self.controller.view.objects[Kind.DEPLOYMENT].items()
        )

    def _said_to_serve(self) -> bool:
        """A revision that is replaced in the second in which it comes up was never known to serve."""
        obj = self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name)
        conditions = ((obj or {}).get("status") or {}).get("conditions", ())
        return any(condition["type"] == "Serving" and condition["status"] == "True" for condition in conditions)

    def _check_drained(self, action: Delete) -> None:
        assert self.excused or action.name != self.selected, f"{action.name} was deleted while it serves"
        if action.name in self.left_at:
            drained = self.controller.now() - self.left_at[action.name]
            assert drained >= parse_duration(DRAIN), f"{action.name} drained for {drained} only"


@dataclass
class Simulation:
    """A seeded script of users, failures and a controller that may die at any write."""

    seed: int
    crashes: bool = True
    dice: random.Random = field(init=False)
    controller: ModelController = field(init=False)
    watchman: Watchman = field(init=False)
    steps: int = 0
    model: str = "a"
    replicas: int = 1
    node: str | None = None
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - reproducible on purpose
        self.controller = ModelController(cluster(), before_write=self._before_write, after_write=self._after_write)
        self.watchman = Watchman(self.controller)

    @property
    def cluster(self) -> ModelCluster:
        return self.controller.cluster

    def run(self, steps: int) -> None:
        """Lives through `steps` random steps, then lets things settle, then deletes everything."""
        self._user_edits()
        for _ in range(steps):
            self._step()
        self.settle()
        self.check_settled()
        self.check_deletion()

    def _before_write(self, _action: Action) -> None:
        if self.crashes and self.dice.random() < 0.04:
            raise Crash

    def _after_write(self, action: Action) -> None:
        self.watchman.after(action)
        self._check_mark_before_move(action)

    def _check_mark_before_move(self, action: Action) -> None:
        """When the Service moves, the one it leaves is marked: a crash right here must not cost its drain."""
        if not (isinstance(action, Apply) and action.kind == "Service"):
            return
        name = action.manifest["metadata"]["name"]
        if name != "digits":
            return
        for left in self.watchman.left_at:
            deployment = self.cluster.get(Kind.DEPLOYMENT, left)
            wanted = self.cluster.selected("digits")
            if deployment and left != wanted and self.watchman.left_at[left] == self.controller.now():
                annotations = deployment["metadata"]["annotations"]
                assert RETIRED_AT_ANNOTATION in annotations, f"{left} was left without a mark"

    def _step(self) -> None:
        self.steps += 1
        self.cluster.tick(self.dice.choice(STEP_S))
        self.watchman.after(None)
        if self.dice.random() < 0.15:
            self._chaos()
        self._hear_some()
        if self.dice.random() < 0.8:
            self._turn()
        self.watchman.after(None)

    def _turn(self) -> None:
        try:
            self.controller.turn()
        except Crash:
            self.history.append("crash")
            self.controller.restart()

    def _hear_some(self, view: View | None = None) -> None:
        """Each kind's watch delivers some of what it has: late, but never later than MAX_LAG."""
        view = view or self.controller.view
        for kind in Kind:
            log = self.cluster.log[kind]
            due = view.position.get(kind, 0)
            while due < len(log) and log[due].at <= self.cluster.now - MAX_LAG:
                due += 1
            view.catch_up(kind, self.dice.randint(due, len(log)))

    def _chaos(self) -> None:
        act = self.dice.choice(self._acts())
        self.history.append(act.__name__)
        act()
        self.watchman.after(None)

    def _acts(self) -> list[Callable[[], None]]:
        return [
            self._user_edits,
            self._user_edits,
            self._user_edits,
            self._user_scales,
            self._user_moves,
            self._pod_dies,
            self._sidecar_annotates,
            self._child_is_deleted,
            self._child_is_edited,
            self._clock_jumps,
            self._controller_is_upgraded,
            self._status_is_lost,
            self._another_leader_acts,
            self._autoscaler_scales,
        ]

    def _spec(self) -> JsonObject:
        runtime: dict[str, Any] = {"drain": DRAIN}
        if self.node:
            runtime["pod"] = {"nodeSelector": {"pool": self.node}}
        return wire_spec(self.model, replicas=self.replicas, runtime=runtime)

    def _apply(self) -> None:
        self.cluster.user_applies("digits", self._spec())

    def _user_edits(self) -> None:
        self.model = self.dice.choice(list(MODELS))
        self._apply()

    def _user_scales(self) -> None:
        self.replicas = self.dice.choice((0, 1, 1, 2, 3))
        self._apply()

    def _user_moves(self) -> None:
        self.node = self.dice.choice((None, "cpu", "gpu"))
        self._apply()

    def _pod_dies(self) -> None:
        if self.cluster.pods:
            self.cluster.wounds(self.dice.choice(list(self.cluster.pods)))
            self.watchman.excused = True

    def _sidecar_annotates(self) -> None:
        kind = self.dice.choice((Kind.DEPLOYMENT, Kind.SERVICE))
        if self.cluster.stores[kind]:
            self.cluster.injects(kind, self.dice.choice(list(self.cluster.stores[kind])), "mesh.example.com/injected")

    def _child_is_deleted(self) -> None:
        kind = self.dice.choice((Kind.DEPLOYMENT, Kind.SERVICE))
        if self.cluster.stores[kind]:
            self.cluster.delete(kind, self.dice.choice(list(self.cluster.stores[kind])))
            self.watchman.excused = True

    def _child_is_edited(self) -> None:
        """Somebody edits a field that is ours."""
        for name, obj in self.cluster.stores[Kind.DEPLOYMENT].items():
            spec = {**obj["spec"], "progressDeadlineSeconds": 5, "replicas": self.dice.choice((1, 2, 4))}
            entry = {
                "manager": "kubectl-edit",
                "operation": "Update",
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            }
            metadata = obj["metadata"]
            if spec["replicas"] != obj["spec"]["replicas"]:
                metadata = {**metadata, "managedFields": [entry]}
            self.cluster.put(Kind.DEPLOYMENT, name, {**obj, "metadata": metadata, "spec": spec})
            return

    def _clock_jumps(self) -> None:
        self.controller.clock_offset = timedelta(seconds=self.dice.choice((0, -120, 5)))
        self.watchman.left_at.clear()  # nobody can tell how long a drain across a jump was

    def _controller_is_upgraded(self) -> None:
        self.controller.restart()

    def _status_is_lost(self) -> None:
        if self.cluster.get(Kind.MODEL_DEPLOYMENT, "digits"):
            self.cluster.loses_status("digits")

    def _another_leader_acts(self) -> None:
        """Its watches are late and it knows nothing of what the leader wrote."""
        other = ModelController(self.cluster, after_write=self._after_write, jobs=self.controller.jobs)
        other.clock_offset = self.controller.clock_offset
        other.gateways = self.controller.gateways
        other.view = View(self.cluster)
        self._hear_some(other.view)
        self._watch(other)
        other.turn()
        self._watch(self.controller)

    def _watch(self, controller: ModelController) -> None:
        self.watchman.controller = controller

    def _autoscaler_scales(self) -> None:
        if self.cluster.stores[Kind.DEPLOYMENT]:
            name = self.dice.choice(list(self.cluster.stores[Kind.DEPLOYMENT]))
            self.cluster.autoscaler_scales(name, self.dice.choice((1, 2, 4)))

    # The end

    def settle(self) -> None:
        """Everybody leaves it alone until nothing changes any more, deadlines included."""
        self.crashes = False
        self.controller.clock_offset = timedelta(0)
        quiet = 0
        while quiet < 30 or self.cluster.stores[Kind.JOB]:
            self.steps += 1
            before = self.cluster.writes
            self.cluster.tick(30)
            self.controller.view.refresh()
            self.controller.turn()
            self.watchman.after(None)
            quiet = quiet + 1 if self.cluster.writes == before else 0
            assert self.steps < 5000, "it never settles"

    def check_settled(self) -> None:
        """Nothing is left to write; users have the newest good spec, or the old one and a reason."""
        observed = self.controller.observe()
        assert observed is not None
        assert plan(observed, self.controller.now()).actions == ()
        status = observed.object.status
        assert status is not None
        conditions = {condition.type: condition for condition in status.conditions or ()}
        target = self.cluster.stores[Kind.DEPLOYMENT][status.candidate or status.stable or ""]
        good = self._is_good(target)
        assert status.observed_generation == observed.object.metadata.generation
        assert conditions["Ready"].status == ("True" if good else "False"), conditions
        assert conditions["Stalled"].status == ("False" if good else "True"), conditions
        assert conditions["Reconciling"].status == "False"
        served = bool(self.cluster.ready_pods(self._reached()))
        assert conditions["Serving"].status == ("True" if served else "False")
        assert set(self.cluster.stores[Kind.DEPLOYMENT]) == {status.stable, status.candidate} - {None}
        services = {"digits", status.stable, status.candidate} - {None}
        assert set(self.cluster.stores[Kind.SERVICE]) == services
        used = len({status.stable, status.candidate} - {None})
        assert len(self.cluster.stores[Kind.CONTROLLER_REVISION]) <= used + self.controller.defaults.history_limit
        for obj in self.cluster.stores[Kind.DEPLOYMENT].values():
            assert RETIRED_AT_ANNOTATION not in obj["metadata"]["annotations"]

    def _reached(self) -> str | None:
        return self.cluster.selected("digits")

    def _is_good(self, target: JsonObject) -> bool:
        return MODELS[self.model] in (Behaviour.GOOD, Behaviour.SLOW) or target["spec"]["replicas"] == 0

    def check_deletion(self) -> None:
        self.cluster.delete(Kind.MODEL_DEPLOYMENT, "digits")
        for _ in range(10):
            self.cluster.tick(10)
            self.controller.view.refresh()
            assert self.controller.turn() == 0
        left = {kind: sorted(store) for kind, store in self.cluster.stores.items() if store}
        assert not left, f"left behind in {NAMESPACE}: {left}"
