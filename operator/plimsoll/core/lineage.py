"""Which revision is wanted, which one serves, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from plimsoll.core.names import REFRESH_ANNOTATION
from plimsoll.core.snapshot import intent_digest, take_snapshot
from plimsoll.core.world import Deployment, Observed, Revision, Service


@dataclass(frozen=True, slots=True)
class Target:
    """The revision that the newest spec asks for; `missing` when it has yet to be made."""

    revision: Revision
    missing: bool


def target_of(observed: Observed) -> Target:
    """Returns the revision that the newest spec asks for.

    A revision made from the same words is that revision, whatever the defaults are today: an upgrade restarts nothing.
    Among several (after a refresh) the newest counts; a refresh value that none of them was made with asks for another.

    Raises:
        Invalid: the spec names no digest, or its configuration is too large.
    """
    metadata = observed.object.metadata
    intent = intent_digest(observed.object.spec)
    refresh = (metadata.annotations or {}).get(REFRESH_ANNOTATION, "")
    same = [r for r in observed.revisions.values() if r.intent == intent and (not refresh or r.refresh == refresh)]
    if same:
        return Target(max(same, key=lambda revision: revision.number), missing=False)
    snapshot = take_snapshot(observed.object.spec, observed.defaults)
    name = snapshot.name_for(metadata.name)
    if name in observed.revisions:
        return Target(observed.revisions[name], missing=False)
    made = Revision(
        name=name,
        uid="",
        owner_uid=metadata.uid,
        packed=b"",
        number=_number_for(name, observed),
        intent=intent,
        refresh=refresh,
        snapshot=snapshot,
    )
    return Target(made, missing=True)


def _number_for(name: str, observed: Observed) -> int:
    """Returns the number that the Deployment of this revision remembers, else the next one."""
    deployment = observed.deployments.get(name)
    if deployment and deployment.number:
        return deployment.number
    known: list[Revision | Deployment] = [*observed.revisions.values(), *observed.deployments.values()]
    return 1 + max((child.number for child in known), default=0)


def stable_of(observed: Observed, target: str | None = None) -> str | None:
    """Returns the name of the revision that serves users, None when none has been promoted.

    Status says so. Where it does not, or names one that does not run (status was lost or is that of a backup, or the
    first revision was replaced before it was complete), the revision behind the stable Service counts if it has ready
    pods: who is served stays served. Not so `target`, which becomes stable by promotion only. The same where a
    promotion was cut off before the Service moved, and the pods of the new revision have gone since.
    """
    status = observed.object.status
    stated = status.stable if status else None
    service = observed.services.get(observed.object.metadata.name)
    selected = observed.deployments.get(service.revision) if service else None
    named = observed.deployments.get(stated or "")
    if named and selected and selected.ready and _down(named) and not (service and service.gateway):
        return selected.revision
    if named:
        return stated
    if selected and selected.ready:
        return selected.revision if selected.revision != target else None
    return stated if stated in observed.revisions else None


def _down(deployment: Deployment) -> bool:
    return deployment.replicas > 0 and not deployment.ready


def retirement(deployment: Deployment, service: Service | None, now: datetime) -> datetime | None:
    """Returns since when a revision that is neither wanted nor stable gets no traffic; None when it serves nobody.

    Ready pods without a mark may have served: caches of two kinds need not be of the same moment, and the mark may be
    what is missing. A mark in the future (the clock was set back) counts as now.
    """
    selected = service is not None and service.revision == deployment.revision
    if deployment.ready and (selected or deployment.retired_at is None):
        return now
    return min(deployment.retired_at, now) if deployment.retired_at else None


def expired(retired_at: datetime | None, drain: timedelta, now: datetime) -> bool:
    """Tells whether a revision that is neither wanted nor stable may go."""
    return retired_at is None or now >= retired_at + drain


def beyond_history(revisions: Mapping[str, Revision], in_use: Iterable[str], limit: int) -> list[Revision]:
    """Returns the oldest unused revisions beyond `limit`."""
    used = set(in_use)
    unused = sorted((r for r in revisions.values() if r.name not in used and not r.deleting), key=lambda r: r.number)
    return unused[: max(0, len(unused) - limit)]
