"""Metrics of what a gateway looks into: values of requests and answers, and the cache. Read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """One model's cache since the process started.

    Attributes:
        lookups: By what came of them: hit, remote (from the store that gateways share), shared, miss.
        rechecks: Hits that were sent to the model all the same: begun, and of these different: it gave another answer;
            and failed: it gave none to compare.
        served_bytes: Outputs that it did not have to compute.
        saved_s: What it would have taken for them, in seconds.
        held_bytes: Memory that answers take now.
    """

    lookups: Mapping[str, int]
    rechecks: Mapping[str, int]
    served_bytes: int
    saved_s: float
    held_bytes: int


@dataclass(frozen=True, slots=True)
class InspectionFigures:
    """One model's.

    Attributes:
        model: Its public name.
        invalid: What was wrong, by subject (request, answer) and kind.
        passed: What passed without a look, by subject and reason.
        cache: None where there is none.
        confidence: Answers that were judged by their confidence, by result.
    """

    model: str
    invalid: Mapping[tuple[str, str], int] = field(default_factory=dict)
    passed: Mapping[tuple[str, str], int] = field(default_factory=dict)
    cache: CacheFigures | None = None
    confidence: Mapping[str, int] = field(default_factory=dict)


class InspectionMetrics(Collector):
    """Register it once.

    Labels are bounded: models of one namespace, kinds and reasons that the code lists.

    Args:
        figures: Returns those of all models that are looked into now.
    """

    def __init__(self, figures: Callable[[], Iterable[InspectionFigures]]) -> None:
        self._figures = figures

    @override
    def collect(self) -> Iterable[Metric]:
        figures = list(self._figures())
        invalid = CounterMetricFamily(
            "plimsoll_gateway_invalid",
            "What was wrong with requests and answers, whatever was done about it.",
            labels=["model", "subject", "kind"],
        )
        passed = CounterMetricFamily(
            "plimsoll_gateway_unchecked",
            "Requests and answers that were to be looked into and passed without: too long, or not to be read.",
            labels=["model", "subject", "reason"],
        )
        confidence = CounterMetricFamily(
            "plimsoll_gateway_confidence",
            "Answers of models with spec.requests.confidence: sure; flagged, abstained, fallback (another model was "
            "asked) or no_fallback (none could be, so flagged); and why others were not judged.",
            labels=["model", "result"],
        )
        for one in figures:
            for result, count in one.confidence.items():
                confidence.add_metric([one.model, result], count)
            for key, count in one.invalid.items():
                invalid.add_metric([one.model, *key], count)
            for key, count in one.passed.items():
                passed.add_metric([one.model, *key], count)
        return [
            invalid,
            passed,
            confidence,
            *_cache({one.model: one.cache for one in figures if one.cache is not None}),
        ]


def _cache(caches: Mapping[str, CacheFigures]) -> Iterable[Metric]:
    lookups = CounterMetricFamily(
        "plimsoll_gateway_cache_lookups",
        "Requests that were looked up, by result; all but misses are the hit ratio.",
        labels=["model", "result"],
    )
    rechecks = CounterMetricFamily(
        "plimsoll_gateway_cache_rechecks",
        "Hits that were computed all the same: begun, of these different, of which there should be none, and failed.",
        labels=["model", "result"],
    )
    served = CounterMetricFamily(
        "plimsoll_gateway_cache_served_bytes", "Bytes of outputs that were not computed anew.", labels=["model"]
    )
    saved = CounterMetricFamily(
        "plimsoll_gateway_cache_saved_seconds", "Seconds that the model would have taken for them.", labels=["model"]
    )
    held = GaugeMetricFamily("plimsoll_gateway_cache_bytes", "Memory that kept answers take.", labels=["model"])
    for model, cache in caches.items():
        for result, count in cache.lookups.items():
            lookups.add_metric([model, result], count)
        for result, count in cache.rechecks.items():
            rechecks.add_metric([model, result], count)
        served.add_metric([model], cache.served_bytes)
        saved.add_metric([model], cache.saved_s)
        held.add_metric([model], cache.held_bytes)
    return (lookups, rechecks, served, saved, held)
