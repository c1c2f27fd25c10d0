"""The simulated pool: against closed forms where there are any, and by hand where there are few requests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.core.preflight.queueing import Batching, QueueModel, simulate


def linear(batch: int) -> float:
    return 10.0 + 2.0 * batch


ONE = QueueModel(batch_time_ms=linear, max_batch=4, max_delay_ms=0.0, noise=0.0)
TAKES_ALL = replace(ONE, batching=Batching.IDEAL)


def latencies(model: QueueModel, *arrivals: float) -> list[float]:
    return simulate(model, np.array(arrivals, dtype=np.float64), np.zeros(len(arrivals))).tolist()


def poisson(requests: int, per_ms: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(1 / per_ms, requests)), rng.standard_normal(requests)


@pytest.mark.parametrize(
    ("model", "arrivals", "expected"),
    [
        pytest.param(ONE, (0, 100), [12, 12], id="requests that do not meet"),
        pytest.param(ONE, (0, 1, 2), [12, 25, 24], id="who waits is executed together: 12 to 26"),
        pytest.param(ONE, (0, 1, 1, 1, 1, 1), [12, 29, 29, 29, 29, 41], id="at most max_batch at once"),
        pytest.param(replace(ONE, max_batch=1), (0, 1, 2), [12, 23, 34], id="without dynamic batching: one by one"),
        pytest.param(replace(ONE, instances=2), (0, 1, 2), [12, 12, 22], id="two instances"),
        pytest.param(replace(ONE, replicas=2), (0, 1, 2, 3), [12, 12, 22, 22], id="fewest outstanding, the first"),
        pytest.param(replace(ONE, max_delay_ms=5), (0, 4, 30), [19, 15, 17], id="a batch waits for company"),
        pytest.param(replace(ONE, max_outstanding=1), (0, 1, 2), [12, 23, 34], id="the gateway keeps the others"),
        pytest.param(
            replace(TAKES_ALL, max_outstanding=2), (0, 1, 2, 3), [12, 25, 24, 35], id="and gives in order of arrival"
        ),
        pytest.param(
            replace(ONE, preferred=(2,)), (0, 1, 1, 1, 1), [12, 25, 25, 39, 39], id="closed at preferred sizes"
        ),
        pytest.param(ONE, (), [], id="no requests"),
    ],
)
def test_latencies_by_hand(model: QueueModel, arrivals: tuple[float, ...], expected: list[float]):
    assert latencies(model, *arrivals) == expected


def test_noise_is_a_share_of_the_batch_time_and_never_makes_it_nothing():
    model = replace(ONE, noise=0.1)
    simulated = simulate(model, np.array([0.0, 100.0, 200.0]), np.array([1.0, -1.0, -1000.0]))
    assert simulated.tolist() == pytest.approx([13.2, 10.8, 0.12])


def test_too_little_noise_is_refused():
    with pytest.raises(ValueError, match="2 requests need as many numbers of noise, not 1"):
        simulate(ONE, np.array([0.0, 1.0]), np.zeros(1))


@pytest.mark.parametrize(("load", "noise"), [(0.3, 0.0), (0.7, 0.0), (0.7, 0.3)])
def test_mean_waiting_of_single_requests_is_that_of_pollaczek_and_khinchine(load: float, noise: float):
    """Mean wait of M/G/1: rate * E[S^2] / (2 * (1 - load)); no closed form knows about batches."""
    model = QueueModel(batch_time_ms=lambda _: 10.0, max_batch=1, max_delay_ms=0.0, noise=noise, max_outstanding=10**6)
    arrivals, draws = poisson(200_000, load / 10.0)
    waited = simulate(model, arrivals, draws).mean() - 10.0
    expected = load / 10.0 * 100.0 * (1 + noise**2) / (2 * (1 - load))
    assert waited == pytest.approx(expected, rel=0.05)


def test_mean_waiting_at_two_servers_is_that_of_the_tables():
    """M/D/2 at load 0.8 waits 0.4475 / 0.8889 as long as M/M/2 (Cosmetatos' approximation is within 1 %)."""
    model = QueueModel(batch_time_ms=lambda _: 1.0, max_batch=1, max_delay_ms=0.0, noise=0.0, instances=2)
    arrivals, draws = poisson(200_000, 1.6)
    waited = simulate(replace(model, max_outstanding=10**6), arrivals, draws).mean() - 1.0
    exponential = 0.8**2 / (1 - 0.8**2)
    cosmetatos = 0.5 * exponential * (1 + (1 - 0.8) * (2 - 1) * ((4 + 5 * 2) ** 0.5 - 2) / (16 * 0.8 * 2))
    assert waited == pytest.approx(cosmetatos, rel=0.05)


MODELS = st.builds(
    QueueModel,
    batch_time_ms=st.builds(
        lambda fixed, per_item: lambda b: fixed + per_item * b, st.floats(0.5, 50), st.floats(0, 9)
    ),
    max_batch=st.integers(8, 64),
    max_delay_ms=st.sampled_from([0.0, 5.0]),
    noise=st.just(0.0),
    replicas=st.integers(1, 5),
    max_outstanding=st.integers(1, 64),
    instances=st.integers(1, 3),
    preferred=st.sampled_from([(), (8,), (2, 4)]),
    batching=st.sampled_from(Batching),
)


@settings(max_examples=60, deadline=None)
@given(MODELS, st.floats(0.01, 2.0), st.integers(0, 1000))
def test_nobody_is_faster_than_a_batch_of_one_and_equal_numbers_give_equal_latencies(
    model: QueueModel, per_ms: float, seed: int
):
    arrivals, noise = poisson(300, per_ms, seed)
    simulated = simulate(model, arrivals, noise)
    assert simulated.min() >= model.batch_time_ms(1) - 1e-6
    assert np.array_equal(simulated, simulate(model, arrivals, noise))


@settings(max_examples=40, deadline=None)
@given(MODELS, st.floats(0.01, 2.0), st.integers(0, 1000), st.floats(0.1, 10))
def test_the_unit_of_time_does_not_matter(model: QueueModel, per_ms: float, seed: int, times: float):
    arrivals, noise = poisson(200, per_ms, seed)
    slow = replace(
        model, batch_time_ms=lambda b: times * model.batch_time_ms(b), max_delay_ms=times * model.max_delay_ms
    )
    assert simulate(slow, times * arrivals, noise).mean() == pytest.approx(
        times * simulate(model, arrivals, noise).mean(), rel=0.02
    )


def test_preferred_sizes_without_delay_cost_what_a_real_triton_showed():
    """20 ms + 2 ms an item at 220/s with preferred sizes 8 and 32: 274 ms at the 99th percentile, 100 ms without."""
    served = QueueModel(batch_time_ms=lambda b: 22.0 + 2.0 * b, max_batch=32, max_delay_ms=0.0, noise=0.0)
    arrivals, noise = poisson(10_000, 0.22)
    served = replace(served, max_outstanding=10**6)
    without = float(np.quantile(simulate(served, arrivals, noise), 0.99))
    preferring = float(np.quantile(simulate(replace(served, preferred=(8, 32)), arrivals, noise), 0.99))
    assert preferring > 2 * without
