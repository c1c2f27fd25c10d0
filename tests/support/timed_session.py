"""A session with a model whose batches take a known time, for phases that measure; meant for virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tests.support.preflighting import context, golden, request, served

from plimsoll.api.preflight import LatencyObjective, Objective
from plimsoll.api.preflight_report import Figures, PhaseName
from plimsoll.api.vocabulary import DataType
from plimsoll.kube.clock import Clock
from plimsoll.preflight.client import BatchStatistics, Prepared, Served, Statistics
from plimsoll.preflight.failures import NoAnswerError
from plimsoll.preflight.inputs import Case
from plimsoll.preflight.phases import Context
from plimsoll.preflight.tensors import Tensors, rows_of


@dataclass(slots=True)
class TimedSession:
    """One instance that executes what waits, up to the maximum, as soon as it is free.

    Attributes:
        batch_ms: Time of a batch by its size.
        max_batch: 0 for a model that does not batch.
        overhead_ms: Part of each request's time in which nothing is computed.
        pause_ms: Time after each batch in which the instance does not begin the next one.
        fails: Called with each request's size before it waits; may raise.
        sent: Sizes of the requests, in order.
    """

    batch_ms: Callable[[int], float]
    max_batch: int = 64
    overhead_ms: float = 0.0
    pause_ms: float = 0.0
    fails: Callable[[int], None] = lambda _rows: None
    sent: list[int] = field(default_factory=list)
    waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)
    busy: bool = False
    executions: int = 0
    computing_ms: float = 0.0

    @property
    def served(self) -> Served:
        tensors = served([("x", DataType.FP32, [4])], [("y", DataType.FP32, [4])], self.max_batch)
        return replace(tensors, max_queue_delay_ms=0.0 if self.max_batch else None)

    @property
    def largest_batch(self) -> int:
        return max(self.max_batch, 1)

    def prepare(self, inputs: Tensors) -> Prepared:
        return Prepared(None, rows_of(inputs, batches=self.max_batch > 0))

    async def send(self, request: Prepared, timeout_s: float | None = None) -> Any:
        self.sent.append(request.rows)
        self.fails(request.rows)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((request.rows, answered))
        if not self.busy:
            self.busy = True
            asyncio.get_running_loop().call_soon(self._execute)
        try:
            await asyncio.wait_for(answered, timeout_s or 30)
        except TimeoutError:
            raise NoAnswerError("no answer", request.rows) from None

    async def statistics(self) -> Statistics:
        return Statistics(
            len(self.sent), self.executions, (BatchStatistics(1, self.executions, int(self.computing_ms * 1e6)),)
        )

    def _execute(self) -> None:
        batch: list[asyncio.Future[None]] = []
        items = 0
        while self.waiting and (not batch or items + self.waiting[0][0] <= max(self.max_batch, 1)):
            rows, answered = self.waiting.popleft()
            items += rows
            batch.append(answered)
        if not batch:
            self.busy = False
            return
        took_ms = self.batch_ms(items)
        self.executions += 1
        self.computing_ms += took_ms
        loop = asyncio.get_running_loop()
        loop.call_later((took_ms + self.overhead_ms) / 1000, _answer, batch)
        loop.call_later((took_ms + self.pause_ms) / 1000, self._execute)


def _answer(batch: list[asyncio.Future[None]]) -> None:
    for answered in batch:
        if not answered.done():
            answered.set_result(None)


def objective(max_ms: int, percentile: str = "90", headroom: str = "0%") -> Objective:
    return Objective(latency=[LatencyObjective(percentile=percentile, max=f"{max_ms}ms")], headroom=headroom)


def measuring(
    phase: PhaseName, seconds: float = 60.0, *, rows: int = 16, figures: Figures | None = None, **asked: Any
) -> Context:
    """A phase's context in the running loop's time; `rows` rows of 4 values are its inputs, `asked` the request's."""
    values = np.arange(rows * 4, dtype="f4").reshape(rows, 4)
    cases = [Case(index + 1, {"x": values[index : index + 1]}) for index in range(rows)]
    clock = Clock(monotonic=asyncio.get_running_loop().time)
    wanted = request("127.0.0.1:1", **asked)
    return context(wanted, phase, golden(cases), seconds=seconds, figures=figures, clock=clock)
