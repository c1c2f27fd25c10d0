"""What is counted per request, and what a record makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.recordings import SUCCEEDED, WALL, Time
from tests.support.records import cut as line
from tests.support.records import outcomes

from plimsoll.core.records.outcome import Outcome, is_failure, is_judged, is_timed
from plimsoll.core.records.record import Cell, Record
from plimsoll.core.records.wire import decode, encode_cut
from plimsoll.gateway.recording import RevisionRecording


def recording(time: Time) -> RevisionRecording:
    return RevisionRecording("digits", "uid", "r1", lambda: time.now, time.wall_offset)


def cut(subject: RevisionRecording, time: Time, **options: bool) -> Record:
    return subject.cut(time.now, time.wall_offset, **options)


def request(subject: RevisionRecording, time: Time, takes_s: float, outcome: Outcome, pod: str = "a") -> None:
    subject.arrived()
    time.now += takes_s
    subject.ended(outcome, takes_s, pod)


def test_a_request_that_succeeds() -> None:
    time = Time()
    subject = recording(time)
    request(subject, time, 0.25, SUCCEEDED)
    time.now = 1.0
    told = cut(subject, time)
    assert told == Record(
        uid="uid",
        revision="r1",
        span_s=1.0,
        arrivals=1,
        outcomes=outcomes(succeeded=1),
        held_s=0.25,
        latency={25: 1},
        latency_sum_s=0.25,
        cells={"a": (Cell(int(WALL * 10) + 2, 1, 0),)},
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_what_each_class_counts_for(outcome: Outcome) -> None:
    time = Time()
    subject = recording(time)
    request(subject, time, 0.05, outcome)
    told = cut(subject, time, last=True)
    judged = [(cell.judged, cell.failed) for cell in told.cells.get("a", ())]
    assert (sum(told.outcomes), told.outcomes[outcome]) == (1, 1)
    assert judged == ([(1, int(is_failure(outcome)))] if is_judged(outcome) else [])
    assert sum(told.latency.values()) == int(is_timed(outcome))


def test_which_classes_those_are() -> None:
    """Malformed requests and overload say nothing about a revision; a fault that comes at once is not fast."""
    silent = {Outcome.CLIENT_FAULT, Outcome.SHED, Outcome.CANCELLED}
    assert {outcome for outcome in Outcome if not is_judged(outcome)} == silent
    assert {outcome for outcome in Outcome if is_judged(outcome) and not is_timed(outcome)} == {
        Outcome.SERVER_FAULT,
        Outcome.BROKEN,
    }


def test_time_in_the_system_is_counted_where_it_passes() -> None:
    time = Time(now=100.0)
    subject = recording(time)
    subject.arrived()
    time.now = 101.0
    first = cut(subject, time)
    time.now = 103.5
    subject.ended(SUCCEEDED, 3.5, "a")
    time.now = 104.0
    second = cut(subject, time)
    assert (first.in_flight, first.held_s, second.in_flight, second.held_s) == (1, 1.0, 0, 2.5)


def test_a_cell_is_told_once_it_is_over() -> None:
    time = Time()
    subject = recording(time)
    for at, outcome in ((0.01, SUCCEEDED), (0.02, Outcome.BROKEN), (0.16, SUCCEEDED), (0.24, SUCCEEDED)):
        time.now = at
        request(subject, time, 0.0, outcome)
    time.now = 0.25
    first = cut(subject, time)
    assert subject.active
    time.now = 0.5
    second = cut(subject, time)
    start = int(WALL * 10)
    assert [*first.cells["a"], *second.cells["a"]] == [Cell(start, 2, 1), Cell(start + 1, 1, 0), Cell(start + 2, 1, 0)]
    assert not subject.active
    assert cut(subject, time).cells == {}


def test_the_last_record_tells_of_the_open_cell_too() -> None:
    time = Time()
    subject = recording(time)
    request(subject, time, 0.0, SUCCEEDED)
    assert cut(subject, time).cells == {}
    request(subject, time, 0.0, SUCCEEDED)
    assert [cell.judged for cell in cut(subject, time, last=True).cells["a"]] == [2]


def test_cells_are_numbered_by_the_wall_clock_as_it_was_at_the_last_cut() -> None:
    time = Time()
    subject = recording(time)
    time.wall_offset += 3600
    cut(subject, time)
    request(subject, time, 0.05, SUCCEEDED)
    assert cut(subject, time, last=True).cells["a"][0].number == int((WALL + 3600) * 10)


def test_an_exempt_request_is_an_arrival_with_an_outcome_and_no_evidence() -> None:
    time = Time()
    subject = recording(time)
    subject.arrived()
    subject.ended(Outcome.SERVER_FAULT, 0.1, "a", exempt=True)
    told = cut(subject, time, last=True)
    assert (told.arrivals, told.outcomes, told.exempt) == (1, outcomes(server_fault=1), 1)
    assert (told.cells, told.latency) == ({}, {})


def test_what_was_sent_nowhere_is_in_no_cell() -> None:
    time = Time()
    subject = recording(time)
    request(subject, time, 0.1, Outcome.TIMED_OUT, pod="")
    assert cut(subject, time, last=True).cells == {}


def test_what_stages_count() -> None:
    time = Time()
    subject = recording(time)
    subject.arrived()
    subject.queued += 1
    subject.cache_hits += 1
    subject.bytes_in += 10
    subject.bytes_out += 20
    subject.rescued()
    told, then = cut(subject, time), cut(subject, time)
    assert (told.queued, told.cache_hits, told.bytes_in, told.bytes_out, told.rescued) == (1, 1, 10, 20, 1)
    assert (then.queued, then.cache_hits, then.bytes_in, then.bytes_out, then.rescued) == (1, 0, 0, 0, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "end", "cut", "wait"]),
        st.sampled_from(Outcome),
        st.sampled_from(["a", "b", ""]),
        st.integers(0, 400),
    ),
    max_size=80,
)


@given(STEPS)
def test_whatever_happens_the_records_add_up_and_can_be_sent(steps: Any) -> None:
    time = Time(now=5000.0)
    subject = recording(time)
    waiting: list[float] = []
    told: list[Record] = []
    held_s, ended, judged = 0.0, 0, 0
    for what, outcome, pod, milliseconds in steps:
        match what:
            case "arrive":
                subject.arrived()
                waiting.append(time.now)
            case "end" if waiting:
                subject.ended(outcome, time.now - waiting.pop(0), pod)
                ended += 1
                judged += is_judged(outcome) and bool(pod)
            case "cut":
                told.append(cut(subject, time))
            case _:
                time.now += milliseconds / 1000
                held_s += len(waiting) * milliseconds / 1000
    told.append(cut(subject, time, last=True))
    before = 0
    for each in told:
        assert each.in_flight_before == before
        before = each.in_flight
    assert sum(sum(each.outcomes) for each in told) == ended
    assert sum(each.arrivals for each in told) == ended + len(waiting)
    assert sum(each.held_s for each in told) == pytest.approx(held_s, abs=1e-6)
    cells = [(pod, cell) for each in told for pod, over in each.cells.items() for cell in over]
    assert sum(cell.judged for _, cell in cells) == judged
    assert len({(pod, cell.number) for pod, cell in cells}) == len(cells)
    assert all(decode(encode_cut(line(seq, each, at=time.now + WALL))) for seq, each in enumerate(told, 1))


def test_copies_are_told_beside_everything_else() -> None:
    time = Time()
    subject = recording(time)
    subject.copies_agreed += 3
    subject.copies_differed += 2
    subject.copies_failed += 1
    assert subject.active
    told, then = cut(subject, time), cut(subject, time)
    assert (told.copies_agreed, told.copies_differed, told.copies_failed) == (3, 2, 1)
    assert (told.arrivals, told.in_flight, sum(told.outcomes), told.cells) == (0, 0, 0, {})
    assert (then.copies_agreed, then.copies_differed, then.copies_failed) == (0, 0, 0)
    assert not subject.active
