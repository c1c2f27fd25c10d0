"""Phase 6, the latency budget: what users wait at a stated rate, held against the objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from plimsoll.api.preflight_report import LatencyFigures, ObjectiveCheck, PhaseStatus, QuantileFigure
from plimsoll.core.preflight.promise import Promise, promises
from plimsoll.core.preflight.quantiles import QUANTILES, quantile_figure
from plimsoll.preflight.client import Session
from plimsoll.preflight.load import LoadResult, open_loop, poisson
from plimsoll.preflight.phases import Context, Outcome
from plimsoll.preflight.phases.profile import load_timeout_s

LEAST_REQUESTS: Final = 20
MOST_REQUESTS: Final = 20_000
"""Twice what p99.9 needs."""
MOST_RATE: Final = 1000.0
"""Requests per second when nobody states a rate: more than this measures the client."""
_SHARE: Final = 0.9
"""Of the phase's time in which requests are due; the rest is for the last answers."""
_DEFAULT_LONGEST_MS: Final = 1000.0


async def examine(session: Session, context: Context) -> Outcome:
    """Sends single items at the stated rate, open loop, for as long as the budget lets it."""
    rows = context.inputs.rows()
    if not rows:
        return context.report(PhaseStatus.SKIPPED, "InputsRefused", "No input was answered: nothing to measure."), None
    rate, why = await _rate(session, context)
    count = min(int(rate * context.time_left() * _SHARE), MOST_REQUESTS)
    if count < LEAST_REQUESTS:
        said = f"At {rate:.3g} requests/s the time left is enough for {max(count, 0)} requests: raise "
        return context.report(PhaseStatus.SKIPPED, "TooFewRequests", f"{said}spec.preflight.budget."), None
    context.tell(0.0, f"{rate:.3g} requests/s for {count / rate:.0f} s")
    asked = promises(context.request.objective)
    timeout_s = load_timeout_s(context, max((promise.max_ms for promise in asked), default=_DEFAULT_LONGEST_MS))
    requests = [session.prepare(row) for row in rows]

    async def send(number: int) -> object:
        return await session.send(requests[number % len(requests)], timeout_s)

    result = await open_loop(poisson(rate, count, context.rng), send)
    figures = latency_figures(result, rate, asked, timeout_s * 1000)
    return context.report(*verdict(result, figures, why)), figures


async def _rate(session: Session, context: Context) -> tuple[float, str]:
    """Returns the rate and, in a few words, where it comes from."""
    stated = context.request.preflight.requests_per_second
    if stated is not None:
        return float(stated), "as stated"
    profile = context.figures.profile
    if profile and profile.capacity and profile.capacity[0].requests_per_s > 0:
        return min(profile.capacity[0].requests_per_s / 2, MOST_RATE), "half the capacity of one replica"
    alone_ms = profile.rows[0].median_ms if profile and profile.rows else None
    if alone_ms is None:
        alone_ms = await _alone_ms(session, context)
    return min(500 / alone_ms, MOST_RATE), "half of what one replica answers one after the other"


async def _alone_ms(session: Session, context: Context) -> float:
    request = session.prepare(context.inputs.rows()[0])
    started = context.clock.monotonic()
    for _ in range(LEAST_REQUESTS):
        await session.send(request)
    return max((context.clock.monotonic() - started) * 1000 / LEAST_REQUESTS, 1e-3)


def latency_figures(result: LoadResult, rate: float, asked: Sequence[Promise], lost_ms: float) -> LatencyFigures:
    """Makes the figures; a request without an answer counts as `lost_ms`."""
    ordered = result.sorted_ms(lost_ms)
    return LatencyFigures(
        requests_per_s=rate,
        requests=result.requests,
        failed=result.failed + result.shed,
        quantiles=[quantile_figure(ordered, quantile) for quantile in QUANTILES],
        objective=[_check(promise, quantile_figure(ordered, promise.quantile)) for promise in asked],
    )


def _check(promise: Promise, figure: QuantileFigure) -> ObjectiveCheck:
    return ObjectiveCheck(
        quantile=promise.quantile,
        max_ms=promise.max_ms,
        budget_ms=promise.budget_ms,
        value_ms=figure.value_ms,
        low_ms=figure.low_ms,
        high_ms=figure.high_ms,
        status=_status(promise, figure),
    )


def _status(promise: Promise, figure: QuantileFigure) -> PhaseStatus:
    """Failed: even the lower bound breaks the promise. Warned: the headroom is used up, or more may be."""
    if figure.value_ms is None:
        return PhaseStatus.SKIPPED
    if figure.low_ms is not None and figure.low_ms > promise.max_ms:
        return PhaseStatus.FAILED
    return PhaseStatus.WARNED if figure.value_ms > promise.budget_ms else PhaseStatus.PASSED


def verdict(result: LoadResult, figures: LatencyFigures, why: str) -> tuple[PhaseStatus, str, str]:
    """Returns status, reason and sentence: the worst line of the objective decides."""
    load = f"at {figures.requests_per_s:.3g} requests/s ({why})"
    if trouble := result.invalid():
        return PhaseStatus.WARNED, "ClientTooSlow", f"Nothing is known about the latency {load}. {trouble}"
    lost = f" {figures.failed} of {figures.requests} requests were not answered." if figures.failed else ""
    lost += f" First error: {result.failure:.200}" if result.failure else ""
    for status, reason, words in (
        (PhaseStatus.FAILED, "LatencyBroken", "more than the {max:g} ms promised"),
        (PhaseStatus.WARNED, "HeadroomUsed", "more than the {budget:g} ms that the headroom leaves of {max:g} ms"),
        (PhaseStatus.SKIPPED, "TooFewRequests", "told by too few requests: raise spec.preflight.budget"),
    ):
        for line in figures.objective:
            if line.status is status:
                value = "unknown" if line.value_ms is None else f"{line.value_ms:.3g} ms"
                said = words.format(max=line.max_ms, budget=line.budget_ms)
                return (
                    PhaseStatus.WARNED if status is PhaseStatus.SKIPPED else status,
                    reason,
                    f"p{line.quantile * 100:g} is {value} {load}, {said}.{lost}",
                )
    if figures.failed:
        return PhaseStatus.WARNED, "RequestsFailed", f"Under load {load}:{lost}"
    known = [f"p{one.quantile * 100:g} {one.value_ms:.3g} ms" for one in figures.quantiles if one.value_ms is not None]
    said = f"{', '.join(known)} {load}"
    if figures.objective:
        return PhaseStatus.PASSED, "WithinBudget", f"{said}, within the objective."
    return PhaseStatus.PASSED, "Measured", f"{said}; nothing is promised (spec.objective.latency)."
