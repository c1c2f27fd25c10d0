"""What a request's end tells the kill switch of its model. Models without one have no `Watch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from plimsoll.core.kill_switch.policy import KillPolicy
from plimsoll.core.kill_switch.switch import Switch
from plimsoll.core.records.outcome import Outcome, is_failure, is_judged

PATIENCE_S: Final = 1.0
"""Where the objective promises no latency."""
_FAILED = tuple(is_failure(outcome) for outcome in Outcome)
_JUDGED = tuple(is_judged(outcome) for outcome in Outcome)


class Key(NamedTuple):
    """What a switch belongs to: with any of it, it changes, and a tripped one is released.

    Attributes:
        policy: When it trips.
        reset: Any text of people.
        revision: That serves.
    """

    policy: KillPolicy
    reset: str
    revision: str


class Watch:
    """One model's.

    Attributes:
        model: Its public name.
        uid: Of the ModelDeployment.
        key: What it belongs to.
        switch: What it tells.
        on_change: Called when the switch has tripped, or an alert is over.
        patience_s: Time in seconds that a client has to grant for the lack of an answer within it to be the model's
            fault: else anybody could have a model stopped by having no patience.
    """

    __slots__ = ("_clock", "key", "model", "on_change", "patience_s", "switch", "uid")

    def __init__(self, model: str, uid: str, key: Key, switch: Switch, clock: Callable[[], float]) -> None:
        self.model = model
        self.uid = uid
        self.key = key
        self.switch = switch
        self.on_change: Callable[[], None] = _nothing
        self.patience_s = PATIENCE_S
        self._clock = clock

    def ended(self, outcome: Outcome, *, granted_s: float | None = None, exempt: bool = False) -> None:
        """Counts what a client got in the end, after all attempts.

        Args:
            outcome: Of the last attempt.
            granted_s: How long the client was ready to wait, in seconds; None where it did not say.
            exempt: It is no evidence: a failure is none of the model's, for the client brought the NaN that came back.
        """
        if outcome is Outcome.TIMED_OUT and granted_s is not None and granted_s < self.patience_s:
            return
        failed = _FAILED[outcome]
        if not _JUDGED[outcome] or (failed and exempt):
            return
        if self.switch.ended(self._clock(), failed=failed):
            self.on_change()

    def look(self, now: float) -> None:
        """Looks whether time alone has changed anything."""
        if self.switch.look(now):
            self.on_change()


def _nothing() -> None:
    """Does nothing."""
