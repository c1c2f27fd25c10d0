"""What the gate says of a candidate, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from plimsoll.core.actions import Action
from plimsoll.core.world import Verdict


class Stage(StrEnum):
    """What the gate lets a candidate do."""

    OPEN = "Open"
    EXAMINING = "Examining"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the gate waits for, or why it stays shut, in the words of a condition."""

    reason: str
    message: str
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gate says.

    Attributes:
        stage: Open: as wanted. Examining: one replica, at weight 0. Rejected: none.
        verdict: On the present question, None while there is none or nothing is asked.
        waiting: None where pods or nothing at all is waited for.
        held: All pods are ready, but not all of them are fit to serve.
        actions: What has to be done to find out.
        job: Name of the Job that is under way; every other one goes.
        requeue_at: When to look again although nothing changes.
    """

    stage: Stage = Stage.OPEN
    verdict: Verdict | None = None
    waiting: Waiting | None = None
    held: bool = False
    actions: tuple[Action, ...] = ()
    job: str | None = None
    requeue_at: datetime | None = None

    @property
    def open(self) -> bool:
        """The candidate may be promoted when all its pods are ready."""
        return self.stage is Stage.OPEN and not self.held

    def replicas(self, wanted: int) -> int:
        """Returns how many of the wanted replicas the candidate gets."""
        match self.stage:
            case Stage.OPEN:
                return wanted
            case Stage.EXAMINING:
                return min(wanted, 1)
            case Stage.REJECTED:
                return 0


OPEN = Gate()
