"""Flow control against a model: what is sent fits every window, arrives whole and in order, and nothing stalls."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.flow import DEFAULT_WINDOW, MAX_WINDOW, Receiver, Sender, StreamFlow
from plimsoll.gateway.http2.frames import DATA, END_STREAM, HEADERS, FrameReader
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode, StreamFailure

pytestmark = pytest.mark.interpreted  # `Watched` inherits from a class that is compiled where the hot path is

NUMBERS = st.sampled_from([1, 3, 5, 7])


class Watched(StreamFlow):
    """Remembers what it was told."""

    def __init__(self, number: int, window: int = DEFAULT_WINDOW, room: int = DEFAULT_WINDOW) -> None:
        super().__init__(number, window, room)
        self.passed_bytes = 0
        self.finished_times = 0

    def passed(self, size: int) -> None:
        self.passed_bytes += size

    def finished(self) -> None:
        self.finished_times += 1


class Sending(RuleBasedStateMachine):
    """A sender and a peer that keeps its own books of the windows it granted."""

    @initialize(window=st.integers(0, 50), connection=st.integers(0, 100), limit=st.integers(1, 60))
    def begin(self, window: int, connection: int, limit: int) -> None:
        self.sender = Sender(limit)
        self.sender.initial_window = window
        self.sender.window = connection
        self.sender.frame_limit = 16
        self.reader = FrameReader()
        self.streams = {number: Watched(number, window) for number in (1, 3, 5, 7)}
        self.granted = dict.fromkeys(self.streams, window)
        self.granted_connection = connection
        self.initial = window
        self.offered = dict.fromkeys(self.streams, b"")
        self.received = dict.fromkeys(self.streams, b"")
        self.to_end: dict[int, str] = {}
        self.ended: dict[int, str] = {}
        self.gone: set[int] = set()
        self.counter = 0

    @rule(number=NUMBERS, size=st.integers(0, 40), how=st.sampled_from(["more", "more", "data", "trailers"]))
    def offer(self, number: int, size: int, how: str) -> None:
        if number in self.to_end or number in self.gone or (how == "more" and not size):
            return
        payload = bytes((self.counter + position) % 251 for position in range(size))
        self.counter += size
        self.offered[number] += payload
        if size or how == "data":
            self.sender.data(self.streams[number], payload, ended=how == "data")
        if how == "trailers":
            self.sender.trailers(self.streams[number], b"block")
        if how != "more":
            self.to_end[number] = how

    @rule(number=NUMBERS, increment=st.integers(1, 60))
    def grant(self, number: int, increment: int) -> None:
        if number not in self.gone:
            self.sender.stream_window(self.streams[number], increment)
            self.granted[number] += increment

    @rule(increment=st.integers(1, 100))
    def grant_connection(self, increment: int) -> None:
        self.sender.connection_window(increment)
        self.granted_connection += increment

    @rule(size=st.integers(0, 80))
    def change_initial(self, size: int) -> None:
        self.sender.change_initial_window(size, [each for n, each in self.streams.items() if n not in self.gone])
        for number in self.granted.keys() - self.gone:
            self.granted[number] += size - self.initial
        self.initial = size

    @rule(number=NUMBERS)
    def reset(self, number: int) -> None:
        self.take()
        self.gone.add(number)
        self.sender.give_up(self.streams[number])

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:  # noqa: FBT001 - hypothesis passes it
        self.take()
        self.sender.paused = paused

    @rule()
    def take(self) -> None:
        """Flushes, and checks every frame as the peer would."""
        while True:
            if self.sender.waits:
                self.sender.drain()
            if not self.sender.frames:
                return
            for kind, flags, number, payload in self.reader.feed(self.sender.flushed()):
                self.arrive(kind, flags, number, payload)

    def arrive(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        assert number not in self.ended, "nothing follows the end"
        if kind == DATA:
            assert len(payload) <= 16
            if payload:
                self.granted[number] -= len(payload)
                self.granted_connection -= len(payload)
                assert self.granted[number] >= 0
                assert self.granted_connection >= 0
            self.received[number] += payload
        if flags & END_STREAM:
            self.ended[number] = "trailers" if kind == HEADERS else "data"

    @invariant()
    def what_arrived_is_a_beginning_of_what_was_offered(self) -> None:
        for number in getattr(self, "streams", ()):
            assert self.offered[number].startswith(self.received[number])

    @invariant()
    def what_is_held_is_counted(self) -> None:
        if hasattr(self, "streams"):
            queued = sum(len(data) for each in self.streams.values() for data, _ in each.queue or ())
            assert self.sender.held == queued

    @precondition(lambda self: not self.sender.paused)
    @rule()
    def nothing_waits_that_could_go(self) -> None:
        self.take()
        for number in self.streams.keys() - self.gone:
            left = self.offered[number][len(self.received[number]) :]
            assert self.streams[number].passed_bytes == len(self.received[number])
            if left:
                assert self.granted[number] <= 0 or self.granted_connection == 0
            elif number in self.to_end and self.granted_connection != 0:
                assert self.ended[number] == self.to_end[number]
                assert self.streams[number].finished_times == 1

    def teardown(self) -> None:
        """With enough windows everything arrives, whatever happened before."""
        if not hasattr(self, "streams"):
            return
        self.sender.paused = False
        self.grant_connection(10_000)
        for number in self.streams.keys() - self.gone:
            self.grant(number, 10_000)
        self.take()
        for number in self.streams.keys() - self.gone:
            assert self.received[number] == self.offered[number]
            assert self.ended.get(number) == self.to_end.get(number)


Sending.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestSending = Sending.TestCase


def sent(sender: Sender) -> list[tuple[int, int]]:
    return [(number, len(payload)) for _, _, number, payload in FrameReader().feed(sender.flushed())]


def test_streams_take_turns_when_the_connection_is_the_bound() -> None:
    sender = Sender(1 << 20)
    sender.window = 0
    streams = [Watched(number) for number in (1, 3, 5)]
    for stream in streams:
        for _ in range(2):
            sender.data(stream, bytes(10), ended=False)
    sender.connection_window(60)
    sender.drain()
    assert sent(sender) == [(1, 10), (3, 10), (5, 10), (1, 10), (3, 10), (5, 10)]


def test_a_stream_without_window_does_not_hold_up_the_others() -> None:
    sender = Sender(1 << 20)
    stalled, other = Watched(1, window=0), Watched(3)
    sender.data(stalled, bytes(10), ended=False)
    sender.data(other, bytes(10), ended=False)
    sender.drain()
    assert sent(sender) == [(3, 10)]


def test_an_end_without_bytes_needs_no_window() -> None:
    sender = Sender(1 << 20)
    sender.window = 0
    stream = Watched(1, window=0)
    sender.data(stream, b"", ended=True)
    assert (sent(sender), stream.finished_times) == ([(1, 0)], 1)


@pytest.mark.parametrize(("size", "code"), [(0, ErrorCode.PROTOCOL_ERROR), (MAX_WINDOW, ErrorCode.FLOW_CONTROL_ERROR)])
def test_windows_that_cannot_be(size: int, code: ErrorCode) -> None:
    sender = Sender(1)
    with pytest.raises(StreamFailure) as stream:
        sender.stream_window(Watched(1), size)
    with pytest.raises(ConnectionFailure) as connection:
        sender.connection_window(size)
    assert (stream.value.code, connection.value.code) == (code, code)


def test_an_initial_window_that_makes_another_overflow() -> None:
    sender = Sender(1)
    with pytest.raises(ConnectionFailure):
        sender.change_initial_window(MAX_WINDOW + 1, [])
    with pytest.raises(ConnectionFailure):
        sender.change_initial_window(MAX_WINDOW, [Watched(1, window=DEFAULT_WINDOW + 1)])


class Receiving:
    """A peer that sends whatever it may, and a receiver that passes it on in portions."""

    def __init__(self, window: int, streams: int) -> None:
        self.out: list[bytes] = []
        self.receiver = Receiver(self.out, window, window * streams)
        self.streams = {number: Watched(number) for number in range(1, 2 * streams, 2)}
        self.may_send = dict.fromkeys(self.streams, DEFAULT_WINDOW)
        self.may_send_at_all = DEFAULT_WINDOW
        self.held = dict.fromkeys(self.streams, 0)
        self.receiver.open()
        self.hear()
        self.receiver.acknowledged(list(self.streams.values()))
        for number in self.may_send:
            self.may_send[number] += window - DEFAULT_WINDOW

    def hear(self) -> None:
        for _, _, number, payload in FrameReader().feed(b"".join(self.out)):
            increment = frames.read_uint(payload)
            if number:
                self.may_send[number] += increment
            else:
                self.may_send_at_all += increment
        self.out.clear()

    def send(self, number: int, size: int) -> int:
        size = min(size, self.may_send[number], self.may_send_at_all)
        if size <= 0:
            return 0
        self.receiver.received(size)
        self.receiver.received_on(self.streams[number], size)
        self.may_send[number] -= size
        self.may_send_at_all -= size
        self.held[number] += size
        self.hear()
        return size

    def pass_on(self, number: int, size: int) -> None:
        size = min(size, self.held[number])
        self.held[number] -= size
        self.receiver.credit(self.streams[number], size)
        self.hear()


@given(
    st.integers(1, 200_000),
    st.integers(1, 4),
    st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(1, 100_000)), max_size=60),
)
def test_a_peer_that_keeps_to_its_windows_is_never_refused_and_never_starved(
    window: int, streams: int, steps: list[tuple[bool, int, int]]
) -> None:
    peers = Receiving(window, streams)
    for sends, which, size in steps:
        number = 1 + 2 * (which % streams)
        if sends:
            peers.send(number, size)
        else:
            peers.pass_on(number, size)
        for each in peers.streams:
            assert peers.held[each] + peers.may_send[each] <= window, "what is held is at most a window"
    stalled = 1
    for number in peers.streams:
        if number != stalled or streams == 1:
            peers.pass_on(number, peers.held[number])
            assert peers.send(number, 1) == 1, "a stalled stream starves only itself"


def test_more_than_was_allowed_is_refused() -> None:
    receiver = Receiver([], 100, 400)
    stream = Watched(1, room=100)
    with pytest.raises(StreamFailure) as caught:
        receiver.received_on(stream, 101)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR
    with pytest.raises(ConnectionFailure):
        receiver.received(DEFAULT_WINDOW + 1)


def test_a_sender_that_has_ended_is_not_credited() -> None:
    out: list[bytes] = []
    receiver = Receiver(out, 100, 400)
    stream = Watched(1)
    stream.ended_there = True
    receiver.credit(stream, 100)
    assert out == []
