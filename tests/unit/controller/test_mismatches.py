"""How often people are told of kept answers that a model contradicts."""

from plimsoll.controller.mismatches import PAUSE_S, Mismatches


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_is_told_at_once_and_those_of_the_next_minute_together() -> None:
    clock = Clock()
    mismatches = Mismatches(clock)
    assert (mismatches.due("uid"), mismatches.take("uid")) == (False, {})
    mismatches.add("uid", "r1", 1)
    assert (mismatches.due("uid"), mismatches.take("uid"), mismatches.take("uid")) == (True, {"r1": 1}, {})
    mismatches.add("uid", "r1", 2)
    mismatches.add("uid", "r2", 1)
    clock.now = PAUSE_S - 1
    mismatches.add("uid", "r1", 3)
    assert (mismatches.due("uid"), mismatches.take("uid")) == (False, {})
    clock.now = PAUSE_S
    assert mismatches.take("uid") == {"r1": 5, "r2": 1}


def test_each_modeldeployment_has_its_own_minute_and_leaves_nothing() -> None:
    mismatches = Mismatches(Clock())
    for uid in ("one", "other"):
        mismatches.add(uid, "r1", 1)
    assert (mismatches.take("one"), mismatches.take("other")) == ({"r1": 1}, {"r1": 1})
    mismatches.add("one", "r1", 1)
    mismatches.forget("one")
    assert (mismatches.due("one"), mismatches.take("one")) == (False, {})
