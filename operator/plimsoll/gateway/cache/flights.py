"""Requests that ask the same at the same time: one is sent, and the others wait for its answer."""

from __future__ import annotations

from typing import Protocol

from plimsoll.gateway.cache.store import Answer


class Waiter(Protocol):
    """A request that waits."""

    def answered(self, answer: Answer) -> None:
        """Takes the answer that another request got."""

    def lead(self) -> None:
        """Sends its own request, and from now on speaks for all that wait."""

    def go_alone(self) -> None:
        """Sends its own request: the other one failed, and what it got is nobody else's."""


class Flights:
    """The requests under way, by key."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[Waiter]] = {}

    def join(self, key: bytes, waiter: Waiter) -> bool:
        """Returns whether the request waits; else it is the first, sends its own, and must tell how that ended."""
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = []
            return False
        waiting.append(waiter)
        return True

    def leave(self, key: bytes, waiter: Waiter) -> None:
        """Forgets one that waits: its client has gone, or its time is over."""
        waiting = self._waiting.get(key)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)

    def landed(self, key: bytes, answer: Answer) -> None:
        """Gives all that wait the answer."""
        for waiter in self._waiting.pop(key, ()):
            waiter.answered(answer)

    def failed(self, key: bytes) -> None:
        """Lets all that wait go on by themselves: no worse than without a cache, and none waits for two failures."""
        for waiter in self._waiting.pop(key, ()):
            waiter.go_alone()

    def abandoned(self, key: bytes) -> None:
        """Makes the next one the first: the client of the first has gone, which says nothing about the request."""
        waiting = self._waiting.get(key)
        if waiting:
            waiting.pop(0).lead()
        else:
            self._waiting.pop(key, None)
