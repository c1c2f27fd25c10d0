"""One switch: counts what becomes of a model's requests, and trips.

One that acts stays tripped: its model gets no request, so nothing could show that it is well again. Somebody has to say
so. One that only alerts is over when it was not too bad for as long as a window.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.api.degradation import KillAction
from plimsoll.core.kill_switch.policy import KillPolicy
from plimsoll.core.kill_switch.window import Window


@dataclass(frozen=True, slots=True)
class Trip:
    """That a switch has tripped, and why.

    Attributes:
        action: What was done.
        failed: Requests of the window that failed.
        judged: Of how many.
    """

    action: KillAction
    failed: int
    judged: int

    @property
    def acts(self) -> bool:
        """Requests are kept from the model."""
        return self.action is not KillAction.ALERT


class Switch:
    """One model's, at one gateway. Times are those of one monotonic clock, in seconds.

    Attributes:
        policy: When it trips.
        trip: Why it has; None while it has not.
    """

    __slots__ = ("_over_at", "_window", "policy", "trip")

    def __init__(self, policy: KillPolicy) -> None:
        self.policy = policy
        self.trip: Trip | None = None
        self._window = Window(policy.window_s)
        self._over_at = 0.0

    def ended(self, now: float, *, failed: bool) -> bool:
        """Counts the end of a request that says anything about the model; returns whether that has tripped it."""
        if self.trip is not None and self.trip.acts:
            return False
        self._window.add(now, failed=failed)
        return failed and self.look(now)

    def look(self, now: float) -> bool:
        """Looks whether it trips, or whether an alert is over; returns whether that changed anything.

        What ended before counts on while it slides out: a success that leaves the window can trip it as well.
        """
        if self.trip is not None and self.trip.acts:
            return False
        window = self._window
        window.slide(now)
        if self.policy.is_over(window.failed, window.judged):
            self._over_at = now
            if self.trip is None:
                self.trip = Trip(self.policy.action, window.failed, window.judged)
                return True
        elif self.trip is not None and now - self._over_at >= self.policy.window_s:
            self.trip = None
            return True
        return False
