"""Chaos behind gateways: they hear late, are cut off, restart, and are gone past and come back to."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.sim.simulation import DRAIN, Simulation, Watchman
from tests.support.model_cluster import JsonObject, Kind

from plimsoll.api.base import parse_duration
from plimsoll.core.actions import Action, Delete
from plimsoll.core.drain.scale_down import UNHEARD
from plimsoll.core.names import COMPONENT_LABEL, SCALE_MANAGER
from plimsoll.core.world import Gateways

TRAFFIC = ("Normal", "Normal", "Normal", "Direct", "StableOnly")
_LONGEST = parse_duration(DRAIN)


@dataclass
class ModelGateway:
    """Follows status by the rules of a gateway: never an older epoch of the same object, never nothing for something.

    Attributes:
        draining: Pods that get no new request.
        named: Revisions that it may send requests to.
        seen: Services of which it has seen a slice.
        acknowledged: Newest epoch that it followed when it had seen one of each revision.
        in_flight: Requests that pods have yet to answer.
        hung: Pods whose requests never end.
        cut_off: It hears nothing of the API server, and serves on.
    """

    uid: str = ""
    epoch: int = 0
    stable: str | None = None
    draining: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    seen: set[str] = field(default_factory=set)
    acknowledged: int = 0
    in_flight: Counter[str] = field(default_factory=Counter)
    hung: set[str] = field(default_factory=set)
    cut_off: bool = False

    def hears(self, obj: JsonObject | None) -> None:
        if self.cut_off:
            return
        if obj is None:
            self._forgets("")
            return
        routing = (obj.get("status") or {}).get("routing")
        uid = obj["metadata"]["uid"]
        if uid != self.uid:
            self._forgets(uid)
        if routing and routing["epoch"] > self.epoch:
            self.epoch = routing["epoch"]
            self.stable = next((r["name"] for r in routing["revisions"] if r["weightPermille"]), None)
            self.draining = frozenset(pod for r in routing["revisions"] for pod in r.get("draining", ()))
            self.named = frozenset(r["name"] for r in routing["revisions"])
        self._acknowledges()

    def hears_slices(self, services: Iterable[str]) -> None:
        """Slices come on a watch of their own, before what status says or after."""
        if not self.cut_off:
            self.seen |= set(services)
            self._acknowledges()

    def _acknowledges(self) -> None:
        if self.named <= self.seen:
            self.acknowledged = self.epoch

    def _forgets(self, uid: str) -> None:
        self.uid, self.epoch, self.acknowledged = uid, 0, 0
        self.stable, self.draining, self.named = None, frozenset(), frozenset()

    def serves(self, ready: list[str], dice: random.Random) -> None:
        """Some requests end, some pods take new ones; what a pod held that is gone is gone."""
        for pod in list(self.in_flight):
            if pod not in ready or (pod not in self.hung and dice.random() < 0.6):
                del self.in_flight[pod]
        for pod in ready:
            if pod not in self.draining and dice.random() < 0.4:
                self.in_flight[pod] += 1

    def reports(self) -> dict[str, int]:
        return {pod: self.in_flight[pod] for pod in self.draining}


@dataclass
class RoutedWatchman(Watchman):
    """Looks at what users reach: through the Service, and where that leads to gateways, through each of them."""

    gateways: list[ModelGateway] = field(default_factory=list)
    calm: bool = False
    """Every gateway hears at once."""
    named_at: dict[str, datetime] = field(default_factory=dict)
    """Since when status names a pod as draining, by the controller's clock."""
    unsure: bool = False
    """Since time last passed somebody acted who knows nothing of what the controller did, or requests went past
    gateways for a moment: what Kubernetes does about that is none of this controller's doing behind gateways."""
    led_there: bool = False
    """The Service led to gateways when it was last looked at."""
    excused_losses: bool = False
    drained: int = 0
    """Pods that went for fewer replicas as they should."""

    def scaled_away(self, pod: str, revision: str) -> None:
        """Checks a pod that is about to be deleted because there are too many."""
        deployment = self.cluster.stores[Kind.DEPLOYMENT][revision]
        managers = [entry["manager"] for entry in deployment["metadata"].get("managedFields", ())]
        if self.excused_losses or managers != [SCALE_MANAGER] or not self._through() or self._rolls(revision):
            return
        waited = self.controller.now() - self.named_at.get(pod, self.controller.now())
        ready = pod in self.cluster.ready_pods(revision)
        sends = ready and any(each.stable == revision and pod not in each.draining for each in self.gateways)
        assert not sends or waited >= _LONGEST + UNHEARD, f"{pod} was deleted while a gateway may send there"
        held = sum(each.in_flight[pod] for each in self.gateways)
        assert not held or waited >= _LONGEST, f"{pod} was deleted with {held} requests after {waited}"
        self.drained += ready

    def _check_hand_over(self) -> None:
        """Requests come to gateways, who sent none before: each knows where the pods are."""
        before, self.led_there = self.led_there, self._through()
        if self.led_there and not before:
            blind = [gateway.stable for gateway in self.gateways if not gateway.named <= gateway.seen]
            assert not blind, f"the Service leads to gateways that know no pod of {blind}"

    def _rolls(self, revision: str) -> bool:
        pods = [pod for pod in self.cluster.pods.values() if pod.deployment == revision]
        return len({pod.template for pod in pods}) > 1

    def _through(self) -> bool:
        service = self.cluster.get(Kind.SERVICE, self.name)
        return service is not None and COMPONENT_LABEL in service["spec"]["selector"]

    def forget_times(self) -> None:
        """The controller's clock was set: how long it waits across that nobody can tell."""
        self.named_at = dict.fromkeys(self.named_at, datetime.min.replace(tzinfo=UTC))

    def _note_names(self) -> None:
        obj = self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name)
        routing = ((obj or {}).get("status") or {}).get("routing") or {"revisions": ()}
        names = {pod for revision in routing["revisions"] for pod in revision.get("draining", ())}
        now = self.controller.now()
        self.named_at = {pod: self.named_at.get(pod, now) for pod in names}

    def reached(self) -> Iterator[str | None]:
        if self._through():
            yield from (gateway.stable for gateway in self.gateways)
        else:
            yield self.cluster.selected(self.name)

    def after(self, action: Action | None) -> None:
        if self.calm:
            for gateway in self.gateways:
                gateway.hears(self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name))
                gateway.hears_slices(self.cluster.stores[Kind.SERVICE])
        self._check_hand_over()
        self._note_stop(action)
        self._note_names()
        self.unsure |= not self._through()
        self._excuse()
        reached = set(self.reached())
        served = all(self.cluster.ready_pods(revision) for revision in reached)
        self._settle_excuse(served=served and reached == {self._stable()})
        assert self.excused or served, f"users of {reached} get no answer"
        if isinstance(action, Delete) and action.kind == "Deployment":
            assert self.excused or action.name not in reached, f"{action.name} was deleted while a gateway sends there"

    def _stable(self) -> str | None:
        obj = self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name)
        return ((obj or {}).get("status") or {}).get("stable")

    def _excuse(self) -> None:
        obj = self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name)
        uid = obj["metadata"]["uid"] if obj else ""
        if uid != self.uid:
            self.uid, self.excused = uid, True


@dataclass
class RoutedSimulation(Simulation):
    """A simulation in whose namespace there are gateways."""

    traffic: str = "Normal"
    watchman: RoutedWatchman = field(init=False)
    gateways: list[ModelGateway] = field(default_factory=lambda: [ModelGateway(), ModelGateway()])
    told: int = 0
    """The oldest epoch that all of them had when the controller last heard of them."""
    in_flight: dict[str, int] = field(default_factory=dict)
    """What all of them said of draining pods then."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.controller.gateways = self._heard_of
        self.watchman = RoutedWatchman(self.controller, gateways=self.gateways)
        self.cluster.on_scaled_away.append(self.watchman.scaled_away)

    def _heard_of(self) -> Gateways:
        """Acknowledgements come late: now and then they are what they were."""
        if not self.crashes or self.dice.random() < 0.7:
            self.told = min(gateway.acknowledged for gateway in self.gateways)
            reports = [gateway.reports() for gateway in self.gateways]
            known = set.intersection(*map(set, reports))
            self.in_flight = {pod: sum(report[pod] for report in reports) for pod in known}
        newest = max(gateway.acknowledged for gateway in self.gateways)
        return Gateways(len(self.gateways), self.told, newest, in_flight=self.in_flight)

    def _spec(self) -> JsonObject:
        return {**super()._spec(), "traffic": self.traffic}

    def _check_mark_before_move(self, action: Action) -> None:
        """Behind gateways status moves the requests, not the Service."""

    def _step(self) -> None:
        for gateway in self.gateways:
            if self.dice.random() < 0.6:
                gateway.hears(self.cluster.get(Kind.MODEL_DEPLOYMENT, "digits"))
            if self.dice.random() < 0.6:
                gateway.hears_slices(self.cluster.stores[Kind.SERVICE])
            gateway.serves(self.cluster.ready_pods(gateway.stable), self.dice)
        self.watchman.excused_losses, self.watchman.unsure = self.watchman.unsure, False
        super()._step()

    def _another_leader_acts(self) -> None:
        super()._another_leader_acts()
        self.watchman.unsure = True

    def _clock_jumps(self) -> None:
        super()._clock_jumps()
        self.watchman.forget_times()

    def _acts(self) -> list[Callable[[], None]]:
        return [
            *super()._acts(),
            self._user_redirects,
            self._gateway_is_cut_off,
            self._gateway_is_connected,
            self._gateway_restarts,
            self._status_is_restored,
        ]

    def _user_redirects(self) -> None:
        self.traffic = self.dice.choice(TRAFFIC)
        self._apply()

    def _gateway_is_cut_off(self) -> None:
        self.dice.choice(self.gateways).cut_off = True

    def _gateway_is_connected(self) -> None:
        for gateway in self.gateways:
            gateway.cut_off = False

    def _gateway_restarts(self) -> None:
        """The new process is ready when it has listed; it knows what status says, be that nothing."""
        obj = self.cluster.get(Kind.MODEL_DEPLOYMENT, "digits")
        fresh = ModelGateway()
        fresh.hears(obj)
        fresh.hears_slices(self.cluster.stores[Kind.SERVICE])
        if fresh.stable is None:
            self.watchman.excused = True
        self.told = min(self.told, fresh.acknowledged)
        self.gateways[self.dice.randrange(len(self.gateways))] = fresh

    def _status_is_restored(self) -> None:
        """From a backup of any age."""
        log = [change.obj for change in self.cluster.log[Kind.MODEL_DEPLOYMENT] if change.obj]
        obj = self.cluster.get(Kind.MODEL_DEPLOYMENT, "digits")
        if obj and log:
            self.cluster.put(Kind.MODEL_DEPLOYMENT, "digits", {**obj, "status": self.dice.choice(log).get("status")})
            self.watchman.excused = True  # it may name a revision that has gone since

    def settle(self) -> None:
        self.traffic = self.dice.choice(("Normal", "Direct"))
        self._gateway_is_connected()
        self._apply()
        self.watchman.calm = True
        self.watchman.forget_times()
        for gateway in self.gateways:
            gateway.in_flight.clear()
        super().settle()

    def _reached(self) -> str | None:
        return next(iter(self.watchman.reached()))

    def check_settled(self) -> None:
        """As without gateways; and requests go where the spec wants them."""
        through = COMPONENT_LABEL in self.cluster.stores[Kind.SERVICE]["digits"]["spec"]["selector"]
        status = self.cluster.stores[Kind.MODEL_DEPLOYMENT]["digits"]["status"]
        assert through <= (self.traffic == "Normal")
        assert through or self.traffic == "Direct" or not status.get("stable")
        assert {gateway.epoch for gateway in self.gateways} == {status["routing"]["epoch"]}
        if through:
            (stable,) = {gateway.stable for gateway in self.gateways}
            assert stable == (status.get("stable") or status["candidate"])
            assert self.cluster.ready_pods(stable) or "stable" not in status or self.watchman.excused
            self._check_nothing_drains(status)
        super().check_settled()

    def _check_nothing_drains(self, status: JsonObject) -> None:
        assert not any(revision.get("draining") for revision in status["routing"]["revisions"])
        for name, deployment in self.cluster.stores[Kind.DEPLOYMENT].items():
            pods = [pod for pod, state in self.cluster.pods.items() if state.deployment == name]
            assert len(pods) == deployment["spec"]["replicas"], f"{name} has {pods}"
            for pod in pods:
                assert not self.cluster.stores[Kind.POD][pod]["metadata"].get("annotations"), f"{pod} is marked"


@dataclass
class ScalingSimulation(RoutedSimulation):
    """One good model whose replicas change all the time, so that pods drain whatever else happens."""

    def _acts(self) -> list[Callable[[], None]]:
        return [
            *[self._user_scales] * 8,
            self._user_moves,
            self._user_redirects,
            self._pod_dies,
            self._another_leader_acts,
            self._controller_is_upgraded,
            self._clock_jumps,
            self._status_is_lost,
            self._status_is_restored,
            self._gateway_is_cut_off,
            *[self._gateway_is_connected] * 2,
            self._gateway_restarts,
            self._autoscaler_scales,
        ]

    def _user_edits(self) -> None:
        """The model stays."""
        self._apply()

    def _user_scales(self) -> None:
        self.replicas = self.dice.choice((1, 2, 3, 4, 5))
        self._apply()
