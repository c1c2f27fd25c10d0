"""One turn for one ModelDeployment: observe, plan, apply. Nothing is decided here."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from pydantic import ValidationError

from plimsoll.controller.apply import Applier, Write
from plimsoll.controller.observer import Observer
from plimsoll.controller.reports import Reports, ReportUnavailable
from plimsoll.controller.turns import Turns
from plimsoll.core.actions import Action, Announcement, PullReport
from plimsoll.core.plan import plan, plan_refusal
from plimsoll.core.preflight.record import record_report
from plimsoll.core.world import Failure, FailureKind, Observed
from plimsoll.errors import Invalid, NotYet, PlimsollError
from plimsoll.kube.events import EventRecorder, Regarding
from plimsoll.kube.resources import MODELDEPLOYMENTS, Key
from plimsoll.kube.workqueue import WorkQueue
from plimsoll.kube.writes import OwnWrites
from plimsoll.monitoring.metrics import RECONCILE_SECONDS, RECONCILES, REPORTS

_log = logging.getLogger(__name__)

_CATCH_UP_S = 0.05
"""A cache that is behind our own writes has them within a watch event: milliseconds."""


class Reconciler:
    """Turns keys into actions.

    Args:
        observer: Tells what is there.
        applier: Performs actions.
        writes: Tells whether the caches have seen our own writes.
        reports: Fetches the reports of preflights.
        events: Where announcements go.
        queue: Where a key is put to be looked at again.
        utc_now: Wall time; only compared with times that Kubernetes wrote.
    """

    def __init__(
        self,
        observer: Observer,
        applier: Applier,
        writes: OwnWrites,
        reports: Reports,
        events: EventRecorder,
        queue: WorkQueue,
        utc_now: Callable[[], datetime],
    ) -> None:
        self._observer = observer
        self._applier = applier
        self._writes = writes
        self._reports = reports
        self._events = events
        self._queue = queue
        self._utc_now = utc_now
        self._failures: dict[Key, Failure] = {}
        self._turns = Turns(queue, self._reconcile, self._forget, RECONCILES, RECONCILE_SECONDS)

    async def work(self) -> None:
        """Takes keys from the queue until it closes."""
        await self._turns.run()

    async def _reconcile(self, key: Key) -> str:
        if self._writes.behind(key):
            self._queue.add_after(key, _CATCH_UP_S)
            return "behind"
        try:
            observed = await self._observer.observe(key, self._failures.get(key))
        except ValidationError as error:
            _log.error("object.unreadable", extra={"key": key, "error": _first_line(error)})
            return "unreadable"
        if observed is None:
            self._forget(key)
            return "gone"
        return await self._carry_out(key, observed)

    async def _carry_out(self, key: Key, observed: Observed) -> str:
        now = self._utc_now()
        decided = plan(observed, now)
        asked = [action for action in decided.actions if isinstance(action, PullReport)]
        try:
            count = await self._applier.apply(observed, _writes(decided.actions))
            self._announce(observed, decided.announcements)
            kept = await self._keep_reports(observed, asked)
        except PlimsollError as error:
            await self._say_why(key, observed, error)
            return "refused"
        if kept == len(asked):
            self._queue.forget(key)
        else:
            self._queue.add_rate_limited(key)
        if self._failures.pop(key, None):
            self._queue.add(key)
        elif decided.requeue_at:
            self._queue.add_after(key, (decided.requeue_at - now).total_seconds())
        return "changed" if count + kept else "unchanged"

    async def _keep_reports(self, observed: Observed, asked: Iterable[PullReport]) -> int:
        """Fetches reports and writes down what they say; returns how many came.

        One that does not come changes nothing: it is asked for again with growing pauses, and the plan waits no longer
        for it than it says.
        """
        kept = 0
        for pull in asked:
            try:
                report = await self._reports.fetch(pull, observed.jobs[pull.job].revision)
            except ReportUnavailable as error:
                REPORTS.labels(outcome="unavailable").inc()
                _log.warning("report.unavailable", extra={"job": pull.job, "error": str(error)})
                continue
            kept += await self._applier.apply(observed, (record_report(observed, pull.job, report, self._utc_now()),))
            REPORTS.labels(outcome="kept").inc()
        return kept

    async def _say_why(self, key: Key, observed: Observed, error: PlimsollError) -> None:
        """Writes the reason into status; the actions are tried again with growing pauses."""
        self._queue.add_rate_limited(key)
        failure = failure_of(error)
        self._failures[key] = failure
        decided = plan_refusal(dataclasses.replace(observed, failure=failure), self._utc_now())
        await self._applier.apply(observed, _writes(decided.actions))
        self._announce(observed, decided.announcements)

    def _announce(self, observed: Observed, announcements: tuple[Announcement, ...]) -> None:
        metadata = observed.object.metadata
        regarding = Regarding(MODELDEPLOYMENTS, (metadata.namespace, metadata.name), metadata.uid)
        for told in announcements:
            self._events.record(regarding, told.severity.value, told.reason, told.message)

    def _forget(self, key: Key) -> None:
        self._queue.forget(key)
        self._writes.forget(key)
        self._failures.pop(key, None)


def _writes(actions: Iterable[Action]) -> Iterable[Write]:
    return (action for action in actions if not isinstance(action, PullReport))


def failure_of(error: PlimsollError) -> Failure:
    """Returns an outcome as a plan is told of it."""
    match error:
        case Invalid():
            kind = FailureKind.INVALID
        case NotYet():
            kind = FailureKind.NOT_YET
        case _:
            kind = FailureKind.OUTAGE
    return Failure(kind, error.reason, error.message)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
