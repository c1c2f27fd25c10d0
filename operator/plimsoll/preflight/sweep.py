"""One request at a time, at every batch size: what a batch costs when nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from plimsoll.api.preflight_report import Cliff, CliffKind
from plimsoll.core.preflight.batch_profile import SizeSamples, enough, find_cliffs
from plimsoll.preflight.client import Prepared, Session, Statistics
from plimsoll.preflight.failures import CallError, NoAnswerError, OverloadedError, RefusedError, ServerGoneError
from plimsoll.preflight.inputs import batch_of
from plimsoll.preflight.phases import Context
from plimsoll.preflight.tensors import Tensors

ROUNDS: Final = 3
"""In shuffled order, so that a slow moment of the machine does not fall on one size."""
MOST_ROUNDS: Final = 8
WARM_UP: Final = 5
"""Requests at a new size that are not counted: kernels are chosen and memory is taken for it."""
ROUND_REQUESTS: Final = 80
"""Three rounds of these are enough for p90 and p95."""
LEAST_REQUESTS: Final = 3
"""In a round, however slow the size is."""
_HANGING_SHARE: Final = 0.5
"""Of the time after which a model counts as hanging: a size that is expected to take longer is not tried."""
BUSY_REQUESTS: Final = 200
"""Sent while others wait, to see how long an instance pauses between two batches."""
_COMPANY: Final = 4
"""Requests in flight for each instance then: batches of two, about what a replica has at its capacity."""
LOCATING_REQUESTS: Final = 10
"""In a round at a size between two others, when a cliff between these is located."""


@dataclass(slots=True)
class _Size:
    batch: int
    request: Prepared
    warm: list[float] = field(default_factory=list)
    rounds: list[list[float]] = field(default_factory=list)
    failure: str = ""

    def samples(self) -> SizeSamples:
        """What was measured; the warm-up without its first request where the server died before the first round."""
        rounds = [np.asarray(one, dtype=np.float64) for one in self.rounds or [self.warm[1:]] if one]
        return SizeSamples(self.batch, rounds, self.failure or None)

    @property
    def item_ms(self) -> float:
        return float(np.median(np.concatenate(self.samples().latencies_ms))) / self.batch

    @property
    def settled(self) -> bool:
        return bool(self.failure) or (len(self.rounds) >= ROUNDS and enough(self.samples().latencies_ms))


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was measured.

    Attributes:
        samples: By size, ascending; a size that was not reached is absent.
        between: The same for sizes in between, where a cliff was located.
        overhead_ms: Part of a single request's time in which an instance could work on others: network, decoding.
        left_out: The smallest size that was not tried because it would take too long; None where all were.
        broken: The error that ended the sweep, where the server died or hung.
    """

    samples: list[SizeSamples]
    overhead_ms: float
    between: list[SizeSamples] = field(default_factory=list)
    broken: ServerGoneError | NoAnswerError | None = None
    left_out: int | None = None

    @property
    def everything(self) -> list[SizeSamples]:
        """All sizes, ascending."""
        return sorted([*self.samples, *self.between], key=lambda size: size.batch)

    def cliffs(self) -> list[Cliff]:
        """Returns the cliffs where they were located; a slope that no two neighbouring sizes show stays where it was.

        Whether there is a cliff is told by the wanted sizes alone: a fifth more for each item between 32 and 64 is one
        cliff, however gradual, and no smaller step of it would be.
        """
        coarse, fine = find_cliffs(self.samples), find_cliffs(self.everything)
        return [next((near for near in fine if self._locates(near, cliff)), cliff) for cliff in coarse]

    def _locates(self, near: Cliff, cliff: Cliff) -> bool:
        below = _size_below(self.samples, cliff.batch)
        return near.kind is cliff.kind and below < near.batch <= cliff.batch


def batch_sizes(largest: int, wanted: Sequence[int] | None) -> list[int]:
    """Chooses the sizes to measure: 1, and the wanted ones up to `largest`; else powers of two and `largest` itself."""
    chosen = wanted or [*(2**power for power in range(largest.bit_length())), largest]
    return sorted({1, *(size for size in chosen if size <= largest)})


async def sweep(session: Session, context: Context, rows: Sequence[Tensors], seconds: float) -> Sweep:
    """Measures all sizes within about so many seconds, at least one short round of each.

    Raises:
        RefusedError, OverloadedError: Not even a single item is answered.
    """
    run = _Sweeper(session, context, rows, seconds)
    for batch in batch_sizes(session.largest_batch, context.request.preflight.batch_sizes):
        run.sizes.append(run.size(batch))
    return await run.run()


@dataclass(slots=True)
class _Sweeper:
    session: Session
    context: Context
    rows: Sequence[Tensors]
    seconds: float
    sizes: list[_Size] = field(default_factory=list)
    between: list[_Size] = field(default_factory=list)
    until: float = 0.0
    overhead_ms: float = 0.0
    left_out: int | None = None

    @property
    def share(self) -> float:
        """Seconds for one visit to one size."""
        return self.seconds / len(self.sizes) / ROUNDS

    async def run(self) -> Sweep:
        self.until = self.context.clock.monotonic() + self.seconds
        try:
            await self.warm_up()
            self.overhead_ms = max(self.overhead_ms - await self.pause_ms(), 0.0)
            for number in range(MOST_ROUNDS):
                open_sizes = [size for size in self.sizes if not size.settled]
                if not open_sizes or (number and self.late()):
                    break
                await self.round(number, open_sizes)
            await self.locate_cliffs()
        except (ServerGoneError, NoAnswerError) as error:
            return self.result(error)
        return self.result()

    async def warm_up(self) -> None:
        """Finds the sizes that do not work, in ascending order, and what a request costs beside the computation."""
        for number, size in enumerate(self.sizes):
            if self.too_slow(size):
                self.left_out = size.batch
                del self.sizes[number:]
                return
            self.context.tell(0.0, f"batch {size.batch}, warming up")
            if not await self.works(size, WARM_UP) and not await self.works(size, WARM_UP):
                continue
            if size.batch == 1:
                await self.measure_overhead(size)

    def too_slow(self, size: _Size) -> bool:
        """Whether a size would be taken for one that hangs if its items take as long as those of the largest so far."""
        smaller = [one for one in self.sizes if one.batch < size.batch and one.warm and not one.failure]
        longest_s = _HANGING_SHARE * self.context.request.request_timeout_s
        return bool(smaller) and smaller[-1].item_ms * size.batch > longest_s * 1000

    async def works(self, size: _Size, requests: int) -> bool:
        """Whether the model answers batches of this size; where it does not answer a single item, that is raised."""
        try:
            size.warm = await self.send(size, requests, self.share)
        except (RefusedError, OverloadedError) as error:
            if size.batch == 1:
                raise
            size.failure = error.message
            return False
        size.failure = ""
        return True

    async def measure_overhead(self, size: _Size) -> None:
        """Measures the part of a lonely request's time in which nothing is computed."""
        before = await self.session.statistics()
        took = await self.send(size, ROUND_REQUESTS, self.share)
        computing, executions = _computed_ms(before, await self.session.statistics())
        computing /= max(executions, 1)
        # Without figures (an ensemble computes in its parts) all of it counts as computation: too careful, never less.
        self.overhead_ms = max(float(np.median(took)) - computing, 0.0) if computing else 0.0

    async def pause_ms(self) -> float:
        """Measures how long an instance pauses between two batches although requests wait.

        It gathers the inputs, hands out the outputs and waits to be woken: 0.4 to 1.5 ms for the models of this
        repository on two CPUs, a tenth of what a small model takes. A batcher that waits for company would be taken
        for a pause; it gets requests that fill a batch.
        """
        served = self.session.served
        full = bool(served.max_queue_delay_ms)
        size = [size for size in self.sizes if not size.failure][-1 if full else 0]
        before, started = await self.session.statistics(), self.context.clock.monotonic()
        await self.send_together(size, (2 if full else _COMPANY) * served.instances)
        took_ms = (self.context.clock.monotonic() - started) * 1000 - self.overhead_ms
        computing_ms, executions = _computed_ms(before, await self.session.statistics())
        return max(took_ms * served.instances - computing_ms, 0.0) / executions if executions else 0.0

    async def send_together(self, size: _Size, in_flight: int) -> None:
        """Sends requests for the time of one visit, as many at a time as stated."""
        left, until = iter(range(BUSY_REQUESTS)), self.context.clock.monotonic() + self.share

        async def one_after_another() -> None:
            for _ in left:
                if self.context.clock.monotonic() > until:
                    return
                with contextlib.suppress(RefusedError, OverloadedError):  # then there were enough at once
                    await self.session.send(size.request)

        await asyncio.gather(*(one_after_another() for _ in range(in_flight)))

    async def round(self, number: int, sizes: list[_Size]) -> None:
        for done, index in enumerate(self.context.rng.permutation(len(sizes))):
            size = sizes[index]
            part = (number + done / len(sizes)) / MOST_ROUNDS
            self.context.tell(part, f"batch {size.batch}, round {number + 1}")
            if number and self.late():
                return
            try:
                size.rounds.append(await self.send(size, ROUND_REQUESTS, self.share))
            except (RefusedError, OverloadedError) as error:
                size.failure = error.message

    async def locate_cliffs(self) -> None:
        """Halves the distance between the sizes on either side of a cliff until they are neighbours."""
        for cliff in find_cliffs([size.samples() for size in self.sizes]):
            if cliff.kind in (CliffKind.ITEM_TIME, CliffKind.THROUGHPUT):
                known = {size.batch: size for size in self.sizes}
                before = known[_size_below([size.samples() for size in self.sizes], cliff.batch)]
                await self.locate(before, known[cliff.batch])

    async def locate(self, before: _Size, cliff: _Size) -> None:
        while cliff.batch - before.batch > 1 and not self.late():
            middle = self.size((before.batch + cliff.batch) // 2)
            self.context.tell(1.0, f"batch {middle.batch}, locating a cliff")
            if not await self.works(middle, LEAST_REQUESTS):
                return
            middle.rounds = [await self.send(middle, LOCATING_REQUESTS, self.share) for _ in range(ROUNDS)]
            self.between.append(middle)
            nearer_before = middle.item_ms**2 < before.item_ms * cliff.item_ms
            before, cliff = (middle, cliff) if nearer_before else (before, middle)

    def size(self, batch: int) -> _Size:
        return _Size(batch, self.session.prepare(batch_of(self.rows, batch)))

    async def send(self, size: _Size, requests: int, seconds: float = 0.0) -> list[float]:
        """Sends up to so many requests, at least a few, and returns their latencies in milliseconds."""
        clock = self.context.clock.monotonic
        took: list[float] = []
        started = clock()
        try:
            while len(took) < requests and (len(took) < LEAST_REQUESTS or clock() - started < seconds):
                sent = clock()
                await self.session.send(size.request)
                took.append((clock() - sent) * 1000)
        except CallError as error:
            if isinstance(error, ServerGoneError | NoAnswerError):
                size.failure = error.message
            raise
        return took

    def late(self) -> bool:
        return self.context.clock.monotonic() > self.until

    def result(self, broken: ServerGoneError | NoAnswerError | None = None) -> Sweep:
        measured, between = ([size.samples() for size in sizes] for sizes in (self.sizes, self.between))
        return Sweep(
            [size for size in measured if size.latencies_ms or size.failure],
            self.overhead_ms,
            between,
            broken,
            self.left_out,
        )


def _size_below(samples: Sequence[SizeSamples], batch: int) -> int:
    return max((size.batch for size in samples if size.works and size.batch < batch), default=0)


def _computed_ms(before: Statistics, after: Statistics) -> tuple[float, int]:
    """Time of all computations between two looks at the server's counters, and their number."""
    spent = sum(batch.compute_infer_ns for batch in after.batches) - sum(b.compute_infer_ns for b in before.batches)
    times = sum(batch.executions for batch in after.batches) - sum(batch.executions for batch in before.batches)
    return spent / 1e6, times
