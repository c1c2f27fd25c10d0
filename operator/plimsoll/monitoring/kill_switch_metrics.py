"""Metrics of kill switches, by model; read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class KillSwitchFigures:
    """One model's, at this gateway.

    Attributes:
        model: Its public name.
        action: What it does, as the spec says it.
        tripped: It has, and was not released.
        trips: How often since the process started.
    """

    model: str
    action: str
    tripped: bool
    trips: int


class KillSwitchMetrics(Collector):
    """Register it once.

    Labels are bounded: models of one namespace, and three actions.

    Args:
        figures: Returns those of all models that have a switch now.
    """

    def __init__(self, figures: Callable[[], Iterable[KillSwitchFigures]]) -> None:
        self._figures = figures

    @override
    def collect(self) -> Iterable[Metric]:
        labels = ["model", "action"]
        tripped = GaugeMetricFamily(
            "plimsoll_gateway_kill_switch_tripped", "1 while a kill switch has tripped at this gateway.", labels=labels
        )
        trips = CounterMetricFamily(
            "plimsoll_gateway_kill_switch_trips", "How often a kill switch tripped at this gateway.", labels=labels
        )
        for one in self._figures():
            tripped.add_metric([one.model, one.action], int(one.tripped))
            trips.add_metric([one.model, one.action], one.trips)
        return (tripped, trips)
