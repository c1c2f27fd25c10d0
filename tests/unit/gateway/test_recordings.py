"""Whose records are in which cut, and when counters come and go."""

from __future__ import annotations

from tests.support.recordings import SUCCEEDED, Sums, Time, route, table

from plimsoll.core.records.record import Record
from plimsoll.gateway.recordings import Occasion, Recordings

SEVERAL = table(route("calm", ("c1", 1000)), route("moving", ("m1", 990), ("m2", 10)), route("idle", ("i1", 1000)))


def serving(recordings: Recordings, model: str, revision: str, requests: int = 1) -> None:
    recording = recordings.of(model, revision)
    for _ in range(requests):
        recording.arrived()
        recording.ended(SUCCEEDED, 0.01, "pod")


def made(time: Time | None = None, sums: Sums | None = None) -> Recordings:
    time = time or Time()
    recordings = Recordings(time.clocks(), sums or Sums())
    recordings.follow(SEVERAL)
    for model, revision in (("calm", "c1"), ("moving", "m1"), ("moving", "m2"), ("idle", "i1")):
        recordings.of(model, revision)
    return recordings


def revisions(records: list[Record]) -> list[str]:
    return [record.revision for record in records]


def busy(recordings: Recordings) -> Recordings:
    serving(recordings, "calm", "c1")
    serving(recordings, "moving", "m1")
    return recordings


def test_each_quarter_the_active_revisions_of_models_with_a_candidate() -> None:
    assert revisions(busy(made()).cut(Occasion.QUARTER)) == ["m1"]


def test_each_second_all_active_ones() -> None:
    assert revisions(busy(made()).cut(Occasion.SECOND)) == ["c1", "m1"]


def test_with_a_heartbeat_all() -> None:
    assert revisions(busy(made()).cut(Occasion.HEARTBEAT)) == ["c1", "m1", "m2", "i1"]


def test_a_candidate_without_weight_makes_no_haste() -> None:
    recordings = busy(made())
    recordings.follow(table(*SEVERAL.models.values(), route("moving", ("m1", 1000), ("m2", 0))))
    assert revisions(recordings.cut(Occasion.QUARTER)) == []


def test_a_request_in_flight_is_activity() -> None:
    recordings = made()
    recordings.of("calm", "c1").arrived()
    assert revisions(recordings.cut(Occasion.SECOND)) == ["c1"]
    assert [record.in_flight for record in recordings.cut(Occasion.SECOND)] == [1]


def test_spans_leave_nothing_out() -> None:
    time = Time()
    recordings = made(time)
    spans = 0.0
    for tick in range(1, 21):
        time.now = tick / 4
        if tick == 7:
            serving(recordings, "moving", "m1")
        occasion = Occasion.HEARTBEAT if tick == 20 else Occasion.QUARTER
        spans += sum(record.span_s for record in recordings.cut(occasion) if record.revision == "m1")
    assert spans == 5.0


def test_the_same_counters_every_time() -> None:
    recordings = made()
    assert recordings.of("calm", "c1") is recordings.of("calm", "c1")


def test_totals_get_every_record_whether_it_is_read_or_not() -> None:
    sums = Sums()
    busy(made(sums=sums)).cut(Occasion.SECOND)
    assert [(model, record.arrivals) for model, record in sums.added] == [("calm", 1), ("moving", 1)]


def test_a_revision_leaves_when_it_is_not_routed_and_has_nothing_in_flight() -> None:
    sums = Sums()
    recordings = made(sums=sums)
    leaving = recordings.of("moving", "m1")
    leaving.arrived()
    recordings.follow(table(route("calm", ("c1", 1000)), route("moving", ("m2", 1000)), route("idle", ("i1", 1000))))
    assert "m1" in revisions(recordings.cut(Occasion.SECOND))
    assert sums.forgotten == []
    leaving.ended(SUCCEEDED, 0.01, "pod")
    last = [record for record in recordings.cut(Occasion.QUARTER) if record.revision == "m1"]
    assert [(record.in_flight, sum(record.outcomes), len(record.cells["pod"])) for record in last] == [(0, 1, 1)]
    assert sums.forgotten == [("moving", "m1")]
    assert "m1" not in revisions(recordings.cut(Occasion.HEARTBEAT))


def test_a_revision_that_comes_back_before_it_was_empty_keeps_its_counters() -> None:
    recordings = made()
    subject = recordings.of("calm", "c1")
    subject.arrived()
    recordings.follow(table())
    recordings.cut(Occasion.SECOND)
    recordings.follow(SEVERAL)
    assert recordings.of("calm", "c1") is subject


def test_a_model_that_was_deleted_and_made_again_under_its_name_is_another() -> None:
    recordings = made()
    subject = recordings.of("calm", "c1")
    subject.arrived()
    recordings.follow(table(route("calm", ("c1", 1000), uid="another")))
    subject.ended(SUCCEEDED, 0.01, "pod")
    told = [record for record in recordings.cut(Occasion.SECOND) if record.revision == "c1"]
    assert [(record.uid, record.arrivals, sum(record.outcomes), record.in_flight) for record in told] == [
        ("uid-calm", 1, 0, 1),
        ("another", 0, 1, 0),
    ]
