"""Lives of a namespace's gateways in virtual time, and that a crash before any write changes no end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.fleet_simulation import FleetSimulation, crash_after
from tests.support.fleets import OFF, SETTINGS, UPGRADED

from plimsoll.core.fleet.observed import Upgrades
from plimsoll.core.fleet.state import FleetPhase
from plimsoll.core.names import GATEWAY_NAME, RETIRED_AT_ANNOTATION
from plimsoll.kube.resources import DEPLOYMENTS, NETWORKPOLICIES, SERVICEACCOUNTS

BIRTH = [
    *("Create Deployment", "Create ServiceAccount", "Create RoleBinding", "Create ConfigMap"),
    *("Create PodDisruptionBudget", "Create NetworkPolicy", "Scale Deployment"),
]


def served() -> FleetSimulation:
    """A namespace with one ModelDeployment, behind its gateways for long."""
    life = FleetSimulation()
    life.has("digits")
    life.passes(minutes=1)
    life.leads_to_gateways("digits")
    life.passes(minutes=6)
    life.written.clear()
    return life


def test_a_birth_takes_these_writes_and_then_none() -> None:
    life = FleetSimulation()
    life.passes(minutes=5)
    assert life.written == []
    life.has("digits")
    life.passes(minutes=5)
    assert life.written == BIRTH
    assert (life.state.phase, life.state.ready, life.replicas) == (FleetPhase.READY, 2, 2)
    life.has("digits", "letters")
    life.passes(hours=3)
    assert life.written == BIRTH


def test_model_pods_close_five_minutes_after_the_hand_over_and_open_before_the_way_back() -> None:
    life = FleetSimulation()
    life.has("digits")
    life.passes(minutes=1)
    life.leads_to_gateways("digits")
    life.passes(minutes=4, seconds=50)
    assert not life.state.shields("digits")
    life.passes(seconds=15)
    assert life.state.shields("digits")
    life.models = (replace(life.models[0], direct=True),)
    life.settle()
    assert not life.state.shields("digits"), "while the Service still leads to the gateways"


def test_ten_minutes_after_the_last_model_deployment_nothing_is_left() -> None:
    life = served()
    life.has()
    life.passes(minutes=10)
    assert life.written == ["Mark Deployment"]
    assert life.state.phase is FleetPhase.REMOVING
    life.passes(seconds=10)
    assert life.written == ["Mark Deployment", "Delete Deployment"]
    assert life.everything() == {}
    assert life.state.phase is FleetPhase.ABSENT
    life.passes(hours=1)
    assert len(life.written) == 2


def test_one_that_comes_back_at_minute_nine_finds_the_same_gateways() -> None:
    life = served()
    before = life.find(DEPLOYMENTS)
    life.has()
    life.passes(minutes=9)
    life.has("letters")
    life.passes(minutes=30)
    after = life.find(DEPLOYMENTS)
    assert before and after  # noqa: PT018 - it was there and it is
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert RETIRED_AT_ANNOTATION not in after["metadata"]["annotations"]
    assert life.written[:2] == ["Mark Deployment", "Mark Deployment"]
    life.has()
    life.passes(minutes=9, seconds=55)
    assert life.find(DEPLOYMENTS), "the ten minutes began anew"


def test_one_that_comes_back_later_gets_new_gateways() -> None:
    life = served()
    life.has()
    life.passes(minutes=15)
    life.written.clear()
    life.has("digits")
    life.passes(minutes=1)
    assert life.written == BIRTH
    assert life.state.phase is FleetPhase.READY


def test_switched_off_they_go_when_the_last_service_has_left() -> None:
    life = served()
    life.settings = OFF
    life.passes(hours=2)
    assert life.written == ["Delete NetworkPolicy (models)"], "while the Service leads to them"
    assert life.state.ready == 2
    life.leads_to_gateways()
    life.passes(seconds=55)
    assert life.find(DEPLOYMENTS)
    life.passes(seconds=15)
    assert life.everything() == {}


def test_switched_on_again_before_they_went_nothing_restarts() -> None:
    life = served()
    before = life.find(DEPLOYMENTS)
    life.settings = OFF
    life.leads_to_gateways()
    life.passes(seconds=30)
    life.settings = SETTINGS
    life.passes(minutes=10)
    after = life.find(DEPLOYMENTS)
    assert before and after  # noqa: PT018 - as above
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])


def test_an_upgrade_waits_for_the_end_of_a_roll_out_and_for_its_turn() -> None:
    life = served()
    life.models = (replace(life.models[0], rolling_out=True),)
    life.settings = UPGRADED
    life.passes(hours=1)
    assert life.written == []
    life.models = (replace(life.models[0], rolling_out=False),)
    life.upgrades = Upgrades(running=frozenset("abc"))
    life.passes(minutes=1)
    assert life.written == []
    life.upgrades = Upgrades()
    life.passes(minutes=1)
    assert life.written == ["Apply Deployment"]
    assert (life.state.ready, life.replicas) == (2, 2)


def test_more_replicas_restart_no_pod() -> None:
    life = served()
    life.settings = replace(SETTINGS, replicas=4)
    life.passes(minutes=1)
    assert life.written == ["Scale Deployment"]
    assert life.replicas == 4


def test_a_deployment_that_somebody_deletes_comes_back_with_all_that_went_with_it() -> None:
    life = served()
    life.cluster.drop(DEPLOYMENTS, "vision", GATEWAY_NAME)
    life.passes(minutes=1)
    assert life.written == [*BIRTH[:-1], "Create NetworkPolicy (models)", BIRTH[-1]]
    assert life.state.phase is FleetPhase.READY


@pytest.mark.parametrize("resource", [SERVICEACCOUNTS, NETWORKPOLICIES])
def test_a_part_that_somebody_deletes_comes_back(resource: object) -> None:
    life = served()
    everything = life.everything()
    life.cluster.drop(resource, "vision", GATEWAY_NAME)  # type: ignore[arg-type] # a column of resources
    life.passes(minutes=1)
    assert life.everything() == everything


def test_a_user_who_scales_to_nothing_does_not_take_everybodys_gateways() -> None:
    life = served()
    life.cluster.change(
        DEPLOYMENTS, "vision", GATEWAY_NAME, lambda obj: obj["spec"].update(replicas=0), manager="kubectl"
    )
    life.passes(minutes=1)
    assert (life.written, life.replicas) == (["Scale Deployment"], 2)


# ---- crashes: what a situation asks for, and any number of writes after which the process dies

SITUATIONS: dict[str, Callable[[], FleetSimulation]] = {}


def situation(make: Callable[[], FleetSimulation]) -> Callable[[], FleetSimulation]:
    SITUATIONS[make.__name__] = make
    return make


@situation
def birth() -> FleetSimulation:
    life = FleetSimulation()
    life.has("digits")
    return life


@situation
def the_end() -> FleetSimulation:
    life = served()
    life.has()
    life.settle()
    life.now += timedelta(minutes=11)
    return life


@situation
def switching_off() -> FleetSimulation:
    life = served()
    life.settings = OFF
    life.leads_to_gateways()
    return life


@situation
def coming_back() -> FleetSimulation:
    life = served()
    life.has()
    life.passes(minutes=9)
    life.has("digits")
    return life


@situation
def upgrade_and_growth() -> FleetSimulation:
    life = served()
    life.settings = replace(UPGRADED, replicas=3, role="plimsoll-gateway", log_level="debug")
    return life


@situation
def a_deleted_deployment() -> FleetSimulation:
    life = served()
    life.cluster.drop(DEPLOYMENTS, "vision", GATEWAY_NAME)
    return life


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_crash_before_any_write_changes_no_end(name: str) -> None:
    unharmed = SITUATIONS[name]()
    unharmed.settle()
    unharmed.passes(minutes=2)
    for writes in range(20):
        life = SITUATIONS[name]()
        died = crash_after(life, writes)
        life.passes(minutes=2)
        assert life.everything() == unharmed.everything(), writes
        assert life.settle() == 0
        if not died:
            return
    raise AssertionError("it writes for ever")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["digits", "both", "none", "off", "on", "upgrade", "handed over", "handed back", "gone"]),
            st.integers(0, 6),
            st.sampled_from([0.1, 1.0, 4.0, 11.0]),
        ),
        max_size=8,
    )
)
@settings(max_examples=30)
def test_whatever_happens_and_wherever_it_dies_it_comes_to_rest_in_the_one_right_place(
    story: list[tuple[str, int, float]],
) -> None:
    life = FleetSimulation()
    for event, writes, minutes in story:
        happens(life, event)
        crash_after(life, writes)
        life.passes(minutes=minutes, turn_s=30)
    life.leads_to_gateways(*(model.name for model in life.models if life.settings.enabled))
    life.passes(minutes=20, turn_s=30)
    assert life.settle() == 0
    straight = FleetSimulation(settings=life.settings, models=life.models)
    straight.passes(minutes=1)
    straight.leads_to_gateways(*(model.name for model in life.models if life.settings.enabled))
    straight.passes(minutes=20, turn_s=30)
    assert life.everything() == straight.everything()


def happens(life: FleetSimulation, event: str) -> None:
    match event:
        case "digits":
            life.has("digits")
        case "both":
            life.has("digits", "letters")
        case "none":
            life.has()
        case "off":
            life.settings = replace(life.settings, enabled=False)
        case "on":
            life.settings = replace(life.settings, enabled=True)
        case "upgrade":
            life.settings = replace(UPGRADED, enabled=life.settings.enabled)
        case "handed over":
            life.leads_to_gateways(*(model.name for model in life.models))
        case "handed back":
            life.leads_to_gateways()
        case _:
            if life.find(DEPLOYMENTS):
                life.cluster.drop(DEPLOYMENTS, "vision", GATEWAY_NAME)
