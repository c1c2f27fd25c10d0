"""What a sliding window holds, against a list of everything that ever happened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.kill_switch.window import CELL_S, Window

ENDS = st.lists(st.tuples(st.floats(0.0, 3.0), st.booleans()), max_size=200)
"""Pauses in seconds, and whether what then ends is a failure."""


@given(st.sampled_from([0.25, 1.0, 1.1, 5.0, 60.0]), ENDS)
def test_it_holds_what_ended_within_it_and_nothing_else(length_s: float, ends: list[tuple[float, bool]]) -> None:
    window, now, all_of_them = Window(length_s), 0.0, list[tuple[float, bool]]()
    for pause, failed in ends:
        now += pause
        window.add(now, failed=failed)
        all_of_them.append((now, failed))
        certainly = [fail for at, fail in all_of_them if now - at < length_s - CELL_S]
        perhaps = [fail for at, fail in all_of_them if now - at < length_s + CELL_S]
        assert len(certainly) <= window.judged <= len(perhaps)
        assert sum(certainly) <= window.failed <= sum(perhaps)
        assert window.failed <= window.judged


@given(st.sampled_from([0.25, 1.0, 60.0]), ENDS)
def test_it_is_empty_when_nothing_has_ended_for_as_long_as_it_is(
    length_s: float, ends: list[tuple[float, bool]]
) -> None:
    window, now = Window(length_s), 0.0
    for pause, failed in ends:
        now += pause
        window.add(now, failed=failed)
    window.slide(now + length_s + CELL_S)
    assert (window.judged, window.failed) == (0, 0)


def test_an_end_stays_for_the_whole_window_less_a_cell_at_most() -> None:
    window = Window(60.0)
    window.add(100.1, failed=True)
    window.slide(159.9)
    assert window.failed == 1
    window.slide(160.1)
    assert window.failed == 0


def test_a_clock_that_stands_still_is_no_obstacle() -> None:
    window = Window(1.0)
    for _ in range(3):
        window.add(7.0, failed=False)
    assert window.judged == 3
