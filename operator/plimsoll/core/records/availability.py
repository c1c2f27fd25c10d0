"""Whether the controller hears what it has to know of a namespace's models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hearing:
    """How well one gateway is heard.

    Attributes:
        silent_s: Seconds since its last line, or since its pod was first seen.
        why: Why there is nothing to hear, as part of a sentence; empty when nothing is known to be wrong.
    """

    silent_s: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceUnavailable:
    """Ready gateways serve and are not heard: what becomes of their requests is unknown.

    Attributes:
        silent: How many are not heard.
        ready: Of how many.
        why: Of the first of them, as part of a sentence.
    """

    silent: int
    ready: int
    why: str

    @property
    def message(self) -> str:
        """The condition's message."""
        return (
            f"{self.silent} of {self.ready} gateways of this namespace are not heard by the controller ({self.why}). "
            "They serve on, but no roll-out moves forward. Look at their pods, and let the controller reach their port "
            "admin through the NetworkPolicies of this namespace"
        )


def unavailable(gateways: Iterable[Hearing], after_s: float) -> EvidenceUnavailable | None:
    """Returns what is missing; None when every gateway was heard within `after_s` seconds, or there is none.

    Args:
        gateways: The ready ones of a namespace, in a stable order.
        after_s: Silence shorter than this is not told.
    """
    ready = list(gateways)
    silent = [gateway for gateway in ready if gateway.silent_s > after_s]
    if not silent:
        return None
    return EvidenceUnavailable(len(silent), len(ready), silent[0].why or "no line comes")
