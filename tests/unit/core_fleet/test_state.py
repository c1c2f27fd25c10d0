"""What a fleet is at, as ModelDeployments and roll-outs see it."""

from dataclasses import replace

import pytest
from tests.support.fleets import DIGITS, OFF, deployment_of, fleet, models_policy_of, stranger, whole_fleet

from plimsoll.core.actions import ChildKind
from plimsoll.core.fleet.observed import ObservedFleet
from plimsoll.core.fleet.state import FleetPhase, FleetState, fleet_state
from plimsoll.core.names import MODELS_POLICY_NAME
from plimsoll.core.world import Failure, FailureKind

QUOTA = Failure(FailureKind.NOT_YET, "QuotaExceeded", "exceeded quota: team; raise it")
SAID = 'pods "plimsoll-gateway-5d" is forbidden: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4'


@pytest.mark.parametrize(
    ("observed", "trouble", "phase", "ready", "wanted"),
    [
        pytest.param(fleet(), None, FleetPhase.ABSENT, 0, 0, id="no ModelDeployment"),
        pytest.param(fleet(settings=OFF), None, FleetPhase.ABSENT, 0, 0, id="switched off"),
        pytest.param(fleet(DIGITS), None, FleetPhase.CREATING, 0, 0, id="not made yet"),
        pytest.param(fleet(DIGITS), QUOTA, FleetPhase.REFUSED, 0, 0, id="cannot be made"),
        pytest.param(whole_fleet(replicas=0), None, FleetPhase.CREATING, 0, 2, id="made without pods"),
        pytest.param(whole_fleet(ready=0), None, FleetPhase.CREATING, 0, 2, id="pods start"),
        pytest.param(whole_fleet(ready=0), QUOTA, FleetPhase.REFUSED, 0, 2, id="something beside it is refused"),
        pytest.param(whole_fleet(ready=0, failure=SAID), None, FleetPhase.REFUSED, 0, 2, id="pods are refused"),
        pytest.param(whole_fleet(), None, FleetPhase.READY, 2, 2, id="ready"),
        pytest.param(whole_fleet(ready=1), None, FleetPhase.READY, 1, 2, id="one of two is ready"),
        pytest.param(whole_fleet(ready=1, failure=SAID), None, FleetPhase.READY, 1, 2, id="the second is refused"),
        pytest.param(whole_fleet(replicas=7), None, FleetPhase.READY, 7, 7, id="grown"),
        pytest.param(
            fleet(deployment=deployment_of()), None, FleetPhase.REMOVING, 2, 0, id="the last ModelDeployment is gone"
        ),
        pytest.param(
            fleet(settings=OFF, deployment=deployment_of()),
            None,
            FleetPhase.REMOVING,
            2,
            0,
            id="switched off, not gone",
        ),
    ],
)
def test_phases(observed: ObservedFleet, trouble: Failure | None, phase: FleetPhase, ready: int, wanted: int) -> None:
    state = fleet_state(observed, trouble)
    assert (state.phase, state.ready, state.wanted) == (phase, ready, wanted)


def test_a_refusal_of_pods_is_told_in_words() -> None:
    trouble = fleet_state(whole_fleet(ready=0, failure=SAID), None).trouble
    assert trouble is not None
    assert trouble.reason == "QuotaExceeded"
    assert "exceeded quota: team" in trouble.message
    other = fleet_state(whole_fleet(ready=1, failure='pods "x-1" is forbidden: no'), None).trouble
    assert other is not None
    assert other.reason == "PodRefused"


def test_an_upgrade_is_told() -> None:
    assert fleet_state(whole_fleet(outdated=1), None).upgrading
    assert fleet_state(whole_fleet(observed=False), None).upgrading
    assert not fleet_state(whole_fleet(), None).upgrading
    assert not fleet_state(whole_fleet(outdated=1, failure=SAID), None).upgrading, "refused, so it holds up no other"


def test_who_is_shielded() -> None:
    assert not FleetState().shields("digits")
    policy = models_policy_of("letters")
    state = fleet_state(fleet(DIGITS, deployment=deployment_of(), companions=[policy]), None)
    assert (state.shields("digits"), state.shields("letters")) == (True, False)
    theirs = stranger(ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME)
    assert not fleet_state(fleet(DIGITS, companions=[theirs]), None).shields("digits")
    off = replace(fleet(settings=OFF, deployment=deployment_of(), companions=[policy]))
    assert fleet_state(off, None).shields("digits"), "until it is taken away"
