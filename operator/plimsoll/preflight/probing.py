"""What one replica really carries: open-loop load around the predicted rate, until the edge is narrow enough."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from plimsoll.core.preflight.naming import figure
from plimsoll.core.preflight.promise import Promise, allowed_late
from plimsoll.preflight.load import LoadResult

STEP: Final = 1.2
"""How far the next rate is from the last while the edge is only known from one side."""
WIDTH: Final = 1.06
"""Between a rate that is carried and one that is not: less than what one probe can tell apart."""
MOST_PROBES: Final = 8
LEAST_LATE: Final = 10
"""Requests that may be late in a probe. With fewer, whether the quantile holds is luck."""
LEAST_BUDGETS: Final = 20
"""Length of a probe in latency budgets. A server that is 5 % over its limit falls behind by 5 % of the time that has
passed, so it takes 20 budgets until that costs one: a short burst is carried at any rate."""
_MOST_LATE: Final = 40

Probe = Callable[[float, int], Awaitable[LoadResult]]
"""Sends so many requests at a Poisson rate (per second), given up as soon as too many of them are late."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the probing ended.

    Attributes:
        requests_per_s: The highest rate that kept the promise; None where none was shown to.
        missed_per_s: The lowest rate that did not; None where none was tried or all held.
        trouble: Why there is no (narrower) answer, one sentence; empty when all went well.
    """

    requests_per_s: float | None
    missed_per_s: float | None
    trouble: str = ""


def requests_needed(promise: Promise, rate: float) -> int:
    """Returns the fewest requests that tell whether `rate` keeps the promise."""
    lasting = math.ceil(rate * LEAST_BUDGETS * promise.budget_ms / 1000)
    return max(math.ceil(LEAST_LATE / (1 - promise.quantile) - 1e-9), lasting)


async def confirm(
    probe: Probe, promise: Promise, predicted: float, time_left: Callable[[], float], most: float = math.inf
) -> Confirmation:
    """Looks for the highest rate that keeps the promise's budget, starting from the predicted one.

    Args:
        probe: See `Probe`.
        promise: Held against `budget_ms`.
        predicted: Requests per second.
        time_left: Seconds for all probes.
        most: Requests per second that no probe exceeds, at least the predicted ones.
    """
    carried: float | None = None
    missed: float | None = None
    rate = predicted
    for _ in range(MOST_PROBES):
        seconds = requests_needed(promise, rate) / rate
        if seconds > time_left():
            if carried is None:
                return Confirmation(None, missed, _too_short(promise, rate, seconds, time_left()))
            break
        result = await probe(rate, _requests(promise, rate, time_left()))
        if trouble := result.invalid():
            return Confirmation(carried, missed, trouble)
        if keeps(result, promise):
            carried = max(rate, carried or 0.0)
        else:
            missed = min(rate, missed or math.inf)
        if carried is not None and min(missed or math.inf, most) <= carried * WIDTH:
            break
        rate = min(_next(carried, missed), most)
    if carried is None and missed is not None:
        return Confirmation(None, missed, f"Not even {figure(missed)} requests/s kept the budget.")
    return Confirmation(carried, missed)


def keeps(result: LoadResult, promise: Promise) -> bool:
    """Whether enough requests were answered within the budget; shed and failed ones were not."""
    late = result.late(promise.budget_ms)
    return late <= allowed_late(result.planned, promise.quantile)


def _requests(promise: Promise, rate: float, seconds: float) -> int:
    """More than needed where that takes a third of the time left, so that there is room for two further probes."""
    wanted = min(int(rate * seconds / 3), math.ceil(_MOST_LATE / (1 - promise.quantile)))
    return max(requests_needed(promise, rate), wanted)


def _next(carried: float | None, missed: float | None) -> float:
    if carried is None:
        return (missed or 0.0) / STEP
    if missed is None:
        return carried * STEP
    return math.sqrt(carried * missed)


def _too_short(promise: Promise, rate: float, seconds: float, left: float) -> str:
    return (
        f"Confirming p{promise.quantile * 100:g} at {figure(rate)} requests/s takes {seconds:.0f} s, of which "
        f"{max(left, 0):.0f} s are left: raise spec.preflight.budget."
    )
