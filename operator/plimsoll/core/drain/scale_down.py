"""Scaling a revision down behind gateways, one turn at a time.

    too many ──▶ chosen, marked with the time, named in status.routing ──▶ every gateway follows that, and no request
    is in flight there ──▶ marked as the cheapest to delete ──▶ replicas lowered by as many ──▶ gone, named no more

Each step is read off the objects, so a controller that dies anywhere goes on from there. Whoever waits too long goes on
without an answer, and says so. A revision that is wanted larger again takes pods back at any step before the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from plimsoll.api.routing import MAX_DRAINING
from plimsoll.core.actions import Announcement, MarkPod, Severity
from plimsoll.core.drain.order import CHEAPEST, active, chosen, sure_to_go
from plimsoll.core.names import DELETION_COST_ANNOTATION, DRAINING_SINCE_ANNOTATION
from plimsoll.core.routing.publish import newest_epoch
from plimsoll.core.world import Deployment, Gateways, Observed, Pod

UNHEARD = timedelta(minutes=1)
"""How long a gateway that does not follow is waited for, beyond the drain: it may still send requests."""


@dataclass(frozen=True, slots=True)
class ScaleDown:
    """What becomes of the pods of one revision now.

    Attributes:
        replicas: What to set.
        draining: Names of the pods that get no new request, in ascending order.
        marks: What to write on pods; to be done before status names them.
        waiting: How many are to go and may not yet.
        announcements: What to tell.
        look_at: When the next of them goes unanswered; None where none waits.
    """

    replicas: int
    draining: tuple[str, ...] = ()
    marks: tuple[MarkPod, ...] = ()
    waiting: int = 0
    announcements: tuple[Announcement, ...] = ()
    look_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What gateways were told of one revision.

    Attributes:
        named: Pods that status names as draining.
        routed: The revision is in status.routing.
        acknowledged: Every gateway follows it.
        in_flight: As in `Gateways`.
    """

    named: AbstractSet[str] = frozenset()
    routed: bool = True
    acknowledged: bool = False
    in_flight: Mapping[str, int] = field(default_factory=dict)


def scale_down(observed: Observed, deployment: Deployment, wanted: int, longest: timedelta, now: datetime) -> ScaleDown:
    """Returns what becomes of the pods of a revision that is to have `wanted` replicas.

    All at once where there is no gateway or the Service leads past them: then nobody can be asked.

    Args:
        observed: The ModelDeployment.
        deployment: The revision's.
        wanted: Replicas to end up with.
        longest: `runtime.drain`.
        now: Aware time in UTC.
    """
    service = observed.services.get(observed.object.metadata.name)
    if observed.gateways is None or (service is not None and not service.gateway):
        return ScaleDown(wanted)
    told = _published(observed, observed.gateways, deployment.revision)
    return _Drain(observed, deployment, wanted, told, longest, now).decide()


def _published(observed: Observed, gateways: Gateways, revision: str) -> _Told:
    """Returns what gateways were told of a revision; nothing where status is older than what some of them follow."""
    routing = observed.object.status.routing if observed.object.status else None
    if routing is None or routing.epoch < newest_epoch(observed):
        return _Told()
    found = next((one for one in routing.revisions if one.name == revision), None)
    follow = gateways.ready > 0 and gateways.acknowledged >= routing.epoch
    named = frozenset(found.draining or ()) if found else frozenset[str]()
    return _Told(named, found is not None, follow, gateways.in_flight)


@dataclass(frozen=True, slots=True)
class _Drain:
    observed: Observed
    deployment: Deployment
    wanted: int
    told: _Told
    longest: timedelta
    now: datetime

    def decide(self) -> ScaleDown:
        """Returns what becomes of the pods."""
        pods = active(self.observed.pods.values(), self.deployment.revision)
        going = self._going(pods)
        marks = tuple(self._marks(pods, going))
        late = [pod for pod in going if self._released(pod) and not self._drained(pod) and not _is_cheapest(pod)]
        ends = (self._ends_at(pod) for pod in going if self._lowers)
        names = {pod.name for pod in going} | self._ending()
        return ScaleDown(
            replicas=self._replicas(pods, going),
            draining=tuple(sorted(names)),
            marks=marks,
            waiting=len(going) if self._lowers else 0,
            announcements=self._excuses(late),
            look_at=min((at for at in ends if at > self.now), default=None),
        )

    @property
    def _lowers(self) -> bool:
        return self.deployment.replicas > self.wanted

    def _going(self, pods: list[Pod]) -> list[Pod]:
        """Returns the pods that drain from now on.

        Once the replicas are set nothing more is chosen; what was named stays so until it ends, or until the replicas
        were raised for it.
        """
        surplus = len(pods) - min(self.wanted, self.deployment.replicas)
        going = chosen(pods, min(surplus, MAX_DRAINING - len(self._ending())), self.told.named)
        return going if self._lowers else [pod for pod in going if pod.name in self.told.named]

    def _ending(self) -> AbstractSet[str]:
        """Returns the pods that end and were named: they are, until they are gone, wherever gateways hear it from."""
        pods = self.observed.pods.values()
        return {pod.name for pod in pods if pod.deleting and pod.name in self.told.named}

    def _replicas(self, pods: list[Pod], going: list[Pod]) -> int:
        if not self._lowers:
            return self.wanted
        names = {pod.name for pod in going if _is_cheapest(pod) and self._released(pod)}
        if len({pod.template for pod in pods}) > 1 and any(self.now < self._ends_at(pod) for pod in going):
            return self.deployment.replicas  # in a roll two ReplicaSets share what is taken: it is waited for
        fewer = len(pods) - sure_to_go(pods, lambda pod: pod.name in names)
        return max(self.wanted, min(self.deployment.replicas, fewer))

    def _since(self, pod: Pod) -> datetime | None:
        """Returns since when a pod drains; None of one that is newly chosen, whatever an older choice left on it."""
        if pod.draining_since is None or (self.told.routed and pod.name not in self.told.named):
            return None
        return min(pod.draining_since, self.now)

    def _ends_at(self, pod: Pod) -> datetime:
        """Returns when a pod goes without an answer."""
        wait = self.longest if self.told.acknowledged else self.longest + UNHEARD
        return (self._since(pod) or self.now) + wait

    def _released(self, pod: Pod) -> bool:
        return self._since(pod) is not None and (self._drained(pod) or self.now >= self._ends_at(pod))

    def _drained(self, pod: Pod) -> bool:
        """Tells whether no gateway sends a request there, and none is in flight.

        A revision that gateways have forgotten gets no more of them; those of clients that asked for it by header are
        answered by the stable one.
        """
        if not self.told.acknowledged:
            return False
        if not self.told.routed:
            return True
        return pod.name in self.told.named and self.told.in_flight.get(pod.name) == 0

    def _marks(self, pods: list[Pod], going: list[Pod]) -> Iterator[MarkPod]:
        names = {pod.name for pod in going}
        concerned = [pod for pod in pods if pod.name in names or pod.draining_since is not None]
        for pod in sorted(concerned, key=lambda pod: pod.name):
            since = self._since(pod)
            if pod.name not in names:
                yield self._mark(pod, None, "it stays")
            elif since is None and pod.draining_since != self.now:
                yield self._mark(pod, self.now, "it is to go, and drains from now on")
            elif since is not None and self._released(pod) and not _is_cheapest(pod):
                yield self._mark(pod, since, "it has drained, and goes before others", cheapest=True)

    def _mark(self, pod: Pod, since: datetime | None, why: str, *, cheapest: bool = False) -> MarkPod:
        annotations: dict[str, Any] = {}
        if since is not None:
            annotations[DRAINING_SINCE_ANNOTATION] = since.isoformat()
        if cheapest:
            annotations[DELETION_COST_ANNOTATION] = str(CHEAPEST)
        namespace = self.observed.object.metadata.namespace
        metadata = {"name": pod.name, "namespace": namespace, "uid": pod.uid, "annotations": annotations}
        return MarkPod({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}, f"Pod {pod.name}: {why}")

    def _excuses(self, late: list[Pod]) -> tuple[Announcement, ...]:
        if not late:
            return ()
        waited = (self.now - min(self._since(pod) or self.now for pod in late)).total_seconds()
        if self.told.acknowledged:
            known = [self.told.in_flight[pod.name] for pod in late if pod.name in self.told.in_flight]
            why = f"{sum(known)} requests were in flight there" if known else "gateways did not say what is in flight"
            advice = "a longer runtime.drain waits longer"
        else:
            why = "not every gateway has said that it sends no more there"
            advice = "look at Deployment plimsoll-gateway"
        which = f"{len(late)} of {self.deployment.replicas} pods of revision {self.deployment.revision}"
        message = f"{which} go after {waited:.0f} s undrained: {why}; {advice}"
        return (Announcement(Severity.WARNING, "DrainTimedOut", message),)


def _is_cheapest(pod: Pod) -> bool:
    return pod.draining_since is not None and pod.deletion_cost == CHEAPEST
