"""How requests come to the gateway and past it again, and what waits for gateways that have not heard."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.builders import (
    NOW,
    ago,
    children_of,
    digits,
    observed,
    retired_annotation,
    revision_of,
    stable_service_of,
    with_status,
)

from plimsoll.api.routing import RoutedRevision, Routing
from plimsoll.api.v1alpha1 import ConditionStatus, ModelDeploymentStatus
from plimsoll.core.actions import Action, Apply, Create, Delete, Plan, Scale, WriteStatus
from plimsoll.core.names import gateway_selector
from plimsoll.core.plan import plan
from plimsoll.core.world import Failure, FailureKind, Gateways, Observed

A, B = digits("a"), digits("b")
FIRST, SECOND = revision_of(A, 1), revision_of(B, 2)
NAMES = {FIRST.name: "A", SECOND.name: "B"}


def routing(epoch: int, name: str) -> Routing:
    return Routing(epoch=epoch, revisions=[RoutedRevision(name=name, weight_permille=1000)])


SERVES_A = ModelDeploymentStatus(observed_generation=1, stable=FIRST.name, routing=routing(3, FIRST.name))
SERVES_B = ModelDeploymentStatus(observed_generation=1, stable=SECOND.name, routing=routing(4, SECOND.name))


def told(action: Action) -> str:
    match action:
        case WriteStatus():
            epoch = action.status.routing.epoch if action.status.routing else None
            return f"status, epoch {epoch}"
        case Create() | Apply() | Scale():
            return _told_of(action.manifest)
        case Delete():
            return f"delete {action.kind} {NAMES.get(action.name, action.name)}"
    raise AssertionError(action)


def _told_of(manifest: dict[str, object]) -> str:
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    name = metadata["name"]
    if name != "digits":
        return f"retire {NAMES[name]}" if retired_annotation(manifest) else f"apply {manifest['kind']} {NAMES[name]}"
    selector = manifest["spec"]["selector"]  # type: ignore[index]
    revision = selector.get("plimsoll.dev/revision")
    return "Service to the gateway" if revision is None else f"Service to {NAMES.get(revision, revision)}"


def steps(decided: Plan) -> list[str]:
    return [told(action) for action in decided.actions]


def at_rest(world: Observed) -> Observed:
    """The same world with the status that a plan writes, so that only what is asked about is left to do."""
    for action in plan(world, NOW).actions:
        if isinstance(action, WriteStatus):
            return Observed(
                object=with_status(world.object, action.status),
                defaults=world.defaults,
                revisions=world.revisions,
                deployments=world.deployments,
                services=world.services,
                gateways=world.gateways,
            )
    return world


def direct(gateways: Gateways | None, **spec: object) -> Observed:
    """A serves, and the Service selects its pods."""
    service = stable_service_of(A, FIRST, routing=SERVES_A.routing)
    owner = with_status(digits("a", **spec), SERVES_A)
    return at_rest(observed(owner, *children_of(A, FIRST), service, gateways=gateways))


def behind_gateway(gateways: Gateways | None, **spec: object) -> Observed:
    """A serves, and the Service selects the gateway."""
    service = stable_service_of(A, FIRST, routing=SERVES_A.routing, gateway=True)
    owner = with_status(digits("a", **spec), SERVES_A)
    return at_rest(observed(owner, *children_of(A, FIRST), service, gateways=gateways))


READY = Gateways(ready=2, acknowledged=3)


@pytest.mark.parametrize(
    ("gateways", "done"),
    [
        pytest.param(Gateways(ready=2, acknowledged=3), ["Service to the gateway"], id="all know the route"),
        pytest.param(Gateways(ready=2, acknowledged=2), [], id="one knows an older one"),
        pytest.param(Gateways(ready=2, acknowledged=0), [], id="one has not told"),
        pytest.param(Gateways(ready=0, acknowledged=0), [], id="none is ready"),
    ],
)
def test_the_service_moves_when_all_ready_gateways_know_the_route(gateways: Gateways, done: list[str]) -> None:
    assert steps(plan(direct(gateways), NOW)) == done


def status_of(world: Observed) -> ModelDeploymentStatus:
    """As it is after the plan."""
    written = [action.status for action in plan(world, NOW).actions if isinstance(action, WriteStatus)]
    status = written[0] if written else world.object.status
    assert status is not None
    return status


GUARDED = Gateways(guarded=True, tls=True)


@pytest.mark.parametrize(("gateways", "guarded"), [(GUARDED, True), (Gateways(), False), (None, False)])
def test_a_new_service_leads_to_gateways_at_once_where_they_are_guarded(
    gateways: Gateways | None, *, guarded: bool
) -> None:
    """Else whoever comes before they are ready would reach the model without a key."""
    planned = plan(observed(digits("a"), gateways=gateways), NOW)
    [service] = [
        action.manifest
        for action in planned.actions
        if isinstance(action, Create) and action.manifest["metadata"]["name"] == "digits"
    ]
    assert (service["spec"]["selector"] == gateway_selector()) is guarded


def test_one_that_leads_to_pods_moves_as_ever_when_gateways_become_guarded() -> None:
    assert steps(plan(direct(replace(READY, acknowledged=2, guarded=True)), NOW)) == []
    assert steps(plan(direct(replace(READY, guarded=True)), NOW)) == ["Service to the gateway"]


@pytest.mark.parametrize("guarded", [True, False])
def test_without_a_ready_gateway_the_message_names_what_guarded_ones_wait_for(*, guarded: bool) -> None:
    status = status_of(behind_gateway(Gateways(guarded=guarded)))
    said = " ".join(condition.message for condition in status.conditions or [])
    assert "0 gateways are ready" in said
    assert ("Secrets" in said) is guarded


@pytest.mark.parametrize(
    ("world", "scheme"),
    [
        pytest.param(behind_gateway(replace(READY, guarded=True, tls=True)), "https", id="gateways with TLS"),
        pytest.param(behind_gateway(replace(READY, guarded=True)), "http", id="gateways with keys alone"),
        pytest.param(direct(replace(READY, acknowledged=2, guarded=True, tls=True)), "http", id="not there yet"),
        pytest.param(observed(digits("a"), gateways=GUARDED), "https", id="a new one"),
    ],
)
def test_the_url_says_what_users_meet(world: Observed, scheme: str) -> None:
    urls = status_of(world).urls
    assert urls is not None
    assert urls.http == f"{scheme}://digits.vision.svc:8000/v2/models/digits"


def test_where_the_chart_makes_no_gateway_nothing_is_published() -> None:
    status = SERVES_A.model_copy(update={"routing": None})
    world = at_rest(observed(with_status(A, status), *children_of(A, FIRST), stable_service_of(A, FIRST)))
    assert plan(world, NOW) == Plan()
    assert world.object.status is not None
    assert world.object.status.routing is None


def test_the_route_is_published_before_the_service_moves() -> None:
    status = SERVES_A.model_copy(update={"routing": None})
    world = observed(with_status(A, status), *children_of(A, FIRST), stable_service_of(A, FIRST), gateways=READY)
    assert steps(plan(world, NOW)) == ["Service to A", "status, epoch 1"]


@pytest.mark.parametrize("gateways", [READY, Gateways(ready=2, acknowledged=1), Gateways()])
def test_once_there_it_stays(gateways: Gateways) -> None:
    """A gateway that restarts has not told anything yet: no reason to send everybody past it."""
    assert "Service to A" not in steps(plan(behind_gateway(gateways), NOW))


@pytest.mark.parametrize(
    ("gateways", "spec"),
    [
        pytest.param(READY, {"traffic": "Direct"}, id="Direct"),
        pytest.param(None, {}, id="the chart makes no gateways any more"),
    ],
)
def test_it_moves_back_when_the_gateway_is_switched_off(gateways: Gateways | None, spec: dict[str, object]) -> None:
    assert steps(plan(behind_gateway(gateways, **spec), NOW)) == ["Service to A"]


def promotion(gateways: Gateways) -> Observed:
    service = stable_service_of(A, FIRST, routing=SERVES_A.routing, gateway=True)
    parts = (*children_of(A, FIRST), *children_of(B, SECOND), service)
    return observed(with_status(B, SERVES_A), *parts, gateways=gateways)


def test_past_the_gateway_the_epoch_is_remembered_before_status_and_the_service_moves_after_it() -> None:
    service = stable_service_of(A, FIRST, routing=SERVES_A.routing)
    parts = (*children_of(A, FIRST), *children_of(B, SECOND), service)
    world = observed(with_status(B, SERVES_A), *parts, gateways=Gateways())
    assert steps(plan(world, NOW)) == ["Service to A", "retire A", "status, epoch 4", "Service to B"]


def test_behind_the_gateway_status_moves_the_requests_and_the_service_remembers_it_before() -> None:
    assert steps(plan(promotion(READY), NOW)) == ["Service to the gateway", "retire A", "status, epoch 4"]


def promoted(acknowledged: int, retired_s: float) -> Observed:
    service = stable_service_of(B, SECOND, routing=SERVES_B.routing, gateway=True)
    parts = (*children_of(A, FIRST, retired_at=ago(seconds=retired_s)), *children_of(B, SECOND), service)
    world = observed(with_status(B, SERVES_B), *parts, gateways=Gateways(ready=2, acknowledged=acknowledged))
    return at_rest(world)


@pytest.mark.parametrize(
    ("acknowledged", "retired_s", "done"),
    [
        pytest.param(4, 10, [], id="it drains"),
        pytest.param(4, 31, ["delete Deployment A", "delete Service A"], id="it has drained"),
        pytest.param(3, 10, [], id="a gateway may still send requests there"),
        pytest.param(3, 31, ["retire A"], id="and then the drain begins anew"),
    ],
)
def test_the_old_revision_drains_when_no_gateway_sends_requests_there(
    acknowledged: int, retired_s: float, done: list[str]
) -> None:
    assert steps(plan(promoted(acknowledged, retired_s), NOW)) == done


def test_a_gateway_that_follows_a_newer_epoch_is_gone_above() -> None:
    """Status and the Service's memory of it were lost together; the gateways hold what was published."""
    status = SERVES_A.model_copy(update={"routing": None})
    service = stable_service_of(A, FIRST, gateway=True)
    world = observed(
        with_status(A, status), *children_of(A, FIRST), service, gateways=Gateways(ready=2, acknowledged=5, newest=8)
    )
    write = next(action for action in plan(world, NOW).actions if isinstance(action, WriteStatus))
    assert write.status.routing == routing(9, FIRST.name)


def test_a_revision_that_was_reached_is_kept_though_its_pods_are_down_until_gateways_know_better() -> None:
    service = stable_service_of(A, FIRST, routing=SERVES_A.routing, gateway=True)
    parts = (*children_of(A, FIRST, ready=0), *children_of(B, SECOND), service)
    world = observed(with_status(B, SERVES_A), *parts, gateways=READY)
    assert steps(plan(world, NOW)) == ["Service to the gateway", "retire A", "status, epoch 4"]


def test_lost_status_is_found_again_behind_the_gateway() -> None:
    world = behind_gateway(READY)
    lost = observed(with_status(A, None), *children_of(A, FIRST), world.services["digits"], gateways=READY)
    write = next(action for action in plan(lost, NOW).actions if isinstance(action, WriteStatus))
    assert (write.status.stable, write.status.routing) == (FIRST.name, routing(4, FIRST.name))


def conditions(world: Observed) -> dict[str, tuple[str, str]]:
    status = at_rest(world).object.status
    assert status is not None
    return {c.type: (c.status, c.reason) for c in status.conditions or ()}


def test_without_a_ready_gateway_nobody_is_served() -> None:
    said = conditions(behind_gateway(Gateways(ready=0)))
    assert said["Serving"][0] == ConditionStatus.FALSE
    assert said["Ready"] == (ConditionStatus.FALSE, "GatewayUnavailable")


def test_a_refused_gateway_is_told_and_requests_go_past_it() -> None:
    trouble = Failure(FailureKind.NOT_YET, "GatewayUnavailable", "a quota refuses the gateway's pods")
    said = conditions(direct(Gateways(trouble=trouble)))
    assert said["Serving"][0] == ConditionStatus.TRUE
    assert said["Ready"] == (ConditionStatus.TRUE, "GatewayUnavailable")


@pytest.mark.parametrize("world", [direct(None, traffic="Stopped"), behind_gateway(READY, traffic="Stopped")])
def test_stopped_is_what_the_spec_says(world: Observed) -> None:
    said = conditions(world)
    assert [said[kind][0] for kind in ("Serving", "Ready", "Reconciling", "Stalled")] == [
        "False",
        "False",
        "False",
        "True",
    ]
    assert said["Stalled"][1] == "Stopped"


def test_stopped_without_a_gateway_selects_nobody() -> None:
    assert steps(plan(direct(None, traffic="Stopped"), NOW)) == ["Service to none"]
    assert steps(plan(behind_gateway(READY, traffic="Stopped"), NOW)) == []


@pytest.mark.parametrize("traffic", ["Normal", "StableOnly"])
def test_stable_only_holds_a_promotion(traffic: str) -> None:
    owner = digits("b", traffic=traffic)
    service = stable_service_of(A, FIRST, routing=SERVES_A.routing, gateway=True)
    parts = (*children_of(A, FIRST), *children_of(owner, SECOND), service)
    world = observed(with_status(owner, SERVES_A), *parts, gateways=READY)
    assert ("retire A" in steps(plan(world, NOW))) == (traffic == "Normal")
    if traffic == "StableOnly":
        assert conditions(world)["Ready"] == (ConditionStatus.FALSE, "StableOnly")


def test_it_comes_to_rest_whatever_the_gateways_say() -> None:
    for world in (direct(READY), behind_gateway(READY), behind_gateway(Gateways()), promoted(4, 10)):
        later = plan(world, NOW + timedelta(seconds=1))
        assert not any(isinstance(action, WriteStatus) for action in later.actions)
