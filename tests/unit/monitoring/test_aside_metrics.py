"""Metrics of what a gateway asks on its own, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from plimsoll.monitoring.aside_metrics import AsideMetrics, ShadowFigures, WarmthFigures


def test_copies_and_idle_pods_are_told() -> None:
    registry = CollectorRegistry()
    copies = [ShadowFigures("digits", "digits-2", "agreed", 3), ShadowFigures("digits", "digits-2", "differed", 1)]
    registry.register(AsideMetrics(lambda: copies, lambda: [WarmthFigures("digits", "inferred", 2)]))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"plimsoll_gateway_{name}_total", {"model": "digits", **labels})

    assert value("shadow_copies", revision="digits-2", result="agreed") == 3
    assert value("shadow_copies", revision="digits-2", result="differed") == 1
    assert value("keep_warm", result="inferred") == 2
