"""Takes keys from a queue and has each looked at; whatever happens, a key comes back when it must."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Counter, Histogram

from plimsoll.controller.writer import NamespaceTerminating
from plimsoll.kube.errors import ApiError, Conflict, NotFound
from plimsoll.kube.resources import Key
from plimsoll.kube.workqueue import QueueClosed, WorkQueue

_log = logging.getLogger(__name__)


class Turns:
    """One loop's turns.

    Args:
        queue: Where keys come from, and where they are put to be looked at again.
        look: One turn; returns its outcome in a word.
        forget: Called with a key that is gone.
        outcomes: Counts turns.
        seconds: Measures them.
    """

    def __init__(
        self,
        queue: WorkQueue,
        look: Callable[[Key], Awaitable[str]],
        forget: Callable[[Key], None],
        outcomes: Counter,
        seconds: Histogram,
    ) -> None:
        self._queue = queue
        self._look = look
        self._forget = forget
        self._outcomes = outcomes
        self._seconds = seconds

    async def run(self) -> None:
        """Takes keys from the queue until it closes; a turn that has begun is finished."""
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            try:
                with self._seconds.time():
                    outcome = await self._turn(key)
                self._outcomes.labels(outcome=outcome).inc()
            finally:
                self._queue.done(key)

    async def _turn(self, key: Key) -> str:
        try:
            return await self._look(key)
        except (NamespaceTerminating, NotFound):
            self._forget(key)
            return "gone"
        except Conflict:
            self._queue.add_rate_limited(key)
            return "conflict"
        except ApiError as error:
            delay_s = self._retry_after(key, error)
            _log.warning(
                "reconcile.unanswered", extra={"key": key, "error": str(error), "retry_in_s": round(delay_s, 1)}
            )
            return "outage"
        except Exception:  # noqa: BLE001 - a reconcile loop outlives its bugs
            # One object must never stop the others: a bug is counted, told, and tried again with growing pauses.
            delay_s = self._queue.add_rate_limited(key)
            _log.exception("reconcile.failed", extra={"key": key, "retry_in_s": round(delay_s, 1)})
            return "bug"

    def _retry_after(self, key: Key, error: ApiError) -> float:
        """Queues the key for when the server wants to be asked again, which it says when it is overloaded."""
        if error.retry_after is None:
            return self._queue.add_rate_limited(key)
        self._queue.add_after(key, error.retry_after)
        return error.retry_after
