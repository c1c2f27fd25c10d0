"""The second loop: one turn for the gateways of one namespace: observe, plan, apply. Nothing is decided here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from plimsoll.controller.fleet_observer import FleetObserver, fleet_key
from plimsoll.controller.fleet_projection import is_fleets
from plimsoll.controller.loop import failure_of
from plimsoll.controller.turns import Turns
from plimsoll.controller.writer import Belonging, Writer, in_our_words
from plimsoll.core.actions import Create
from plimsoll.core.fleet.observed import ObservedFleet
from plimsoll.core.fleet.plan import FleetPlan, fleet_name_conflict, plan_fleet
from plimsoll.core.fleet.state import FleetState, fleet_state
from plimsoll.core.world import Failure
from plimsoll.errors import PlimsollError
from plimsoll.kube.errors import ApiError
from plimsoll.kube.resources import DEPLOYMENTS, JsonObject, Key
from plimsoll.kube.workqueue import WorkQueue
from plimsoll.kube.writes import OwnWrites
from plimsoll.monitoring.metrics import FLEET_RECONCILE_SECONDS, FLEET_RECONCILES

_log = logging.getLogger(__name__)

_CATCH_UP_S = 0.05
"""As of the first loop: a cache that is behind our own writes has them within milliseconds."""
_AFTER_WRITES_S = 1.0
"""A change of an object that is in no cache sends no event, so what was written is looked at again by itself."""


def fleet_belonging() -> Belonging:
    """Returns how strangers are told: an object of a fleet has no owner, or one of the fleet, so its labels say it."""
    return Belonging(lambda existing, _: is_fleets(existing), fleet_name_conflict)


class Fleets:
    """Keeps the gateways of every namespace, and says what they are at.

    Args:
        observer: Tells what is there.
        writer: Performs actions; it tells strangers as `fleet_belonging` says.
        writes: Tells whether the caches have seen our own writes.
        queue: Of keys as `fleet_key` returns.
        utc_now: Wall time.
    """

    def __init__(
        self,
        observer: FleetObserver,
        writer: Writer,
        writes: OwnWrites,
        queue: WorkQueue,
        utc_now: Callable[[], datetime],
    ) -> None:
        self._observer = observer
        self._writer = writer
        self._writes = writes
        self._queue = queue
        self._utc_now = utc_now
        self._failures: dict[str, Failure] = {}
        self._states: dict[str, FleetState] = {}
        self._told: list[Callable[[str], None]] = []
        self._turns = Turns(queue, self._look, self._forget, FLEET_RECONCILES, FLEET_RECONCILE_SECONDS)

    async def work(self) -> None:
        """Takes namespaces from the queue until it closes."""
        await self._turns.run()

    def state_of(self, namespace: str) -> FleetState | None:
        """Returns what a namespace's fleet is at, as of its last turn; None where it has yet to be looked at.

        Until then nobody knows whether a policy keeps users away from model pods.
        """
        unseen = None if self._observer.has_fleet(namespace) else FleetState()
        return self._states.get(namespace, unseen)

    def subscribe(self, told: Callable[[str], None]) -> None:
        """Has a namespace told whenever the state of its fleet changes. The callback must not block or raise."""
        self._told.append(told)

    def look_at_all(self, when: Callable[[Key], None]) -> None:
        """Hands the key of every namespace that has, or is to have, gateways to `when`."""
        for namespace in sorted(self._observer.namespaces()):
            when(fleet_key(namespace))

    async def _look(self, key: Key) -> str:
        if self._writes.behind(key):
            self._queue.add_after(key, _CATCH_UP_S)
            return "behind"
        namespace, now = key[0], self._utc_now()
        others = frozenset(self._failures.keys() - {namespace})
        observed = await self._observer.observe(namespace, now, others)
        if not observed.wanted and observed.deployment is None:
            self._forget(key)
            return "gone"
        return await self._carry_out(key, observed, plan_fleet(observed, now), now)

    async def _carry_out(self, key: Key, observed: ObservedFleet, decided: FleetPlan, now: datetime) -> str:
        try:
            await self._perform(key, decided)
        except PlimsollError as error:
            self._observer.doubt(key[0])
            self._refused(key, observed, failure_of(error))
            return "refused"
        except ApiError:
            self._observer.doubt(key[0])
            raise
        if decided.trouble:
            self._observer.doubt(key[0])  # it ends when a stranger's object goes, which no watch tells
            self._refused(key, observed, decided.trouble)
            return "refused"
        self._queue.forget(key)
        self._failures.pop(key[0], None)
        self._say(key[0], fleet_state(observed, None))
        if decided.requeue_at:
            self._queue.add_after(key, (decided.requeue_at - now).total_seconds())
        if decided.actions:
            self._queue.add_after(key, _AFTER_WRITES_S)
        return "changed" if decided.actions else "unchanged"

    async def _perform(self, key: Key, decided: FleetPlan) -> None:
        for action in decided.actions:
            with in_our_words(creating=isinstance(action, Create)):
                written = await self._writer.perform(key, action)
            if written is None:
                self._observer.doubt(key[0])
            else:
                self._remember(key[0], written)
            _log.info(
                "fleet.action.performed",
                extra={"namespace": key[0], "action": type(action).__name__, "why": action.why},
            )

    def _remember(self, namespace: str, written: JsonObject) -> None:
        if written["kind"] != DEPLOYMENTS.kind:
            self._observer.remember(namespace, written)

    def _refused(self, key: Key, observed: ObservedFleet, failure: Failure) -> None:
        """Says why; it is tried again with growing pauses."""
        delay_s = self._queue.add_rate_limited(key)
        if self._failures.get(key[0]) != failure:
            _log.warning(
                "fleet.refused",
                extra={
                    "namespace": key[0],
                    "reason": failure.reason,
                    "message_": failure.message,
                    "retry_in_s": delay_s,
                },
            )
        self._failures[key[0]] = failure
        self._say(key[0], fleet_state(observed, failure))

    def _say(self, namespace: str, state: FleetState) -> None:
        if self._states.get(namespace) != state:
            self._states[namespace] = state
            for told in self._told:
                told(namespace)

    def _forget(self, key: Key) -> None:
        self._queue.forget(key)
        self._writes.forget(key)
        self._observer.doubt(key[0], gone=True)
        self._failures.pop(key[0], None)
        if key[0] in self._states:
            self._say(key[0], FleetState())
            del self._states[key[0]]
