"""The schedule of cuts, in virtual time, and what a line holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from tests.support.recordings import SUCCEEDED, WALL, Sums, epochs, route, table
from tests.support.virtual_time import run_virtually

from plimsoll.api.degradation import KillAction
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.record import Cut
from plimsoll.core.records.wire import MAX_LINE_BYTES, decode
from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.cutting import Cutter
from plimsoll.gateway.recordings import Clocks, Recordings

CALM = table(route("digits", ("r1", 1000)))
MOVING = table(route("digits", ("r1", 990), ("r2", 10)))


class Gateway:
    """Counters, a cutter and what it sent, in the running loop's time."""

    def __init__(self, routes: RouteTable) -> None:
        now = asyncio.get_running_loop().time
        clocks = Clocks(now, lambda: now() + WALL, lambda: 1.5 + now() / 100)
        self.recordings = Recordings(clocks, Sums())
        self.lines: list[bytes] = []
        self.in_flight: dict[str, dict[str, int]] = {}
        self.trips: dict[str, Trip] = {}
        self.cutter = Cutter(
            self.recordings, clocks, self.lines.append, lambda: dict(self.in_flight), lambda: dict(self.trips)
        )
        self.follow(routes)

    def follow(self, routes: RouteTable) -> None:
        self.cutter.follow(routes, epochs(routes))
        for each in routes.models.values():
            for revision in (each.stable, each.candidate):
                if revision:
                    self.recordings.of(each.model, revision.name)

    def request(self, revision: str = "r1", pod: str = "pod") -> None:
        recording = self.recordings.of("digits", revision)
        recording.arrived()
        recording.ended(SUCCEEDED, 0.01, pod)

    def cuts(self) -> list[Cut]:
        found = [decode(line) for line in self.lines]
        return [each for each in found if isinstance(each, Cut)]

    def heard_at(self) -> list[float]:
        return [round(each.at - WALL, 3) for each in self.cuts()]


def after(seconds: float, routes: RouteTable, load: Callable[[Gateway], Iterator[float]] | None = None) -> Gateway:
    """A gateway that has cut for that long; `load` acts and yields pauses."""

    async def live() -> Gateway:
        gateway = Gateway(routes)

        async def act() -> None:
            for pause in load(gateway) if load else ():
                await asyncio.sleep(pause)

        tasks = [asyncio.create_task(gateway.cutter.run()), asyncio.create_task(act())]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        return gateway

    return run_virtually(live())


def steady(gateway: Gateway) -> Iterator[float]:
    yield 0.001
    while True:
        gateway.request()
        yield 0.1


def test_an_idle_gateway_is_heard_every_five_seconds_and_tells_its_zeros() -> None:
    gateway = after(15.1, CALM)
    first, *heartbeats = gateway.cuts()
    assert (first.acks, first.records) == ({"uid-digits": 1}, ())
    assert gateway.heard_at() == [0.25, 5.0, 10.0, 15.0]
    assert [(cut.records[0].arrivals, cut.records[0].span_s) for cut in heartbeats] == [(0, 5.0)] * 3


def test_a_gateway_without_models_is_heard_too() -> None:
    assert after(10.1, RouteTable()).heard_at() == [5.0, 10.0]


def test_an_active_revision_is_told_of_every_second() -> None:
    assert after(4.1, CALM, steady).heard_at()[1:] == [1.0, 2.0, 3.0, 4.0]


def test_and_every_quarter_while_a_candidate_has_weight() -> None:
    assert after(1.1, MOVING, steady).heard_at() == [0.25, 0.5, 0.75, 1.0]


def test_nothing_is_lost_between_cuts() -> None:
    gateway = after(10.05, MOVING, steady)
    records = [record for cut in gateway.cuts() for record in cut.records if record.revision == "r1"]
    assert sum(record.arrivals for record in records) == 100
    assert sum(record.span_s for record in records) == 10.0
    assert sum(cell.judged for record in records for cell in record.cells["pod"]) in {99, 100}


def test_a_trip_is_told_at_once() -> None:
    def load(gateway: Gateway) -> Iterator[float]:
        yield 1.337
        gateway.request()
        gateway.cutter.trip()

    gateway = after(1.4, CALM, load)
    assert gateway.heard_at()[-1] == 1.337
    assert gateway.cuts()[-1].records[0].arrivals == 1


def test_numbers_have_no_gaps_and_processor_time_is_told() -> None:
    cuts = after(10.1, MOVING, steady).cuts()
    assert [cut.seq for cut in cuts] == list(range(1, len(cuts) + 1))
    assert cuts[-1].cpu_s == 1.6


def test_acknowledgements_are_told_when_they_change() -> None:
    def load(gateway: Gateway) -> Iterator[float]:
        yield 1.1
        gateway.follow(table(route("digits", ("r1", 1000), epoch=2), route("other", ("o1", 1000), epoch=7)))
        yield 1.0
        gateway.follow(table(route("digits", ("r1", 1000), epoch=2)))

    gateway = after(6, CALM, load)
    assert [(at, cut.acks) for at, cut in zip(gateway.heard_at(), gateway.cuts(), strict=True)] == [
        (0.25, {"uid-digits": 1}),
        (1.25, {"uid-digits": 2, "uid-other": 7}),
        (2.25, {"uid-other": None}),
        (5.0, {}),
    ]


def test_a_new_reader_is_told_all_of_them_at_once() -> None:
    def load(gateway: Gateway) -> Iterator[float]:
        yield 3.1
        gateway.cutter.begin()

    gateway = after(3.2, CALM, load)
    assert (gateway.heard_at()[-1], gateway.cuts()[-1].acks) == (3.1, {"uid-digits": 1})


def test_requests_of_draining_pods_are_told_when_they_change_and_to_a_new_reader_at_once() -> None:
    def load(gateway: Gateway) -> Iterator[float]:
        gateway.in_flight = {"uid-digits": {"a": 2, "b": 0}}
        yield 1.1
        gateway.in_flight = {"uid-digits": {"a": 0, "b": 0}}
        yield 1.0
        gateway.cutter.begin()
        gateway.in_flight = {}

    gateway = after(3, CALM, load)
    assert [(at, cut.in_flight) for at, cut in zip(gateway.heard_at(), gateway.cuts(), strict=True)] == [
        (0.25, {"uid-digits": {"a": 2, "b": 0}}),
        (1.25, {"uid-digits": {"a": 0, "b": 0}}),
        (2.1, {"uid-digits": {"a": 0, "b": 0}}),
        (2.25, {"uid-digits": None}),
    ]


def test_a_kill_switch_is_told_at_once_and_to_a_new_reader() -> None:
    trip = Trip(KillAction.STOPPED, 20, 100)

    def load(gateway: Gateway) -> Iterator[float]:
        yield 1.1
        gateway.trips = {"uid-digits": trip}
        gateway.cutter.trip()
        yield 1.0
        gateway.cutter.begin()
        yield 1.0
        gateway.trips = {}
        gateway.cutter.trip()

    gateway = after(3.2, CALM, load)
    assert [(at, cut.trips) for at, cut in zip(gateway.heard_at(), gateway.cuts(), strict=True)] == [
        (0.25, {}),
        (1.1, {"uid-digits": trip}),
        (2.1, {"uid-digits": trip}),
        (3.1, {"uid-digits": None}),
    ]


def test_what_nobody_reads_does_not_pile_up() -> None:
    def load(gateway: Gateway) -> Iterator[float]:
        for pause in steady(gateway):
            yield pause
            if asyncio.get_running_loop().time() > 60.3:
                gateway.cutter.begin()
                return

    first_read = after(60.4, CALM, load).cuts()[-1]
    (record,) = first_read.records
    assert first_read.seq > 60
    assert record.span_s < 1
    assert (record.arrivals <= 10, len(record.cells["pod"]) <= 10) == (True, True)


def test_a_loop_that_was_held_up_leaves_ticks_out_and_no_occasion() -> None:
    def load(gateway: Gateway) -> Iterator[float]:
        yield 0.3
        gateway.request()
        asyncio.get_running_loop().now += 1.5  # type: ignore[attr-defined]

    assert after(2.6, CALM, load).heard_at()[:2] == [0.25, 1.8]


def test_a_cut_that_would_be_too_long_a_line_becomes_several() -> None:
    async def live() -> Gateway:
        routes = table(*(route(f"model-{number}", ("r1", 1000)) for number in range(40)))
        gateway = Gateway(routes)
        for number in range(40):
            recording = gateway.recordings.of(f"model-{number}", "r1")
            for pod in range(200):
                recording.arrived()
                recording.ended(SUCCEEDED, 0.01, f"a-pod-with-a-name-of-the-usual-length-{pod:04}")
        await asyncio.sleep(0.2)
        gateway.cutter.begin()
        return gateway

    gateway = run_virtually(live())
    cuts = gateway.cuts()
    assert len(cuts) > 1
    assert max(len(line) for line in gateway.lines) < MAX_LINE_BYTES / 2
    assert [cut.seq for cut in cuts] == list(range(1, len(cuts) + 1))
    assert sum(record.arrivals for cut in cuts for record in cut.records) == 8000
    assert [len(cut.acks) for cut in cuts] == [40, *[0] * (len(cuts) - 1)]
