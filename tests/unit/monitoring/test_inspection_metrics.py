"""What people see of what a gateway looks into."""

from prometheus_client import CollectorRegistry

from plimsoll.monitoring.inspection_metrics import CacheFigures, InspectionFigures, InspectionMetrics

CACHE = CacheFigures({"hit": 3, "shared": 1, "miss": 2}, {"begun": 1, "different": 0}, 512, 0.75, 2048)
FIGURES = [
    InspectionFigures("digits", {("request", "Range"): 4}, {("answer", "long"): 5}, CACHE, {"sure": 6, "flagged": 2}),
    InspectionFigures("plain"),
]


def test_each_model_has_its_own() -> None:
    registry = CollectorRegistry()
    registry.register(InspectionMetrics(lambda: FIGURES))
    value = registry.get_sample_value
    assert value("plimsoll_gateway_invalid_total", {"model": "digits", "subject": "request", "kind": "Range"}) == 4
    assert value("plimsoll_gateway_unchecked_total", {"model": "digits", "subject": "answer", "reason": "long"}) == 5
    assert value("plimsoll_gateway_confidence_total", {"model": "digits", "result": "flagged"}) == 2
    assert value("plimsoll_gateway_cache_lookups_total", {"model": "digits", "result": "hit"}) == 3
    assert value("plimsoll_gateway_cache_rechecks_total", {"model": "digits", "result": "different"}) == 0
    assert value("plimsoll_gateway_cache_served_bytes_total", {"model": "digits"}) == 512
    assert value("plimsoll_gateway_cache_saved_seconds_total", {"model": "digits"}) == 0.75
    assert value("plimsoll_gateway_cache_bytes", {"model": "digits"}) == 2048
    assert value("plimsoll_gateway_cache_bytes", {"model": "plain"}) is None
