"""Kubernetes' refusals and what they become."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from plimsoll.kube.errors import (
    AlreadyExists,
    ApiError,
    Cause,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    ServerError,
    Throttled,
    Unprocessable,
    Unreachable,
    error_from_body,
    error_from_status,
)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", ApiError),
        (401, "Unauthorized", ApiError),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (410, "Gone", Gone),
        (415, "UnsupportedMediaType", ApiError),
        (422, "Invalid", Unprocessable),
        (429, "TooManyRequests", Throttled),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
    ],
)
def test_the_class_tells_the_kind_of_refusal(status: int, reason: str, kind: type[ApiError]) -> None:
    error = error_from_status({"code": status, "reason": reason, "message": "because"})
    assert type(error) is kind
    assert (error.status, error.reason, error.message) == (status, reason, "because")
    assert str(error) == f"{status} {reason}: because"


def test_the_causes_of_an_apply_conflict() -> None:
    body = orjson.dumps(
        {
            "code": 409,
            "reason": "Conflict",
            "message": "Apply failed with 1 conflict",
            "details": {
                "causes": [
                    {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl"', "field": ".spec.replicas"}
                ]
            },
        }
    )
    error = error_from_body(409, body)
    assert isinstance(error, Conflict)
    assert error.field_managers
    assert error.causes == (Cause("FieldManagerConflict", 'conflict with "kubectl"', ".spec.replicas"),)


def test_a_stale_version_is_no_field_conflict() -> None:
    error = error_from_status({"code": 409, "reason": "Conflict", "message": "the object has been modified"})
    assert isinstance(error, Conflict)
    assert not error.field_managers


@pytest.mark.parametrize(
    ("status", "terminating", "quota"),
    [
        ({"details": {"causes": [{"reason": "NamespaceTerminating"}]}}, True, False),
        ({"message": "unable to create new content in namespace x because it is being terminated"}, True, False),
        ({"message": 'pods "x" is forbidden: exceeded quota: compute, requested: cpu=1'}, False, True),
        ({"message": "User cannot create resource"}, False, False),
    ],
)
def test_why_it_is_forbidden(status: dict[str, Any], *, terminating: bool, quota: bool) -> None:
    error = error_from_status({"code": 403, "reason": "Forbidden", **status})
    assert isinstance(error, Forbidden)
    assert (error.namespace_terminating, error.quota_exceeded) == (terminating, quota)


@pytest.mark.parametrize(
    ("details", "header", "expected"),
    [({}, None, None), ({"retryAfterSeconds": 3}, None, 3.0), ({"retryAfterSeconds": 3}, 1.0, 1.0), ({}, 0.0, 0.0)],
)
def test_how_long_the_server_asks_to_wait(
    details: dict[str, Any], header: float | None, expected: float | None
) -> None:
    error = error_from_status({"code": 429, "details": details}, retry_after=header)
    assert error.retry_after == expected


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[1]", b'"text"', b"\xff\xfe", b"x" * 10_000])
def test_an_answer_that_is_no_status(body: bytes) -> None:
    error = error_from_body(502, body)
    assert isinstance(error, ServerError)
    assert error.reason == "Unknown"
    assert len(error.message) <= 200


def test_no_answer_has_no_status() -> None:
    error = Unreachable("No answer to GET /x", sent=False)
    assert (error.status, error.sent) == (0, False)
