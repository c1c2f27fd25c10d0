"""What a namespace's fleet is at, as everybody else sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from plimsoll.core.actions import ChildKind
from plimsoll.core.diagnosis import refused
from plimsoll.core.fleet.observed import ObservedFleet
from plimsoll.core.names import MODELS_POLICY_NAME
from plimsoll.core.render.gateway_policy import open_models
from plimsoll.core.world import Failure, FailureKind


class FleetPhase(StrEnum):
    """What a fleet is at."""

    ABSENT = "Absent"
    CREATING = "Creating"
    READY = "Ready"
    REFUSED = "Refused"
    REMOVING = "Removing"


@dataclass(frozen=True, slots=True)
class FleetState:
    """A namespace's fleet.

    Attributes:
        phase: What it is at. Ready: one gateway or more takes requests. Refused: none does, and something forbids it.
        ready: Gateways that take requests.
        wanted: Gateways that there should be.
        trouble: What is refused, None when nothing is: also while others of the fleet are ready.
        upgrading: Its pods are being replaced.
        open_models: ModelDeployments whose pods anybody may reach; None where no policy keeps anybody away.
    """

    phase: FleetPhase = FleetPhase.ABSENT
    ready: int = 0
    wanted: int = 0
    trouble: Failure | None = None
    upgrading: bool = False
    open_models: frozenset[str] | None = None

    def shields(self, model: str) -> bool:
        """Tells whether a NetworkPolicy keeps users away from the pods of a ModelDeployment.

        Its Service must not lead to them before this is false.
        """
        return self.open_models is not None and model not in self.open_models


def fleet_state(observed: ObservedFleet, trouble: Failure | None) -> FleetState:
    """Returns the state.

    Args:
        observed: The namespace.
        trouble: Why the last plan could not be made or performed, None when it could.
    """
    deployment = observed.deployment
    policy = observed.companions.get((ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME))
    opened = open_models(policy.body()) if policy and policy.ours else None
    if deployment is None:
        return FleetState(_phase_without(observed, trouble), trouble=trouble, open_models=opened)
    if trouble is None and deployment.failure:
        said = refused(deployment)
        trouble = Failure(FailureKind.NOT_YET, said.reason, said.message)
    if not observed.wanted:
        phase = FleetPhase.REMOVING
    elif deployment.ready:
        phase = FleetPhase.READY
    else:
        phase = FleetPhase.REFUSED if trouble else FleetPhase.CREATING
    wanted = max(deployment.replicas, observed.settings.replicas) if observed.wanted else 0
    return FleetState(phase, deployment.ready, wanted, trouble, deployment.upgrading, opened)


def _phase_without(observed: ObservedFleet, trouble: Failure | None) -> FleetPhase:
    if not observed.wanted:
        return FleetPhase.ABSENT
    return FleetPhase.REFUSED if trouble else FleetPhase.CREATING
