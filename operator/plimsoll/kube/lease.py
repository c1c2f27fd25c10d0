"""Who leads: the decision, without I/O and without trusting anybody's wall clock.

A candidate watches a lease from the moment it first saw its current version, on its own monotonic clock, and takes it
over when it has not changed for the whole duration. The times written in the lease are for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from plimsoll.kube.resources import LEASES, JsonObject


@dataclass(frozen=True, slots=True)
class Lease:
    """What matters of a Lease object. `holder` is empty when it was released."""

    holder: str
    duration_s: float
    transitions: int
    acquired_at: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class Acquire:
    """Take it: it is absent, released or expired."""


@dataclass(frozen=True, slots=True)
class Renew:
    """It is ours: keep it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Another holds it; look again, and not before this monotonic time unless it changes."""

    until: float


@dataclass(frozen=True, slots=True)
class Lost:
    """We led and another holds it: stop at once."""

    holder: str


Decision: TypeAlias = Acquire | Renew | Wait | Lost


def decide(lease: Lease | None, me: str, *, leading: bool, observed_at: float, now: float) -> Decision:
    """What to do about the lease.

    Args:
        lease: The lease as last read, `None` if there is none.
        me: Our identity, unique to this process.
        leading: Whether we believe to lead.
        observed_at: Monotonic time at which we first saw this version of the lease.
        now: Monotonic time.
    """
    if lease is None or not lease.holder:
        return Acquire()
    if lease.holder == me:
        return Renew()
    if leading:
        return Lost(lease.holder)
    expires = observed_at + lease.duration_s
    return Acquire() if now >= expires else Wait(expires)


def lease_of(obj: JsonObject) -> Lease:
    """Reads a Lease object; a released lease has an empty holder."""
    spec = obj.get("spec") or {}
    return Lease(
        holder=spec.get("holderIdentity") or "",
        duration_s=float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired_at=spec.get("acquireTime") or "",
        resource_version=obj["metadata"].get("resourceVersion", ""),
    )


def render_lease(
    namespace: str, name: str, me: str, *, previous: Lease | None, duration_s: float, now: datetime
) -> JsonObject:
    """The Lease object that makes `me` the holder, counting a transition when the holder changes."""
    kept = previous is not None and previous.holder == me
    return _render(
        namespace,
        name,
        previous,
        {
            "holderIdentity": me,
            "leaseDurationSeconds": round(duration_s),
            "acquireTime": previous.acquired_at if previous and kept else _micro_time(now),
            "renewTime": _micro_time(now),
            "leaseTransitions": previous.transitions + (not kept) if previous else 0,
        },
    )


def render_release(namespace: str, name: str, *, previous: Lease, now: datetime) -> JsonObject:
    """The Lease object that lets the next candidate in at once.

    The API requires a positive duration; one second is what client-go leaves behind too.
    """
    return _render(
        namespace,
        name,
        previous,
        {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": _micro_time(now),
            "renewTime": _micro_time(now),
            "leaseTransitions": previous.transitions,
        },
    )


def _render(namespace: str, name: str, previous: Lease | None, spec: JsonObject) -> JsonObject:
    metadata = {"namespace": namespace, "name": name}
    if previous is not None:
        metadata["resourceVersion"] = previous.resource_version
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


def _micro_time(now: datetime) -> str:
    # Kubernetes' MicroTime: exactly six digits, UTC, `Z`. isoformat() would drop the digits on a whole second.
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
