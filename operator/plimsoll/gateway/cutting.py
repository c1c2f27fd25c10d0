"""When the gateway tells the controller what happened, in how many lines, and with which numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.record import HEARTBEAT_S, Cut
from plimsoll.core.records.wire import MAX_LINE_BYTES, encode_cut
from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.recordings import Clocks, Occasion, Recordings

TICK_S = 0.25
"""While a candidate has weight, each of these counts: at 500 requests/s it is 0.3 s of the time to a roll-back."""
_TICKS_PER_SECOND = round(1 / TICK_S)
_TICKS_PER_HEARTBEAT = round(HEARTBEAT_S / TICK_S)
_WANTED_LINE_BYTES = MAX_LINE_BYTES // 4


class Cutter:
    """Makes cuts on a grid of a quarter of a second, and whenever something trips.

    It cuts whether anybody reads or not. What nobody read is lost and its number is used up, so the next reader sees by
    the numbers that something is missing, and nothing grows in the meantime.

    Args:
        recordings: What is cut.
        clocks: Time.
        send: Takes a line with its end, or drops it; must not block.
        in_flight: Returns the requests that draining pods have yet to answer, by uid of the ModelDeployment and pod.
        trips: Returns the kill switches that have tripped, by uid of the ModelDeployment.
    """

    def __init__(
        self,
        recordings: Recordings,
        clocks: Clocks,
        send: Callable[[bytes], None],
        in_flight: Callable[[], Mapping[str, Mapping[str, int]]] = dict,
        trips: Callable[[], Mapping[str, Trip]] = dict,
    ) -> None:
        self._trips = trips
        self._told_trips: Mapping[str, Trip] = {}
        self._in_flight = in_flight
        self._recordings = recordings
        self._clocks = clocks
        self._send = send
        self._seq = 0
        self._follows: Mapping[str, int] = {}
        self._told: Mapping[str, int] = {}
        self._told_in_flight: Mapping[str, Mapping[str, int]] = {}

    def follow(self, table: RouteTable, acknowledged: Mapping[str, int]) -> None:
        """Takes a new table, and the epochs that the next tick acknowledges, by uid of the ModelDeployment."""
        self._recordings.follow(table)
        self._follows = dict(acknowledged)

    def begin(self) -> None:
        """Cuts for a new reader, who knows nothing."""
        self._told = {}
        self._told_in_flight = {}
        self._told_trips = {}
        self.cut(Occasion.HEARTBEAT)

    def trip(self) -> None:
        """Cuts at once, because something happened that the controller should know."""
        self.cut(Occasion.HEARTBEAT)

    async def run(self) -> None:
        """Cuts until cancelled. A tick that comes too late is left out, and its occasion comes with the next."""
        start = self._clocks.monotonic()
        tick = 0
        while True:
            now = self._clocks.monotonic()
            await asyncio.sleep(max(0.0, start + (tick + 1) * TICK_S - now))
            reached = max(tick + 1, int((self._clocks.monotonic() - start) / TICK_S))
            self.cut(_occasion(tick, reached))
            tick = reached

    def cut(self, occasion: Occasion) -> None:
        """Sends what there is to tell; a heartbeat even when that is nothing."""
        records = tuple(self._recordings.cut(occasion))
        acks, in_flight, trips = self._changed(), self._changed_in_flight(), self._changed_trips()
        if records or acks or in_flight or trips or occasion is Occasion.HEARTBEAT:
            self._tell(Cut(0, self._clocks.wall(), self._clocks.cpu(), acks, records, in_flight, trips))

    def _tell(self, cut: Cut) -> None:
        """Sends a cut in lines that the reader is sure to accept."""
        line = encode_cut(replace(cut, seq=self._seq + 1))
        if len(line) > _WANTED_LINE_BYTES and len(cut.records) > 1:
            half = len(cut.records) // 2
            self._tell(replace(cut, records=cut.records[:half]))
            self._tell(replace(cut, records=cut.records[half:], acks={}, in_flight={}, trips={}))
            return
        self._seq += 1
        self._send(line)

    def _changed(self) -> dict[str, int | None]:
        changed: dict[str, int | None] = {
            uid: epoch for uid, epoch in self._follows.items() if self._told.get(uid) != epoch
        }
        changed |= dict.fromkeys(self._told.keys() - self._follows.keys())
        self._told = self._follows
        return changed

    def _changed_in_flight(self) -> dict[str, Mapping[str, int] | None]:
        """Returns the counts of models of which they changed; in one cut with the epoch that they are of, or before."""
        now = self._in_flight()
        changed: dict[str, Mapping[str, int] | None] = {
            uid: pods for uid, pods in now.items() if self._told_in_flight.get(uid) != pods
        }
        changed |= dict.fromkeys(self._told_in_flight.keys() - now.keys())
        self._told_in_flight = now
        return changed

    def _changed_trips(self) -> dict[str, Trip | None]:
        now = self._trips()
        changed: dict[str, Trip | None] = {uid: trip for uid, trip in now.items() if self._told_trips.get(uid) != trip}
        changed |= dict.fromkeys(self._told_trips.keys() - now.keys())
        self._told_trips = now
        return changed


def _occasion(last: int, reached: int) -> Occasion:
    """Returns the widest occasion among the ticks after `last` up to `reached`."""
    if reached // _TICKS_PER_HEARTBEAT > last // _TICKS_PER_HEARTBEAT:
        return Occasion.HEARTBEAT
    if reached // _TICKS_PER_SECOND > last // _TICKS_PER_SECOND:
        return Occasion.SECOND
    return Occasion.QUARTER
