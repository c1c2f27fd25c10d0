"""What users wait for behind a gateway and a pool of Triton replicas: a queue, simulated request by request.

Decides nothing and draws no random numbers: arrival times and noise come in as arrays, so equal arrays give equal
latencies. Times are milliseconds; requests hold one item each.

One first-in-first-out gateway gives each request to the replica with the fewest outstanding requests (the first of
them where several are equal) and keeps it while all replicas have `max_outstanding`. In the replica a batcher
(batching.py) gathers requests, and each of `instances` executes one batch at a time. A model that is served without
`dynamic_batching` executes each request alone, whatever its `max_batch_size`: its `max_batch` here is 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from itertools import count
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from plimsoll.core.preflight.batching import Batcher, IdealBatcher, TritonBatcher

_LEAST_FACTOR = 0.01
"""No noise makes a batch faster than a hundredth of its time: a normal distribution has no lower end."""


class Batching(StrEnum):
    """Who gathers the requests."""

    TRITON = "Triton"
    IDEAL = "Ideal"
    """A server that makes no batches ahead; preferred sizes mean nothing to it."""


@dataclass(frozen=True, slots=True)
class QueueModel:
    """A gateway and its replicas."""

    batch_time_ms: Callable[[int], float]
    """Time that an instance is busy with a batch of so many items, from 1 to `max_batch`; above 0."""
    max_batch: int
    max_delay_ms: float
    """Triton's `max_queue_delay_microseconds`, in milliseconds."""
    noise: float
    """Standard deviation of a batch's time as a share of it."""
    replicas: int = 1
    max_outstanding: int = 64
    """Requests that the gateway leaves with one replica at a time."""
    instances: int = 1
    """Copies of the model in one replica."""
    preferred: tuple[int, ...] = ()
    """Triton's `preferred_batch_size`, none above `max_batch`."""
    batching: Batching = Batching.TRITON


def simulate(model: QueueModel, arrivals_ms: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the latency of each request, from its arrival at the gateway to its answer.

    Args:
        model: the queue.
        arrivals_ms: when the requests come, ascending, shape (n,).
        noise: a standard normal number for each batch in the order in which batches start, shape (n,) at least:
            there are never more batches than requests.

    Raises:
        ValueError: fewer numbers in `noise` than requests.
    """
    if len(noise) < len(arrivals_ms):
        raise ValueError(f"{len(arrivals_ms)} requests need as many numbers of noise, not {len(noise)}.")
    return np.asarray(_Pool(model, arrivals_ms, noise).run(), dtype=np.float64) - arrivals_ms


def _batcher(model: QueueModel) -> Batcher:
    match model.batching:
        case Batching.TRITON:
            return TritonBatcher(model.max_batch, model.max_delay_ms, model.preferred, model.instances)
        case Batching.IDEAL:
            return IdealBatcher(model.max_batch, model.max_delay_ms)
        case _:
            assert_never(model.batching)


class _Pool:
    """One run: gateway, replicas and the events to come."""

    def __init__(self, model: QueueModel, arrivals_ms: NDArray[np.float64], noise: NDArray[np.float64]) -> None:
        self._arrivals: list[float] = arrivals_ms.tolist()
        self._factors: list[float] = np.maximum(1.0 + model.noise * noise, _LEAST_FACTOR).tolist()
        self._times = [0.0, *(model.batch_time_ms(size) for size in range(1, model.max_batch + 1))]
        self._batchers = [_batcher(model) for _ in range(model.replicas)]
        self._idle = [model.instances] * model.replicas
        self._outstanding = [0] * model.replicas
        self._most = model.max_outstanding
        self._gateway: deque[int] = deque()
        self._events: list[tuple[float, int, int, list[int]]] = []
        self._started = count()
        self._order = count()
        self._finished = [0.0] * len(self._arrivals)

    def run(self) -> list[float]:
        """Returns when each request is answered."""
        events, outstanding, most = self._events, self._outstanding, self._most
        for request, now in enumerate(self._arrivals):
            while events and events[0][0] <= now:
                self._next_event()
            fewest = min(outstanding)
            if fewest < most:
                self._give(outstanding.index(fewest), request, now)
            else:
                self._gateway.append(request)
        while events:
            self._next_event()
        return self._finished

    def _give(self, replica: int, request: int, now: float) -> None:
        self._outstanding[replica] += 1
        self._batchers[replica].add(request, now)
        if self._idle[replica]:
            self._start(replica, now)

    def _start(self, replica: int, now: float) -> None:
        """Starts what may start on the free instances; else looks again when the oldest request has waited enough."""
        batcher = self._batchers[replica]
        while self._idle[replica]:
            batch = batcher.take(now)
            if not batch:
                due = batcher.due()
                if due is not None:
                    heappush(self._events, (due, next(self._order), replica, batch))
                return
            self._idle[replica] -= 1
            ends = now + self._times[len(batch)] * self._factors[next(self._started)]
            heappush(self._events, (ends, next(self._order), replica, batch))

    def _next_event(self) -> None:
        """A batch ends, or (with no batch) a replica's oldest request has waited long enough."""
        now, _, replica, batch = heappop(self._events)
        if batch:
            finished = self._finished
            for request in batch:
                finished[request] = now
            self._outstanding[replica] -= len(batch)
            self._drain_gateway(now)  # first, so that the next batch holds what the gateway kept back
            self._idle[replica] += 1
        self._start(replica, now)

    def _drain_gateway(self, now: float) -> None:
        while self._gateway:
            fewest = min(self._outstanding)
            if fewest >= self._most:
                return
            self._give(self._outstanding.index(fewest), self._gateway.popleft(), now)
