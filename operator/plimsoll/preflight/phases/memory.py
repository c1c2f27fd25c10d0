"""Phase 7, memory: does the model server grow with every request?

A leak takes thousands of requests to show, and a cache takes them to fill, so a slow model is sent several at once if
that brings it to thousands: always as many, and the next ones when all of them are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from plimsoll.api.preflight_report import MemoryFigures, MemorySlope, PhaseStatus
from plimsoll.core.preflight.leak import MINIMUM_SAMPLES, memory_slope
from plimsoll.errors import PlimsollError
from plimsoll.preflight.client import Prepared, Session
from plimsoll.preflight.failures import OverloadedError
from plimsoll.preflight.inputs import batch_of
from plimsoll.preflight.memory import HttpExaminer, LocalProcesses, MemoryReader
from plimsoll.preflight.phases import Context, Outcome
from plimsoll.preflight.request import Examiner
from plimsoll.preflight.tensors import Tensors

SAMPLES: Final = 100
MOST_REQUESTS: Final = 10_000
LEAST_REQUESTS: Final = 200
"""Of half as many a leak of 1 KiB each makes 25 pages: fewer do not tell it from an allocator's steps."""
ENOUGH_REQUESTS: Final = 2000
"""With less time than these need, one after the other, several are sent at once."""
MOST_AT_ONCE: Final = 32
WARM_LARGEST: Final = 10
"""Requests of the largest batch first, unless the profile sent them: allocators grow to what it needs and keep that."""
WARM_SINGLE: Final = 50
_WARM_TOGETHER: Final = 5
"""Times that several are sent at once before the memory is watched."""
_WARM_SHARE: Final = 0.3
"""Of the phase's time, that warming up may take."""
_WORTHWHILE: Final = 2.0
"""Times as many requests, or several at once are not worth the changing batch sizes."""

Reading = tuple[int, dict[str, int]]
"""Requests sent so far, and resident bytes by device."""


async def examine(session: Session, context: Context) -> Outcome:
    """Warms up with the largest batch, then sends single items at one pace and watches the memory."""
    rows = context.inputs.rows()
    if not rows:
        return context.report(PhaseStatus.SKIPPED, "InputsRefused", "No input was answered: nothing to send."), None
    if context.request.examiner is None:
        said = (
            "Nobody can see the server's processes: its pod has no examiner, or it runs elsewhere. With --local, leave "
        )
        said += "out --url: a Triton that is started here can be watched."
        return context.report(PhaseStatus.SKIPPED, "NoExaminer", said), None
    reader = memory_reader(context.request.examiner)
    try:
        return await observe(session, context, rows, reader)
    except PlimsollError as error:
        if error.reason != "MemoryUnreadable":
            raise
        return context.report(PhaseStatus.SKIPPED, error.reason, error.message), None
    finally:
        await reader.close()


def memory_reader(examiner: Examiner) -> MemoryReader:
    """Chooses how the server's memory is read."""
    if examiner.process_id is not None:
        return LocalProcesses(examiner.process_id)
    return HttpExaminer(examiner.url or "", examiner.token or "")


async def observe(session: Session, context: Context, rows: Sequence[Tensors], reader: MemoryReader) -> Outcome:
    """The phase, once somebody can see the memory.

    Raises:
        PlimsollError: `MemoryUnreadable`.
    """
    requests = [session.prepare(row) for row in rows]
    pace = await _pace(session, context, rows, requests)
    rounds = int(min(context.time_left() / pace.round_s, MOST_REQUESTS // pace.at_once))
    if rounds < MINIMUM_SAMPLES or rounds * pace.at_once < LEAST_REQUESTS:
        said = f"A request takes {pace.request_s * 1000:.3g} ms and {context.time_left():.0f} s are left, too little "
        said += f"for {LEAST_REQUESTS} requests: raise spec.preflight.budget."
        return context.report(PhaseStatus.SKIPPED, "TooFewRequests", said), None
    readings = await _readings(session, context, requests, reader, pace, rounds)
    if len(readings) < MINIMUM_SAMPLES:
        said = (
            f"Time for {len(readings)} looks at the memory, of {MINIMUM_SAMPLES} needed: raise spec.preflight.budget."
        )
        return context.report(PhaseStatus.SKIPPED, "TooFewRequests", said), None
    slopes = memory_slopes(readings)
    return context.report(*verdict(slopes)), MemoryFigures(slopes=slopes)


@dataclass(frozen=True, slots=True)
class _Pace:
    """How the requests are sent: so many at once, which takes so many seconds."""

    at_once: int
    round_s: float

    @property
    def request_s(self) -> float:
        return self.round_s / self.at_once


async def _pace(session: Session, context: Context, rows: Sequence[Tensors], requests: Sequence[Prepared]) -> _Pace:
    """Warms up, and chooses the pace that brings thousands of requests into the time that is left."""
    context.tell(0.0, "warming up")
    clock = context.clock.monotonic
    until = clock() + context.time_left() * _WARM_SHARE
    largest = session.prepare(batch_of(rows, largest_working_batch(session, context)))
    for number in range(1 if context.figures.profile else WARM_LARGEST):
        if number and clock() > until:
            break
        await session.send(largest)
    alone = await _timed(session, context, requests, 1, WARM_SINGLE, until)
    at_once = min(_taken_together(session, context, alone.request_s), MOST_AT_ONCE)
    if at_once <= 1 or not MINIMUM_SAMPLES * alone.round_s < context.time_left() < ENOUGH_REQUESTS * alone.round_s:
        return alone
    try:
        until = clock() + 2 * _WARM_TOGETHER * alone.round_s  # the first alone, the others as one batch
        together = await _timed(session, context, requests, at_once, _WARM_TOGETHER, until)
    except OverloadedError:
        return alone
    looks = context.time_left() / together.round_s
    worthwhile = alone.request_s > _WORTHWHILE * together.request_s and looks > MINIMUM_SAMPLES
    return together if worthwhile else alone


def _taken_together(session: Session, context: Context, alone_s: float) -> int:
    """Returns how many requests the server works on at the same time, without one that waits for too long.

    One that did would pass for a model that hangs.
    """
    batches = session.served.max_queue_delay_ms is not None
    together = largest_working_batch(session, context) if batches else session.served.instances
    return min(together, int(context.request.request_timeout_s / 2 / alone_s))


async def _timed(
    session: Session, context: Context, requests: Sequence[Prepared], at_once: int, rounds: int, until: float
) -> _Pace:
    """Sends up to so many rounds until that moment, one at least, and says how long one took."""
    clock = context.clock.monotonic
    started, sent = clock(), 0
    while sent < rounds * at_once and (not sent or clock() < until):
        await _send(session, requests, sent, at_once)
        sent += at_once
    return _Pace(at_once, max((clock() - started) * at_once / sent, 1e-6))


async def _send(session: Session, requests: Sequence[Prepared], first: int, count: int) -> None:
    """Sends so many requests at once, from that number on, and waits for all of them."""
    if count == 1:  # nothing of ours beside a request that may take a tenth of a millisecond
        await session.send(requests[first % len(requests)])
        return
    chosen = [requests[number % len(requests)] for number in range(first, first + count)]
    answers = await asyncio.gather(*(session.send(request) for request in chosen), return_exceptions=True)
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    if errors:
        raise errors[0]


def largest_working_batch(session: Session, context: Context) -> int:
    """Returns the largest batch that the profile saw work; the model's maximum where there is no profile."""
    profile = context.figures.profile
    working = [row.batch for row in profile.rows if row.failure is None] if profile else []
    return max(working, default=session.served.largest_batch)


async def _readings(
    session: Session, context: Context, requests: Sequence[Prepared], reader: MemoryReader, pace: _Pace, rounds: int
) -> list[Reading]:
    """Looks at the memory while nothing is in flight, 100 to 200 times, or after each round where they are fewer.

    The pace is never changed: requests that meet make batches, and a new batch size takes memory.
    """
    sent = 0
    readings: list[Reading] = [(0, dict(await reader.read()))]
    while sent < rounds * pace.at_once and context.time_left() > 0:
        for _ in range(max(rounds // SAMPLES, 1)):
            await _send(session, requests, sent, pace.at_once)
            sent += pace.at_once
        readings.append((sent, dict(await reader.read())))
        context.tell(sent / pace.at_once / rounds, f"{sent} requests")
    return readings


def memory_slopes(readings: Sequence[Reading]) -> list[MemorySlope]:
    """Judges each device that was there all the time."""
    requests = np.array([sent for sent, _ in readings], dtype=np.int64)
    devices = set.intersection(*(set(sizes) for _, sizes in readings))
    return [
        memory_slope(device, requests, np.array([sizes[device] for _, sizes in readings], dtype=np.int64))
        for device in sorted(devices, key=lambda name: (name != "host", name))
    ]


def verdict(slopes: Sequence[MemorySlope]) -> tuple[PhaseStatus, str, str]:
    """Returns status, reason and sentence."""
    for slope in slopes:
        if slope.leaking:
            said = f"Memory ({slope.device}) grows by {slope.bytes_per_request:.0f} bytes a request "
            said += f"({slope.low:.0f} to {slope.high:.0f}), {slope.second_half:.0f} in the second half of "
            said += f"{slope.requests} requests: 1 GiB after {_until_a_gibibyte(slope)} requests. Find what the model "
            return PhaseStatus.FAILED, "MemoryLeak", f"{said}keeps of each request.{_caution(slope)}"
    seen = "; ".join(
        f"{slope.device} {slope.bytes_per_request:.0f} bytes a request over {slope.requests}, and a leak of "
        f"{slope.detectable:.0f} would have shown"
        for slope in slopes
    )
    return PhaseStatus.PASSED, "MemoryStable", f"No leak: {seen}."


def _caution(slope: MemorySlope) -> str:
    if slope.requests >= ENOUGH_REQUESTS:
        return ""
    return " So few requests may only have begun to fill a cache: raise spec.preflight.budget to tell."


def _until_a_gibibyte(slope: MemorySlope) -> str:
    return f"{2**30 / max(slope.second_half, 1):,.0f}"
