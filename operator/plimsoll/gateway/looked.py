"""What a request that is looked into has its transport do, and what is said of the cache."""

from __future__ import annotations

from typing import Final, Protocol

from plimsoll.core.inference.request import InferRequest
from plimsoll.gateway.cache.store import Answer

How = str
HIT: Final[How] = "hit"
SHARED: Final[How] = "shared"
MISS: Final[How] = "miss"
RECHECK: Final[How] = "recheck"


class Looked(Protocol):
    """The transport's side of a request."""

    def send_on(self) -> None:
        """Sends the request to a pod."""

    def rewrite(self, request: InferRequest) -> None:
        """Puts another request in the place of the one that came."""

    def refuse(self, sentence: str) -> None:
        """Ends it as the client's fault."""

    def give(self, answer: Answer, request: InferRequest, how: How) -> bool:
        """Answers it with what is kept; returns False where that cannot be written as the request wants it."""

    def falls_back(self) -> bool:
        """Has another model answer in place of an answer that is not sure enough; returns whether that was possible."""

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""

    def read_request(self) -> InferRequest | None:
        """Returns what it asks, read anew; None where it is not at hand, or cannot be read."""

    def first_size(self) -> int | None:
        """Returns the first dimension of the first input, as it seems at next to no cost; None where it does not."""

    def time_left_s(self) -> float:
        """Returns how long the client still waits, in seconds; infinite where it does not say."""
