"""How many gateways a measured load wants."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fleets import NOW

from plimsoll.core.fleet.replicas import (
    SHRINK_CORES,
    TARGET_CORES,
    UPPER_CORES,
    WINDOW,
    Load,
    LoadHistory,
    wanted_replicas,
)


def each(count: int, cores: float, *, peak: float | None = None) -> Load:
    return Load({f"gateway-{number}": cores for number in range(count)}, peak)


@pytest.mark.parametrize(
    ("current", "load", "wanted"),
    [
        pytest.param(2, None, 2, id="unknown"),
        pytest.param(5, None, 5, id="unknown never makes a fleet smaller"),
        pytest.param(5, Load({}, peak=0.0), 5, id="nobody has told"),
        pytest.param(2, each(2, 0.60), 2, id="on target"),
        pytest.param(2, each(2, 0.65), 2, id="noise above the target"),
        pytest.param(2, each(2, 0.67), 3, id="clearly above"),
        pytest.param(2, each(2, 1.0), 4, id="saturated: 2.0 cores at 0.6 each"),
        pytest.param(4, each(1, 1.0), 7, id="those who are silent are taken to be as busy"),
        pytest.param(2, each(2, 9.0), 4, id="at most twice as many at a time"),
        pytest.param(8, each(8, 1.0), 10, id="never more than the most"),
        pytest.param(4, each(4, 0.10, peak=0.4), 2, id="idle: never fewer than the least"),
        pytest.param(4, each(4, 0.30, peak=1.2), 3, id="1.2 cores fit into three"),
        pytest.param(4, each(4, 0.30, peak=None), 4, id="not watched for long enough"),
        pytest.param(4, each(4, 0.10, peak=1.9), 4, id="was busy within the window"),
        pytest.param(3, each(3, 0.48, peak=1.44), 3, id="would be too busy with one fewer"),
        pytest.param(0, each(2, 0.9), 2, id="none are set"),
    ],
)
def test_a_load_wants_so_many(current: int, load: Load | None, wanted: int) -> None:
    assert wanted_replicas(current, load, 2, 10) == wanted


CORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1.2), max_size=8)


@given(st.integers(0, 20), CORES, st.none() | st.floats(0, 20))
def test_the_bounds_hold_whatever_is_measured(current: int, cores: Mapping[str, float], peak: float | None) -> None:
    assert 2 <= wanted_replicas(current, Load(cores, peak), 2, 10) <= 10
    assert 2 <= wanted_replicas(current, None, 2, 10) <= 10


@given(st.floats(0, 6))
def test_a_steady_load_settles_in_one_size(total: float) -> None:
    """Whatever size it starts from: no load makes a fleet grow and shrink in turns."""
    for start in range(2, 11):
        size, seen = start, []
        for _ in range(12):
            size = wanted_replicas(size, each(size, total / size, peak=total), 2, 10)
            seen.append(size)
        assert len(set(seen[-3:])) == 1
        assert size in {2, 10} or total / size <= UPPER_CORES


@given(st.integers(2, 10), CORES)
def test_without_a_known_peak_it_never_shrinks(current: int, cores: Mapping[str, float]) -> None:
    assert wanted_replicas(current, Load(cores, None), 2, 10) >= current


def test_what_was_just_taken_away_is_not_needed_again() -> None:
    assert SHRINK_CORES < TARGET_CORES < UPPER_CORES


def history(samples: list[tuple[float, dict[str, float]]], expected: int = 2) -> LoadHistory:
    told = LoadHistory()
    for seconds, cores in samples:
        told = told.add(NOW + timedelta(seconds=seconds), cores, expected)
    return told


BOTH = {"a": 0.5, "b": 0.3}


@pytest.mark.parametrize(
    ("samples", "at", "load"),
    [
        pytest.param([], 0, None, id="nothing was heard"),
        pytest.param([(0, BOTH)], 0, Load(BOTH, None), id="a single sample has no past"),
        pytest.param([(t, BOTH) for t in range(0, 301, 10)], 300, Load(BOTH, 0.8), id="five whole minutes"),
        pytest.param([(t, BOTH) for t in range(0, 291, 10)], 290, Load(BOTH, None), id="not quite five"),
        pytest.param(
            [(0, {"a": 1.0, "b": 1.0}), *((t, BOTH) for t in range(10, 301, 10))],
            305,
            Load(BOTH, 0.8),
            id="peak passed",
        ),
        pytest.param(
            [(10, {"a": 1.0, "b": 1.0}), *((t, BOTH) for t in range(20, 311, 10))], 310, Load(BOTH, 0.8), id="edge"
        ),
        pytest.param(
            [*((t, BOTH) for t in range(0, 300, 10)), (300, {"a": 0.5})],
            300,
            Load({"a": 0.5}, None),
            id="one is silent",
        ),
        pytest.param([(t, BOTH) for t in range(0, 301, 10)], 331, None, id="all have fallen silent"),
    ],
)
def test_a_history_tells_the_load(samples: list[tuple[float, dict[str, float]]], at: float, load: Load | None) -> None:
    assert history(samples).load(NOW + timedelta(seconds=at)) == load


def test_a_history_keeps_no_more_than_its_window() -> None:
    told = history([(t, BOTH) for t in range(3600)])
    assert len(told.samples) == WINDOW.total_seconds()
