"""What the controller knows of gateways, in memory alone: what each follows, and what it counted.

One task per gateway pod reads its stream (gateway_stream.py). What is known is lost with the process, and told again in
the first second after the next start: acknowledgements in full, counts from then on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Protocol, Self

from plimsoll.controller.gateway_state import Gateway, GatewayPod
from plimsoll.controller.gateway_stream import GatewayStream, StreamLost, StreamSettings, stream_session
from plimsoll.controller.report_key import ReportKey
from plimsoll.core.names import url_host
from plimsoll.core.records.availability import EvidenceUnavailable, Hearing, unavailable
from plimsoll.core.records.pool import Pool
from plimsoll.core.records.record import Cut, Hello
from plimsoll.kube.clock import Clock
from plimsoll.monitoring.metrics import GATEWAY_STREAMS, RECORD_CUTS

_log = logging.getLogger(__name__)

_SWEEP_S = 1.0
_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 15.0
_STEADY_S = 10.0
"""A stream that lasted so long was a good one. Two controllers that take one stream from each other are not."""
_AT_ONCE = 64
"""Streams that are being opened: a thousand at the same time would time each other out."""

_POOLED = RECORD_CUTS.labels(outcome="pooled")
_KNOWN = RECORD_CUTS.labels(outcome="known")
_REFUSED = RECORD_CUTS.labels(outcome="refused")


class Listener(Protocol):
    """Is told what changed; must not block."""

    def acknowledged(self, namespace: str, model_uid: str) -> None:
        """A gateway follows another epoch of a model's routing than before, or none."""

    def mismatched(self, model_uid: str, revision: str, count: int) -> None:
        """A revision contradicted so many answers that a gateway had kept of it."""

    def namespace_changed(self, namespace: str) -> None:
        """Which gateways count, or whether they are heard, changed: for all models of the namespace."""


class Collector:
    """Reads the streams of all gateways; use as an async context manager.

    Args:
        key: What tokens are signed with.
        clock: Time and jitter.
        settings: How streams are read.
        listener: Is told what changed.
        pool: Where records go.
        unavailable_after_s: Silence of a ready gateway that is told.
    """

    def __init__(
        self,
        key: ReportKey,
        clock: Clock,
        settings: StreamSettings,
        listener: Listener,
        *,
        pool: Pool | None = None,
        unavailable_after_s: float = 30.0,
    ) -> None:
        self.pool = pool or Pool()
        self._key = key
        self._clock = clock
        self._settings = settings
        self._listener = listener
        self._unavailable_after_s = unavailable_after_s
        self._gateways: dict[str, Gateway] = {}
        self._namespaces: dict[str, dict[str, Gateway]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unavailable: dict[str, EvidenceUnavailable] = {}
        self._opening = asyncio.Semaphore(_AT_ONCE)
        self._session = stream_session(settings)

    async def __aenter__(self) -> Self:
        self._tasks[""] = asyncio.create_task(self._keep_sweeping(), name="gateways")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    # ---- which gateways there are ----
    def follow(self, pods: Iterable[GatewayPod]) -> None:
        """Takes all gateway pods there are now: reads new ones, and forgets those that are gone."""
        wanted = {pod.uid: pod for pod in pods}
        for uid in self._gateways.keys() - wanted.keys():
            self._leave(uid)
        for uid, pod in wanted.items():
            gateway = self._gateways.get(uid)
            if gateway is None:
                self._join(pod)
            elif gateway.pod != pod:
                self._change(gateway, pod)

    def _join(self, pod: GatewayPod) -> None:
        gateway = Gateway(pod, self._clock.monotonic())
        self._gateways[pod.uid] = gateway
        self._namespaces.setdefault(pod.namespace, {})[pod.uid] = gateway
        self._read_anew(gateway)
        self._listener.namespace_changed(pod.namespace)

    def _change(self, gateway: Gateway, pod: GatewayPod) -> None:
        former, gateway.pod = gateway.pod, pod
        if former.ip != pod.ip:
            self._read_anew(gateway)
        if former.ready != pod.ready:
            self._listener.namespace_changed(pod.namespace)

    def _leave(self, uid: str) -> None:
        namespace = self._gateways.pop(uid).pod.namespace
        del self._namespaces[namespace][uid]
        if not self._namespaces[namespace]:
            del self._namespaces[namespace]
        self._stop_reading(uid)
        self.pool.forget(uid)
        self._listener.namespace_changed(namespace)

    def _read_anew(self, gateway: Gateway) -> None:
        uid = gateway.pod.uid
        self._stop_reading(uid)
        if gateway.pod.ip:
            self._tasks[uid] = asyncio.create_task(self._keep_reading(gateway), name=f"gateway-{uid}")

    def _stop_reading(self, uid: str) -> None:
        task = self._tasks.pop(uid, None)
        if task:
            task.cancel()

    # ---- what is known ----
    def gateways(self, namespace: str) -> Mapping[str, Gateway]:
        """Returns the gateways of a namespace by the uid of their pods."""
        return self._namespaces.get(namespace, {})

    def lagging(self, namespace: str, model_uid: str, epoch: int) -> list[str]:
        """Returns the ready gateways that are not known to follow at least this epoch, by the names of their pods.

        One that has been silent for as long as makes a stream dead is among them, whatever it said before.
        """
        now = self._clock.monotonic()
        return sorted(
            gateway.pod.name
            for gateway in self.gateways(namespace).values()
            if gateway.pod.ready
            and (gateway.acks.get(model_uid, -1) < epoch or gateway.silent_s(now) > self._settings.stalled_s)
        )

    def in_flight(self, namespace: str, model_uid: str) -> dict[str, int]:
        """Returns the unanswered requests of the draining pods of a model, of which every gateway that counts has told.

        All that are ready count. So do those that are not and are heard: one that ends still has requests.
        """
        now = self._clock.monotonic()
        told: list[Mapping[str, int]] = []
        for gateway in self.gateways(namespace).values():
            if gateway.heard_at is not None and gateway.silent_s(now) <= self._settings.stalled_s:
                told.append(gateway.in_flight.get(model_uid, {}))
            elif gateway.pod.ready:
                return {}
        known = set[str]().union(*told).intersection(*told)
        return {pod: sum(pods[pod] for pods in told) for pod in known}

    def unavailable(self, namespace: str) -> EvidenceUnavailable | None:
        """Returns what is not heard of a namespace, as of the last second; None when all of it is."""
        return self._unavailable.get(namespace)

    async def _keep_sweeping(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_S)
            self._sweep(self._clock.monotonic())

    def _sweep(self, now: float) -> None:
        for namespace in [*self._namespaces, *(self._unavailable.keys() - self._namespaces.keys())]:
            ready = [gateway for _, gateway in sorted(self.gateways(namespace).items()) if gateway.pod.ready]
            found = unavailable((Hearing(each.silent_s(now), each.why) for each in ready), self._unavailable_after_s)
            before = self._unavailable.pop(namespace, None)
            if found:
                self._unavailable[namespace] = found
            if found != before:
                self._listener.namespace_changed(namespace)

    # ---- reading ----
    async def _keep_reading(self, gateway: Gateway) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                await self._read(gateway)
            except StreamLost as lost:
                gateway.why = str(lost)
                if lost.refused:
                    _REFUSED.inc()
                _log.info("gateway.lost", extra={"pod": gateway.pod.name, "why": gateway.why})
            except Exception:  # noqa: BLE001 - told and tried again
                # A bug that one line sets off must not end the reading for ever.
                gateway.why = "reading it failed, which is a bug: see the controller's log"
                _log.exception("gateway.failed", extra={"pod": gateway.pod.name})
            failures = 0 if self._clock.monotonic() - began >= _STEADY_S else failures + 1
            longest = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2 ** min(failures, 10))
            await self._clock.sleep(self._clock.between(longest / 2, longest))

    async def _read(self, gateway: Gateway) -> None:
        stream = GatewayStream(self._session, self._settings, lambda cut: self._told(gateway, cut))
        async with self._opening:
            hello = await stream.open(url_host(gateway.pod.ip), self._token(gateway.pod.uid))
        try:
            GATEWAY_STREAMS.inc()
            self._opened(gateway, hello)
            await stream.read()
        finally:
            GATEWAY_STREAMS.dec()
            stream.close()

    def _token(self, pod_uid: str) -> str:
        from plimsoll.core.tokens import sign  # noqa: PLC0415 - imported late, as in report_key.py

        return sign(self._key.seed, pod_uid, self._clock.utc_now().timestamp())

    def _opened(self, gateway: Gateway, hello: Hello) -> None:
        _log.info("gateway.heard", extra={"pod": gateway.pod.name, "boot": hello.boot, "version": hello.version})
        for model_uid in gateway.opened(hello, self._clock.monotonic()):
            self._listener.acknowledged(gateway.pod.namespace, model_uid)

    def _told(self, gateway: Gateway, cut: Cut) -> None:
        if self.pool.add(gateway.pod.uid, gateway.boot, cut):
            _POOLED.inc()
            for record in cut.records:
                if record.cache_mismatches:
                    self._listener.mismatched(record.uid, record.revision, record.cache_mismatches)
        else:
            _KNOWN.inc()
        for model_uid in gateway.told(cut, self._clock.monotonic()):
            self._listener.acknowledged(gateway.pod.namespace, model_uid)
