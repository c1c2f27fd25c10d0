"""The kill switches of all models: counted where requests end, looked at four times a second, acted on at once.

Everything is in this process: neither the controller nor the API server is asked. What trips here is told with the
records, and no other gateway acts on it: each judges by the requests that it sees.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from plimsoll.core.kill_switch.switch import Switch, Trip
from plimsoll.core.kill_switch.window import CELL_S
from plimsoll.core.routing.table import ModelRoute
from plimsoll.gateway.watch import PATIENCE_S, Key, Watch
from plimsoll.monitoring.kill_switch_metrics import KillSwitchFigures

_log = logging.getLogger(__name__)

LOOK_S: Final = CELL_S
"""Between two looks: what slides out of a window can trip a switch as well as a failure, which is looked at at once."""


class KillSwitches:
    """Those of the models that have one.

    Args:
        clock: Monotonic time in seconds.

    Attributes:
        told: Called after a switch tripped or was released.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_uid: dict[str, Watch] = {}
        self._trips: dict[str, int] = {}
        self.told: Callable[[], None] = lambda: None

    def of(self, route: ModelRoute, act: Callable[[], None]) -> Watch | None:
        """Returns what watches over a model under its new route; None where nothing does.

        It is the same one until the switch itself, the revision that serves, or the text by which people reset it
        changes: then a new one begins, which has not tripped and has seen nothing.

        Args:
            route: Of the model.
            act: Called when it tripped, or an alert is over.
        """
        ladder, known = route.ladder, self._by_uid.get(route.uid)
        if ladder.kill is None:
            if known is not None:
                self._forget(known)
            self._trips.pop(route.uid, None)
            return None
        key = Key(ladder.kill, ladder.reset, route.stable.name if route.stable else "")
        patience_s = route.limits.promise_s or PATIENCE_S
        if known is not None and known.key == key:
            known.patience_s = patience_s
            return known
        if known is not None:
            self._forget(known)
        watch = self._by_uid[route.uid] = Watch(route.model, route.uid, key, Switch(ladder.kill), self._clock)
        watch.patience_s = patience_s
        watch.on_change = lambda: self._changed(watch, act)
        return watch

    def trips(self) -> dict[str, Trip]:
        """Returns what has tripped, by uid of the ModelDeployment."""
        return {uid: watch.switch.trip for uid, watch in self._by_uid.items() if watch.switch.trip is not None}

    def figures(self) -> list[KillSwitchFigures]:
        """Returns what metrics tell."""
        return [
            KillSwitchFigures(
                watch.model,
                watch.switch.policy.action.value,
                tripped=watch.switch.trip is not None,
                trips=self._trips.get(uid, 0),
            )
            for uid, watch in list(self._by_uid.items())
        ]

    async def run(self) -> None:
        """Looks at all of them until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._clock()
            for watch in list(self._by_uid.values()):
                watch.look(now)

    def _changed(self, watch: Watch, act: Callable[[], None]) -> None:
        trip = watch.switch.trip
        if trip is not None:
            self._trips[watch.uid] = self._trips.get(watch.uid, 0) + 1
        # Not within the end of the request that tripped it: acting ends the waits of others.
        asyncio.get_running_loop().call_soon(self._act, watch, trip, act)

    def _act(self, watch: Watch, trip: Trip | None, act: Callable[[], None]) -> None:
        if self._by_uid.get(watch.uid) is not watch:
            return
        act()
        if trip is None:
            _log.info("kill_switch.over", extra={"model": watch.model})
        else:
            numbers = {"action": trip.action.value, "failed": trip.failed, "judged": trip.judged}
            _log.error("kill_switch.tripped", extra={"model": watch.model, **numbers})
        self.told()

    def _forget(self, watch: Watch) -> None:
        del self._by_uid[watch.uid]
        if watch.switch.trip is not None:
            _log.info("kill_switch.released", extra={"model": watch.model})
            self.told()
