"""How many requests a second a number of replicas carries within a latency objective, by the queue's simulation.

Pure: the random numbers come from the caller's generator. Times are milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import Capacity
from plimsoll.core.preflight.queueing import QueueModel, simulate

MARGIN = 0.95
"""Share of the objective that a prediction may use: a profile is a few per cent off the truth."""
REPLICAS = (1, 2, 4, 8, 16)

_COARSE_REQUESTS = 10_000
_FINE_REQUESTS = 120_000
"""At the 99th percentile; see `predicted_capacity` for the error that is left."""
_TAIL_OF_THE_COUNTS = 0.01
"""Quantiles further out get more requests, so that as many lie beyond them; within the bounds that follow."""
_LEAST_TIMES, _MOST_TIMES = 0.25, 3.0
_COARSE_WIDTH, _FINE_WIDTH = 0.04, 0.005
"""Where a search stops, as shares of the rate."""
_FINE_EXCESS = 0.002
"""Share of the latency near enough to the target: latency grows faster than the rate, so the rate is nearer still."""
_STEP = 1.04
"""How far around the coarse answer the fine search begins."""
_LEAST_SHARE = 1e-3
"""Of saturation: a pool that does not carry that much carries nothing."""
_MOST_SHARE = 0.98
"""Of saturation: at saturation itself the queue grows for ever, which a run that ends does not always show."""
_SETTLING_SHARE = 0.05
"""Of the requests: the pool starts empty, and the first ones are faster than what follows."""
_BATCHES_AT_SATURATION = 200
_BETTER = 1.1
"""Times saturation that smaller batches must carry to count as carrying more: less is noise of the profile."""


def attainable(t1_ms: float, delay_ms: float, slo_ms: float) -> bool:
    """Tells whether a request that meets nobody is answered in time: it waits for company, then is a batch of one.

    With less than twice that time nobody may wait for anybody; the capacity then is far below saturation.
    """
    return t1_ms + delay_ms <= slo_ms


def saturation(model: QueueModel) -> float:
    """Returns the requests per second that the pool answers when there are always more than enough.

    A pool may for a while carry more with smaller batches, where larger ones are slower for each item; but after any
    stall it would stay at this rate, with a growing queue.
    """
    requests = _BATCHES_AT_SATURATION * model.max_batch * model.instances
    one = replace(model, replicas=1, noise=0.0)
    latencies = simulate(one, np.zeros(requests), np.zeros(requests))
    return model.replicas * requests * 1000 / float(latencies.max())


def slower_when_full(model: QueueModel) -> bool:
    """Tells whether smaller batches carry clearly more than full ones, so that a short measurement proves nothing.

    Load that starts on an idle server keeps the batches small and meets the objective at rates at which the first long
    queue, by chance or by a stall, stays. How often that is the simulation tells, with far more requests.
    """
    sizes = range(1, model.max_batch + 1)
    best = model.replicas * model.instances * 1000 * max(size / model.batch_time_ms(size) for size in sizes)
    return best > _BETTER * saturation(model)


def predicted_capacity(
    model: QueueModel,
    slo_ms: float,
    quantile: float,
    rng: np.random.Generator,
    replicas: Sequence[int] = REPLICAS,
) -> list[Capacity]:
    """Predicts the Poisson rate at which the latency's `quantile` is 0.95 of the objective.

    Requests per second of the whole pool; 0 where no rate meets the objective. The rate for more replicas is never
    below that for fewer, nor above saturation. One set of random numbers serves all rates, so latency grows smoothly
    with the rate and one answer is found. With other random numbers it differs by about 1 % (standard deviation) at one
    replica and 0.5 % at more, for the 99th percentile; where hardly a request may wait, by up to 5 %.

    Args:
        model: the pool; its `replicas` are those asked for.
        slo_ms: the objective.
        quantile: that is held against it, 0.99 for the 99th percentile.
        rng: gives arrivals and noise.
        replicas: numbers of replicas, ascending.
    """
    target = MARGIN * slo_ms
    draws = _draws(rng, quantile)
    rates = [_rate_within(replace(model, replicas=number), target, quantile, draws) for number in replicas]
    # Chance may put a pool that is saturated below one with fewer replicas.
    return [
        Capacity(replicas=number, requests_per_s=float(rate), confirmed=False)
        for number, rate in zip(replicas, np.maximum.accumulate(rates), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Draws:
    """Random numbers of one prediction: gaps between arrivals at one request a millisecond, and noise of batches."""

    gaps: NDArray[np.float64]
    noise: NDArray[np.float64]

    def first(self, requests: int) -> _Draws:
        return _Draws(self.gaps[:requests], self.noise[:requests])


def _draws(rng: np.random.Generator, quantile: float) -> tuple[_Draws, _Draws]:
    """Returns the numbers for the coarse and the fine search."""
    times = min(max(_TAIL_OF_THE_COUNTS / (1 - quantile), _LEAST_TIMES), _MOST_TIMES)
    fine, coarse = round(_FINE_REQUESTS * times), round(_COARSE_REQUESTS * times)
    draws = _Draws(gaps=rng.exponential(size=fine), noise=rng.standard_normal(fine))
    return draws.first(coarse), draws


def _rate_within(model: QueueModel, target_ms: float, quantile: float, draws: tuple[_Draws, _Draws]) -> float:
    """Returns the highest rate at which the quantile is within the target; 0 where there is none."""
    coarse, fine = draws
    most = _MOST_SHARE * saturation(model)
    least = _LEAST_SHARE * most

    def excess(rate: float, draws: _Draws) -> float:
        return math.log(_latency(model, rate, quantile, draws) / target_ms)

    if excess(least, coarse) > 0:
        return 0.0
    guess = _bisect(lambda rate: excess(rate, coarse), least, most, _COARSE_WIDTH)
    return _refine(lambda rate: excess(rate, fine), guess, least, most)


def _bisect(excess: Callable[[float], float], low: float, high: float, width: float) -> float:
    """Returns the rate between `low` and `high` at which `excess` turns positive; `low` is known not to exceed."""
    while high > low * (1 + width):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return low


def _refine(excess: Callable[[float], float], guess: float, least: float, most: float) -> float:
    """Returns what `_bisect` does, from a guess: brackets it, then narrows that by false position.

    Near saturation latency bends so sharply that false position keeps one end; halving that end's excess each time
    (the "Illinois" rule: Dowell and Jarratt, BIT 11, 1971) makes it move.
    """
    low = high = guess
    low_excess = high_excess = excess(guess)
    step = _STEP
    while low_excess > 0 and low > least:
        high, high_excess = low, low_excess
        low = max(low / step, least)
        low_excess, step = excess(low), step * step
    while high_excess <= 0 and high < most:
        low, low_excess = high, high_excess
        high = min(high * step, most)
        high_excess, step = excess(high), step * step
    if high_excess <= 0:
        return high
    while low_excess <= 0 and high > low * (1 + _FINE_WIDTH):
        middle = low + (high - low) * -low_excess / (high_excess - low_excess)
        found = excess(middle)
        if abs(found) < _FINE_EXCESS:
            return middle
        if found > 0:
            high, high_excess, low_excess = middle, found, low_excess / 2
        else:
            low, low_excess, high_excess = middle, found, high_excess / 2
    return low


def _latency(model: QueueModel, rate: float, quantile: float, draws: _Draws) -> float:
    """Returns a quantile of the latency at so many requests per second."""
    latencies = simulate(model, np.cumsum(draws.gaps) * (1000 / rate), draws.noise)
    return float(np.quantile(latencies[round(_SETTLING_SHARE * latencies.size) :], quantile))
