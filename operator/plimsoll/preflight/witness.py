"""Whose fault is it that the server is gone: the model's, or that of what runs it?

A container that crashed is restarted in place, so that its server comes back; a pod that was evicted, deleted or lost
with its node takes the examiner along. Only the first may count against the model: a rejection lasts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx

from plimsoll.kube.clock import Clock
from plimsoll.preflight.client import Session
from plimsoll.preflight.request import Examiner

PATIENCE_S: Final = 120.0
"""Longer than a pod takes to end, so that an examiner that still answers then is in a pod that stays."""
_POLL_S: Final = 1.0
_SILENCES: Final = 3
"""Of the examiner in a row: one alone may be a lost packet."""
_TIMEOUT_S: Final = 5.0


async def model_did_it(session: Session, examiner: Examiner | None, clock: Clock) -> bool:
    """Whether the server, which just broke a connection or kept silent, was brought down by the model.

    False when that cannot be known.
    """
    if examiner and examiner.process_id is not None:
        return not _runs(examiner.process_id) or await session.live()
    until = clock.monotonic() + PATIENCE_S
    silences = 0
    while clock.monotonic() < until:
        if await session.live(_TIMEOUT_S):
            return True
        if examiner and examiner.url:
            silences = 0 if await _answers(examiner.url) else silences + 1
            if silences == _SILENCES:
                return False
        await clock.sleep(_POLL_S)
    return examiner is not None


async def _answers(url: str) -> bool:
    """Any status will do: it says that the pod is there."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:
            await client.get(url)
    except httpx.TransportError:
        return False
    return True


def _runs(process_id: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
