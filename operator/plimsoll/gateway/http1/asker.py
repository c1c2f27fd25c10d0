"""What an exchange needs of the client's connection."""

from __future__ import annotations

from typing import Protocol

from plimsoll.gateway.http1.refusals import Reason
from plimsoll.gateway.http1.upstream import Piece


class Asker(Protocol):
    """The client connection, as its exchange sees it."""

    def send(self, head: bytes, piece: Piece) -> None:
        """Sends the head of an answer and what there is of its body."""

    def send_more(self, piece: Piece) -> None:
        """Sends more of the body."""

    def exchange_ended(self, now: float, *, keep: bool) -> None:
        """The answer was sent to its end; `keep` tells whether the connection goes on."""

    def refuse(self, answer: bytes, reason: Reason, *, keep: bool) -> None:
        """Sends an answer of our own. The exchange is over; `keep` tells whether the connection goes on."""

    def cut(self) -> None:
        """Ends the connection in mid-answer, so that the client can tell. The exchange is over."""

    def hold(self, *, held: bool) -> None:
        """Stops reading the request, or goes on."""
