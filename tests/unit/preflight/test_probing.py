"""The search for the highest rate that keeps a promise, against servers whose edge is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.virtual_time import run_virtually

from plimsoll.core.preflight.promise import Promise
from plimsoll.preflight.load import LoadResult
from plimsoll.preflight.probing import WIDTH, Confirmation, confirm, keeps, requests_needed

P99 = Promise(0.99, max_ms=200, budget_ms=100)


def result(count: int, late: int = 0, lag_ms: float = 0.0, shed: int = 0) -> LoadResult:
    latencies = np.full(count, 50.0)
    latencies[:late] = 150.0
    latencies[count - shed :] = np.inf
    return LoadResult(latencies, np.full(count, lag_ms), count, failed=0, shed=shed, failure="")


class Edge:
    """Keeps the promise up to `edge` requests/s; a probe takes as long as its requests are due."""

    def __init__(self, edge: float, seconds: float, lag_ms: float = 0.0) -> None:
        self.edge, self.left, self.lag_ms = edge, seconds, lag_ms
        self.rates: list[float] = []

    async def probe(self, rate: float, count: int) -> LoadResult:
        self.rates.append(rate)
        self.left -= count / rate
        return result(count, late=count // 10 if rate > self.edge else 0, lag_ms=self.lag_ms)

    def search(self, predicted: float, most: float = math.inf) -> Confirmation:
        return run_virtually(confirm(self.probe, P99, predicted, lambda: self.left, most))


@given(st.floats(20, 2000), st.floats(0.5, 2))
def test_with_time_the_edge_is_found_wherever_the_prediction_lay(edge: float, off: float) -> None:
    found = Edge(edge, seconds=1e6).search(predicted=edge * off)
    assert found.trouble == ""
    assert found.requests_per_s is not None
    assert found.missed_per_s is not None
    assert found.requests_per_s <= edge < found.missed_per_s
    assert found.missed_per_s / found.requests_per_s <= WIDTH * 1.05


def test_the_prediction_is_tried_first() -> None:
    edge = Edge(edge=100, seconds=60)
    edge.search(predicted=90)
    assert edge.rates[0] == 90


@given(st.floats(20, 500), st.floats(0.3, 3), st.floats(0, 200))
def test_what_is_confirmed_was_carried(edge: float, off: float, seconds: float) -> None:
    server = Edge(edge, seconds)
    found = server.search(predicted=edge * off)
    assert found.requests_per_s is None or (found.requests_per_s <= edge and found.requests_per_s in server.rates)
    assert (found.requests_per_s is not None) or found.trouble


@given(st.floats(20, 500), st.floats(0.3, 1), st.floats(1, 3))
def test_nothing_is_tried_above_the_ceiling(edge: float, off: float, room: float) -> None:
    server = Edge(edge, seconds=1e6)
    found = server.search(predicted=edge * off, most=edge * off * room)
    assert max(server.rates) <= edge * off * room
    assert found.requests_per_s is not None
    assert found.requests_per_s * WIDTH * 1.05 >= min(edge, edge * off * room)


def test_too_little_time_confirms_nothing_and_says_how_much_is_needed() -> None:
    found = Edge(edge=10, seconds=5).search(predicted=10)
    assert found == Confirmation(
        None,
        None,
        "Confirming p99 at 10 requests/s takes 100 s, of which 5 s are left: raise spec.preflight.budget.",
    )


def test_a_client_that_was_the_bottleneck_confirms_nothing() -> None:
    found = Edge(edge=100, seconds=600, lag_ms=40).search(predicted=90)
    assert found.requests_per_s is None
    assert "bottleneck" in found.trouble


def test_a_server_that_carries_nothing() -> None:
    found = Edge(edge=0, seconds=1e6).search(predicted=90)
    assert found.requests_per_s is None
    assert found.trouble.startswith("Not even ")


@pytest.mark.parametrize(
    ("late", "shed", "kept"), [(0, 0, True), (10, 0, True), (11, 0, False), (0, 10, True), (1, 10, False)]
)
def test_shed_requests_are_late_ones(late: int, shed: int, kept: bool) -> None:  # noqa: FBT001 - a table's column
    assert keeps(result(1000, late=late, shed=shed), P99) is kept


@pytest.mark.parametrize(
    ("quantile", "rate", "requests"),
    [(0.5, 1, 20), (0.9, 1, 100), (0.99, 1, 1000), (0.999, 1, 10_000), (0.5, 100, 200), (0.9, 2000, 4000)],
)
def test_ten_late_requests_must_be_allowed_and_twenty_budgets_pass(quantile: float, rate: float, requests: int) -> None:
    assert requests_needed(Promise(quantile, 200, 100), rate) == requests
