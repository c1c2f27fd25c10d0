"""Metrics of what a gateway guards itself with; registered only where it does, so that nothing warns of a lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

MOST_NAMES: Final = 100
"""Series of keys by name; the rest is one series."""
_OTHERS: Final = "(others)"


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """What is known at a moment.

    Attributes:
        certificate_ends_at: Unix time in seconds; None without a certificate.
        problems: Whether what is mounted is not, or not all, in use; by guard.
        keys: That are valid.
        uses: Requests that showed a key, by its name.
        denials: Requests that were refused, by protocol and reason.
        arrivals: Connections to ports with TLS, by protocol and what became of them.
    """

    certificate_ends_at: float | None
    problems: Mapping[str, bool]
    keys: int
    uses: Mapping[str, int]
    denials: Mapping[tuple[str, str], int]
    arrivals: Mapping[tuple[str, str], int]


class GuardMetrics(Collector):
    """Says them when it is asked.

    Args:
        figures: Returns them.
    """

    def __init__(self, figures: Callable[[], GuardFigures]) -> None:
        self._figures = figures

    @override
    def collect(self) -> Iterable[Metric]:
        figures = self._figures()
        if figures.certificate_ends_at is not None:
            yield GaugeMetricFamily(
                "plimsoll_gateway_certificate_expiry_timestamp_seconds",
                "When the certificate in use ends, as Unix time.",
                value=figures.certificate_ends_at,
            )
        problems = GaugeMetricFamily(
            "plimsoll_gateway_guard_problem",
            "1 while a mounted Secret is not, or not all, in use; the log says why.",
            labels=["guard"],
        )
        for guard, problem in figures.problems.items():
            problems.add_metric([guard], problem)
        yield problems
        if "keys" in figures.problems:
            yield GaugeMetricFamily("plimsoll_gateway_keys", "Keys that are valid.", value=figures.keys)
            yield _uses(figures.uses)
        yield _counted(
            "plimsoll_gateway_key_denials",
            "Requests that were refused for their key; they are in no record of a revision.",
            "reason",
            figures.denials,
        )
        yield _counted(
            "plimsoll_gateway_tls_connections",
            "Connections to ports with TLS, by what became of them.",
            "outcome",
            figures.arrivals,
        )


def _uses(uses: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        "plimsoll_gateway_key_requests", "Requests that showed a valid key, by its name.", labels=["key"]
    )
    names = sorted(uses)
    for name in names[:MOST_NAMES]:
        family.add_metric([name], uses[name])
    if len(names) > MOST_NAMES:
        family.add_metric([_OTHERS], sum(uses[name] for name in names[MOST_NAMES:]))
    return family


def _counted(name: str, documentation: str, label: str, counts: Mapping[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=["protocol", label])
    for key, count in counts.items():
        family.add_metric(list(key), count)
    return family
