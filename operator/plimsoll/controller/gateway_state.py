"""What is known of one gateway from what it told."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.record import HEARTBEAT_S, Cut, Hello

_Told = TypeVar("_Told")
_CPU_OVER_S = 2 * HEARTBEAT_S
"""Shorter spans show a single collection of garbage."""


@dataclass(frozen=True, slots=True)
class GatewayPod:
    """A pod with the label `plimsoll.dev/component: gateway`.

    Attributes:
        ip: Its address; empty while it has none.
        ready: It takes requests.
    """

    namespace: str
    name: str
    uid: str
    ip: str
    ready: bool


@dataclass(slots=True)
class Gateway:
    """One gateway; read it, and do not keep it.

    Attributes:
        pod: Where it runs.
        since: When its pod was first seen, on the monotonic clock.
        boot: Of its current life; empty before it was first heard.
        version: Of its program.
        seq: Number of its last cut.
        heard_at: When its last line came, on the monotonic clock; None before the first.
        acks: uid of a ModelDeployment to the epoch that it follows.
        in_flight: uid of a ModelDeployment to the requests that its draining pods have yet to answer, by pod. Told with
            the epoch that names these pods or before it, and never more later on: a pod that was at 0 is at 0, for as
            long as the epochs that follow name it too.
        trips: uid of a ModelDeployment to why its kill switch has tripped there.
        cpu_rate: Processors it used lately; None before that can be told.
        why: Why it is not heard, as part of a sentence; empty while it is.
    """

    pod: GatewayPod
    since: float
    boot: str = ""
    version: str = ""
    seq: int = 0
    heard_at: float | None = None
    acks: dict[str, int] = field(default_factory=dict)
    in_flight: dict[str, Mapping[str, int]] = field(default_factory=dict)
    trips: dict[str, Trip] = field(default_factory=dict)
    cpu_rate: float | None = None
    why: str = ""
    _is_first: bool = False
    _cpu_from: tuple[float, float] | None = None

    def opened(self, hello: Hello, now: float) -> AbstractSet[str]:
        """Takes the first line of a stream; returns the models whose acknowledgement changed.

        A gateway that started anew has said nothing yet. One that did not follows what it followed, and tells all of it
        with the next line.
        """
        lost: AbstractSet[str] = set()
        if hello.boot != self.boot:
            lost, self.acks, self.in_flight, self.trips = self.acks.keys() | self.trips.keys(), {}, {}, {}
            self.boot, self.seq, self._cpu_from, self.cpu_rate = hello.boot, 0, None, None
        self.version, self.heard_at, self.why, self._is_first = hello.version, now, "", True
        return lost

    def told(self, cut: Cut, now: float) -> AbstractSet[str]:
        """Takes any other line; returns the models of which an acknowledgement, an idle pod or a switch changed."""
        self.seq, self.heard_at = cut.seq, now
        self._note_cpu(cut.cpu_s, now)
        if not cut.acks and not cut.in_flight and not cut.trips and not self._is_first:
            return _NONE
        acks, in_flight, trips = self.acks, self.in_flight, self.trips
        self.acks = _followed({} if self._is_first else acks, cut.acks)
        self.in_flight = _followed({} if self._is_first else in_flight, cut.in_flight)
        self.trips = _followed({} if self._is_first else trips, cut.trips)
        self._is_first = False
        return (
            _differing(acks, self.acks)
            | _differing(trips, self.trips)
            | {uid for uid, pods in self.in_flight.items() if _idle(pods) != _idle(in_flight.get(uid, {}))}
        )

    def silent_s(self, now: float) -> float:
        """Returns the seconds since it was heard, or since its pod was first seen."""
        return now - (self.since if self.heard_at is None else self.heard_at)

    def _note_cpu(self, cpu_s: float, now: float) -> None:
        if self._cpu_from is None:
            self._cpu_from = (cpu_s, now)
            return
        before_s, since = self._cpu_from
        if now - since >= _CPU_OVER_S:
            self.cpu_rate = max(0.0, cpu_s - before_s) / (now - since)
            self._cpu_from = (cpu_s, now)


def _followed(before: Mapping[str, _Told], changes: Mapping[str, _Told | None]) -> dict[str, _Told]:
    return {uid: told for uid, told in {**before, **changes}.items() if told is not None}


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    return {uid for uid in before.keys() | after.keys() if before.get(uid) != after.get(uid)}


def _idle(pods: Mapping[str, int]) -> set[str]:
    return {pod for pod, count in pods.items() if not count}


_NONE: AbstractSet[str] = frozenset()
