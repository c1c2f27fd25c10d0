"""Who is sent on, who waits, who is refused and what they are told; and how the pace is learned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.queueing import (
    EVIDENCE,
    MEMORY_S,
    WAIT_S,
    Decision,
    Found,
    Pace,
    Verdict,
    allowed_wait_s,
    decide,
    refusal_sentence,
    whole_seconds,
)

PLAIN = RequestLimits()
FULL_HOUSE = Found(waiting=0, ahead=0, free=False, slots=64)

# ---- the decision ----
DECISIONS = [
    ("a free slot and nobody before", Found(0, 0, True, 64), PLAIN, Verdict.ADMIT),
    ("a free slot, and the queue of the other revision is full", Found(256, 0, True, 64), PLAIN, Verdict.ADMIT),
    ("a free slot that others wait for", Found(3, 3, True, 64), PLAIN, Verdict.QUEUE),
    ("nothing is known of the pace", FULL_HOUSE, PLAIN, Verdict.QUEUE),
    ("the last place", Found(255, 255, False, 64, 100.0), PLAIN, Verdict.QUEUE),
    ("no place", Found(256, 256, False, 64, 1e9), PLAIN, Verdict.FULL),
    ("nobody may wait", FULL_HOUSE, RequestLimits(max_queue=0), Verdict.FULL),
    ("just in time", Found(9, 9, False, 1, 10.0), RequestLimits(max_wait_s=1.0), Verdict.QUEUE),
    ("one too many before it", Found(10, 10, False, 1, 10.0), RequestLimits(max_wait_s=1.0), Verdict.LATE),
    ("the promise leaves time", Found(7, 7, False, 1, 10.0), RequestLimits(promise_s=1.0), Verdict.QUEUE),
    (
        "the promise holds for the wait and the pod",
        Found(9, 9, False, 1, 10.0),
        RequestLimits(promise_s=1.0),
        Verdict.LATE,
    ),
    ("the pods alone break the promise", Found(0, 0, False, 64, 10.0), RequestLimits(promise_s=1.0), Verdict.LATE),
]


@pytest.mark.parametrize(
    ("found", "limits", "verdict"), [row[1:] for row in DECISIONS], ids=[row[0] for row in DECISIONS]
)
def test_decisions(found: Found, limits: RequestLimits, verdict: Verdict) -> None:
    assert decide(found, limits).verdict is verdict


@pytest.mark.parametrize(
    ("granted_s", "verdict"), [(None, Verdict.QUEUE), (0.6, Verdict.QUEUE), (0.55, Verdict.LATE), (-1.0, Verdict.LATE)]
)
def test_who_grants_less_time_is_refused_earlier(granted_s: float | None, verdict: Verdict) -> None:
    """The fifth in a line that moves at 10 a second waits for 0.5 s, and its pod takes 0.1 s."""
    assert decide(Found(4, 4, False, 1, 10.0), PLAIN, granted_s).verdict is verdict


@pytest.mark.parametrize(
    ("limits", "granted_s", "service_s", "allowed_s"),
    [
        (PLAIN, None, 0.0, WAIT_S),
        (PLAIN, 1.0, 0.25, 0.75),
        (RequestLimits(max_wait_s=20.0), None, 1.0, 20.0),
        (RequestLimits(max_wait_s=20.0, promise_s=0.1), None, 0.0, 20.0),
        (RequestLimits(promise_s=0.5), None, 0.25, 0.25),
        (RequestLimits(promise_s=3600.0), None, 0.0, WAIT_S),
        (RequestLimits(promise_s=0.5), None, 1.0, 0.0),
    ],
)
def test_how_long_a_request_may_wait(
    limits: RequestLimits, granted_s: float | None, service_s: float, allowed_s: float
) -> None:
    assert allowed_wait_s(limits, granted_s, service_s) == allowed_s


FOUND = st.builds(
    Found,
    waiting=st.integers(0, 500),
    ahead=st.integers(0, 500),
    free=st.booleans(),
    slots=st.integers(0, 10_000),
    rate=st.one_of(st.none(), st.floats(1e-3, 1e6)),
)
LIMITS = st.builds(
    RequestLimits,
    max_queue=st.integers(0, 300),
    max_wait_s=st.one_of(st.none(), st.floats(0.001, 30)),
    promise_s=st.one_of(st.none(), st.floats(0.001, 60)),
)
GRANTED = st.one_of(st.none(), st.floats(-1, 100))


@given(FOUND, LIMITS, GRANTED)
def test_nobody_is_let_wait_in_vain(found: Found, limits: RequestLimits, granted_s: float | None) -> None:
    decision = decide(found, limits, granted_s)
    if decision.verdict is Verdict.QUEUE:
        assert found.waiting < limits.max_queue
        assert 0 < decision.allowed_s <= (granted_s if granted_s is not None else 30)
        assert decision.predicted_s is None or decision.predicted_s <= decision.allowed_s
    elif decision.verdict is not Verdict.ADMIT:
        assert 1 <= decision.retry_after_s <= 60


@given(FOUND, LIMITS, GRANTED)
def test_a_free_slot_is_never_refused(found: Found, limits: RequestLimits, granted_s: float | None) -> None:
    admitted = decide(found, limits, granted_s).verdict is Verdict.ADMIT
    assert admitted == (found.free and not found.ahead)


@given(FOUND, LIMITS, st.integers(0, 100))
def test_who_comes_later_is_not_better_off(found: Found, limits: RequestLimits, more: int) -> None:
    later = Found(found.waiting + more, found.ahead + more, found.free, found.slots, found.rate)
    ranks = {Verdict.ADMIT: 0, Verdict.QUEUE: 1, Verdict.LATE: 2, Verdict.FULL: 2}
    assert ranks[decide(later, limits).verdict] >= ranks[decide(found, limits).verdict]


@pytest.mark.parametrize(("seconds", "whole"), [(-5, 1), (0, 1), (0.2, 1), (1.01, 2), (60, 60), (1e9, 60)])
def test_retry_after(seconds: float, whole: int) -> None:
    assert whole_seconds(seconds) == whole


@pytest.mark.parametrize(
    ("decision", "max_queue", "says"),
    [
        (Decision(Verdict.FULL, 5, 2.0, 3), 10, "10 requests wait for digits, as many as spec.overload.maxQueue lets."),
        (Decision(Verdict.FULL, 5, 2.0, 3), 0, "spec.overload.maxQueue lets no request wait."),
        (Decision(Verdict.LATE, 0.5, 2.0, 3), 10, "this request would wait 2 s and has 0.5 s."),
        (Decision(Verdict.LATE, 0.0, None, 3), 10, "this request has no time to wait."),
    ],
)
def test_what_a_client_is_told(decision: Decision, max_queue: int, says: str) -> None:
    sentence = refusal_sentence("digits", decision, max_queue)
    assert says in sentence
    assert sentence.endswith("Try again in 3 s.")


# ---- the pace ----
def worked(pace: Pace, since: float, every_s: float, times: int, slots: int) -> float:
    """All slots are taken, and one becomes free at these intervals; returns when the last one did."""
    pace.crowded(since, slots)
    for number in range(1, times + 1):
        pace.freed(since + number * every_s)
    return since + times * every_s


@pytest.mark.parametrize("every_s", [0.001, 0.1, 1.0])
def test_the_pace_is_what_becomes_free_while_all_is_taken(every_s: float) -> None:
    pace = Pace(0.0)
    now = worked(pace, 0.0, every_s, 100, slots=4)
    assert pace.rate(now, 4) == pytest.approx(1 / every_s, rel=0.06)
    assert pace.rate(now, 8) == pytest.approx(2 / every_s, rel=0.06), "twice the pods are twice as fast"


def test_what_becomes_free_while_there_is_room_says_nothing() -> None:
    """A model that is asked once a second is not one that answers one a second."""
    pace = Pace(0.0)
    now = worked(pace, 0.0, 0.01, 100, slots=1)
    pace.crowded(now, 0)
    assert pace.rate(now + 5, 1) == pytest.approx(100, rel=0.01)


def test_a_pace_is_forgotten() -> None:
    pace = Pace(0.0)
    now = worked(pace, 0.0, 0.01, 1000, slots=1)
    pace.crowded(now, 0)
    assert pace.rate(now + MEMORY_S, 1) is not None
    assert pace.rate(now + 10 * MEMORY_S, 1) is None


def test_nothing_is_known_at_first_nor_where_there_are_no_slots() -> None:
    pace = Pace(0.0)
    pace.crowded(0.0, 4)
    assert pace.rate(1.0, 4) is None
    pace.freed(1.0)
    assert EVIDENCE > 1
    assert pace.rate(1.0, 4) is None
    now = worked(pace, 1.0, 0.1, 10, 4)
    assert pace.rate(now, 0) is None


def test_pods_that_hang_make_the_pace_slower_and_then_unknown() -> None:
    pace = Pace(0.0)
    now = worked(pace, 0.0, 0.1, 100, slots=1)
    slower = pace.rate(now + MEMORY_S, 1)
    assert slower is not None
    assert slower < 5
    assert pace.rate(now + 6 * MEMORY_S, 1) is None


@given(st.lists(st.tuples(st.floats(-1, 100), st.sampled_from(["freed", "crowded", "idle"])), max_size=50))
def test_a_pace_is_never_negative_whatever_the_clock_does(steps: list[tuple[float, str]]) -> None:
    pace, now = Pace(0.0), 0.0
    for passed, step in steps:
        now += passed
        if step == "freed":
            pace.freed(now)
        else:
            pace.crowded(now, 4 if step == "crowded" else 0)
        rate = pace.rate(now, 4)
        assert rate is None or rate > 0
