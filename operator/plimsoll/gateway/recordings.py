"""The counters of all revisions that the gateway knows: when each is cut, and how long it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from plimsoll.core.records.record import Record
from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.recording import RevisionRecording
from plimsoll.gateway.request_log import RequestLog


class Occasion(IntEnum):
    """Why there is a cut, and so whose records are in it."""

    QUARTER = 0
    """250 ms passed: models that have a candidate with weight, as far as they are active."""
    SECOND = 1
    """One second passed: all that are active."""
    HEARTBEAT = 2
    """All, the idle ones too, so that their zeros are known; also when something trips or somebody begins to read."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time as records need it.

    Attributes:
        monotonic: Seconds from an arbitrary point; never goes back.
        wall: Seconds since 1970.
        cpu: Processor time of this process, in seconds.
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    cpu: Callable[[], float]


class Totals(Protocol):
    """Sums for people."""

    def add(self, model: str, record: Record) -> None:
        """Adds a record."""

    def forget(self, model: str, revision: str) -> None:
        """The revision has left."""


class Recordings:
    """Counters by (model, revision).

    Args:
        clocks: Time.
        totals: Gets every record, whether anybody reads the stream or not.
        log: Is told of each request; nothing is where it is None.
    """

    def __init__(self, clocks: Clocks, totals: Totals, log: RequestLog | None = None) -> None:
        self._clocks = clocks
        self._totals = totals
        self._log = log
        self._recordings: dict[tuple[str, str], RevisionRecording] = {}
        self._table = RouteTable()
        self._left: list[Record] = []

    def of(self, model: str, revision: str) -> RevisionRecording:
        """Returns the counters of a revision, the same ones every time; `follow` its table before."""
        key = (model, revision)
        recording = self._recordings.get(key)
        if recording is None:
            clocks, route = self._clocks, self._table.models.get(model)
            offset = clocks.wall() - clocks.monotonic()
            uid = route.uid if route else ""
            recording = RevisionRecording(model, uid, revision, clocks.monotonic, offset, self._log)
            self._recordings[key] = recording
        return recording

    def follow(self, table: RouteTable) -> None:
        """Takes a new table: which revisions stay, whose they are, and which are being rolled out."""
        self._table = table
        for recording in self._recordings.values():
            route = table.models.get(recording.model)
            if route and route.uid != recording.uid:
                # Deleted and made again under the same name: what was counted so far is the former one's.
                self._keep(self._cut(recording, last=True))
                recording.uid = route.uid

    def cut(self, occasion: Occasion) -> list[Record]:
        """Returns what is to be told now, and forgets revisions that have left and have nothing more to tell."""
        records, self._left = self._left, []
        for key, recording in list(self._recordings.items()):
            if self._gone(recording):
                del self._recordings[key]
                records.append(self._cut(recording, last=True))
                self._totals.forget(recording.model, recording.revision)
            elif self._due(recording, occasion):
                records.append(self._cut(recording))
        return [record for record in records if record.uid]

    def _keep(self, record: Record) -> None:
        if record.uid:
            self._left.append(record)

    def _cut(self, recording: RevisionRecording, *, last: bool = False) -> Record:
        now = self._clocks.monotonic()
        record = recording.cut(now, self._clocks.wall() - now, last=last)
        self._totals.add(recording.model, record)
        return record

    def _due(self, recording: RevisionRecording, occasion: Occasion) -> bool:
        match occasion:
            case Occasion.HEARTBEAT:
                return True
            case Occasion.SECOND:
                return recording.active
            case Occasion.QUARTER:
                return recording.active and self._rolling_out(recording.model)

    def _rolling_out(self, model: str) -> bool:
        route = self._table.models.get(model)
        return bool(route and route.candidate and route.candidate.weight_permille)

    def _gone(self, recording: RevisionRecording) -> bool:
        route = self._table.models.get(recording.model)
        stays = {target.name for target in (route.stable, route.candidate) if target} if route else ()
        return recording.revision not in stays and not recording.in_flight
