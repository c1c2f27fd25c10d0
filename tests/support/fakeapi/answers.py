"""Refusals as Kubernetes words them."""

from __future__ import annotations

from typing import Any, TypeAlias

from tests.support.fakeapi.ownership import FieldConflict

from plimsoll.kube.resources import Resource

Json: TypeAlias = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - an answer
    """An answer other than success, as a Status object."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        causes: list[Json] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.retry_after = retry_after
        self.status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": {
                **({"causes": causes} if causes else {}),
                **({"retryAfterSeconds": round(retry_after)} if retry_after else {}),
            },
            "code": code,
        }


def _named(resource: Resource, name: str) -> str:
    group = f".{resource.group}" if resource.group else ""
    return f'{resource.plural}{group} "{name}"'


def not_found(resource: Resource, name: str) -> Refusal:
    return Refusal(404, "NotFound", f"{_named(resource, name)} not found")


def already_exists(resource: Resource, name: str) -> Refusal:
    return Refusal(409, "AlreadyExists", f"{_named(resource, name)} already exists")


def stale(resource: Resource, name: str) -> Refusal:
    return Refusal(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {_named(resource, name)}: the object has been modified; please apply your "
        "changes to the latest version and try again",
    )


def precondition(resource: Resource, name: str, what: str, wanted: str, found: str) -> Refusal:
    return Refusal(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {_named(resource, name)}: Precondition failed: {what} in precondition: "
        f"{wanted}, {what} in object meta: {found}",
    )


def field_conflicts(conflicts: list[FieldConflict]) -> Refusal:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{conflict.manager}"', "field": conflict.field}
        for conflict in conflicts
    ]
    return Refusal(409, "Conflict", f"Apply failed with {len(conflicts)} conflict(s): see causes", causes=causes)


def invalid(resource: Resource, name: str, field: str, message: str) -> Refusal:
    return Refusal(
        422,
        "Invalid",
        f"{resource.kind} {name!r} is invalid: {field}: {message}",
        causes=[{"reason": "FieldValueInvalid", "message": message, "field": field}],
    )


def expired(message: str) -> Refusal:
    return Refusal(410, "Expired", message)


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def terminating(resource: Resource, name: str, namespace: str) -> Refusal:
    return Refusal(
        403,
        "Forbidden",
        f"{_named(resource, name)} is forbidden: unable to create new content in namespace {namespace} because it is "
        "being terminated",
        causes=[
            {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated",
             "field": "metadata.namespace"}
        ],
    )  # fmt: skip
