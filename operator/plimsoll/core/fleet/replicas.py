"""How many gateways a namespace needs, from the CPU that they use.

A gateway is one thread, so a whole core is all it can use, however many its node has: the target is a share of one
core, not of the request. Latency rises steeply near saturation; at 60 % a single-server queue waits 1.5 service times
(M/M/1: rho / (1 - rho)), and a fleet of two survives the loss of one for as long as it takes to start another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

TARGET_CORES = 0.6
"""CPU seconds per second that a gateway is meant to use."""
UPPER_CORES = 0.66
"""Above this more are started: a tenth above the target, so that noise about it changes nothing."""
SHRINK_CORES = 0.48
"""A smaller fleet must stay below this, a fifth below the target: what was just taken away is not needed again."""
WINDOW = timedelta(minutes=5)
"""A fleet shrinks only to what its highest load within this time needs."""


@dataclass(frozen=True, slots=True)
class Load:
    """CPU that the gateways of a namespace use.

    Attributes:
        cores: CPU seconds per second of each gateway that has told, by pod.
        peak: Highest sum over all gateways within `WINDOW`; None where they were not all heard of for that long.
    """

    cores: Mapping[str, float]
    peak: float | None = None


def wanted_replicas(current: int, load: Load | None, least: int, most: int) -> int:
    """Returns how many gateways there should be, between `least` and `most`.

    A gateway that has told nothing is taken to use as much as the others: it counts towards a larger fleet, and `peak`
    is unknown then, so never towards a smaller one. A fleet at most doubles at a time: what the first sample after a
    start says is not trusted further.
    """
    if load is None or not load.cores or current <= 0:
        return _bounded(current, least, most)
    mean = sum(load.cores.values()) / len(load.cores)
    if mean > UPPER_CORES:
        return _bounded(min(math.ceil(mean * current / TARGET_CORES), 2 * current), least, most)
    if load.peak is not None:
        return _bounded(min(current, math.ceil(load.peak / SHRINK_CORES)), least, most)
    return _bounded(current, least, most)


def _bounded(count: int, least: int, most: int) -> int:
    return max(least, min(most, count))


@dataclass(frozen=True, slots=True)
class LoadHistory:
    """What a fleet used within `WINDOW`.

    Attributes:
        samples: Time and the sum over all gateways, oldest first.
        whole_since: Since when every gateway has been heard of, None while one is missing.
        cores: The last sample, by pod.
    """

    samples: tuple[tuple[datetime, float], ...] = ()
    whole_since: datetime | None = None
    cores: Mapping[str, float] | None = None

    def add(self, at: datetime, cores: Mapping[str, float], expected: int) -> LoadHistory:
        """Returns the history with one more sample.

        Args:
            at: Aware time, not before the last one.
            cores: CPU seconds per second by pod, of the gateways that told.
            expected: How many gateways there are.
        """
        kept = tuple(sample for sample in self.samples if sample[0] > at - WINDOW)
        whole = (self.whole_since or at) if len(cores) >= expected else None
        return LoadHistory((*kept, (at, sum(cores.values()))), whole, dict(cores))

    def load(self, now: datetime) -> Load | None:
        """Returns what is known at `now`; None when nothing was heard within a tenth of the window."""
        if self.cores is None or not self.samples or now - self.samples[-1][0] > WINDOW / 10:
            return None
        whole = self.whole_since is not None and now - self.whole_since >= WINDOW
        return Load(self.cores, max(total for _, total in self.samples) if whole else None)
