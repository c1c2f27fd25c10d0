"""A client's byte stream, in any pieces: the same requests go on, and the same statuses come back."""

# ruff: noqa: ARG002 - the stand-ins have the signatures of what they stand in for

import re
from itertools import pairwise
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.gateway.http1.test_framing_fuzz import cut, damaged

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import Endpoint, ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.http1.client import ClientConnection
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.shared import Shared, Uncounted
from plimsoll.gateway.http1.upstream import UpstreamConnection
from plimsoll.gateway.targets import Targets

LIMITS = Limits(line_bytes=120, head_bytes=400, fields=6, body_bytes=64)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.written += b"".join(pieces)

    def write_eof(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Ended:
    """A recorder that holds arrivals against ends."""

    open = 0
    queued = 0
    cache_hits = 0
    cache_mismatches = 0

    def arrived(self) -> None:
        self.open += 1

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None:
        self.open -= 1

    def rescued(self) -> None: ...


def run(data: bytes, cuts: list[int]) -> tuple[list[bytes], list[int]]:
    """Feeds the pieces; returns the complete requests that went on, and the statuses that came back."""
    recorder = Ended()
    targets = Targets(lambda *_: recorder, lambda: b"key")
    revision = RevisionRoute("r1", 1000, (Endpoint("pod", "127.0.0.1"),))
    targets.apply(RouteTable({"digits": ModelRoute("digits", "uid", 1, stable=revision)}))
    shared = Shared(targets, LIMITS, Uncounted())
    stable = targets.models["digits"].stable
    assert stable
    pool = shared.pools.of(stable.endpoints[0], "r1")
    server, to_server = UpstreamConnection(pool, LIMITS), Wire()
    server.connection_made(cast("Any", to_server))
    pool.release(server)
    client, to_client = ClientConnection(shared, set()), Wire()
    client.connection_made(cast("Any", to_client))
    forwarded = []
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    for start, stop in pairwise(bounds):
        client.data_received(data[start:stop])
        while not to_server.closed and cut(to_server.written, [])[0] == 0:
            forwarded.append(to_server.written)
            to_server.written = b""
            server.data_received(OK)
    client.connection_lost(None)
    assert recorder.open == 0
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", to_client.written)]
    return forwarded, [status for status in statuses if status != 100]


ABOUT_MEANING = {403, 404, 501, 417}


@settings(max_examples=250)
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
