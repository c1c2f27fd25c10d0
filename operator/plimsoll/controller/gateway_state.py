"""What is known of one gateway from what it told."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from plimsoll.core.records.record import HEARTBEAT_S, Cut, Hello

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
            lost, self.acks = self.acks.keys(), {}
            self.boot, self.seq, self._cpu_from, self.cpu_rate = hello.boot, 0, None, None
        self.version, self.heard_at, self.why, self._is_first = hello.version, now, "", True
        return lost

    def told(self, cut: Cut, now: float) -> AbstractSet[str]:
        """Takes any other line; returns the models whose acknowledgement changed."""
        self.seq, self.heard_at = cut.seq, now
        self._note_cpu(cut.cpu_s, now)
        if not cut.acks and not self._is_first:
            return _NONE
        acks = {} if self._is_first else dict(self.acks)
        for uid, epoch in cut.acks.items():
            if epoch is None:
                acks.pop(uid, None)
            else:
                acks[uid] = epoch
        before, self.acks, self._is_first = self.acks, acks, False
        return {uid for uid in before.keys() | acks.keys() if before.get(uid) != acks.get(uid)}

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


_NONE: AbstractSet[str] = frozenset()
