"""What a peer may cost, and how long it may take: every bound of the gRPC data path, with the reason for its size."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds, counts per `window_s`.

    Attributes:
        clients: Connections of clients.
        client_streams: Open calls of one client connection.
        upstream_streams: Calls that this side opens on one upstream connection, if that allows as many.
        upstream_connections: Connections to one pod; calls beyond them wait for a free stream.
        stream_window: What a peer may send on one stream before it was passed on. Four frames of 64 KiB: a fast sender
            never waits for the credit on a local network.
        upstream_window: The same for answers.
        collected: DATA that is collected before it is handed to the transport.
        buffered: The transport's own buffer, above which it says stop.
        backlog: Answers that wait for a client that reads nothing; above it nothing is read from it either.
        held_total: Bytes that wait for slow receivers, of all connections; above it the one with the most is ended.
        replay: Request bytes of one call that are kept for a second attempt.
        replay_total: The same of all calls together; calls beyond it get one attempt.
        header_block: Encoded, with all its CONTINUATION frames.
        header_list: Decoded, as RFC 9113 (section 6.5.2) counts it: 32 bytes more for each field.
        continuations: Frames of one header block.
        window_s: Over which the following are counted.
        resets: Calls that a client ends within the window before anything was answered, when they are more than half.
        pings, settings, empty_data, strays: Frames that cost work and carry nothing.
        preface_s: From the connection to its first SETTINGS, and for a header block to be whole.
        settings_s: Until our SETTINGS are acknowledged.
        idle_s: Without any call.
        first_message_s: From the head of a call to the message that names its model.
        stall_s: That bytes wait for a receiver without one of them being taken, and for a frame to be whole.
        connect_s: Until an upstream is connected and has sent its SETTINGS.
        unprocessed: How often a call that an upstream certainly has not touched is sent to another connection.
    """

    clients: int = 4096
    client_streams: int = 128
    upstream_streams: int = 256
    upstream_connections: int = 16
    stream_window: int = 256 * KIB
    upstream_window: int = 256 * KIB
    collected: int = 256 * KIB
    buffered: int = 256 * KIB
    backlog: int = 1 * MIB
    held_total: int = 512 * MIB
    replay: int = 1 * MIB
    replay_total: int = 64 * MIB
    header_block: int = 32 * KIB
    header_list: int = 32 * KIB
    continuations: int = 16
    window_s: float = 10.0
    resets: int = 500
    pings: int = 500
    settings: int = 50
    empty_data: int = 200
    strays: int = 2000
    preface_s: float = 10.0
    settings_s: float = 10.0
    idle_s: float = 600.0
    first_message_s: float = 300.0
    stall_s: float = 60.0
    connect_s: float = 2.0
    unprocessed: int = 3
