"""Records as lines of JSON, one object a line.

Versions: a field that is not known is ignored, one that is not there has its default, so version N is read by N - 1 and
N + 1. What is there must be what it says: a line that is not is refused as a whole, with the reason, for a count that
may be wrong is worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import gt
from typing import Any

import orjson

from plimsoll.api.degradation import KillAction
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.histogram import BUCKETS
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import CELLS_PER_S, WIRE, Cell, Cut, Hello, Record

MAX_LINE_BYTES = 1024 * 1024
"""A record of one pod and second has about 400 bytes."""
_MAX_NAME = 253
_CLASSES = len(Outcome)
_MAX_CLASSES = 32
_MAX_EPOCH = 2**53
_OLDEST_CELL_S = 60
_NEWEST_CELL_S = 1
"""Cells are those since the last record, seconds ago. The clock may be set in between, but not by more."""
_COUNTS = (
    *("arrivals", "in_flight", "queued", "rescued", "exempt"),
    *("cache_hits", "cache_mismatches", "bytes_in", "bytes_out"),
    *("copies_agreed", "copies_differed", "copies_failed"),
)
_ACTIONS = frozenset(action.value for action in KillAction)
_TIMES = ("held_s", "latency_sum_s")


class WireError(ValueError):
    """A line is none of ours; the message says why."""


def encode_hello(hello: Hello) -> bytes:
    """Returns the first line of a stream, with its end."""
    line = {"wire": hello.wire, "boot": hello.boot, "pod": hello.pod, "version": hello.version}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def encode_cut(cut: Cut) -> bytes:
    """Returns any other line of a stream, with its end. What is 0 or empty is left out."""
    line: dict[str, Any] = {"seq": cut.seq, "at": round(cut.at, 3), "cpu_s": round(cut.cpu_s, 3)}
    if cut.acks:
        line["acks"] = cut.acks
    if cut.in_flight:
        line["in_flight"] = cut.in_flight
    if cut.trips:
        line["trips"] = {
            uid: trip and {"action": trip.action, "failed": trip.failed, "judged": trip.judged}
            for uid, trip in cut.trips.items()
        }
    if cut.records:
        line["records"] = [_encoded(record) for record in cut.records]
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _encoded(record: Record) -> dict[str, Any]:
    line: dict[str, Any] = {"uid": record.uid, "revision": record.revision, "span_s": round(record.span_s, 6)}
    line |= {name: value for name in _COUNTS if (value := getattr(record, name))}
    line |= {name: value for name in _TIMES if (value := round(getattr(record, name), 6))}
    if any(record.outcomes):
        line["outcomes"] = record.outcomes
    if record.latency:
        line["latency"] = [number for pair in record.latency.items() for number in pair]
    if record.cells:
        line["cells"] = {pod: [number for cell in cells for number in cell] for pod, cells in record.cells.items()}
    return line


def decode(line: bytes) -> Hello | Cut:
    """Returns what a line says.

    Raises:
        WireError: it is not one of ours, or says what cannot be.
    """
    try:
        read = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise WireError("it is not JSON") from error
    if type(read) is not dict:
        raise WireError("it is not an object")
    return _cut(read) if "seq" in read else _hello(read)


def _hello(read: Mapping[str, Any]) -> Hello:
    wire = _count(read, "wire", required=True)
    if abs(wire - WIRE) > 1:
        raise WireError(f"it is of wire version {wire}, and {WIRE - 1} to {WIRE + 1} can be read")
    return Hello(_name(read, "boot"), _name(read, "pod"), _name(read, "version"), wire)


def _cut(read: Mapping[str, Any]) -> Cut:
    seq = _count(read, "seq", required=True)
    if not seq:
        raise WireError("seq is 0, and counts from 1")
    at = _time(read, "at", required=True)
    records = read.get("records", [])
    if type(records) is not list:
        raise WireError("records is not a list")
    newest = int((at + _NEWEST_CELL_S) * CELLS_PER_S)
    decoded = tuple(_record(record, newest) for record in records)
    if len({(record.uid, record.revision) for record in decoded}) < len(decoded):
        raise WireError("a revision has two records")
    return Cut(seq, at, _time(read, "cpu_s"), _acks(read), decoded, _in_flight(read), _trips(read))


def _acks(read: Mapping[str, Any]) -> dict[str, int | None]:
    acks = read.get("acks")
    if not acks:
        return {}
    if type(acks) is not dict:
        raise WireError("acks is not an object")
    for uid, epoch in acks.items():
        if not 0 < len(uid) <= _MAX_NAME or not (epoch is None or (type(epoch) is int and 0 <= epoch < _MAX_EPOCH)):
            raise WireError("acks is not uid to epoch")
    return acks


def _in_flight(read: Mapping[str, Any]) -> dict[str, dict[str, int] | None]:
    told = read.get("in_flight")
    if not told:
        return {}
    if type(told) is not dict or not all(0 < len(uid) <= _MAX_NAME for uid in told):
        raise WireError("in_flight is not uid to pods")
    for pods in told.values():
        if pods is not None and type(pods) is not dict:
            raise WireError("in_flight is not uid to pods")
        if pods:
            _counts(list(pods.values()), "in_flight")
            if not all(0 < len(pod) <= _MAX_NAME for pod in pods):
                raise WireError("in_flight has a pod without a name or with too long a one")
    return told


def _trips(read: Mapping[str, Any]) -> dict[str, Trip | None]:
    told = read.get("trips")
    if not told:
        return {}
    if type(told) is not dict or not all(0 < len(uid) <= _MAX_NAME for uid in told):
        raise WireError("trips is not uid to trip")
    return {uid: trip if trip is None else _trip(trip) for uid, trip in told.items()}


def _trip(read: Any) -> Trip:
    if type(read) is not dict:
        raise WireError("a trip is not an object")
    failed, judged = _count(read, "failed"), _count(read, "judged")
    if failed > judged:
        raise WireError("a trip has more failures than requests")
    # An action of a newer gateway is told, too: somebody should look at it.
    action = read.get("action")
    return Trip(KillAction(action) if action in _ACTIONS else KillAction.ALERT, failed, judged)


def _record(read: Any, newest: int) -> Record:
    if type(read) is not dict:
        raise WireError("a record is not an object")
    arrivals, in_flight, queued, rescued, exempt, *stages = _all_counts(read)
    cache_hits, cache_mismatches, bytes_in, bytes_out, copies_agreed, copies_differed, copies_failed = stages
    held_s, latency_sum_s = (_time(read, name) for name in _TIMES)
    record = Record(
        uid=_name(read, "uid"),
        revision=_name(read, "revision"),
        span_s=_time(read, "span_s", required=True),
        arrivals=arrivals,
        outcomes=_outcomes(read),
        in_flight=in_flight,
        queued=queued,
        held_s=held_s,
        rescued=rescued,
        exempt=exempt,
        cache_hits=cache_hits,
        cache_mismatches=cache_mismatches,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        copies_agreed=copies_agreed,
        copies_differed=copies_differed,
        copies_failed=copies_failed,
        latency=_latency(read),
        latency_sum_s=latency_sum_s,
        cells=_cells(read, newest),
    )
    ended = sum(record.outcomes)
    if arrivals > in_flight + ended:
        raise WireError("arrivals are more than what ended or is in flight")
    if sum(record.latency.values()) > ended:
        raise WireError("more latencies than outcomes")
    if queued > in_flight:
        raise WireError("more queued than in flight")
    return record


def _all_counts(read: Mapping[str, Any]) -> list[int]:
    """Returns `_COUNTS`, looked at together: one by one they took a fifth of the time of a line."""
    counts = [read.get(name, 0) for name in _COUNTS]
    if set(map(type, counts)) != _INT or min(counts) < 0:
        return [_count(read, name) for name in _COUNTS]  # says which
    return counts


def _outcomes(read: Mapping[str, Any]) -> tuple[int, ...]:
    counts = _counts(read.get("outcomes", ()), "outcomes")
    if len(counts) > _MAX_CLASSES:
        raise WireError("outcomes has too many classes")
    return (*counts, *(0,) * (_CLASSES - len(counts)))


def _latency(read: Mapping[str, Any]) -> dict[int, int]:
    flat = _counts(read.get("latency", ()), "latency")
    buckets = flat[::2]
    if len(flat) % 2 or (buckets and max(buckets) >= BUCKETS):
        raise WireError("latency is not bucket, count, ...")
    latency = dict(zip(buckets, flat[1::2], strict=True))
    if len(latency) < len(buckets):
        raise WireError("latency has a bucket twice")
    return latency


def _cells(read: Mapping[str, Any], newest: int) -> dict[str, tuple[Cell, ...]]:
    cells = read.get("cells")
    if not cells:
        return {}
    if type(cells) is not dict:
        raise WireError("cells is not an object")
    return {_pod(pod): _cells_of(flat, newest) for pod, flat in cells.items()}


def _pod(name: str) -> str:
    if not 0 < len(name) <= _MAX_NAME:
        raise WireError("cells has a pod without a name or with too long a one")
    return name


def _cells_of(read: Any, newest: int) -> tuple[Cell, ...]:
    flat = _counts(read, "cells")
    if not flat or len(flat) % 3:
        raise WireError("cells is not number, judged, failed, ...")
    numbers = flat[::3]
    oldest = newest - (_OLDEST_CELL_S + _NEWEST_CELL_S) * CELLS_PER_S
    if min(numbers) < oldest or max(numbers) > newest:
        raise WireError("a cell is not of the time of its cut")
    judged, failed = flat[1::3], flat[2::3]
    if any(map(gt, failed, judged)):
        raise WireError("more failed than judged in a cell")
    return tuple(map(Cell, numbers, judged, failed))


_INT = {int}


def _counts(read: Any, name: str) -> list[int]:
    """Returns a list of counts as it is: one look at all types and one at the least, for there are many of them."""
    if read and (type(read) is not list or set(map(type, read)) != _INT or min(read) < 0):
        raise WireError(f"{name} is not a list of counts")
    return read or []


def _count(read: Mapping[str, Any], name: str, *, required: bool = False) -> int:
    value = read.get(name, None if required else 0)
    if type(value) is not int or value < 0:
        raise WireError(f"{name} is missing or not a count" if required else f"{name} is not a count")
    return value


def _time(read: Mapping[str, Any], name: str, *, required: bool = False) -> float:
    value = read.get(name, None if required else 0.0)
    if type(value) not in {float, int} or not 0 <= value < math.inf:
        raise WireError(f"{name} is missing or not a time" if required else f"{name} is not a time")
    return float(value)


def _name(read: Mapping[str, Any], name: str) -> str:
    value = read.get(name)
    if type(value) is not str or not 0 < len(value) <= _MAX_NAME:
        raise WireError(f"{name} is missing, empty, too long or not a text")
    return value
