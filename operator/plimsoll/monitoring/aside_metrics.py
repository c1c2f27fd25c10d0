"""Metrics of what a gateway asks pods on its own. Read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class ShadowFigures:
    """Copies of one model's requests since the process started.

    Attributes:
        model: Its public name.
        revision: The candidate.
        result: What became of them.
        count: How many.
    """

    model: str
    revision: str
    result: str
    count: int


@dataclass(frozen=True, slots=True)
class WarmthFigures:
    """Requests of the gateway's own to idle pods of one model since the process started.

    Attributes:
        model: Its public name.
        result: What became of them.
        count: How many.
    """

    model: str
    result: str
    count: int


class AsideMetrics(Collector):
    """Register it once.

    Labels are bounded: models of one namespace, their candidates, and results that the code lists.

    Args:
        copies, warmed: Return those of all models.
    """

    def __init__(
        self, copies: Callable[[], Iterable[ShadowFigures]], warmed: Callable[[], Iterable[WarmthFigures]]
    ) -> None:
        self._copies = copies
        self._warmed = warmed

    @override
    def collect(self) -> Iterable[Metric]:
        copies = CounterMetricFamily(
            "plimsoll_gateway_shadow_copies",
            "Requests that were to be copied to a candidate, by what became of the copy.",
            labels=["model", "revision", "result"],
        )
        for one in self._copies():
            copies.add_metric([one.model, one.revision, one.result], one.count)
        warmed = CounterMetricFamily(
            "plimsoll_gateway_keep_warm",
            "Idle pods that this gateway saw to, by what became of it.",
            labels=["model", "result"],
        )
        for other in self._warmed():
            warmed.add_metric([other.model, other.result], other.count)
        return [copies, warmed]
