"""Lines: what comes back as it was, what is ignored, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.records import NOW, REVISION, UID, any_record, cut, outcomes, record

from plimsoll.api.degradation import KillAction
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import Cut, Hello, Record
from plimsoll.core.records.wire import WireError, decode, encode_cut, encode_hello

HELLO = Hello("b7", "plimsoll-gateway-x", "0.1.0")


def decoded(line: bytes) -> Cut:
    found = decode(line)
    assert isinstance(found, Cut)
    return found


def changed(path: tuple[str | int, ...], value: Any) -> bytes:
    """A good line in which one thing is different."""
    line = orjson.loads(encode_cut(cut(7, record(), acks={UID: 3})))
    place = line
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(line).encode()


_NAMES = st.text("abc", min_size=1)


@given(
    any_record(),
    st.dictionaries(_NAMES, st.none() | st.integers(0, 2**40)),
    st.dictionaries(_NAMES, st.none() | st.dictionaries(_NAMES, st.integers(0, 2**40))),
)
def test_a_cut_comes_back_as_it_was(
    told: Record, acks: dict[str, int | None], in_flight: dict[str, dict[str, int] | None]
) -> None:
    sent = cut(7, told, acks=acks, in_flight=in_flight)
    line = encode_cut(sent)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == sent


@given(
    st.dictionaries(_NAMES, st.none() | st.builds(Trip, st.sampled_from(KillAction), st.just(3), st.integers(3, 2**40)))
)
def test_trips_come_back_as_they_were(trips: dict[str, Trip | None]) -> None:
    sent = cut(7, trips=trips)
    assert decode(encode_cut(sent)) == sent


@pytest.mark.parametrize("action", ['"Restart"', "7", "null"])
def test_an_action_of_a_newer_gateway_is_told_all_the_same(action: str) -> None:
    line = encode_cut(cut(7, trips={UID: Trip(KillAction.STOPPED, 1, 2)})).replace(b'"Stopped"', action.encode())
    told = decode(line)
    assert isinstance(told, Cut)
    assert told.trips == {UID: Trip(KillAction.ALERT, 1, 2)}


def test_a_hello_comes_back_as_it_was() -> None:
    assert decode(encode_hello(HELLO)) == HELLO


def test_wire_version_1(golden: Callable[[str, str], None]) -> None:
    """What is out there is written like this: a change that this test sees is another version."""
    lines = [
        encode_hello(HELLO),
        encode_cut(cut(1, record(), acks={UID: 3, "left": None})),
        encode_cut(cut(2, Record(UID, REVISION, 5.0))),
        encode_cut(cut(3)),
        encode_cut(cut(4, in_flight={UID: {"digits-a": 2, "digits-b": 0}, "left": None})),
    ]
    golden("records/wire-1.ndjson", b"".join(lines).decode())


def test_what_an_idle_revision_costs() -> None:
    assert len(encode_cut(cut(2, Record(UID, REVISION, 5.0)))) < 160


@pytest.mark.parametrize("path", [("new",), ("records", 0, "new")], ids=str)
def test_a_field_of_the_next_version_is_ignored(path: tuple[str | int, ...]) -> None:
    assert decode(changed(path, {"any": ["thing"]})) == decode(encode_cut(cut(7, record(), acks={UID: 3})))


def test_a_field_that_is_not_there_has_its_default() -> None:
    line = {"seq": 1, "at": NOW, "records": [{"uid": UID, "revision": REVISION, "span_s": 1}]}
    assert decode(orjson.dumps(line)) == Cut(1, NOW, records=(Record(UID, REVISION, 1.0),))


def test_an_outcome_class_of_the_next_version_is_kept_so_that_the_sum_holds() -> None:
    more = [*outcomes(succeeded=1), 4]
    told = decoded(changed(("records", 0), {"uid": "u", "revision": "r", "span_s": 1, "arrivals": 5, "outcomes": more}))
    assert told.records[0].outcomes == tuple(more)
    assert told.records[0].in_flight_before == 0


def test_what_an_older_gateway_does_not_say_of_pods_that_drain_is_unknown() -> None:
    """Not even for a pod that drains is it zero: zero is always said."""
    told = decoded(orjson.dumps({"seq": 1, "at": NOW, "acks": {UID: 3}}))
    assert (told.acks, told.in_flight) == ({UID: 3}, {})
    assert b'"digits-b":0' in encode_cut(cut(4, in_flight={UID: {"digits-b": 0}}))


@pytest.mark.parametrize("wire", [0, 1, 2])
def test_the_neighbours_versions_are_read(wire: int) -> None:
    assert decode(encode_hello(Hello("b", "p", "v", wire))) == Hello("b", "p", "v", wire)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"\x00\xff", "not JSON", id="bytes"),
        pytest.param(b'{"seq":1,"at":NaN}', "not JSON", id="not a number"),
        pytest.param(b'{"seq":1,"at":1e999}', "not JSON", id="infinite"),
        pytest.param(b"[" * 100_000, "not JSON", id="deep"),
        pytest.param(b"[]", "not an object", id="a list"),
        pytest.param(b"{}", "wire is missing", id="empty"),
        pytest.param(b'{"wire":3,"boot":"b","pod":"p","version":"v"}', "wire version 3, and 0 to 2", id="too new"),
        pytest.param(b'{"wire":1,"boot":"","pod":"p","version":"v"}', "boot is missing, empty", id="no boot id"),
        pytest.param(b'{"wire":1,"boot":"b","pod":7,"version":"v"}', "pod is missing", id="a number for a name"),
    ],
)
def test_lines_that_are_none(line: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(line)


FIRST = ("records", 0)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("seq",), 0, "counts from 1"),
        (("seq",), -1, "seq is missing or not a count"),
        (("seq",), True, "seq is missing or not a count"),
        (("seq",), 2**70, "seq is missing or not a count"),
        (("at",), None, "at is missing or not a time"),
        (("at",), -1.0, "at is missing or not a time"),
        (("cpu_s",), "1", "cpu_s is not a time"),
        (("acks",), [1], "acks is not an object"),
        (("acks", UID), "3", "acks is not uid to epoch"),
        (("acks", UID), -3, "acks is not uid to epoch"),
        (("acks", "x" * 300), 3, "acks is not uid to epoch"),
        (("in_flight",), [1], "in_flight is not uid to pods"),
        (("in_flight",), {"x" * 300: {}}, "in_flight is not uid to pods"),
        (("in_flight",), {UID: 3}, "in_flight is not uid to pods"),
        (("in_flight",), {UID: {"pod": -1}}, "in_flight is not a list of counts"),
        (("in_flight",), {UID: {"pod": True}}, "in_flight is not a list of counts"),
        (("in_flight",), {UID: {"": 1}}, "in_flight has a pod without a name"),
        (("trips",), [1], "trips is not uid to trip"),
        (("trips",), {"x" * 300: None}, "trips is not uid to trip"),
        (("trips",), {UID: 3}, "a trip is not an object"),
        (("trips",), {UID: {"action": "Stopped", "failed": 1.5}}, "failed is not a count"),
        (("trips",), {UID: {"action": "Stopped", "failed": 2, "judged": 1}}, "more failures than requests"),
        (("records",), {}, "records is not a list"),
        (FIRST, 7, "a record is not an object"),
        ((*FIRST, "uid"), None, "uid is missing"),
        ((*FIRST, "uid"), "x" * 300, "uid is missing, empty, too long"),
        ((*FIRST, "revision"), "", "revision is missing"),
        ((*FIRST, "span_s"), None, "span_s is missing"),
        ((*FIRST, "arrivals"), 1.5, "arrivals is not a count"),
        ((*FIRST, "arrivals"), 10**6, "arrivals are more than what ended or is in flight"),
        ((*FIRST, "bytes_in"), -1, "bytes_in is not a count"),
        ((*FIRST, "queued"), 4, "more queued than in flight"),
        ((*FIRST, "outcomes"), "x", "outcomes is not a list"),
        ((*FIRST, "outcomes"), [12, True], "outcomes is not a list of counts"),
        ((*FIRST, "outcomes"), [12, -1], "outcomes is not a list of counts"),
        ((*FIRST, "outcomes"), [1] * 33, "too many classes"),
        ((*FIRST, "latency"), [0, 1, 2], "latency is not bucket, count"),
        ((*FIRST, "latency"), [48, 1], "latency is not bucket, count"),
        ((*FIRST, "latency"), [3, 1, 3, 1], "a bucket twice"),
        ((*FIRST, "latency"), [3, 10**6], "more latencies than outcomes"),
        ((*FIRST, "cells"), [1], "cells is not an object"),
        ((*FIRST, "cells", ""), [1, 1, 0], "a pod without a name"),
        ((*FIRST, "cells", "p"), [], "cells is not number, judged, failed"),
        ((*FIRST, "cells", "p"), [int(NOW * 10), 1], "cells is not number, judged, failed"),
        ((*FIRST, "cells", "p"), [int(NOW * 10), 1, 2], "more failed than judged"),
        ((*FIRST, "cells", "p"), [1, 1, 0], "not of the time of its cut"),
        ((*FIRST, "cells", "p"), [int(NOW * 10) + 20, 1, 0], "not of the time of its cut"),
    ],
    ids=str,
)
def test_lines_that_say_what_cannot_be(path: tuple[str | int, ...], value: Any, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(changed(path, value))


def test_two_records_of_one_revision() -> None:
    with pytest.raises(WireError, match="two records"):
        decode(encode_cut(cut(1, record(), record())))


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        decode(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**66) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=6,
)


@given(st.sampled_from(list(Record.__dataclass_fields__)), JSON)
def test_whatever_stands_in_a_field_it_is_read_or_refused(field: str, value: Any) -> None:
    try:
        told = decoded(changed((*FIRST, field), value)).records[0]
    except WireError:
        return
    assert told.in_flight_before >= 0
    assert len(told.outcomes) >= len(Outcome)
