"""What people see of the gateway's requests."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry, generate_latest
from tests.support.records import record

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import Record
from plimsoll.monitoring.gateway_metrics import RequestMetrics

OF_DIGITS = {"model": "digits", "revision": "r1"}


def registered() -> tuple[RequestMetrics, CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = RequestMetrics()
    registry.register(metrics)
    return metrics, registry


def test_records_are_summed() -> None:
    metrics, registry = registered()
    for _ in range(2):
        metrics.add("digits", record(revision="r1"))
    value = registry.get_sample_value
    assert value("plimsoll_gateway_requests_total", {**OF_DIGITS, "outcome": "server_fault"}) == 4
    assert value("plimsoll_gateway_rescued_total", OF_DIGITS) == 4
    assert value("plimsoll_gateway_request_bytes_total", OF_DIGITS) == 3600
    assert value("plimsoll_gateway_in_flight", OF_DIGITS) == 3
    assert value("plimsoll_gateway_queued", OF_DIGITS) == 1
    assert value("plimsoll_gateway_held_seconds_total", OF_DIGITS) == 0.25


def test_the_histogram_has_the_bounds_of_the_records() -> None:
    metrics, registry = registered()
    metrics.add("digits", record(revision="r1", latency={0: 2, 5: 5, 47: 1}, latency_sum_s=30.5))
    bucket = "plimsoll_gateway_request_seconds_bucket"
    read = {le: registry.get_sample_value(bucket, {**OF_DIGITS, "le": le}) for le in ("0.001", "0.003052", "28.698593")}
    assert read == {"0.001": 2, "0.003052": 7, "28.698593": 7}
    assert registry.get_sample_value(bucket, {**OF_DIGITS, "le": "+Inf"}) == 8
    assert registry.get_sample_value("plimsoll_gateway_request_seconds_sum", OF_DIGITS) == 30.5


def test_all_classes_are_there_from_the_first_record_so_that_rates_begin_at_0() -> None:
    metrics, registry = registered()
    metrics.add("digits", Record("uid", "r1", 1.0))
    (family,) = [family for family in registry.collect() if family.name == "plimsoll_gateway_requests"]
    assert {sample.labels["outcome"] for sample in family.samples} == {outcome.name.lower() for outcome in Outcome}


def test_a_revision_that_left_has_no_series() -> None:
    metrics, registry = registered()
    metrics.add("digits", record(revision="r1"))
    metrics.add("digits", record(revision="r2"))
    metrics.forget("digits", "r1")
    metrics.forget("digits", "never there")
    text = generate_latest(registry).decode()
    assert 'revision="r2"' in text
    assert 'revision="r1"' not in text


def test_every_metric_has_help_and_bounded_labels() -> None:
    metrics, registry = registered()
    metrics.add("digits", record())
    for family in registry.collect():
        assert re.fullmatch(r"plimsoll_gateway_[a-z_]+", family.name)
        assert re.fullmatch(r"[A-Z0-9].{15,}\.", family.documentation), family.name
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels <= {"model", "revision", "outcome", "le"}, family.name
