"""Phase 7, memory: does the model server grow with every request?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from plimsoll.api.preflight_report import MemoryFigures, MemorySlope, PhaseStatus
from plimsoll.core.preflight.leak import MINIMUM_SAMPLES, memory_slope
from plimsoll.errors import PlimsollError
from plimsoll.preflight.client import Prepared, Session
from plimsoll.preflight.inputs import batch_of
from plimsoll.preflight.memory import HttpExaminer, LocalProcesses, MemoryReader
from plimsoll.preflight.phases import Context, Outcome
from plimsoll.preflight.request import Examiner
from plimsoll.preflight.tensors import Tensors

SAMPLES: Final = 100
MOST_REQUESTS: Final = 10_000
WARM_LARGEST: Final = 10
"""Requests of the largest batch first: allocators grow to what it needs and keep that."""
WARM_SINGLE: Final = 50
_WARM_SHARE: Final = 0.3
"""Of the phase's time, that warming up may take."""

Reading = tuple[int, dict[str, int]]
"""Requests sent so far, and resident bytes by device."""


async def examine(session: Session, context: Context) -> Outcome:
    """Warms up with the largest batch, then sends single items one after the other and watches the memory."""
    rows = context.inputs.rows()
    if not rows:
        return context.report(PhaseStatus.SKIPPED, "InputsRefused", "No input was answered: nothing to send."), None
    if context.request.examiner is None:
        said = "Nobody can see the server's processes: the pod has no examiner, or give --pid of a local server."
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
    took_s = await _warm_up(session, context, rows, requests)
    between = min(int(context.time_left() / took_s), MOST_REQUESTS) // SAMPLES
    if between < 1:
        said = f"A request takes {took_s * 1000:.3g} ms and {context.time_left():.0f} s are left, too little for "
        said += f"{SAMPLES} requests: raise spec.preflight.budget."
        return context.report(PhaseStatus.SKIPPED, "TooFewRequests", said), None
    readings = await _readings(session, context, requests, reader, between)
    if len(readings) < MINIMUM_SAMPLES:
        said = (
            f"Time for {len(readings)} looks at the memory, of {MINIMUM_SAMPLES} needed: raise spec.preflight.budget."
        )
        return context.report(PhaseStatus.SKIPPED, "TooFewRequests", said), None
    slopes = memory_slopes(readings)
    return context.report(*verdict(slopes)), MemoryFigures(slopes=slopes)


async def _warm_up(session: Session, context: Context, rows: Sequence[Tensors], requests: Sequence[Prepared]) -> float:
    """Returns the seconds that a single item takes afterwards."""
    context.tell(0.0, "warming up")
    clock = context.clock.monotonic
    until = clock() + context.time_left() * _WARM_SHARE
    largest = session.prepare(batch_of(rows, largest_working_batch(session, context)))
    for number in range(WARM_LARGEST):
        if number and clock() > until:
            break
        await session.send(largest)
    started, sent = clock(), 0
    while sent < WARM_SINGLE and (not sent or clock() < until):
        await session.send(requests[sent % len(requests)])
        sent += 1
    return max((clock() - started) / sent, 1e-6)


def largest_working_batch(session: Session, context: Context) -> int:
    """Returns the largest batch that the profile saw work; the model's maximum where there is no profile."""
    profile = context.figures.profile
    working = [row.batch for row in profile.rows if row.failure is None] if profile else []
    return max(working, default=session.served.largest_batch)


async def _readings(
    session: Session, context: Context, requests: Sequence[Prepared], reader: MemoryReader, between: int
) -> list[Reading]:
    """Looks at the memory while nothing is in flight, after every `between` requests, one at a time.

    One at a time, because requests that are sent together make batches of changing size, and a new size takes memory.
    """
    sent = 0
    readings: list[Reading] = [(0, dict(await reader.read()))]
    while len(readings) <= SAMPLES and context.time_left() > 0:
        for _ in range(between):
            await session.send(requests[sent % len(requests)])
            sent += 1
        readings.append((sent, dict(await reader.read())))
        context.tell(len(readings) / SAMPLES, f"{sent} requests")
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
            return PhaseStatus.FAILED, "MemoryLeak", f"{said}keeps of each request."
    seen = "; ".join(
        f"{slope.device} {slope.bytes_per_request:.0f} bytes a request over {slope.requests}, and a leak of "
        f"{slope.detectable:.0f} would have shown"
        for slope in slopes
    )
    return PhaseStatus.PASSED, "MemoryStable", f"No leak: {seen}."


def _until_a_gibibyte(slope: MemorySlope) -> str:
    return f"{2**30 / max(slope.second_half, 1):,.0f}"
