"""Phase 5, the batch profile: what a batch costs, where batching hurts, and how many requests that makes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from plimsoll.api.preflight_report import (
    BatchRow,
    Capacity,
    Cliff,
    CliffKind,
    LinearFit,
    PhaseReport,
    PhaseStatus,
    ProfileFigures,
)
from plimsoll.core.preflight.batch_profile import (
    batch_rows,
    batch_time_ms,
    fit,
    knee,
    recommended_max_batch,
)
from plimsoll.core.preflight.capacity import attainable, predicted_capacity, slower_when_full
from plimsoll.core.preflight.naming import figure
from plimsoll.core.preflight.promise import Promise, allowed_late, promises
from plimsoll.core.preflight.queueing import QueueModel
from plimsoll.core.routing.limits import OUTSTANDING
from plimsoll.preflight.client import Served, Session
from plimsoll.preflight.load import Abandon, LoadResult, open_loop, poisson
from plimsoll.preflight.phases import Context, InterruptedPhaseError, Outcome
from plimsoll.preflight.probing import Confirmation, confirm
from plimsoll.preflight.sweep import Sweep, sweep
from plimsoll.preflight.tensors import Tensors

SWEEP_SHARE: Final = 0.4
"""Of the phase's time; the rest probes the capacity. All of it without an objective."""
MAX_OUTSTANDING: Final = OUTSTANDING
"""Requests that a gateway leaves with one replica."""
_REQUEST_VARIETY: Final = 64
"""Different rows sent as load."""
_LEAST_BUSY_SHARE: Final = 0.05
"""Of the measured time, below which the part that computes is not believed."""


async def examine(session: Session, context: Context) -> Outcome:
    """Measures, finds cliffs, predicts the capacity at the objective and confirms it at one replica."""
    rows = context.inputs.rows()
    if not rows:
        return context.report(PhaseStatus.SKIPPED, "InputsRefused", "No input was answered: nothing to measure."), None
    asked = promises(context.request.objective)
    seconds = context.time_left() * (SWEEP_SHARE if asked else 1.0)
    measured = await sweep(session, context, rows, seconds)
    profile = _Profile.of(measured)
    if measured.broken is not None:
        raise InterruptedPhaseError(measured.broken, profile.figures())
    if not asked:
        return profile.report(context, *_without_objective(profile)), profile.figures()
    t1_ms = profile.rows[0].median_ms or 0.0
    delay_ms = session.served.max_queue_delay_ms or 0.0
    strictest = min(asked, key=lambda promise: promise.budget_ms)
    if not all(attainable(t1_ms, delay_ms, promise.budget_ms) for promise in asked):
        return profile.report(context, *_beyond_reach(asked, t1_ms, delay_ms)), profile.figures(
            strictest, attainable=all(attainable(t1_ms, delay_ms, promise.max_ms) for promise in asked)
        )
    context.tell(SWEEP_SHARE, "predicting the capacity")
    promise, predicted = await asyncio.to_thread(_predict, profile, session.served, asked, context.rng)
    rate = predicted[0].requests_per_s
    most = rate if slower_when_full(profile.queue(session.served)) else math.inf
    found = await _confirmed(session, context, rows, promise, rate, most)
    capacity = scaled(predicted, found)
    report = profile.report(context, *_with_objective(profile, promise, rate, capacity[0], found))
    return report, profile.figures(promise, capacity, attainable=True)


@dataclass(frozen=True, slots=True)
class _Profile:
    """The sweep's figures."""

    measured: Sweep
    rows: list[BatchRow]
    line: LinearFit | None
    cliffs: list[Cliff]

    @classmethod
    def of(cls, measured: Sweep) -> _Profile:
        rows = batch_rows(measured.everything)
        return cls(measured, rows, fit(rows), measured.cliffs())

    def figures(
        self,
        promise: Promise | None = None,
        capacity: Sequence[Capacity] = (),
        *,
        attainable: bool | None = None,
    ) -> ProfileFigures:
        held_against = (promise.budget_ms, promise.quantile) if promise else ()
        return ProfileFigures(
            rows=self.rows,
            fit=self.line,
            knee=knee(self.rows),
            recommended_max_batch=recommended_max_batch(self.rows, self.cliffs, *held_against),
            cliffs=self.cliffs,
            objective_ms=promise.budget_ms if promise else None,
            objective_quantile=promise.quantile if promise else None,
            capacity=list(capacity),
            attainable=attainable,
        )

    def report(self, context: Context, status: PhaseStatus, reason: str, message: str) -> PhaseReport:
        """Makes the phase's report, which says which sizes were left out."""
        late = self.measured.left_out
        if late is not None:
            message += (
                f" Batches of {late} and more were left out: they would take about as long as a model that hangs."
            )
        return context.report(status, reason, message)

    def queue(self, served: Served) -> QueueModel:
        """The model's queue: how long an instance is busy with a batch, and what a batch may hold.

        A single request's time less the time in which the model does not compute is what the next one waits for.
        """
        time_ms = batch_time_ms(self.line, self.rows)
        overhead = self.measured.overhead_ms
        working = max(row.batch for row in self.rows if row.median_ms is not None)
        batched = served.max_queue_delay_ms is not None
        max_batch = min(served.largest_batch, working) if batched else 1
        return QueueModel(
            batch_time_ms=lambda batch: max(time_ms(batch) - overhead, _LEAST_BUSY_SHARE * time_ms(batch)),
            max_batch=max_batch,
            max_delay_ms=served.max_queue_delay_ms or 0.0,
            noise=noise(self.measured),
            replicas=1,
            max_outstanding=max(MAX_OUTSTANDING, 2 * max_batch),
            instances=served.instances,
            preferred=tuple(size for size in served.preferred_batch_sizes if size <= max_batch),
        )


def noise(measured: Sweep) -> float:
    """Returns the standard deviation of a batch's time as a share of it, the median over the sizes.

    From the distance of the quartiles, which single hiccups of the machine do not move.
    """
    shares = []
    for size in measured.samples:
        if size.failure is None and size.latencies_ms:
            low, middle, high = np.quantile(np.concatenate(size.latencies_ms), [0.25, 0.5, 0.75])
            shares.append((high - low) / 1.349 / middle)  # quartiles of a normal distribution are 1.349 sigma apart
    return float(np.median(shares)) if shares else 0.0


def _predict(
    profile: _Profile, served: Served, asked: Sequence[Promise], rng: np.random.Generator
) -> tuple[Promise, list[Capacity]]:
    """Returns the promise that binds, and the capacities that keep it."""
    queue, overhead = profile.queue(served), profile.measured.overhead_ms
    alone = [
        (predicted_capacity(queue, promise.budget_ms - overhead, promise.quantile, rng, (1,))[0], promise)
        for promise in asked
    ]
    _, binding = min(alone, key=lambda pair: pair[0].requests_per_s)
    return binding, predicted_capacity(queue, binding.budget_ms - overhead, binding.quantile, rng)


async def _confirmed(
    session: Session, context: Context, rows: Sequence[Tensors], promise: Promise, predicted: float, most: float
) -> Confirmation:
    if predicted <= 0:
        return Confirmation(None, None, "No rate is predicted to keep the budget.")
    requests = [session.prepare(row) for row in rows[:_REQUEST_VARIETY]]
    timeout_s = load_timeout_s(context, promise.max_ms)

    async def probe(rate: float, count: int) -> LoadResult:
        context.tell(1 - context.time_left() / context.seconds, f"probing {figure(rate)} requests/s")
        return await open_loop(
            poisson(rate, count, context.rng),
            lambda number: session.send(requests[number % len(requests)], timeout_s),
            abandon=Abandon(promise.budget_ms, allowed_late(count, promise.quantile)),
        )

    return await confirm(probe, promise, predicted, context.time_left, most)


def load_timeout_s(context: Context, longest_ms: float) -> float:
    """Returns how long a request under load is waited for: past that it is late whatever it says."""
    return min(max(4 * longest_ms / 1000, 2.0), context.request.request_timeout_s)


def scaled(predicted: Sequence[Capacity], found: Confirmation) -> list[Capacity]:
    """Puts what was measured at one replica in place of its prediction, and scales the others by the same factor."""
    if found.requests_per_s is None or not predicted[0].requests_per_s:
        return list(predicted)
    factor = found.requests_per_s / predicted[0].requests_per_s
    return [
        Capacity(replicas=one.replicas, requests_per_s=one.requests_per_s * factor, confirmed=one.replicas == 1)
        for one in predicted
    ]


_Verdict = tuple[PhaseStatus, str, str]
_FIELD: Final = "That is spec.model.config.maxBatchSize."


def _troubles(profile: _Profile) -> _Verdict | None:
    """What is wrong with the batches themselves."""
    for cliff in sorted(profile.cliffs, key=lambda cliff: cliff.kind is not CliffKind.FAILURE):
        if cliff.kind is CliffKind.FAILURE:
            return PhaseStatus.FAILED, "BatchFails", f"{cliff.explanation} {_FIELD}"
        return PhaseStatus.WARNED, "BatchCliff", f"{cliff.explanation} {_FIELD}"
    return None


def _without_objective(profile: _Profile) -> _Verdict:
    rates = [row.items_per_s for row in profile.rows if row.items_per_s is not None]
    said = f"Up to {figure(max(rates))} items/s, one request at a time; a capacity needs spec.objective.latency."
    return _troubles(profile) or (PhaseStatus.PASSED, "Profiled", said)


def _beyond_reach(asked: Sequence[Promise], t1_ms: float, delay_ms: float) -> _Verdict:
    promise = min(asked, key=lambda one: one.budget_ms)
    alone = f"One request alone takes {figure(t1_ms + delay_ms)} ms, queue delay included;"
    if not all(attainable(t1_ms, delay_ms, one.max_ms) for one in asked):
        broken = min(asked, key=lambda one: one.max_ms)
        said = (
            f"{alone} {broken.max_ms:g} ms are promised at p{broken.quantile * 100:g}. Promise more time or make the "
        )
        return PhaseStatus.FAILED, "SLOUnattainable", f"{said}model faster."
    said = f"{alone} of the {promise.max_ms:g} ms promised at p{promise.quantile * 100:g} the headroom leaves "
    return PhaseStatus.WARNED, "HeadroomUnattainable", f"{said}{promise.budget_ms:g} ms. Lower spec.objective.headroom."


def _with_objective(
    profile: _Profile, promise: Promise, predicted: float, one: Capacity, found: Confirmation
) -> _Verdict:
    kept = f"within {promise.budget_ms:g} ms at p{promise.quantile * 100:g}"
    said = f"One replica carries {figure(one.requests_per_s)} requests/s {kept}"
    if one.confirmed:
        said += f", measured ({figure(predicted)} predicted)."
    else:
        said += f", predicted only. {found.trouble}"
    troubles = _troubles(profile)
    if troubles is not None:
        status, reason, explanation = troubles
        return status, reason, f"{explanation} {said}"
    if not one.confirmed:
        return PhaseStatus.WARNED, "CapacityUnconfirmed", said
    return PhaseStatus.PASSED, "CapacityConfirmed", said
