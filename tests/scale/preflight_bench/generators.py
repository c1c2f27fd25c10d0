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
from tests.scale.preflight_bench.k6 import K6, Answers, GeneratorError
from tests.scale.preflight_bench.ratio import LEAST_ROUNDS, Ratio, ratio
from tests.scale.preflight_bench.served import cases
from tests.scale.saying import say

from plimsoll.preflight.client import Prepared, Session
from plimsoll.preflight.event_loop import run_precisely
from plimsoll.preflight.load import open_loop, uniform
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

    rate: int = 280
    turn_s: float = 13.0
    requests: int = 50_000
    most_s: float = 540.0


QUICK = Plan(turn_s=4.0, requests=4_500, most_s=90.0)
ABBA = (True, False, False, True)
"""Whether a turn is the preflight's."""
Rounds = list[tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one generator saw, with latencies counted from the due time and from sending."""

    from_due: Answers
    from_sending: Answers
    lag_ms: float


@dataclass(slots=True)
class _Compared:
    throughput: Rounds = field(default_factory=list)
    p99: Rounds = field(default_factory=list)
    from_sending: Rounds = field(default_factory=list)
    requests: list[int] = field(default_factory=lambda: [0, 0])
    lags_ms: list[float] = field(default_factory=list)
    discarded: int = 0

    def add(self, turns: list[_Turn]) -> None:
        """Takes in one round."""
        self.throughput.append(_four([turn.from_due.per_s for turn in turns]))
        self.p99.append(_four([turn.from_due.quantile_ms(QUANTILE) for turn in turns]))
        self.from_sending.append(_four([turn.from_sending.quantile_ms(QUANTILE) for turn in turns]))
        for own, turn in zip(ABBA, turns, strict=True):
            self.requests[not own] += turn.from_due.at_s.size
        self.lags_ms += [turn.lag_ms for own, turn in zip(ABBA, turns, strict=True) if own]

    def ratios(self) -> tuple[Ratio, Ratio]:
        return ratio(self.throughput), ratio(self.p99)

    def enough(self, plan: Plan) -> bool:
        if len(self.p99) < LEAST_ROUNDS or min(self.requests) < plan.requests:
            return False
        return all(one.within(WIDTH) for one in self.ratios())


def compare_generators(server: LocalTriton, folder: Path, plan: Plan) -> dict[str, object]:
    """Returns A over B, the preflight over k6, of the throughput and of the 99th percentile, with intervals."""
    program = build(COMPONENT, cache_folder(os.environ), Progress()) / "k6"
    return run_precisely(_compare(server, K6(program, folder, server.grpc), plan))


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
            try:
                turns = [await (_own(session, request, plan) if own else _others(k6, plan)) for own in ABBA]
            except GeneratorError as error:
                compared.discarded += 1
                say(f"a round is discarded: {error}")
            else:
                compared.add(turns)
                _say(compared)
            round_s = time.monotonic() - began
    throughput, p99 = compared.ratios()
    return {
        **throughput.figures("throughput_ratio"),
        **p99.figures("p99_ratio"),
        **ratio(compared.from_sending).figures("p99_ratio_from_sending"),
        "generator_requests": min(compared.requests),
        "generator_rounds": len(compared.p99),
        "generator_rounds_discarded": compared.discarded,
        "generator_rate": plan.rate,
        "generator_seconds": round(time.monotonic() - started),
        "generator_lag_p99_ms": round(float(np.median(compared.lags_ms)), 2),
        "intervals_within_5_percent": compared.enough(plan),
    }


async def _own(session: Session, request: Prepared, plan: Plan) -> _Turn:
    due_s = uniform(plan.rate, round(plan.rate * plan.turn_s))
    result = await open_loop(due_s, lambda _: session.send(request))
    if result.failed or result.shed:
        raise GeneratorError(f"{result.failed} requests failed, {result.shed} were shed: {result.failure}")
    at_s = due_s + result.latencies_ms / 1000
    order = np.argsort(at_s)
    from_due, from_sending = (
        Answers(at_s[order], took[order]).after(_WARM_S)
        for took in (result.latencies_ms, result.latencies_ms - result.lags_ms)
    )
    return _Turn(from_due, from_sending, result.lag_ms)


async def _others(k6: K6, plan: Plan) -> _Turn:
    """k6 counts from sending; how late it sends it does not say."""
    answers = (await asyncio.to_thread(k6.send, plan.rate, plan.turn_s)).after(_WARM_S)
    return _Turn(answers, answers, 0.0)


def _four(values: list[float]) -> tuple[float, float, float, float]:
    first, second, third, fourth = values
    return first, second, third, fourth


def _say(compared: _Compared) -> None:
    own, other, again, last = compared.p99[-1]
    said = f"p99 {own:.2f} and {last:.2f} ms, k6 {other:.2f} and {again:.2f} ms; {min(compared.requests)} requests each"
    if len(compared.p99) >= LEAST_ROUNDS:
        said += "".join(f"; {one.value:.4f} [{one.low:.4f}, {one.high:.4f}]" for one in compared.ratios())
    say(f"round {len(compared.p99)}: {said}")
