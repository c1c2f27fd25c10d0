"""Which of the objects that carry our labels are ours, and what to do about a name that somebody else has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from plimsoll.core.lineage import Target
from plimsoll.core.names import preflight_name
from plimsoll.core.world import Child, Observed
from plimsoll.errors import Invalid, NotYet


def ours(observed: Observed) -> Observed:
    """Leaves out what carries our labels and belongs to somebody else: it is neither trusted, changed nor deleted."""
    uid = observed.object.metadata.uid
    return dataclasses.replace(
        observed,
        revisions=_owned(observed.revisions, uid),
        deployments=_owned(observed.deployments, uid),
        services=_owned(observed.services, uid),
        jobs=_owned(observed.jobs, uid),
        verdicts={
            name: verdict
            for name, verdict in observed.verdicts.items()
            if (of := observed.revisions.get(verdict.revision)) and of.owner_uid == uid and of.uid == verdict.owner_uid
        },
    )


_C = TypeVar("_C", bound=Child)


def _owned(children: Mapping[str, _C], uid: str) -> Mapping[str, _C]:
    return {name: child for name, child in children.items() if child.owner_uid == uid}


def refuse_strangers(observed: Observed, target: Target, stable: str | None) -> None:
    """Children carry our labels, but an object under a name we need may belong to somebody else: never adopt it.

    A verdict belongs to its ControllerRevision, and one of a ControllerRevision that was deleted and made again is on
    its way out. What serves needs no verdict.

    Raises:
        Invalid: it has no owner that could take it away.
        NotYet: it has one, as a rule a deleted ModelDeployment of this name, whose children go a moment later.
    """
    uid = observed.object.metadata.uid
    owners = {uid, *(revision.uid for revision in observed.revisions.values() if revision.owner_uid == uid)}
    needed = {observed.object.metadata.name, target.revision.name}
    if target.revision.name != stable:
        needed.add(preflight_name(target.revision.name))
    children: list[tuple[str, str, Child]] = [
        *((child.name, "ControllerRevision", child) for child in observed.revisions.values()),
        *((child.name, "Deployment", child) for child in observed.deployments.values()),
        *((child.name, "Service", child) for child in observed.services.values()),
        *((child.name, "Job", child) for child in observed.jobs.values()),
        *((child.name, "ConfigMap", child) for child in observed.verdicts.values()),
    ]
    for _, kind, child in sorted(children, key=lambda found: found[:2]):
        if child.name not in needed or child.owner_uid in (owners if kind == "ConfigMap" else {uid}):
            continue
        if child.owner_uid:
            raise NotYet("WaitingForName", _name_in_use(kind, child.name))
        if not child.deleting:
            raise Invalid("NameConflict", name_conflict(kind, child.name))


def _name_in_use(kind: str, name: str) -> str:
    return (
        f"{kind} {name} still belongs to another object, as a rule a deleted ModelDeployment of the same name; it goes "
        "by itself then, else delete it"
    )


def name_conflict(kind: str, name: str) -> str:
    """Returns the message about a name that is taken; used by the shell too, for objects without our labels."""
    return (
        f"{kind} {name} exists and belongs to something else; it is left alone. Delete or rename it, or give this "
        "ModelDeployment another name"
    )
