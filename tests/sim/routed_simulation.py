"""Chaos behind gateways: they hear late, are cut off, restart, and are gone past and come back to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.sim.simulation import Simulation, Watchman
from tests.support.model_cluster import JsonObject, Kind

from plimsoll.core.actions import Action, Delete
from plimsoll.core.names import COMPONENT_LABEL
from plimsoll.core.world import Gateways

TRAFFIC = ("Normal", "Normal", "Normal", "Direct", "StableOnly")


@dataclass
class ModelGateway:
    """Follows status by the rules of a gateway: never an older epoch of the same object, never nothing for something.

    Attributes:
        cut_off: It hears nothing of the API server, and serves on.
    """

    uid: str = ""
    epoch: int = 0
    stable: str | None = None
    cut_off: bool = False

    def hears(self, obj: JsonObject | None) -> None:
        if self.cut_off:
            return
        if obj is None:
            self.uid, self.epoch, self.stable = "", 0, None
            return
        routing = (obj.get("status") or {}).get("routing")
        uid = obj["metadata"]["uid"]
        if uid != self.uid:
            self.uid, self.epoch, self.stable = uid, 0, None
        if routing and routing["epoch"] > self.epoch:
            self.epoch = routing["epoch"]
            self.stable = next((r["name"] for r in routing["revisions"] if r["weightPermille"]), None)


@dataclass
class RoutedWatchman(Watchman):
    """Looks at what users reach: through the Service, and where that leads to gateways, through each of them."""

    gateways: list[ModelGateway] = field(default_factory=list)
    calm: bool = False
    """Every gateway hears at once."""

    def reached(self) -> Iterator[str | None]:
        service = self.cluster.get(Kind.SERVICE, self.name)
        if service and COMPONENT_LABEL in service["spec"]["selector"]:
            yield from (gateway.stable for gateway in self.gateways)
        else:
            yield self.cluster.selected(self.name)

    def after(self, action: Action | None) -> None:
        if self.calm:
            for gateway in self.gateways:
                gateway.hears(self.cluster.get(Kind.MODEL_DEPLOYMENT, self.name))
        self._note_stop(action)
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

    def __post_init__(self) -> None:
        super().__post_init__()
        self.controller.gateways = self._heard_of
        self.watchman = RoutedWatchman(self.controller, gateways=self.gateways)

    def _heard_of(self) -> Gateways:
        """Acknowledgements come late: now and then they are what they were."""
        if not self.crashes or self.dice.random() < 0.7:
            self.told = min(gateway.epoch for gateway in self.gateways)
        newest = max(gateway.epoch for gateway in self.gateways)
        return Gateways(ready=len(self.gateways), acknowledged=self.told, newest=newest)

    def _spec(self) -> JsonObject:
        return {**super()._spec(), "traffic": self.traffic}

    def _check_mark_before_move(self, action: Action) -> None:
        """Behind gateways status moves the requests, not the Service."""

    def _step(self) -> None:
        for gateway in self.gateways:
            if self.dice.random() < 0.6:
                gateway.hears(self.cluster.get(Kind.MODEL_DEPLOYMENT, "digits"))
        super()._step()

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
        if fresh.stable is None:
            self.watchman.excused = True
        self.told = min(self.told, fresh.epoch)
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
        super().check_settled()
