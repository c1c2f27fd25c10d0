"""The two streams of a call: the one that it came on, and the one that it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from plimsoll.gateway.http2.connection import Connection, Stream

if TYPE_CHECKING:
    from plimsoll.gateway.http2.attempts import Attempts
    from plimsoll.gateway.http2.exchange import Exchange


class CallerStream(Stream):
    """The call on the client's connection."""

    __slots__ = ("exchange",)

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__(connection, number)
        self.exchange: Exchange | None = None

    @override
    def passed(self, size: int) -> None:
        if self.exchange is not None:
            self.exchange.answer_passed(size)


class PodStream(Stream):
    """The call on a connection to a model pod."""

    __slots__ = ("exchange",)

    def __init__(self, connection: Connection, number: int, exchange: Attempts) -> None:
        super().__init__(connection, number)
        self.exchange: Attempts | None = exchange

    @override
    def passed(self, size: int) -> None:
        if self.exchange is not None:
            self.exchange.request_passed(size)
