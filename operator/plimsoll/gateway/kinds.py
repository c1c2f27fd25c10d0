"""Which revisions keep a state between requests: each is asked once, by a question to one of its pods.

A revision's configuration never changes, so what one pod says holds for all of them and for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from plimsoll.core.triton.kind import kind_of
from plimsoll.gateway.asides import Asides, Unanswered
from plimsoll.gateway.inspection import Inspections
from plimsoll.gateway.targets import ModelTarget, RevisionTarget, Targets

_log = logging.getLogger(__name__)

PERIOD_S: Final = 0.5
AT_ONCE: Final = 8
"""Pods that are asked at a time. The time for an answer begins with its turn: pods that hang use up only their own."""
PAUSE_S: Final = 10.0
"""After a pod that did not say. Meanwhile its revision is taken for one that keeps no state."""
_MOST_PARTS: Final = 64
"""Of an ensemble, those of ensembles within it, too."""
_OK: Final = 200


class Kinds:
    """Finds out.

    Args:
        targets: What requests are sent to.
        inspections: They are told.
        asides: To ask with.
    """

    def __init__(self, targets: Targets, inspections: Inspections, asides: Asides) -> None:
        self._targets = targets
        self._inspections = inspections
        self._asides = asides
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._not_before: dict[str, float] = {}

    async def run(self) -> None:
        """Asks until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await self.look(clock())
            await asyncio.sleep(PERIOD_S)

    async def look(self, now: float) -> None:
        """Asks every revision that has a pod and was not asked; forgets those that are gone."""
        known, routed = self._inspections.stateful, dict(self._revisions())
        for gone in known.keys() - routed.keys():
            del known[gone]
        self._not_before = {name: at for name, at in self._not_before.items() if name in routed}
        unknown = [
            (model, revision)
            for name, (model, revision) in routed.items()
            if name not in known and revision.endpoints and self._not_before.get(name, now) <= now
        ]
        await asyncio.gather(*(self._ask(model, revision, now) for model, revision in unknown))

    async def _ask(self, model: ModelTarget, revision: RevisionTarget, now: float) -> None:
        name = revision.route.name
        endpoint = revision.endpoints[0].endpoint
        try:
            async with self._turns:
                stateful = await self._keeps_state(endpoint.ip, model.route.model)
        except Unanswered as failure:
            self._later(name, now, str(failure))
            return
        self._inspections.stateful[name] = stateful
        model.inspect()

    async def _keeps_state(self, ip: str, model: str) -> bool:
        """Returns whether a model, or one that it is an ensemble of, keeps a state.

        Raises:
            Unanswered: The pod does not say.
        """
        known: set[str] = set()
        unknown = {model}
        while unknown:
            name = unknown.pop()
            known.add(name)
            said = await self._asides.ask(ip, f"/v2/models/{quote(name, safe='')}/config")
            kind = kind_of(said.body) if said.status == _OK else None
            if kind is None or len(known) > _MOST_PARTS:
                raise Unanswered(f"it said {said.status}, or no configuration that can be read, of the model {name!r}")
            if kind.keeps_state:
                return True
            unknown |= set(kind.parts) - known
        return False

    def _later(self, name: str, now: float, why: str) -> None:
        self._not_before[name] = now + PAUSE_S
        _log.warning("kinds.unknown", extra={"revision": name, "why": why})

    def _revisions(self) -> Iterator[tuple[str, tuple[ModelTarget, RevisionTarget]]]:
        for model in self._targets.models.values():
            for revision in (model.stable, model.candidate):
                if revision is not None:
                    yield revision.route.name, (model, revision)
