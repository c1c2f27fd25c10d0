"""What changes about an HTTP request when another model answers it: the name in its path, and how it is recorded."""

from __future__ import annotations

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.headers import DEGRADED_HEADER
from plimsoll.core.routing.ladder import degraded
from plimsoll.gateway.http1.addressing import renamed
from plimsoll.gateway.targets import Recorder


class Exempt:
    """Counts what a revision answers in another model's place: as its load, and as no evidence about it."""

    __slots__ = ("_recorder", "cache_hits", "cache_mismatches", "queued")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.queued = 0
        self.cache_hits = 0
        self.cache_mismatches = 0

    def arrived(self) -> None:
        """Counts it."""
        self._recorder.arrived()

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = True) -> None:  # noqa: ARG002
        """Counts its end, exempt whatever the caller says."""
        self._recorder.ended(outcome, latency_s, pod, exempt=True)

    def rescued(self) -> None:
        """Counts that a second attempt answered it."""
        self._recorder.rescued()


def addressed_to(model: str, message: bytes) -> bytes:
    """Returns a request, of which the head is here, for another model.

    Which version of the first one it asks for means nothing to the other.
    """
    end = message.index(b"\r\n")
    method, target, protocol = message[:end].split(b" ")
    return b" ".join((method, renamed(target, model.encode()), protocol)) + message[end:]


def said(model: str, because: str) -> bytes:
    """Returns our header line about it, for the answer."""
    return f"{DEGRADED_HEADER}: {degraded(model, because)}\r\n".encode()
