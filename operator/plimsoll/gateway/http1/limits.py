"""How much and how long: every bound of the HTTP/1.1 data path."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.core.names import HTTP_PORT


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds.

    Attributes:
        line_bytes: Longest request line (414).
        head_bytes: Longest head, request line included (431; from a model server: a broken answer).
        fields: Most header fields of a head (431; from a model server: a broken answer).
        body_bytes: Largest request body that any model may take (413), by its length or, where it is chunked, by count;
            what a model takes of it is its spec's to say.
        replay_bytes: How much of a request is kept so that it can be sent again; a longer one is not retried.
        pipeline_bytes: How much is read ahead of the request that is being answered.
        connections: Most client connections; one more is told 503.
        head_s: From the first byte of a head to its last (408).
        idle_s: Between two requests of a connection. Longer than the 350 s after which load balancers forget an idle
            connection, so that it is they who close it, and no request meets a connection that we close.
        body_s: Longest pause within a request's body (408), and longest time that a client takes no byte of an answer.
        response_s: From the request's last byte to the answer's first (504), and longest pause within an answer.
        connect_s: To get a connection to a model server.
        upstream_idle_s: How long an unused connection to a model server is kept. Short, because a Triton that is asked
            to end waits for its idle connections.
        race_s: A reused connection that breaks within this time, before it brought a byte, was closed by the other side
            while it was idle: the request was never looked at.
        linger_s: How long a connection that we end is still read, so that what the client is sending does not
            destroy the answer it has yet to read.
        drain_idle_s: While draining: a connection unused for so long is closed. Busy ones learn from their next answer.
        sweep_s: How often the times above are looked at, and so their precision.
        upstream_port: Where model servers listen.
    """

    line_bytes: int = 8 << 10
    head_bytes: int = 32 << 10
    fields: int = 100
    body_bytes: int = 1 << 30
    replay_bytes: int = 1 << 20
    pipeline_bytes: int = 64 << 10
    connections: int = 10_000
    head_s: float = 10.0
    idle_s: float = 400.0
    body_s: float = 30.0
    response_s: float = 60.0
    connect_s: float = 1.0
    upstream_idle_s: float = 15.0
    race_s: float = 1.0
    linger_s: float = 2.0
    drain_idle_s: float = 1.0
    sweep_s: float = 0.25
    upstream_port: int = HTTP_PORT
