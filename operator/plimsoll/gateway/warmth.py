"""Keeps pods warm that nobody asks: `spec.requests.keepWarm`. Users' requests pay nothing for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

from plimsoll.core.inference.http_body import write_http
from plimsoll.core.routing.warmth import offset_s, rest_s
from plimsoll.core.triton.statistics import last_inference_s
from plimsoll.core.validation.smallest import smallest_request
from plimsoll.gateway.asides import Asides, Unanswered
from plimsoll.gateway.targets import EndpointTarget, ModelTarget, RevisionTarget, Targets
from plimsoll.monitoring.aside_metrics import WarmthFigures

PERIOD_S: Final = 1.0
AT_ONCE: Final = 8
"""Pods that are looked at in one period; the others are late by a period or more, which does no harm."""
_OK: Final = 200


class Warmed(StrEnum):
    """What became of a pod that was idle: label values of a metric."""

    INFERRED = "inferred"
    """It computed a small request."""
    READY = "ready"
    """No request is known that it would take, so it was asked whether it is ready, which warms its connection only."""
    FAILED = "failed"
    """It gave an error or no answer."""


class KeepWarm:
    """Keeps them warm.

    Args:
        targets: What requests are sent to.
        asides: To ask with.
        gateway: Name of this gateway's pod.
        wall: Seconds since 1970.
        stateful: Whether answers of a revision depend on the requests before, by its name.
    """

    def __init__(
        self, targets: Targets, asides: Asides, gateway: str, wall: Callable[[], float], stateful: dict[str, bool]
    ) -> None:
        self._targets = targets
        self._asides = asides
        self._gateway = gateway
        self._wall = wall
        self._stateful = stateful
        self._due: dict[EndpointTarget, float] = {}
        self._counts: Counter[tuple[str, Warmed]] = Counter()

    async def run(self) -> None:
        """Looks until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await self.look(clock())
            await asyncio.sleep(PERIOD_S)

    async def look(self, now: float) -> None:
        """Sees to the pods that are due.

        Args:
            now: Monotonic time in seconds.
        """
        due = list(self._due_at(now))[:AT_ONCE]
        rests = await asyncio.gather(*(self._see_to(*one) for one in due))
        for (model, _, endpoint), rest in zip(due, rests, strict=True):
            self._due[endpoint] = now + rest + self._offset(model, endpoint)

    def figures(self) -> Iterator[WarmthFigures]:
        """Returns what metrics tell."""
        for (model, warmed), count in self._counts.items():
            yield WarmthFigures(model, warmed.value, count)

    def _due_at(self, now: float) -> Iterator[tuple[ModelTarget, RevisionTarget, EndpointTarget]]:
        """Yields pods whose time has come; one that is new, or is computing now, has its whole time before it."""
        watched = [
            (model, revision, endpoint)
            for model in self._targets.models.values()
            if model.route.limits.keep_warm_s is not None and not (model.diversion and model.diversion.stops)
            for revision in (model.stable, model.candidate)
            if revision is not None
            for endpoint in revision.endpoints
        ]
        self._forget({endpoint for _, _, endpoint in watched})
        for model, revision, endpoint in watched:
            due = self._due.get(endpoint)
            if due is None or endpoint.outstanding:
                self._due[endpoint] = now + _keep_warm_s(model) + self._offset(model, endpoint)
            elif due <= now:
                yield model, revision, endpoint

    def _forget(self, watched: set[EndpointTarget]) -> None:
        for gone in self._due.keys() - watched:
            del self._due[gone]

    def _offset(self, model: ModelTarget, endpoint: EndpointTarget) -> float:
        return offset_s(endpoint.endpoint.pod, self._gateway, _keep_warm_s(model))

    async def _see_to(self, model: ModelTarget, revision: RevisionTarget, endpoint: EndpointTarget) -> float:
        """Returns how long the pod stays warm from now on, after a request where it was idle for too long."""
        keep_warm_s, name, ip = _keep_warm_s(model), model.route.model, endpoint.endpoint.ip
        try:
            told = await self._asides.ask(ip, f"/v2/models/{name}/stats")
            last_s = last_inference_s(told.body) if told.status == _OK else None
            rest = 0.0 if last_s is None else rest_s(self._wall() - last_s, keep_warm_s)
            if rest:
                return rest
            self._counts[name, await self._warm(name, revision, ip)] += 1
        except Unanswered:
            self._counts[name, Warmed.FAILED] += 1
        return keep_warm_s

    async def _warm(self, model: str, revision: RevisionTarget, ip: str) -> Warmed:
        rules = revision.route.rules
        # Of one that was not asked it is not known whether a request would change what it keeps.
        keeps_state = self._stateful.get(revision.route.name, True)
        request = smallest_request(rules.schema) if rules is not None and not keeps_state else None
        if request is None:
            said = await self._asides.ask(ip, f"/v2/models/{model}/ready")
            return Warmed.READY if said.status == _OK else Warmed.FAILED
        said = await self._asides.ask(ip, f"/v2/models/{model}/infer", *write_http(request))
        return Warmed.INFERRED if said.status == _OK else Warmed.FAILED


def _keep_warm_s(model: ModelTarget) -> float:
    return model.route.limits.keep_warm_s or 0.0
