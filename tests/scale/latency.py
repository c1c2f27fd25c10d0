"""Spec changes at a steady rate, and how long each waits for the status that answers it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.kube.client import Client
from plimsoll.kube.connection import connect
from plimsoll.kube.resources import MODELDEPLOYMENTS, Key, key_of

CHANGES_PER_SECOND = 50
SECONDS = 20
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds, one entry per change.

    Attributes:
        accepted: Until the API server answered the change itself: nothing the operator does can be faster.
        answered: Until a watch showed a status with `observedGeneration` of the change or newer.
    """

    accepted: Sequence[float]
    answered: Sequence[float]

    def figures(self, suffix: str = "") -> dict[str, float]:
        """Returns the median and the 99th percentile in milliseconds, and the server's own part of the median."""
        return {
            f"reconcile_p50_ms{suffix}": round(statistics.median(self.answered) * 1000, 1),
            f"reconcile_p99_ms{suffix}": round(statistics.quantiles(self.answered, n=100)[98] * 1000, 1),
            f"change_accepted_p50_ms{suffix}": round(statistics.median(self.accepted) * 1000, 1),
        }


def measure_latency(kubeconfig: Path, keys: Sequence[Key]) -> Latencies:
    """Sets replicas of one object after the other for a while, open loop: a slow answer delays no later change."""
    return asyncio.run(_measure(kubeconfig, keys))


@dataclass(slots=True)
class _Observation:
    """What was asked when, and which generation was answered when; in seconds of `time.perf_counter`."""

    asked: list[tuple[Key, int, float]] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    answers: dict[Key, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def waiting(self) -> int:
        """Returns how many changes have no answer yet."""
        return sum(self._answer(key, generation) is None for key, generation, _ in self.asked)

    def latencies(self) -> Latencies:
        """Returns the result once nothing is waiting."""
        waits = [(self._answer(key, generation) or 0.0) - sent for key, generation, sent in self.asked]
        return Latencies(self.accepted, waits)

    def _answer(self, key: Key, generation: int) -> float | None:
        # A later generation answers an earlier one too: two changes in a row need but one status.
        return next((at for answered, at in self.answers[key] if answered >= generation), None)


async def _measure(kubeconfig: Path, keys: Sequence[Key]) -> Latencies:
    seen = _Observation()
    async with Client(await connect({"KUBECONFIG": str(kubeconfig)})) as client:
        watching = asyncio.create_task(_follow(client, seen, await _newest_version(client)))
        started = time.perf_counter()
        async with asyncio.TaskGroup() as changes:
            for number in range(CHANGES_PER_SECOND * SECONDS):
                await asyncio.sleep(started + number / CHANGES_PER_SECOND - time.perf_counter())
                changes.create_task(_change(client, seen, keys[number % len(keys)], 2 + number // len(keys)))
        async with asyncio.timeout(_PATIENCE_S):
            while seen.waiting():
                seen.news.clear()
                await seen.news.wait()
        watching.cancel()
    return seen.latencies()


async def _newest_version(client: Client) -> str:
    async with aclosing(client.list_pages(MODELDEPLOYMENTS, limit=1)) as pages:
        return (await anext(pages)).resource_version


async def _change(client: Client, seen: _Observation, key: Key, replicas: int) -> None:
    sent = time.perf_counter()
    changed = await client.merge_patch(MODELDEPLOYMENTS, *key, {"spec": {"replicas": replicas}})
    seen.accepted.append(time.perf_counter() - sent)
    seen.asked.append((key, changed["metadata"]["generation"], sent))


async def _follow(client: Client, seen: _Observation, version: str) -> None:
    stream = client.watch(MODELDEPLOYMENTS, resource_version=version, timeout_s=SECONDS + _PATIENCE_S)
    async with aclosing(stream):
        async for event in stream:
            generation = event.object.get("status", {}).get("observedGeneration")
            if generation is not None:
                seen.answers[key_of(event.object)].append((generation, time.perf_counter()))
                seen.news.set()
