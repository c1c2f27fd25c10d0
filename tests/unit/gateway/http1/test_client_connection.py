"""A client's byte stream, in any pieces: the same requests go on, and the same statuses come back."""

# ruff: noqa: ARG002 - the stand-ins have the signatures of what they stand in for

import re
from itertools import pairwise
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.gateway.http1.test_framing_fuzz import damaged

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import Endpoint, ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.http1.answer_head import read_answer
from plimsoll.gateway.http1.client import ClientConnection
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.shared import Shared, Uncounted
from plimsoll.gateway.targets import Targets

LIMITS = Limits(line_bytes=120, head_bytes=400, fields=6, body_bytes=64)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Wire:
    """The client's transport, and the one connection to a server: it answers when a request is complete."""

    def __init__(self) -> None:
        self.to_client = b""
        self.forwarded: list[bytes] = []
        self.sending = b""
        self.exchange: Any = None
        self.closed = False
        self.signature = b""

    def write(self, data: bytes) -> None:
        self.to_client += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.to_client += b"".join(pieces)

    def write_eof(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def of(self, endpoint: object, revision: str) -> "Wire":
        return self

    def take(self) -> "Wire":
        return self

    def carry(self, exchange: object, now: float, *, to_head: bool) -> None:
        self.exchange = exchange
        self.sending = b""

    def send(self, piece: bytes) -> None:
        self.sending += piece

    def close(self) -> None:
        self.exchange = None

    def answer(self) -> bool:
        """Answers the request that is complete, if there is one."""
        exchange = self.exchange
        if exchange is None or not exchange.complete:
            return False
        self.exchange = None
        self.forwarded.append(self.sending)
        exchange.answered(read_answer(OK, b"", LIMITS, to_head=False), b"")
        return True


class Ended(Uncounted):
    """A recorder that holds arrivals against ends."""

    open = 0

    def arrived(self) -> None:
        self.open += 1

    def ended(self, outcome: Outcome, latency_s: float, pod: str) -> None:
        self.open -= 1


def run(data: bytes, cuts: list[int]) -> tuple[list[bytes], list[int]]:
    """Feeds the pieces; returns the complete requests that went on, and the statuses that came back."""
    wire, recorder = Wire(), Ended()
    targets = Targets(lambda *_: recorder, lambda: b"key")
    revision = RevisionRoute("r1", 1000, (Endpoint("pod", "127.0.0.1"),))
    targets.apply(RouteTable({"digits": ModelRoute("digits", "uid", 1, stable=revision)}))
    shared = Shared(targets, LIMITS, Uncounted())
    shared.pools = cast("Any", wire)
    client = ClientConnection(shared, set())
    client.connection_made(cast("Any", wire))
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    for start, stop in pairwise(bounds):
        client.data_received(data[start:stop])
        while wire.answer():
            pass
    client.connection_lost(None)
    assert recorder.open == 0
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", wire.to_client)]
    return wire.forwarded, [status for status in statuses if status != 100]


ABOUT_MEANING = {403, 404, 501, 417}


@settings(max_examples=600)
@given(st.lists(damaged(), min_size=1, max_size=3), st.lists(st.integers(0, 1500), max_size=10))
def test_the_pieces_make_no_difference(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(messages)
    whole = run(data, [])
    for pieces in (cuts, list(range(len(data)))):
        forwarded, statuses = run(data, pieces)
        if ABOUT_MEANING.isdisjoint(statuses + whole[1]):
            assert (forwarded, statuses) == whole
        else:  # A refusal ends the connection where the body has yet to come.
            shorter, longer = sorted([forwarded, whole[0]], key=len)
            assert longer[: len(shorter)] == shorter
