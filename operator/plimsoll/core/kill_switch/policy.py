"""`spec.killSwitch` as a gateway follows it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from plimsoll.api.base import parse_duration
from plimsoll.api.degradation import KillAction, KillSwitch

PARTS: Final = 100_000
"""Error rates are whole parts of this: a percentage has at most three decimals. So they are compared exactly."""


@dataclass(frozen=True, slots=True)
class KillPolicy:
    """When a switch trips, and what then.

    Attributes:
        error_parts: Share of failures at which it trips, in `PARTS`.
        window_s: Over how long, in seconds.
        min_requests: Ends in the window below which it does not.
        action: What happens then.
    """

    error_parts: int
    window_s: float
    min_requests: int
    action: KillAction

    def is_over(self, failed: int, judged: int) -> bool:
        """Tells whether so many failures of so many ends are too many."""
        return judged >= self.min_requests and failed * PARTS >= self.error_parts * judged


def kill_policy_of(switch: KillSwitch | None) -> KillPolicy | None:
    """Returns the policy that a spec asks for; None where it asks for none."""
    if switch is None:
        return None
    rate = Fraction(switch.error_rate.removesuffix("%")) / 100
    return KillPolicy(
        # A rate of nothing would trip on every success.
        error_parts=max(1, int(rate * PARTS)),
        window_s=parse_duration(switch.window).total_seconds(),
        min_requests=switch.min_requests,
        action=switch.action,
    )
