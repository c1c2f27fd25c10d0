"""Every metric of the gateway that is about requests, declared once; fed from records, so that no request pays for it.

Labels are bounded: the models of one namespace, and of each the revisions that are routed, which are two at most and a
third that empties. Their series go when they go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from plimsoll.core.records import histogram
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import Record

_REVISION = ["model", "revision"]
_OUTCOMES = tuple(outcome.name.lower() for outcome in Outcome)
_BOUNDS = (*(str(bound) for bound in histogram.BOUNDS_S), "+Inf")


class RequestMetrics(Collector):
    """Sums of records since the process started; register it once.

    The histogram has classic buckets whose bounds are the records', so p50 to p99.9 are read within 25 %, and sums over
    gateways are exact. prometheus_client cannot observe into a native histogram (as of 0.26 it has the sample type, and
    writes it in OpenMetrics 2.0 alone); a Prometheus that is set to `convert_classic_histograms_to_nhcb` keeps these as
    native ones with the same bounds.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], _Sums] = {}

    def add(self, model: str, record: Record) -> None:
        """Adds a record of a model."""
        key = (model, record.revision)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = _Sums()
        sums.add(record)

    def forget(self, model: str, revision: str) -> None:
        """Drops the series of a revision that has left."""
        self._sums.pop((model, revision), None)

    @override
    def collect(self) -> Iterable[Metric]:
        yield from (self._outcomes(), self._latencies(), self._in_flight(), self._queued())
        yield from self._counters()

    def _outcomes(self) -> Metric:
        family = CounterMetricFamily(
            "plimsoll_gateway_requests",
            "Requests that ended, by what became of the first attempt. All classes together are all requests.",
            labels=[*_REVISION, "outcome"],
        )
        for key, sums in self._sums.items():
            for outcome, count in zip(_OUTCOMES, sums.outcomes, strict=True):
                family.add_metric([*key, outcome], count)
        return family

    def _latencies(self) -> Metric:
        family = HistogramMetricFamily(
            "plimsoll_gateway_request_seconds",
            "Time from a request's first byte to the end of its answer; timeouts count, faults do not.",
            labels=_REVISION,
        )
        for key, sums in self._sums.items():
            family.add_metric(key, list(_cumulated(sums.latency)), sums.latency_sum_s)
        return family

    def _in_flight(self) -> Metric:
        family = GaugeMetricFamily(
            "plimsoll_gateway_in_flight", "Requests that have arrived and not ended.", labels=_REVISION
        )
        for key, sums in self._sums.items():
            family.add_metric(key, sums.in_flight)
        return family

    def _queued(self) -> Metric:
        family = GaugeMetricFamily(
            "plimsoll_gateway_queued", "Requests that wait for an endpoint, of those in flight.", labels=_REVISION
        )
        for key, sums in self._sums.items():
            family.add_metric(key, sums.queued)
        return family

    def _counters(self) -> Iterator[Metric]:
        for name, documentation in _COUNTERS.items():
            family = CounterMetricFamily(f"plimsoll_gateway_{name}", documentation, labels=_REVISION)
            for key, sums in self._sums.items():
                family.add_metric(key, sums.counters[name])
            yield family


_COUNTERS = {
    "rescued": "Requests whose first attempt failed and that a retry answered.",
    "cache_hits": "Requests answered from the cache.",
    "request_bytes": "Bytes of the bodies of requests.",
    "response_bytes": "Bytes of the bodies of answers.",
    "held_seconds": "Request-seconds in the system: its rate is the mean number of requests in it.",
}


class _Sums:
    """One revision's."""

    __slots__ = ("counters", "in_flight", "latency", "latency_sum_s", "outcomes", "queued")

    def __init__(self) -> None:
        self.outcomes = [0] * len(Outcome)
        self.latency = [0] * histogram.BUCKETS
        self.latency_sum_s = 0.0
        self.in_flight = 0
        self.queued = 0
        self.counters = dict.fromkeys(_COUNTERS, 0.0)

    def add(self, record: Record) -> None:
        self.outcomes = [one + other for one, other in zip(self.outcomes, record.outcomes, strict=True)]
        histogram.add(self.latency, record.latency)
        self.latency_sum_s += record.latency_sum_s
        self.in_flight = record.in_flight
        self.queued = record.queued
        self.counters["rescued"] += record.rescued
        self.counters["cache_hits"] += record.cache_hits
        self.counters["request_bytes"] += record.bytes_in
        self.counters["response_bytes"] += record.bytes_out
        self.counters["held_seconds"] += record.held_s


def _cumulated(latency: list[int]) -> Iterator[tuple[str, float]]:
    so_far = 0
    for bound, count in zip(_BOUNDS, latency, strict=True):
        so_far += count
        yield bound, so_far
