"""Of how many requests a copy goes to the candidate: what the spec says, and what a gateway can spare."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from plimsoll.api.rollout import Rollout
from plimsoll.api.routing import WHOLE

_SPARED: Final = 0.05
"""Of one core, which is what a gateway runs on."""
_MOST_SAVED_S: Final = 0.02
_COPY_S: Final = 2e-4
_REQUEST_BYTE_S: Final = 4e-9
_ANSWER_BYTE_S: Final = 25e-9
"""What one costs, measured: to send and read it; JSON of the request; to compare an answer that is near, not equal."""


class Pace:
    """How much processor time a gateway spares for copies: a twentieth of a core, of which 20 ms may be saved up.

    Users' requests are served by the same core. What copies cost is reckoned from their sizes, not measured each time:
    250 small ones a second, 20 of the largest.

    Args:
        now: Monotonic time in seconds, as for its methods.
    """

    __slots__ = ("_as_of", "_saved_s")

    def __init__(self, now: float) -> None:
        self._as_of = now
        self._saved_s = _MOST_SAVED_S

    def allows(self, now: float) -> bool:
        """Tells whether one more may be made now."""
        self._saved_s = min(_MOST_SAVED_S, self._saved_s + (now - self._as_of) * _SPARED)
        self._as_of = now
        return self._saved_s > 0

    def spend(self, request_bytes: int, answer_bytes: int) -> None:
        """Takes note of a copy of a request of this size, whose answer had this size; it may be more than is saved."""
        self._saved_s -= _COPY_S + request_bytes * _REQUEST_BYTE_S + answer_bytes * _ANSWER_BYTE_S


def shadow_permille(rollout: Rollout | None) -> int | None:
    """Returns the share that `spec.rollout` states in parts per thousand, rounded down; None where it states none.

    Which requests these are, `split.Split` decides with a key of its own: in each block of 1,000 that could be copied a
    keyed random permutation, so the share is exact and has no period that a client's could meet.
    """
    if rollout is None or rollout.shadow is None:
        return None
    return int(Fraction(rollout.shadow.removesuffix("%")) / 100 * WHOLE)
