"""Metrics of the store that gateways share; registered only where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from plimsoll.core.cache.breaker import BreakerState


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """The connection of one direction.

    Attributes:
        state: What its breaker is at.
        connected: There is one.
    """

    state: str
    connected: bool


@dataclass(frozen=True, slots=True)
class RemoteCacheFigures:
    """Since the process started.

    Attributes:
        lookups: Questions, by what became of them.
        writes: Answers that were to be stored, by what became of them.
        links: By direction.
    """

    lookups: Mapping[str, int]
    writes: Mapping[str, int]
    links: Mapping[str, LinkFigures]


class RemoteCacheMetrics(Collector):
    """Says them when it is asked.

    Args:
        figures: Returns them.
    """

    def __init__(self, figures: Callable[[], RemoteCacheFigures]) -> None:
        self._figures = figures

    @override
    def collect(self) -> Iterable[Metric]:
        figures = self._figures()
        yield _counted(
            "plimsoll_gateway_remote_cache_lookups",
            "Questions to the shared store, by result; skipped ones were not asked, so no request waited for them.",
            figures.lookups,
        )
        yield _counted(
            "plimsoll_gateway_remote_cache_writes",
            "Answers for the shared store, by result; dropped ones were not sent.",
            figures.writes,
        )
        breaker = GaugeMetricFamily(
            "plimsoll_gateway_remote_cache_breaker",
            "1 for what the breaker is at: closed, trying, or open, while the store is not asked.",
            labels=["direction", "state"],
        )
        connected = GaugeMetricFamily(
            "plimsoll_gateway_remote_cache_connected", "1 while there is a connection.", labels=["direction"]
        )
        for direction, link in figures.links.items():
            for state in BreakerState:
                breaker.add_metric([direction, state.value], link.state == state.value)
            connected.add_metric([direction], link.connected)
        yield breaker
        yield connected


def _counted(name: str, documentation: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=["result"])
    for result, count in counts.items():
        family.add_metric([result], count)
    return family
