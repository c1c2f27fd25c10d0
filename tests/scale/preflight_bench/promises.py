"""Whether one replica carries what the preflight promises for it.

The preflight's own profile phase makes the promise. Then Poisson load is sent at 0.9 and at 1.2 of it, and at rates in
between until the edge is known to a few per cent. A request that was shed, failed or timed out counts as late.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

import numpy as np
from tests.scale.preflight_bench.edge import Edge
from tests.scale.preflight_bench.served import cases
from tests.scale.saying import say
from tests.support.preflighting import context, golden, request

from plimsoll.api.preflight_report import PhaseName, PhaseReport, ProfileFigures
from plimsoll.core.preflight.promise import Promise, allowed_late
from plimsoll.preflight.client import Prepared, Session
from plimsoll.preflight.event_loop import run_precisely
from plimsoll.preflight.load import Abandon, LoadResult, open_loop, poisson
from plimsoll.preflight.phases import Context, profile
from plimsoll.preflight.probing import keeps
from plimsoll.preflight.trial import attempt
from plimsoll_dev.images.local_triton import LocalTriton

REQUESTS = 10_000
QUICK_REQUESTS = 1_500
BUDGET_S = 40.0
"""The phase's share of the default budget of 2 minutes, rounded down."""
QUANTILE = 0.99
OBJECTIVE = 10
"""Times the latency of a single request: room for a queue, as a user would leave it."""
KEPT, MISSED = 0.9, 1.2
WIDTH, QUICK_WIDTH = 1.03, 1.1
"""Factor between a rate that is carried and one that is not, at which the search for the edge ends."""
MOST_POINTS = 10
MOST_ATTEMPTS = 3
_ALONE = 40
_TIMEOUT_S = 30.0
_PREDICTED = re.compile(r"\(([0-9.e+]+) predicted\)")


class NotPromisedError(Exception):
    """The preflight did not promise a rate; the message is its own."""


@dataclass(frozen=True, slots=True)
class Promised:
    """What the phase said of one replica, in requests per second."""

    predicted: float
    """By the queue's simulation."""
    promised: float
    """After probing; the same where that was not possible."""
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One rate and what became of it."""

    share: float
    """Of the promise."""
    rate: float
    result: LoadResult
    kept: bool
    repeated: int
    """Times, because the client itself had been the bottleneck."""

    def figures(self) -> dict[str, object]:
        """Returns what is printed; `p99_ms` is null where so many requests have no answer."""
        # A latency that was seen: between one and an infinite one there is nothing.
        p99 = float(np.quantile(self.result.latencies_ms, QUANTILE, method="inverted_cdf"))
        return {
            "share": round(self.share, 3),
            "requests_per_s": round(self.rate, 2),
            "meets_slo": self.kept,
            "requests": self.result.requests,
            "failed": self.result.failed,
            "shed": self.result.shed,
            "p99_ms": round(p99, 2) if np.isfinite(p99) else None,
            "client_lag_p99_ms": round(self.result.lag_ms, 2),
            "client_was_bottleneck": bool(self.result.invalid()),
            "repeated": self.repeated,
        }


def measure_promise(server: LocalTriton, model: str, *, quick: bool) -> dict[str, object]:
    """Gets the promise for a model, holds it against load, and returns the figures.

    Raises:
        NotPromisedError: There is nothing to hold.
    """
    return run_precisely(_measure(server, model, quick=quick))


async def _measure(server: LocalTriton, model: str, *, quick: bool) -> dict[str, object]:
    started = time.monotonic()
    async with Session(server.grpc, model, timeout_s=_TIMEOUT_S) as session:
        await session.describe()
        requests = [session.prepare(case.inputs) for case in cases(model)]
        alone_ms = await _alone_ms(session, requests)
        promise = Promise(QUANTILE, slo := float(round(OBJECTIVE * alone_ms)), slo)
        say(f"{model}: one request alone takes {alone_ms:.1f} ms; promising {slo:g} ms at p{QUANTILE * 100:g}")
        said = await _promised(server, session, model, promise)
        say(f"{model}: {said.promised:.4g} requests/s promised, {said.predicted:.4g} predicted")
        load = _Load(session, requests, promise, said.promised, QUICK_REQUESTS if quick else REQUESTS)
        edge = await load.edge(QUICK_WIDTH if quick else WIDTH)
    return {
        "single_ms": round(alone_ms, 2),
        "slo_ms": slo,
        "predicted": round(said.predicted, 2),
        "promised": round(said.promised, 2),
        "confirmed": said.confirmed,
        "measured": round(edge, 2) if edge else None,
        "capacity_ratio": round(edge / said.predicted, 3) if edge else None,
        "promise_ratio": round(edge / said.promised, 3) if edge else None,
        "kept_at_0.9": load.points[0].kept,
        "missed_at_1.2": not load.points[1].kept,
        "points": [point.figures() for point in load.points],
        "seconds": round(time.monotonic() - started),
    }


async def _alone_ms(session: Session, requests: list[Prepared]) -> float:
    took = []
    for number in range(_ALONE):
        started = time.perf_counter()
        await session.send(requests[number % len(requests)])
        took.append((time.perf_counter() - started) * 1000)
    return float(np.median(took[_ALONE // 2 :]))


async def _promised(server: LocalTriton, session: Session, model: str, promise: Promise) -> Promised:
    """Runs the profile phase as a preflight does. Without headroom: what is promised is what is aimed at."""
    latency = [{"percentile": f"{promise.quantile * 100:g}", "max": f"{promise.max_ms:g}ms"}]
    asked = request(
        server.grpc, model=model, objective={"latency": latency, "headroom": "0%"}, request_timeout_s=_TIMEOUT_S
    )
    report, figures = await attempt(profile.examine, session, _context(asked, model))
    return read_promise(report, figures if isinstance(figures, ProfileFigures) else None)


def _context(asked: object, model: str) -> Context:
    return context(asked, PhaseName.PROFILE, golden(cases(model)), seconds=BUDGET_S)  # type: ignore[arg-type]


def read_promise(report: PhaseReport, figures: ProfileFigures | None) -> Promised:
    """Returns what the phase said of one replica.

    Raises:
        NotPromisedError: It promised nothing.
    """
    if figures is None or not figures.capacity or not figures.capacity[0].requests_per_s:
        raise NotPromisedError(f"The profile phase promised no rate: {report.message}")
    one = figures.capacity[0]
    predicted = _PREDICTED.search(report.message) if one.confirmed else None
    return Promised(float(predicted[1]) if predicted else one.requests_per_s, one.requests_per_s, one.confirmed)


@dataclass(slots=True)
class _Load:
    session: Session
    requests: list[Prepared]
    promise: Promise
    promised: float
    count: int
    points: list[Point] = field(default_factory=list)

    async def edge(self, width: float) -> float | None:
        """Measures at the stated shares of the promise, then narrows the edge; None where it was not found."""
        edge = Edge()
        for share in (KEPT, MISSED):
            edge = edge.seen(share * self.promised, kept=await self.point(share * self.promised, whole=True))
        while len(self.points) < MOST_POINTS:
            rate = edge.next_rate(width)
            if rate is None:
                break
            edge = edge.seen(rate, kept=await self.point(rate, whole=False))
        return edge.rate

    async def point(self, rate: float, *, whole: bool) -> bool:
        """Sends load at one rate; unless `whole`, no longer than until the promise is broken for certain.

        A miss of the client's own making says nothing, and the point is repeated.
        """
        for attempt_number in range(MOST_ATTEMPTS):
            result = await self.send(rate, attempt_number, whole=whole)
            kept = keeps(result, self.promise)
            if kept or not result.invalid():
                break
        self.points.append(Point(rate / self.promised, rate, result, kept, attempt_number))
        return kept

    async def send(self, rate: float, attempt_number: int, *, whole: bool) -> LoadResult:
        allowed = allowed_late(self.count, self.promise.quantile)
        timeout_s = max(4 * self.promise.max_ms / 1000, 2.0)
        result = await open_loop(
            poisson(rate, self.count, np.random.default_rng([2, len(self.points), attempt_number])),
            lambda number: self.session.send(self.requests[number % len(self.requests)], timeout_s),
            abandon=None if whole else Abandon(self.promise.max_ms, allowed),
        )
        say(
            f"  {rate / self.promised:.3f} of the promise, {rate:.4g} requests/s: {result.late(self.promise.max_ms)} "
            f"of {result.requests} late, {allowed} allowed; client lag {result.lag_ms:.2f} ms"
        )
        return result
