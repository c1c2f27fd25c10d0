"""How often people are told of kept answers that a model contradicts."""

from types import SimpleNamespace

from tests.support.builders import digits, observed

from plimsoll.controller.gateway_views import GatewayViews, GatewayWakeups
from plimsoll.controller.mismatches import PAUSE_S, Mismatches

OWNER = digits("a")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_is_told_at_once_and_those_of_the_next_minute_together() -> None:
    clock = Clock()
    mismatches = Mismatches(clock)
    assert (mismatches.due("uid"), mismatches.take("uid")) == (False, {})
    mismatches.add("uid", "r1", 1)
    assert (mismatches.due("uid"), mismatches.take("uid"), mismatches.take("uid")) == (True, {"r1": 1}, {})
    mismatches.add("uid", "r1", 2)
    mismatches.add("uid", "r2", 1)
    clock.now = PAUSE_S - 1
    mismatches.add("uid", "r1", 3)
    assert (mismatches.due("uid"), mismatches.take("uid")) == (False, {})
    clock.now = PAUSE_S
    assert mismatches.take("uid") == {"r1": 5, "r2": 1}


def test_each_modeldeployment_has_its_own_minute_and_leaves_nothing() -> None:
    mismatches = Mismatches(Clock())
    for uid in ("one", "other"):
        mismatches.add(uid, "r1", 1)
    assert (mismatches.take("one"), mismatches.take("other")) == ({"r1": 1}, {"r1": 1})
    mismatches.add("one", "r1", 1)
    mismatches.forget("one")
    assert (mismatches.due("one"), mismatches.take("one")) == (False, {})


class Caches:
    """What the controller watches, as far as looking again needs it."""

    def __init__(self) -> None:
        self.model_deployments = {("vision", "digits"): object()}


class Silent:
    """A collector that hears nobody, and fleets of which nothing is known."""

    def gateways(self, _namespace: str) -> dict[str, object]:
        return {}

    def lagging(self, _namespace: str, _uid: str, _epoch: int) -> list[str]:
        return []

    def in_flight(self, _namespace: str, _uid: str) -> dict[str, int]:
        return {}

    def unavailable(self, _namespace: str) -> None: ...

    def state_of(self, _namespace: str) -> None: ...


def test_one_look_at_the_modeldeployment_tells_it_once() -> None:
    queue: list[tuple[str, str]] = []
    woken = SimpleNamespace(add=queue.append)
    wakeups = GatewayWakeups(Caches(), woken, Mismatches(Clock()))  # type: ignore[arg-type]
    views = GatewayViews(Silent(), Silent(), wakeups, enabled=True)  # type: ignore[arg-type]
    world = observed(OWNER)
    wakeups.mismatched(OWNER.metadata.uid, "r1", 1)
    assert queue == [], "nobody has looked at it yet"
    views.add(world)
    wakeups.mismatched(OWNER.metadata.uid, "r1", 2)
    assert queue == [(OWNER.metadata.namespace, OWNER.metadata.name)]
    told = [gateways.mismatches for gateways in (views.add(world).gateways, views.add(world).gateways) if gateways]
    assert told == [{"r1": 2}, {}]
