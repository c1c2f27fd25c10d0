"""Records as gateways make them, for tests."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from plimsoll.core.records.histogram import BUCKETS
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import CELLS_PER_S, Cell, Cut, Record

NOW = 1_790_000_000.0
UID = "5f0c8e2a-0000-4000-8000-000000000001"
REVISION = "digits-eedac945ea"


def outcomes(**counts: int) -> tuple[int, ...]:
    """Counts by the name of the class."""
    return tuple(counts.get(outcome.name.lower(), 0) for outcome in Outcome)


def cells(*told: tuple[int, int], until: float = NOW) -> tuple[Cell, ...]:
    """The last cells before `until`, as (judged, failed)."""
    first = int(until * CELLS_PER_S) - len(told)
    return tuple(Cell(first + position, judged, failed) for position, (judged, failed) in enumerate(told))


def record(**changes: object) -> Record:
    """One in which everything has happened."""
    made = Record(
        uid=UID,
        revision=REVISION,
        span_s=0.25,
        arrivals=12,
        outcomes=outcomes(succeeded=7, server_fault=2, timed_out=1, shed=1),
        in_flight=3,
        queued=1,
        held_s=0.125,
        rescued=2,
        exempt=1,
        cache_hits=1,
        cache_mismatches=1,
        bytes_in=1800,
        bytes_out=900,
        copies_agreed=5,
        copies_differed=2,
        copies_failed=1,
        latency={0: 2, 5: 5, 47: 1},
        latency_sum_s=30.5,
        cells={"digits-a": cells((3, 0), (2, 2)), "digits-b": cells((4, 0))},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def cut(seq: int, *records: Record, at: float = NOW, **changes: object) -> Cut:
    return replace(Cut(seq, at, 1.5, records=records), **changes)  # type: ignore[arg-type]


@st.composite
def any_record(draw: st.DrawFn, uid: str = UID, revision: str = REVISION, at: float = NOW) -> Record:
    """Whatever a gateway could count."""
    ended = draw(st.lists(st.integers(0, 10_000), min_size=len(Outcome), max_size=len(Outcome)))
    in_flight, before = draw(st.integers(0, 500)), draw(st.integers(0, 500))
    arrivals = sum(ended) + in_flight - before
    if arrivals < 0:
        arrivals, in_flight = 0, before - sum(ended)
    pods = draw(st.dictionaries(st.sampled_from("abc"), st.lists(_judged(), min_size=1, max_size=4), max_size=3))
    buckets = draw(st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, max(1, sum(ended) // 8)), max_size=8))
    return Record(
        uid=uid,
        revision=revision,
        span_s=draw(_thousandths()),
        arrivals=arrivals,
        outcomes=tuple(ended),
        in_flight=in_flight,
        queued=draw(st.integers(0, in_flight)),
        held_s=draw(_thousandths()),
        rescued=draw(st.integers(0, 9)),
        exempt=draw(st.integers(0, 9)),
        cache_hits=draw(st.integers(0, 9)),
        bytes_in=draw(st.integers(0, 2**50)),
        bytes_out=draw(st.integers(0, 2**50)),
        copies_agreed=draw(st.integers(0, 9)),
        copies_differed=draw(st.integers(0, 9)),
        copies_failed=draw(st.integers(0, 9)),
        latency=buckets if sum(buckets.values()) <= sum(ended) else {},
        latency_sum_s=draw(_thousandths()),
        cells={pod: cells(*told, until=at) for pod, told in pods.items()},
    )


def _judged() -> st.SearchStrategy[tuple[int, int]]:
    return st.integers(1, 1000).flatmap(lambda judged: st.tuples(st.just(judged), st.integers(0, judged)))


def _thousandths() -> st.SearchStrategy[float]:
    return st.integers(0, 10**7).map(lambda number: number / 1000)
