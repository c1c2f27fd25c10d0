"""What an exchange needs of the client's connection."""

from __future__ import annotations

from abc import ABC, abstractmethod

from plimsoll.gateway.http1.refusals import Reason
from plimsoll.gateway.http1.upstream import Piece


class Asker(ABC):
    """The client connection, as its exchange sees it."""

    __slots__ = ()

    @abstractmethod
    def send(self, head: bytes, piece: Piece) -> None:
        """Sends the head of an answer and what there is of its body."""

    @abstractmethod
    def send_more(self, piece: Piece) -> None:
        """Sends more of the body."""

    @abstractmethod
    def exchange_ended(self, now: float, *, keep: bool) -> None:
        """The answer was sent to its end; `keep` tells whether the connection goes on."""

    @abstractmethod
    def refuse(self, answer: bytes, reason: Reason, *, keep: bool) -> None:
        """Sends an answer of our own. The exchange is over; `keep` tells whether the connection goes on."""

    @abstractmethod
    def cut(self) -> None:
        """Ends the connection in mid-answer, so that the client can tell. The exchange is over."""

    @abstractmethod
    def hold(self, *, held: bool) -> None:
        """Stops reading the request, or goes on."""
