"""The preflight's load generator against k6: the same model, the same schedule, in turns.

Two generators cannot load one server at once without being each other's load, so they take turns A B B A.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tests.scale.preflight_bench.k6 import K6, Answers
from tests.scale.preflight_bench.ratio import LEAST_ROUNDS, Ratio, ratio
from tests.scale.preflight_bench.served import cases
from tests.scale.saying import say

from plimsoll.preflight.client import Prepared, Session
from plimsoll.preflight.load import open_loop, precise_loop, uniform
from plimsoll_dev.cluster.components import K6 as COMPONENT
from plimsoll_dev.cluster.components import build
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images.local_triton import LocalTriton

MODEL = "constant"
QUANTILE = 0.99
WIDTH = 0.05
_WARM_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent.

    Attributes:
        rate: Requests per second, at equal distances.
        turn_s: Length of one generator's turn; the first second is not counted.
        requests: The fewest to be counted of each generator.
        most_s: When no further round is begun, however wide the interval.
    """

    rate: int = 250
    turn_s: float = 13.0
    requests: int = 50_000
    most_s: float = 540.0


QUICK = Plan(turn_s=4.0, requests=4_500, most_s=90.0)
Rounds = list[tuple[float, float, float, float]]


@dataclass(slots=True)
class _Compared:
    throughput: Rounds = field(default_factory=list)
    p99: Rounds = field(default_factory=list)
    from_sending: Rounds = field(default_factory=list)
    requests: list[int] = field(default_factory=lambda: [0, 0])
    lags_ms: list[float] = field(default_factory=list)

    def add(self, turns: list[tuple[Answers, Answers]]) -> None:
        """Takes in one round: what was seen in each turn, counted from the due time and from sending."""
        self.throughput.append(_four([due.per_s for due, _ in turns]))
        self.p99.append(_four([due.quantile_ms(QUANTILE) for due, _ in turns]))
        self.from_sending.append(_four([sent.quantile_ms(QUANTILE) for _, sent in turns]))
        for side, turn in zip((0, 1, 1, 0), turns, strict=True):
            self.requests[side] += turn[0].at_s.size

    def ratios(self) -> tuple[Ratio, Ratio]:
        return ratio(self.throughput), ratio(self.p99)

    def enough(self, plan: Plan) -> bool:
        if len(self.p99) < LEAST_ROUNDS or min(self.requests) < plan.requests:
            return False
        return all(one.within(WIDTH) for one in self.ratios())


def compare_generators(server: LocalTriton, folder: Path, plan: Plan) -> dict[str, object]:
    """Returns A over B, the preflight over k6, of the throughput and of the 99th percentile, with intervals."""
    program = build(COMPONENT, cache_folder(os.environ), Progress()) / "k6"
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(_compare(server, K6(program, folder, server.grpc), plan))


async def _compare(server: LocalTriton, k6: K6, plan: Plan) -> dict[str, object]:
    compared = _Compared()
    async with Session(server.grpc, MODEL, timeout_s=5) as session:
        await session.describe()
        request = session.prepare(cases(MODEL)[0].inputs)
        k6.write(request)
        started = time.monotonic()
        round_s = 0.0
        while not compared.enough(plan) and time.monotonic() - started + round_s < plan.most_s:
            began = time.monotonic()
            compared.add(
                [
                    await (_own(session, request, plan, compared) if own else _others(k6, plan))
                    for own in (True, False, False, True)
                ]
            )
            round_s = time.monotonic() - began
            _say(compared)
    throughput, p99 = compared.ratios()
    return {
        **throughput.figures("throughput_ratio"),
        **p99.figures("p99_ratio"),
        **ratio(compared.from_sending).figures("p99_ratio_from_sending"),
        "generator_requests": min(compared.requests),
        "generator_rounds": len(compared.p99),
        "generator_rate": plan.rate,
        "generator_seconds": round(time.monotonic() - started),
        "generator_lag_p99_ms": round(float(np.median(compared.lags_ms)), 2),
        "intervals_within_5_percent": compared.enough(plan),
    }


async def _own(session: Session, request: Prepared, plan: Plan, compared: _Compared) -> tuple[Answers, Answers]:
    due_s = uniform(plan.rate, round(plan.rate * plan.turn_s))
    result = await open_loop(due_s, lambda _: session.send(request))
    if result.failed or result.shed:
        raise RuntimeError(f"{result.failed} requests failed, {result.shed} were shed: {result.failure}")
    compared.lags_ms.append(result.lag_ms)
    at_s = due_s + result.latencies_ms / 1000
    order = np.argsort(at_s)
    from_due, from_sending = (
        Answers(at_s[order], took[order]).after(_WARM_S)
        for took in (result.latencies_ms, result.latencies_ms - result.lags_ms)
    )
    return from_due, from_sending


async def _others(k6: K6, plan: Plan) -> tuple[Answers, Answers]:
    """k6 counts from sending; how late it sends it does not say."""
    answers = (await asyncio.to_thread(k6.send, plan.rate, plan.turn_s)).after(_WARM_S)
    return answers, answers


def _four(values: list[float]) -> tuple[float, float, float, float]:
    first, second, third, fourth = values
    return first, second, third, fourth


def _say(compared: _Compared) -> None:
    own, other, again, last = compared.p99[-1]
    said = f"p99 {own:.2f} and {last:.2f} ms, k6 {other:.2f} and {again:.2f} ms; {min(compared.requests)} requests each"
    if len(compared.p99) >= LEAST_ROUNDS:
        said += "".join(f"; {one.value:.4f} [{one.low:.4f}, {one.high:.4f}]" for one in compared.ratios())
    say(f"round {len(compared.p99)}: {said}")
