"""Which failed calls the transport repeats by itself, and when. Pure."""

from __future__ import annotations

from plimsoll.kube.errors import ApiError, ServerError, Throttled, Unreachable

BACKOFF_S = 0.25
"""First pause when the server names none; doubled each time, jittered by half."""


def retry_wait_s(error: ApiError, *, attempt: int, repeatable: bool, longest_s: float, chance: float) -> float | None:
    """Seconds to wait before the next attempt, or `None` to give the error to the caller.

    Args:
        error: How the attempt failed.
        attempt: 0 for the first.
        repeatable: Whether doing it twice is the same as doing it once.
        longest_s: A longer wait is the caller's to schedule: a worker must not sleep on it.
        chance: Random, in [0, 1).
    """
    if not _harmless(error, repeatable=repeatable):
        return None
    backoff = BACKOFF_S * 2**attempt
    wait = max(error.retry_after or 0.0, backoff / 2) + chance * backoff / 2
    return wait if wait <= longest_s else None


def _harmless(error: ApiError, *, repeatable: bool) -> bool:
    match error:
        case Throttled():
            return True  # refused before anything was done
        case ServerError(status=503, retry_after=float()):
            return True  # the same, said by a server that is starting or stopping
        case Unreachable():
            return repeatable or not error.sent
        case _:
            return False
