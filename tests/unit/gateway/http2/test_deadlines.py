"""The wheel: nothing early, nothing forgotten, nothing kept."""

from hypothesis import given
from hypothesis import strategies as st

from plimsoll.gateway.http2.deadlines import SLOT_S, Wheel


@given(st.lists(st.floats(0, 100)), st.lists(st.floats(0, 5)), st.floats(0, 1000))
def test_each_entry_comes_once_within_a_slot_of_its_time(dues: list[float], steps: list[float], start: float) -> None:
    wheel: Wheel[int] = Wheel(start)
    for entry, due in enumerate(dues):
        wheel.add(entry, start + due)
    now, came = start, dict[int, float]()
    for step in [*steps, 200.0]:
        now += step
        for entry in wheel.due(now):
            assert entry not in came
            came[entry] = now
            assert now >= start + dues[entry] - 1e-9
    assert came.keys() == set(range(len(dues)))
    assert list(wheel.due(now + 1000)) == []


def test_an_entry_is_due_at_most_a_slot_and_a_look_late() -> None:
    wheel: Wheel[str] = Wheel(0.0)
    wheel.add("a", 1.0)
    assert list(wheel.due(1.0 - SLOT_S)) == []
    assert list(wheel.due(1.0 + 2 * SLOT_S)) == ["a"]


def test_what_was_removed_does_not_come() -> None:
    wheel: Wheel[str] = Wheel(0.0)
    slot = wheel.add("a", 1.0)
    wheel.remove("a", slot)
    wheel.remove("a", slot)
    assert list(wheel.due(10.0)) == []
    assert wheel._slots == {}  # noqa: SLF001 - what it costs is what is tested


def test_what_is_overdue_comes_next() -> None:
    wheel: Wheel[str] = Wheel(50.0)
    assert list(wheel.due(60.0)) == []
    wheel.add("a", 1.0)
    assert list(wheel.due(60.0 + SLOT_S)) == ["a"]
