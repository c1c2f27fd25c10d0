"""Every way a call to the API server can fail, mapped once.

No `aiohttp` or `kubernetes` exception leaves this package. Callers match on the class; `retry_after` is in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from plimsoll.kube.resources import JsonObject


@dataclass(frozen=True, slots=True)
class Cause:
    """One detail of a refusal, for example a field that another manager owns."""

    reason: str
    message: str
    field: str


class ApiError(Exception):
    """The API server refused, or could not be asked (`status` 0).

    Attributes:
        status: HTTP status, 0 when there was no answer.
        reason: Kubernetes' machine-readable CamelCase reason.
        message: Kubernetes' sentence; it may name objects and fields, never secrets.
        causes: Details, for example every conflicting field of a server-side apply.
        retry_after: Seconds the server asked to wait, if it did.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        causes: tuple[Cause, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after


class NotFound(ApiError):  # noqa: N818 - an answer, not always an error
    """404: no such object, or no such kind."""


class Conflict(ApiError):  # noqa: N818 - as NotFound
    """409: a stale resourceVersion or uid, or fields owned by another manager (see `causes`)."""

    @property
    def field_managers(self) -> bool:
        """Whether this is a server-side apply conflict, which a newer read does not cure."""
        return any(cause.reason == "FieldManagerConflict" for cause in self.causes)


class AlreadyExists(ApiError):  # noqa: N818 - as NotFound
    """409 on create: the name is taken."""


class Gone(ApiError):  # noqa: N818 - as NotFound
    """410: the resourceVersion or continue token was compacted; list again."""


class Forbidden(ApiError):  # noqa: N818 - as NotFound
    """403: missing rights, a quota, an admission policy, or a namespace that is being deleted."""

    @property
    def namespace_terminating(self) -> bool:
        """The namespace is being deleted: nothing can be created in it, and nothing needs to be."""
        return any(cause.reason == "NamespaceTerminating" for cause in self.causes) or (
            "because it is being terminated" in self.message
        )

    @property
    def quota_exceeded(self) -> bool:
        """A ResourceQuota refuses; may pass when others free what they use."""
        return "exceeded quota" in self.message


class Unprocessable(ApiError):  # noqa: N818 - as NotFound
    """422: the object is invalid; `causes` name the fields."""


class Throttled(ApiError):  # noqa: N818 - as NotFound
    """429: too many requests; nothing was done."""


class ServerError(ApiError):
    """5xx: the server failed; the call may or may not have taken effect."""


class Unreachable(ApiError):  # noqa: N818 - as NotFound
    """No answer: refused, reset, cut or timed out.

    Attributes:
        sent: Whether the request may have reached the server, and so may have taken effect.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(0, "Unreachable", message)
        self.sent = sent


_BY_STATUS: dict[int, type[ApiError]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Unprocessable,
    429: Throttled,
}


def error_from_status(obj: JsonObject, *, status: int | None = None, retry_after: float | None = None) -> ApiError:
    """The error a Kubernetes `Status` object stands for.

    Args:
        obj: The Status; absent fields are tolerated.
        status: The HTTP status, which wins over the object's `code`.
        retry_after: Seconds from the `Retry-After` header, which wins over the object's details.
    """
    code = status or int(obj.get("code") or 0)
    reason = str(obj.get("reason") or "Unknown")
    details: JsonObject = obj.get("details") or {}
    causes = tuple(
        Cause(str(cause.get("reason", "")), str(cause.get("message", "")), str(cause.get("field", "")))
        for cause in details.get("causes") or ()
    )
    if retry_after is None and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    return _class_for(code, reason)(code, reason, str(obj.get("message") or reason), causes, retry_after)


def error_from_body(status: int, body: bytes, *, retry_after: float | None = None) -> ApiError:
    """The error for an HTTP answer; a body that is no Status (a proxy's page) keeps its first 200 characters."""
    try:
        obj = orjson.loads(body)
    except orjson.JSONDecodeError:
        obj = None
    if not isinstance(obj, dict):
        obj = {"message": body[:200].decode(errors="replace").strip()}
    return error_from_status(obj, status=status, retry_after=retry_after)


def _class_for(status: int, reason: str) -> type[ApiError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if status >= 500:  # noqa: PLR2004 - the boundary is HTTP's
        return ServerError
    return _BY_STATUS.get(status, ApiError)
