"""What status and Events say of a kill switch, and what they say before any gateway has been heard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.builders import NOW, children_of, digits, observed, revision_of, stable_service_of, with_status

from plimsoll.api.degradation import KillAction
from plimsoll.api.routing import RoutedRevision, Routing
from plimsoll.api.v1alpha1 import ModelDeploymentStatus
from plimsoll.core.actions import Announcement, WriteStatus
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.plan import plan
from plimsoll.core.world import Gateways, Observed

SMALL = {"name": "digits-small"}
FIRST = revision_of(digits("a"), 1)
ROUTING = Routing(epoch=3, revisions=[RoutedRevision(name=FIRST.name, weight_permille=1000)])
STABLE = ModelDeploymentStatus(observed_generation=1, stable=FIRST.name, routing=ROUTING)


def world(gateways: Gateways, **spec: object) -> Observed:
    """A revision that serves behind gateways."""
    service = stable_service_of(digits("a"), FIRST, routing=ROUTING, gateway=True)
    owner = with_status(digits("a", **spec), STABLE)
    return observed(owner, *children_of(digits("a"), FIRST), service, gateways=gateways)


def settled(seen: Observed) -> Observed:
    """The same with the status that is written then."""
    return replace(seen, object=with_status(seen.object, status_of(seen)))


def status_of(seen: Observed) -> ModelDeploymentStatus:
    written = [action.status for action in plan(seen, NOW).actions if isinstance(action, WriteStatus)]
    assert len(written) <= 1
    before = seen.object.status
    assert before is not None
    return written[0] if written else before


def true_of(status: ModelDeploymentStatus) -> str:
    return " ".join(condition.type for condition in status.conditions or () if condition.status == "True")


def ready_of(status: ModelDeploymentStatus) -> tuple[str, str]:
    (ready,) = [condition for condition in status.conditions or () if condition.type == "Ready"]
    return ready.reason, ready.message


def events_of(seen: Observed) -> list[Announcement]:
    return [told for told in plan(seen, NOW).announcements if told.reason.startswith("KillSwitch")]


def gateways(*actions: KillAction, ready: int = 2) -> Gateways:
    trips = {f"gw-{number}": Trip(action, 20 + number, 100) for number, action in enumerate(actions)}
    return Gateways(ready=ready, acknowledged=3, newest=3, trips=trips)


@pytest.mark.parametrize(
    ("tripped", "true", "reason", "says"),
    [
        ((), "Serving Ready", "Promoted", ""),
        (
            (KillAction.ALERT,),
            "Serving Ready",
            "KillSwitchAlert",
            "20 of 100 requests failed within 1m at gateway gw-0",
        ),
        ((KillAction.STOPPED,), "Serving Stalled", "KillSwitchTripped", "every request is refused at 1 of 2 gateways"),
        ((KillAction.STOPPED,) * 2, "Stalled", "KillSwitchTripped", "every request is refused at 2 of 2 gateways"),
        ((KillAction.FALLBACK,) * 2, "Serving Stalled", "KillSwitchTripped", "digits-small answers at 2 of 2 gateways"),
    ],
)
def test_conditions(tripped: tuple[KillAction, ...], true: str, reason: str, says: str) -> None:
    action = tripped[0].value if tripped else "Alert"
    seen = world(gateways(*tripped), fallback=SMALL, killSwitch={"action": action})
    status = status_of(seen)
    assert (true_of(status), ready_of(status)[0]) == (true, reason)
    assert says in ready_of(status)[1]
    assert len(events_of(seen)) == bool(tripped)
    assert events_of(settled(seen)) == [], "an Event is told once"
    assert not [action for action in plan(settled(seen), NOW).actions if isinstance(action, WriteStatus)]


def test_it_says_how_to_reset_it() -> None:
    status = status_of(world(gateways(KillAction.STOPPED), killSwitch={"action": "Stopped"}))
    assert "kubectl annotate mdep digits plimsoll.dev/reset-kill-switch=REASON --overwrite" in ready_of(status)[1]


def test_a_controller_that_has_heard_nobody_yet_says_what_was_said_before() -> None:
    tripped = settled(world(gateways(KillAction.STOPPED, KillAction.STOPPED), killSwitch={"action": "Stopped"}))
    unheard = replace(tripped, gateways=Gateways(ready=2))
    assert ready_of(status_of(unheard)) == ready_of(status_of(tripped))
    released = replace(tripped, gateways=gateways())
    assert ready_of(status_of(released))[0] == "Promoted"


def test_what_gateways_have_not_heard_of_yet_is_over_when_the_switch_is_removed() -> None:
    assert ready_of(status_of(world(gateways(KillAction.STOPPED))))[0] == "Promoted"


def test_traffic_that_goes_to_the_fallback_is_said() -> None:
    status = status_of(world(gateways(), fallback=SMALL, traffic="Fallback"))
    assert (true_of(status), ready_of(status)[0]) == ("Serving Ready", "Fallback")
    assert "digits-small answers, because spec.traffic is Fallback" in ready_of(status)[1]
