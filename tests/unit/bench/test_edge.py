"""The search for the highest rate that is carried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scale.preflight_bench.edge import Edge


def searched(truth: float, first: float, width: float) -> Edge:
    edge = Edge().seen(first, kept=first <= truth)
    while (rate := edge.next_rate(width)) is not None:
        edge = edge.seen(rate, kept=rate <= truth)
    return edge


@given(truth=st.floats(10, 1000), off=st.floats(0.3, 3), width=st.floats(1.01, 1.2))
def test_the_edge_is_found_from_any_first_rate(truth: float, off: float, width: float) -> None:
    edge = searched(truth, truth * off, width)
    assert edge.rate is not None
    assert edge.rate / width <= truth <= edge.rate * width


def test_a_rate_that_is_missed_below_one_that_was_carried_ends_the_search_between_them() -> None:
    edge = Edge().seen(110, kept=True).seen(100, kept=False)
    assert edge.next_rate(1.03) is None
    assert edge.rate == pytest.approx(104.9, abs=0.1)


def test_an_edge_known_from_one_side_is_no_figure() -> None:
    assert Edge().seen(100, kept=True).rate is None
    with pytest.raises(ValueError, match="first point"):
        Edge().next_rate(1.03)
